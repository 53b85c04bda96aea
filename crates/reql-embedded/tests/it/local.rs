//! Connections within the process: the same protocol, without a port.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::support::client::{Client, V1_0, client_final, first_message, frame, message};
use crate::support::engine::{Control, TestEngine};
use crate::support::reql;
use reql_embedded::{Builder, LocalStream, Server};
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::{JoinSet, yield_now};

async fn server_with(builder: Builder) -> (Server, Arc<Control>) {
    let (engine, control) = TestEngine::new("");
    (builder.in_process().start_with(engine).await.expect("a server"), control)
}

async fn connected() -> (Server, Arc<Control>, Client<LocalStream>) {
    let (server, control) = server_with(Server::builder()).await;
    let client = Client::within(&server).await;
    (server, control, client)
}

#[tokio::test]
async fn a_server_may_listen_nowhere() {
    let (server, _control, mut client) = connected().await;
    assert_eq!(server.local_addrs(), []);
    assert_eq!(server.open_connections(), 1);
    assert_eq!(client.ask(1, r#"[1,["user"]]"#).await["r"], json!(["admin"]));
}

#[tokio::test]
async fn one_that_listens_has_them_too() {
    let (engine, _control) = TestEngine::new("");
    let server = Server::builder().start_with(engine).await.expect("a free port");
    let mut within = Client::within(&server).await;
    let mut outside = Client::connect(server.local_addr()).await;
    assert_eq!(server.open_connections(), 2);
    assert_eq!(within.ask(1, r#"[1,["echo",1]]"#).await["r"], json!([1]));
    assert_eq!(outside.ask(1, r#"[1,["echo",2]]"#).await["r"], json!([2]));
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let (server, _control) = server_with(Server::builder()).await;
    let mut client = Client { stream: server.connect().await.expect("a stream") };
    let hello = [&V1_0.to_le_bytes()[..], &first_message("n,,n=admin,r=x")].concat();
    for byte in hello {
        client.send(&[byte]).await;
        yield_now().await;
    }
    client.message().await;
    let challenge = client.message().await;
    let server_first = challenge["authentication"].as_str().expect("a challenge");
    let (last, _) = client_final("n=admin,r=x", server_first, "");
    let mut bytes = message(&json!({ "authentication": last }));
    bytes.extend(frame(7, br#"[1,["echo","slowly"],{}]"#));
    for byte in bytes {
        client.send(&[byte]).await;
        yield_now().await;
    }
    assert_eq!(client.message().await["success"], json!(true));
    assert_eq!(client.answer().await, (7, json!({ "t": 1, "r": ["slowly"] })));
}

#[tokio::test]
async fn passwords_count_here_too() {
    let (engine, _control) = TestEngine::new("hunter2");
    let server = Server::builder().in_process().start_with(engine).await.expect("a server");
    for (password, success) in [("hunter2", true), ("hunter3", false), ("", false)] {
        let mut client = Client { stream: server.connect().await.expect("a stream") };
        assert_eq!(client.authenticate("admin", password).await["success"], json!(success), "{password}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_run_side_by_side() {
    let (server, _control) = server_with(Server::builder()).await;
    let mut clients = JoinSet::new();
    for number in 0..300 {
        let connector = server.connector();
        clients.spawn(async move {
            let mut client = Client { stream: connector.connect().await.expect("a stream") };
            client.authenticate("admin", "").await;
            for token in 0..20 {
                let query = format!(r#"[1,["echo",{}]]"#, number * 100 + token);
                assert_eq!(client.ask(token, &query).await["r"], json!([number * 100 + token]));
            }
            client
        });
    }
    let clients = clients.join_all().await;
    assert_eq!(server.open_connections(), clients.len());
}

/// Writes until the other side takes no more, however long it is given, and returns the number of bytes.
async fn write_until_stuck(stream: &mut LocalStream, bytes: &[u8], most: usize) -> usize {
    let mut written = 0;
    let mut tries = 0;
    // On a single thread, the session has its turn in between.
    while tries < 1000 && written < most {
        let at = written % bytes.len();
        let sent = poll_fn(|cx| match Pin::new(&mut *stream).poll_write(cx, &bytes[at..]) {
            Poll::Ready(sent) => Poll::Ready(Some(sent.expect("an open connection"))),
            Poll::Pending => Poll::Ready(None),
        });
        match sent.await {
            Some(sent) => (written, tries) = (written + sent, 0),
            None => tries += 1,
        }
        yield_now().await;
    }
    written
}

#[tokio::test(flavor = "current_thread")]
async fn a_client_that_does_not_read_is_not_read_from() {
    let (_server, control, mut client) = connected().await;
    let text = "x".repeat(10_000);
    let query = frame(1, format!(r#"[1,["echo","{text}"]]"#).as_bytes());
    let written = write_until_stuck(&mut client.stream, &query, 64 << 20).await;
    assert!(written < 1 << 20, "{written} bytes were taken in");
    let evaluated = control.evaluated.load(Ordering::SeqCst);
    assert!((10..100).contains(&evaluated), "{evaluated} queries were evaluated");
    // All of them are answered once the client reads.
    let whole = written / query.len();
    let rest = (query.len() - written % query.len()) % query.len();
    let (mut reader, mut writer) = tokio::io::split(&mut client.stream);
    let send = async {
        writer.write_all(&query[query.len() - rest..]).await.expect("an open connection");
    };
    let read = async {
        let mut reader = Client { stream: tokio::io::join(&mut reader, tokio::io::sink()) };
        for _ in 0..whole + usize::from(rest > 0) {
            assert_eq!(reader.answer().await.1["r"][0].as_str().map(str::len), Some(text.len()));
        }
    };
    tokio::join!(send, read);
}

#[tokio::test]
async fn closing_it_interrupts_everything() {
    let (server, control, mut client) = connected().await;
    client.ask(1, r#"[1,["rows",5,2]]"#).await;
    client.query(3, r#"[1,["hold","never"]]"#).await;
    control.holding.reaches(1).await;
    drop(client);
    control.interrupted.reaches(1).await;
    control.cursors.reaches(0).await;
    while server.open_connections() > 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_answered_and_ends_it() {
    let (server, _control) = server_with(Server::builder()).await;
    let mut client = Client { stream: server.connect().await.expect("a stream") };
    client.send(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(client.text().await.starts_with("ERROR: Received an unsupported protocol version."));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn they_count_among_the_connections() {
    let (server, _control) = server_with(Server::builder().max_connections(1)).await;
    let _first = Client::within(&server).await;
    let mut second = Client { stream: server.connect().await.expect("a stream") };
    assert_eq!(second.text().await, "ERROR: The server has reached its limit of 1 connections.\n");
    assert_eq!(second.rest().await, b"");
}

#[tokio::test]
async fn shutdown_ends_them() {
    let (server, control, mut client) = connected().await;
    let connector = server.connector();
    client.query(1, r#"[1,["hold","never"]]"#).await;
    control.holding.reaches(1).await;
    server.shutdown().await;
    assert_eq!(client.answer().await.1["r"], json!(["Server is shutting down."]));
    assert_eq!(client.rest().await, b"");
    assert!(client.stream.write_all(b"x").await.is_err());
    assert_eq!(connector.connect().await.expect_err("no server").kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn system_tables_show_them() {
    let server = Server::builder().in_process().start().await.expect("a server");
    let mut client = Client::within(&server).await;
    let jobs =
        "r.db('rethinkdb').table('jobs').filter({type: 'query'}).map(job => job('info')('client_address'))";
    let query = json!([1, reql::parse(jobs).expect("a query"), {}]).to_string();
    assert_eq!(client.ask(1, &query).await["r"], json!(["in-process"]));
}
