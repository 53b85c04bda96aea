//! The end of a server: in order, and in bounded time even if something still runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::engine::{Control, TestEngine};
use reql_embedded::{Builder, Server};
use serde_json::json;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

/// Longer than any test here takes, even on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

const SHORT_GRACE: Duration = Duration::from_millis(50);

async fn server_with(builder: Builder) -> (Server, Arc<Control>) {
    let (engine, control) = TestEngine::new("");
    (builder.start_with(engine).await.expect("a free port"), control)
}

async fn connected() -> (Server, Arc<Control>, Client) {
    let (server, control) = server_with(Server::builder()).await;
    let client = Client::connect(server.local_addr()).await;
    (server, control, client)
}

async fn shut_down(server: Server) {
    timeout(LONG, server.shutdown()).await.expect("an end");
}

#[tokio::test]
async fn shutdown_ends_what_runs_and_says_so() {
    let (server, control, mut client) = connected().await;
    let addr = server.local_addr();
    client.query(1, r#"[1,["hold","never"]]"#).await;
    control.holding.reaches(1).await;
    let idle = Client::connect(addr).await;
    let half = Client::dial(addr).await;
    while server.open_connections() < 3 {
        tokio::task::yield_now().await;
    }
    server.shutdown().await;
    let shutting_down = json!({ "t": 18, "e": 4_200_000, "r": ["Server is shutting down."], "b": [] });
    assert_eq!(client.answer().await, (1, shutting_down));
    for mut client in [client, idle, half] {
        assert_eq!(client.rest().await, b"");
    }
    assert!(control.closed.load(Ordering::SeqCst));
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn dropping_the_server_stops_it() {
    let (server, control, mut client) = connected().await;
    client.query(1, r#"[1,["hold","never"]]"#).await;
    control.holding.reaches(1).await;
    drop(server);
    control.interrupted.reaches(1).await;
    client.answer().await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_query_that_ignores_its_interrupt_holds_up_nobody() {
    let (server, control) = server_with(Server::builder().shutdown_grace(SHORT_GRACE)).await;
    let mut client = Client::connect(server.local_addr()).await;
    client.query(1, r#"[1,["stuck","forever"]]"#).await;
    control.holding.reaches(1).await;
    shut_down(server).await;
    assert!(control.closed.load(Ordering::SeqCst));
    assert_eq!(client.rest().await, b"");
    control.release("forever");
    control.holding.reaches(0).await;
}

/// Makes a runtime with a single thread for sessions.
fn narrow() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[tokio::test]
async fn not_even_one_that_holds_the_only_thread_of_the_sessions() {
    let sessions = narrow();
    let starting = sessions.spawn(server_with(Server::builder().shutdown_grace(SHORT_GRACE)));
    let (server, control) = starting.await.expect("a server");
    let mut client = Client::connect(server.local_addr()).await;
    client.query(1, r#"[1,["stuck-light","forever"]]"#).await;
    control.holding.reaches(1).await;
    shut_down(server).await;
    assert!(control.closed.load(Ordering::SeqCst));
    control.release("forever");
    sessions.shutdown_background();
}

#[tokio::test]
async fn a_storage_that_does_not_close_is_left_behind() {
    let (server, control) = server_with(Server::builder().shutdown_grace(SHORT_GRACE)).await;
    *control.closing_waits_for.lock().expect("a lock") = Some("the disk");
    shut_down(server).await;
    assert!(!control.closed.load(Ordering::SeqCst));
    control.release("the disk");
}
/// Checks that all parts of a server end with it, so that its runtime can end, too.
#[test]
fn a_runtime_ends_after_its_server() {
    let sessions = narrow();
    let control = sessions.block_on(async {
        let (server, control) = server_with(Server::builder().shutdown_grace(SHORT_GRACE)).await;
        let mut client = Client::connect(server.local_addr()).await;
        client.query(1, r#"[1,["stuck","forever"]]"#).await;
        control.holding.reaches(1).await;
        shut_down(server).await;
        control
    });
    // Waits for all work of the runtime's own threads.
    drop(sessions);
    control.release("forever");
}
