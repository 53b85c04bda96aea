//! Many connections that write the same document.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::TryStreamExt;
use ql2::term::TermType;
use reql::cmd::connect::Options;
use reql::cmd::{Durability, update};
use reql::{Command, Session, func, r};
use reql_embedded::Server;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 32;
const UPDATES: usize = 20;

async fn connect(server: &Server) -> Session {
    let options = Options::new().host("127.0.0.1").port(server.local_addr().port());
    r.connect(options).await.expect("a session")
}

async fn ask(session: &Session, query: Command) -> Value {
    query.run::<_, Value>(session).try_next().await.expect("an answer").unwrap_or_default()
}

/// Returns `{n: row('n').add(1)}`, for which the driver has no method.
fn incremented(row: Command) -> Command {
    let n = row.bracket("n") + 1;
    Command::new(TermType::Object).with_arg(Command::from_json("n")).with_arg(n)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_of_a_counter_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::builder().data_dir(directory.path()).start().await.expect("a server");
    let session = connect(&server).await;
    ask(&session, r.table_create("t")).await;
    ask(&session, r.table("t").insert(json!({ "id": "counter", "n": 0 }))).await;

    let mut updating = JoinSet::new();
    for number in 0..CONNECTIONS {
        let session = connect(&server).await;
        updating.spawn(async move {
            for turn in 0..UPDATES {
                let durability = if (number + turn) % 2 == 0 { Durability::Hard } else { Durability::Soft };
                let options = update::Options::new().durability(durability);
                let query =
                    r.table("t").get("counter").update(r.args((func!(|row| incremented(row)), options)));
                let answer = ask(&session, query).await;
                assert_eq!((&answer["replaced"], &answer["errors"]), (&json!(1), &json!(0)), "{answer}");
            }
        });
    }
    updating.join_all().await;

    let total = json!(CONNECTIONS * UPDATES);
    assert_eq!(ask(&session, r.table("t").get("counter")).await["n"], total);
    drop(session);
    server.shutdown().await;
    let server = Server::builder().data_dir(directory.path()).start().await.expect("a server");
    assert_eq!(ask(&connect(&server).await, r.table("t").get("counter")).await["n"], total);
}
