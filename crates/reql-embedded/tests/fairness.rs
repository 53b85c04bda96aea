//! The share of other connections, however much one asks for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "it/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use reql_embedded::Server;
use serde_json::json;
use support::client::{Client, V0_4, frame};
use support::engine::{Control, TestEngine};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// Longer than any test here takes, even on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

async fn server() -> (Server, Arc<Control>) {
    let (engine, control) = TestEngine::new("hunter2");
    (Server::builder().start_with(engine).await.expect("a free port"), control)
}

async fn connected(server: &Server) -> Client {
    let mut client = Client::dial(server.local_addr()).await;
    assert_eq!(client.authenticate("admin", "hunter2").await["success"], json!(true));
    client
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(LONG, work).await.expect("its turn")
}

#[tokio::test]
async fn many_endless_queries_of_one_connection_stop_nobody() {
    let (server, control) = server().await;
    let mut greedy = connected(&server).await;
    for token in 0..600 {
        greedy.query(token, r#"[1,["hold","forever"]]"#).await;
    }
    control.holding.reaches_at_least(2).await;
    // Heavy queries of other clients, and passwords that have to be stretched.
    let mut other = soon(connected(&server)).await;
    for n in 0..20 {
        assert_eq!(soon(other.ask(n, &format!(r#"[1,["heavy",{n}]]"#))).await["r"], json!([n]));
    }
    soon(Client::connect_with_key(server.local_addr(), V0_4, "hunter2")).await;
    assert!(control.holding.now() < 100, "{} hold a thread", control.holding.now());
    // The greedy client itself gets answers that need no thread, and can stop queries that had no turn yet.
    assert_eq!(soon(greedy.ask(1000, r#"[1,["echo",1]]"#)).await["r"], json!([1]));
    greedy.query(599, "[3]").await;
    for _ in 0..2 {
        assert_eq!(soon(greedy.answer()).await, (599, json!({ "t": 2, "r": [], "n": [] })));
    }
    control.release("forever");
    for _ in 0..599 {
        assert_eq!(soon(greedy.answer()).await.1["t"], json!(1));
    }
}

/// Returns a query that holds, whose text has about this length: an option that the engine doesn't look at.
fn long(token: i64, len: usize) -> Vec<u8> {
    frame(token, format!(r#"[1,["hold","forever"],{{"pad":"{}"}}]"#, "x".repeat(len)).as_bytes())
}

#[tokio::test]
async fn long_queries_wait_until_there_is_room_for_them() {
    const LEN: usize = 60 << 20;
    let (server, control) = server().await;
    let mut client = connected(&server).await;
    for token in 0..2 {
        client.send(&long(token, LEN)).await;
    }
    control.holding.reaches(2).await;
    let third = long(2, LEN);
    let (mut reader, mut writer) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        writer.write_all(&third).await.expect("an open connection");
        writer
    });
    // Meanwhile short queries of other clients are answered.
    let mut other = connected(&server).await;
    assert_eq!(soon(other.ask(1, r#"[1,["heavy",1]]"#)).await["r"], json!([1]));
    assert!(!sending.is_finished(), "it was read although there is no room");
    control.release("forever");
    let _writer = soon(sending).await.expect("all of it is read");
    let mut reader = Client { stream: tokio::io::join(&mut reader, tokio::io::sink()) };
    for _ in 0..3 {
        assert_eq!(soon(reader.answer()).await.1, json!({ "t": 1, "r": ["forever"] }));
    }
}

#[tokio::test]
async fn a_long_query_can_be_stopped() {
    let (server, control) = server().await;
    let mut client = connected(&server).await;
    client.send(&long(1, 100 << 20)).await;
    control.holding.reaches(1).await;
    client.query(1, "[3]").await;
    for _ in 0..2 {
        assert_eq!(soon(client.answer()).await, (1, json!({ "t": 2, "r": [], "n": [] })));
    }
    control.interrupted.reaches(1).await;
}

#[tokio::test]
async fn what_holds_a_thread_of_sessions_is_counted() {
    let sessions = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let sessions = sessions.expect("a runtime");
    let (server, control) = sessions.spawn(server()).await.expect("a server");
    let mut client = connected(&server).await;
    assert_eq!(client.ask(1, r#"[1,["echo",1]]"#).await["r"], json!([1]));
    client.query(2, r#"[1,["stuck-light","for a while"]]"#).await;
    control.holding.reaches(1).await;
    let activity = server.activity();
    soon(async {
        while activity.stalls() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    control.release("for a while");
    assert_eq!(soon(client.answer()).await.1["r"], json!(["for a while"]));
    sessions.shutdown_background();
}

#[tokio::test]
async fn many_guesses_of_a_password_leave_room_for_queries() {
    let (server, _control) = server().await;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let addr = server.local_addr();
        guesses.spawn(async move {
            let mut client = Client::dial(addr).await;
            client.send(&support::client::key_handshake(V0_4, "guess", support::client::JSON)).await;
            client.text().await
        });
    }
    let mut client = soon(connected(&server)).await;
    assert_eq!(soon(client.ask(1, r#"[1,["heavy",1]]"#)).await["r"], json!([1]));
    for answer in guesses.join_all().await {
        assert_eq!(answer, "ERROR: Incorrect authorization key.\n");
    }
}
