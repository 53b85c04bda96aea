//! A server, and a client that sends it queries in JavaScript's syntax.

use std::net::SocketAddr;
use std::path::Path;

use reql_embedded::Server;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::client::Client;
use super::reql;

/// Sends one query after the other, over the wire: light ones are evaluated on the session's task.
pub struct Asking {
    runtime: Runtime,
    server: Option<Server>,
    client: Client,
    token: i64,
}

impl Asking {
    /// Starts a new server; without a directory, its data is in memory.
    pub fn new(directory: Option<&Path>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (server, client) = runtime.block_on(async {
            let mut builder = Server::builder();
            if let Some(directory) = directory {
                builder = builder.data_dir(directory);
            }
            let server = builder.start().await.expect("a server");
            let client = Client::connect(server.local_addr()).await;
            (server, client)
        });
        Asking { runtime, server: Some(server), client, token: 0 }
    }

    /// Connects another client to a server.
    pub fn of(address: SocketAddr) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let client = runtime.block_on(Client::connect(address));
        Asking { runtime, server: None, client, token: 0 }
    }

    /// Returns the address of its own server.
    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().expect("a server of its own").local_addr()
    }

    /// Returns the value, or all rows as an array; or the message of the error.
    pub fn ask(&mut self, query: &str) -> Result<Value, String> {
        let term = reql::parse(query).unwrap_or_else(|error| panic!("{error} in {query}"));
        self.token += 1;
        let token = self.token;
        let Asking { runtime, client, .. } = self;
        runtime.block_on(async {
            let mut rows = Vec::new();
            let mut answer = client.ask(token, &json!([1, term]).to_string()).await;
            loop {
                let kind = answer["t"].as_u64().expect("a type");
                let items = answer["r"].as_array_mut().expect("results");
                match kind {
                    1 => return Ok(items.remove(0)),
                    2 | 3 => rows.append(items),
                    _ => return Err(items[0].as_str().expect("a message").to_owned()),
                }
                if kind == 2 {
                    return Ok(Value::Array(rows));
                }
                answer = client.ask(token, "[2]").await;
            }
        })
    }

    /// Returns the value of a query that has one.
    pub fn get(&mut self, query: &str) -> Value {
        self.ask(query).unwrap_or_else(|error| panic!("{error}\nin {query}"))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}
