//! A changefeed as a client of the wire protocol reads it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::client::Client;

/// The type of answers that say that more may follow.
const PARTIAL: i64 = 3;

/// Runs a query that has one answer.
pub async fn run(client: &mut Client, term: Value) -> Value {
    let answer = client.ask(1, &json!([1, term, {}]).to_string()).await;
    assert!(answer["t"] == 1 || answer["t"] == 2, "{answer}");
    answer["r"][0].clone()
}

/// A feed as a client reads it.
pub struct Reader {
    pub client: Client,
    rows: std::vec::IntoIter<Value>,
    pub notes: Value,
}

impl Reader {
    pub async fn open(addr: SocketAddr, term: Value, options: Value) -> Self {
        let mut client = Client::connect(addr).await;
        let answer = client.ask(7, &json!([1, term, options]).to_string()).await;
        assert_eq!(answer["t"], PARTIAL, "{answer}");
        let mut reader = Reader { client, rows: Vec::new().into_iter(), notes: answer["n"].clone() };
        reader.keep(&answer);
        reader
    }

    fn keep(&mut self, answer: &Value) {
        self.rows = answer["r"].as_array().expect("rows").clone().into_iter();
    }

    pub async fn next(&mut self) -> Value {
        loop {
            if let Some(row) = self.rows.next() {
                return row;
            }
            let answer = self.client.ask(7, "[2]").await;
            assert_eq!(answer["t"], PARTIAL, "{answer}");
            self.keep(&answer);
        }
    }
}
