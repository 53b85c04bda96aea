//! Servers that are slow, broken or evil: an error in time, and nothing else.
#![allow(clippy::unwrap_used)]

mod support;

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reql::{Connector, Error, ErrorKind, Query, Sent, Session, r};
use support::fake::{self, Flaw};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

fn connector() -> Connector {
    Connector::new("fake").user("user", "pencil").max_answer(1 << 20)
}

/// Returns a session with a server that goes on by a function.
async fn session<F, G>(size: usize, server: F) -> Session<DuplexStream>
where
    F: FnOnce(DuplexStream) -> G,
    G: Future<Output = ()> + Send + 'static,
    F: Send + 'static,
{
    let (client, mut io) = fake::pipe(size);
    tokio::spawn(async move {
        fake::shake_hands(&mut io, Flaw::None).await;
        server(io).await;
    });
    connector().connect_over(client).await.unwrap()
}

/// Returns the error of a connection to a server that follows a function.
async fn refused<F, G>(server: F) -> Error
where
    F: FnOnce(DuplexStream) -> G,
    G: Future<Output = ()> + Send + 'static,
{
    let (client, io) = fake::pipe(1 << 10);
    tokio::spawn(server(io));
    connector().connect_over(client).await.unwrap_err()
}

/// Returns a session with a server that answers a query with ten rows and an eleventh, and how many have been
/// read; the server checks how many there were when it was asked for the last one.
async fn ten_and_one(notes: &'static str, asked: Range<usize>) -> (Session<DuplexStream>, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let of_server = read.clone();
    let session = session(1 << 16, move |mut io| async move {
        let (token, _) = fake::query(&mut io).await;
        let row = format!("\"{}\"", "x".repeat(100));
        let rows = [&row[..]; 10].join(",");
        fake::answer(&mut io, token, &format!(r#"{{"t":3,"r":[{rows}],"n":{notes}}}"#)).await;
        assert_eq!(fake::query(&mut io).await, (token, "[2]".to_owned()));
        let asked_at = of_server.load(Ordering::SeqCst);
        let last = if asked.contains(&asked_at) { "in time" } else { "out of time" };
        fake::answer(&mut io, token, &format!(r#"{{"t":2,"r":["{last}"],"n":{notes}}}"#)).await;
    });
    (session.await, read)
}

/// Reads all rows, and counts those that have been read. Returns the last one.
async fn read_all(rows: impl Stream<Item = Result<String, Error>>, read: &AtomicUsize) -> Option<String> {
    let (mut rows, mut last) = (std::pin::pin!(rows), None);
    while let Some(row) = rows.next().await {
        last = Some(row.unwrap());
        read.fetch_add(1, Ordering::SeqCst);
        // The server, and the task of a shared connection, have their turn.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
    last
}

/// A reader that stalls holds one batch then, instead of two.
#[tokio::test]
async fn the_next_batch_is_asked_for_when_half_of_one_has_been_read() {
    let (mut session, read) = ten_and_one("[]", 5..10).await;
    let rows = session.rows::<String>(r.expr(1)).await.unwrap();
    assert_eq!(read_all(rows, &read).await.as_deref(), Some("in time"));
    assert_eq!(read.load(Ordering::SeqCst), 11);
    let (session, read) = ten_and_one("[]", 5..10).await;
    let rows = session.share().unwrap().rows::<String>(r.expr(1)).await.unwrap();
    assert_eq!(read_all(rows, &read).await.as_deref(), Some("in time"));
}

/// There may be many feeds with readers that stall.
#[tokio::test]
async fn a_shared_feed_asks_for_nothing_before_all_of_a_batch_has_been_read() {
    let (session, read) = ten_and_one("[1]", 10..11).await;
    let rows = session.share().unwrap().feed::<String>(r.expr(1)).await.unwrap();
    assert_eq!(read_all(rows, &read).await.as_deref(), Some("in time"));
}

#[tokio::test]
async fn bytes_come_in_any_pieces() {
    for size in [1, 2, 3, 7, 12, 13, 100, 1 << 16] {
        let mut session = session(size, |mut io| async move {
            for _ in 0..2 {
                let (token, query) = fake::query(&mut io).await;
                assert_eq!(query, "[1,1]");
                fake::answer(&mut io, token, r#"{"t":3,"r":[1,{"a":[2]}],"n":[]}"#).await;
                assert_eq!(fake::query(&mut io).await, (token, "[2]".to_owned()));
                fake::answer(&mut io, token, r#"{"t":2,"r":["three"],"n":[]}"#).await;
            }
        })
        .await;
        for _ in 0..2 {
            let rows: Vec<serde_json::Value> = session.all(r.expr(1)).await.unwrap();
            assert_eq!(serde_json::to_string(&rows).unwrap(), r#"[1,{"a":[2]},"three"]"#);
        }
    }
}

#[tokio::test]
async fn evil_handshakes() {
    for (flaw, kind) in [
        (Flaw::Signature, ErrorKind::Impostor),
        (Flaw::Nonce, ErrorKind::Impostor),
        (Flaw::Rounds(0), ErrorKind::Protocol),
        (Flaw::Rounds(u32::MAX), ErrorKind::Protocol),
    ] {
        let error = refused(|mut io| async move { fake::shake_hands(&mut io, flaw).await }).await;
        assert_eq!(error.kind(), kind, "{flaw:?}: {error}");
        assert_eq!(error.query_sent(), Sent::NotSent);
    }
}

/// Changes each byte of the server's messages in turn: the result is an error, unless the byte has no
/// meaning.
#[tokio::test]
async fn mangled_handshakes() {
    let impatient = connector().timeout(Duration::from_millis(300));
    let mut welcome = 0;
    for at in (0..400).step_by(3) {
        let (client, mut near) = fake::pipe(1 << 10);
        let (mut far, mut io) = fake::pipe(1 << 10);
        tokio::spawn(async move { fake::shake_hands(&mut io, Flaw::None).await });
        tokio::spawn(async move {
            let (mut hears, mut tells) = tokio::io::split(&mut far);
            let (mut asks, mut says) = tokio::io::split(&mut near);
            let mangle = async {
                let mut seen = 0;
                while let Ok(byte) = hears.read_u8().await {
                    let byte = if seen == at { byte ^ 1 } else { byte };
                    seen += 1;
                    if says.write_u8(byte).await.is_err() {
                        return;
                    }
                }
            };
            let _ = tokio::join!(mangle, tokio::io::copy(&mut asks, &mut tells));
        });
        match impatient.connect_over(client).await {
            Ok(_) => welcome += 1,
            Err(error) => assert_eq!(error.query_sent(), Sent::NotSent, "{at}: {error}"),
        }
    }
    // The name of an unused field, the server's version, or bytes after the end.
    assert!(welcome > 0 && welcome < 60, "{welcome}");
}

#[tokio::test]
async fn what_is_no_server() {
    for (said, kind, shown) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ErrorKind::Protocol, "HTTP/1.1 400"),
        (
            b"ERROR: Received an unsupported protocol version.\n\0",
            ErrorKind::Protocol,
            "unsupported protocol",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x16", ErrorKind::Tls, "speaks TLS"),
        (b"\0", ErrorKind::Protocol, "no RethinkDB server"),
        (b"[]\0", ErrorKind::Protocol, "no RethinkDB server"),
        (b"\xff\xfe\0", ErrorKind::Protocol, "no RethinkDB server"),
        (br#"{"success":true}"#, ErrorKind::Protocol, "success"),
        (b"{\"success\":true}\0", ErrorKind::Protocol, "version"),
        (b"{\"success\":false,\"error\":\"Go away\",\"error_code\":12}\0", ErrorKind::Refused(12), "Go away"),
        (b"", ErrorKind::Io, "closed the connection"),
    ] {
        let error = refused(|mut io| async move {
            io.write_all(said).await.unwrap();
            io.shutdown().await.unwrap();
            // If the pipe were dropped before the client has sent all, it would fail for another reason.
            let _ = tokio::time::timeout(Duration::from_secs(5), io.read_to_end(&mut Vec::new())).await;
        })
        .await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(shown), "{error}");
    }
}

#[tokio::test]
async fn a_handshake_without_end() {
    let error = refused(|mut io| async move { while io.write_all(&[b' '; 1000]).await.is_ok() {} }).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stops() {
    for len in [0, 1, 30, 80] {
        let error = refused(move |mut io| async move {
            let said =
                r#"{"success":true,"min_protocol_version":0,"max_protocol_version":0,"server_version":"2"}"#;
            io.write_all(&said.as_bytes()[..len]).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
}

/// Returns the outcome of a query that is answered by these bytes, and that of the next one.
async fn answered(make: impl FnOnce(u64) -> Vec<u8> + Send + 'static) -> (Error, Error) {
    let mut session = session(64, |mut io| async move {
        let (token, _) = fake::query(&mut io).await;
        io.write_all(&make(token)).await.ok();
        io.shutdown().await.ok();
        let _ = io.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let first = session.all::<u64>(r.expr(1)).await.unwrap_err();
    let second = session.all::<u64>(r.expr(1)).await.unwrap_err();
    assert!(!session.is_alive());
    (first, second)
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    type Make = fn(u64) -> Vec<u8>;
    let cases: [(Make, ErrorKind); 13] = [
        (|token| fake::frame(token + 1, r#"{"t":1,"r":[1]}"#), ErrorKind::Protocol),
        (|token| fake::frame(token, ""), ErrorKind::Protocol),
        (|token| fake::frame(token, "no JSON"), ErrorKind::Protocol),
        (|token| fake::frame(token, "[]"), ErrorKind::Protocol),
        (|token| fake::frame(token, r#"{"t":1}"#), ErrorKind::Protocol),
        (|token| fake::frame(token, r#"{"t":99,"r":[]}"#), ErrorKind::Protocol),
        (|token| fake::frame(token, r#"{"t":1,"r":[1}"#), ErrorKind::Protocol),
        (|token| fake::frame(token, r#"{"t":1,"r":[1]} x"#), ErrorKind::Protocol),
        (|token| [&fake::frame(token, "")[..8], &[0xff; 4]].concat(), ErrorKind::TooLarge),
        (
            |token| [&fake::frame(token, "")[..8], &(1 << 20 | 1_u32).to_le_bytes()].concat(),
            ErrorKind::TooLarge,
        ),
        (|token| [&fake::frame(token, "")[..8], &1000_u32.to_le_bytes(), b"{"].concat(), ErrorKind::Io),
        (|_| vec![], ErrorKind::Io),
        (|_| vec![7; 5], ErrorKind::Io),
    ];
    for (at, (make, kind)) in cases.into_iter().enumerate() {
        let (first, second) = answered(make).await;
        assert_eq!(first.kind(), kind, "{at}: {first}");
        assert_eq!(first.query_sent(), Sent::Sent, "{at}: {first}");
        assert_eq!(second.kind(), ErrorKind::Closed, "{at}: {second}");
        assert_eq!(second.query_sent(), Sent::NotSent, "{at}: {second}");
    }
}

#[tokio::test]
async fn rows_that_are_nested_without_end() {
    const LEVELS: usize = 200_000;
    let mut session = session(1 << 16, |mut io| async move {
        let (token, _) = fake::query(&mut io).await;
        let deep = format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
        fake::answer(&mut io, token, &format!(r#"{{"t":2,"r":[{deep},1]}}"#)).await;
        let (token, _) = fake::query(&mut io).await;
        fake::answer(&mut io, token, r#"{"t":1,"r":[1]}"#).await;
    })
    .await;
    let mut rows = session.rows::<serde_json::Value>(r.expr(1)).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(rows.next().await.unwrap().unwrap(), 1);
    assert!(rows.next().await.is_none());
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn text_that_is_none() {
    let (error, _) = answered(|token| {
        let mut frame = fake::frame(token, r#"{"t":1,"r":["xx"]}"#);
        let at = frame.iter().position(|byte| *byte == b'x').unwrap();
        frame[at] = 0xff;
        frame
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn what_was_sent_is_told() {
    let long = "x".repeat(1 << 16);
    // Nothing of a query arrives, half of it, all of it, and all of it with an answer that is not the last.
    for (taken, answers, sent) in
        [(0, 0, Sent::NotSent), (1 << 15, 0, Sent::NotSent), (1 << 20, 0, Sent::Sent)].into_iter().chain([(
            1 << 20,
            1,
            Sent::Sent,
        )])
    {
        let mut session = session(64, move |io| async move {
            let mut query = Vec::new();
            let mut io = io.take(taken);
            let whole = (1 << 16) + 18;
            while query.len() < whole && io.read_buf(&mut query).await.unwrap() > 0 {}
            for _ in 0..answers {
                fake::answer(io.get_mut(), 1, r#"{"t":3,"r":[1]}"#).await;
                // The next request fails half-way.
                io.get_mut().read_u8().await.unwrap();
            }
        })
        .await;
        let error = session.all::<u64>(r.expr(&long)).await.unwrap_err();
        assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Io, sent), "{taken} {answers}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for() {
    let mut session = session(64, |mut io| async move {
        let (token, _) = fake::query(&mut io).await;
        fake::answer(&mut io, token, r#"{"t":1,"r":[1]}"#).await;
        fake::answer(&mut io, token, r#"{"t":1,"r":[2]}"#).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
    let error = session.one::<u64>(r.expr(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_query_that_cannot_be_stopped() {
    let mut session = session(64, |mut io| async move {
        let _ = fake::query(&mut io).await;
        let (token, stop) = fake::query(&mut io).await;
        assert_eq!(stop, "[3]");
        // Rows without end, but never the end.
        loop {
            fake::answer(&mut io, token, r#"{"t":3,"r":[1],"n":[]}"#).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    let given_up = tokio::time::timeout(Duration::from_millis(10), session.all::<u64>(r.expr(1))).await;
    assert!(given_up.is_err());
    assert!(session.is_unclean());
    let error = session.one::<u64>(r.expr(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Unclean, Sent::NotSent));
    // Two requests, two answers: a third would be too many for the next query.
    session.settle(Duration::from_secs(10)).await.unwrap();
    let error = session.one::<u64>(r.expr(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test(start_paused = true)]
async fn settling_has_a_limit() {
    let mut session = session(64, |mut io| async move {
        let _ = fake::query(&mut io).await;
        std::future::pending::<()>().await;
        drop(io);
    })
    .await;
    assert!(tokio::time::timeout(Duration::from_secs(1), session.run(r.expr(1))).await.is_err());
    let error = session.settle(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Timeout, Sent::Sent), "{error}");
    assert!(!session.is_alive());
    // Half of a query has done nothing.
    let mut session = self::session(64, |io| async move {
        std::future::pending::<()>().await;
        drop(io);
    })
    .await;
    let long = r.expr("x".repeat(1 << 10));
    assert!(tokio::time::timeout(Duration::from_secs(1), session.run(long)).await.is_err());
    let error = session.settle(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Timeout, Sent::NotSent), "{error}");
}

#[tokio::test]
async fn a_shared_answer_that_is_too_long_costs_its_own_query_only() {
    let session = session(1 << 12, |mut io| async move {
        let (long, _) = fake::query(&mut io).await;
        let (other, _) = fake::query(&mut io).await;
        let rows = format!(r#"{{"t":3,"r":["{}"],"n":[]}}"#, "x".repeat(2 << 20));
        fake::answer(&mut io, long, &rows).await;
        assert_eq!(fake::query(&mut io).await, (long, "[3]".to_owned()));
        fake::answer(&mut io, long, r#"{"t":2,"r":[],"n":[]}"#).await;
        fake::answer(&mut io, other, r#"{"t":1,"r":[2]}"#).await;
        let (last, _) = fake::query(&mut io).await;
        fake::answer(&mut io, last, r#"{"t":1,"r":[3]}"#).await;
    })
    .await;
    let shared = session.share().unwrap();
    let (long, other) = tokio::join!(shared.all::<String>(r.expr(1)), shared.one::<u64>(r.expr(2)));
    let error = long.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::TooLarge, Sent::Sent), "{error}");
    assert!(!error.is_fatal());
    assert_eq!(other.unwrap(), 2);
    assert_eq!(shared.one::<u64>(r.expr(3)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_that_nobody_uses_ends_though_the_server_has_stalled() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let session = session(64, |mut io| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut read = Vec::new();
        let _ = io.read_to_end(&mut read).await;
        let _ = tell.send(read.len());
    })
    .await;
    let shared = session.share().unwrap();
    for _ in 0..3 {
        shared.noreply(r.expr("x".repeat(1 << 20))).await.unwrap();
    }
    drop(shared);
    // The task has given up before the server goes on.
    assert_eq!(told.await, Ok(64));
}

/// All that was sent arrives, if the server reads.
#[tokio::test]
async fn a_shared_connection_ends_when_all_is_written() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let session = session(64, |mut io| async move {
        let mut lens = Vec::new();
        for _ in 0..3 {
            lens.push(fake::query(&mut io).await.1.len());
        }
        let rest = io.read_to_end(&mut Vec::new()).await.unwrap();
        let _ = tell.send((lens, rest));
    })
    .await;
    let shared = session.share().unwrap();
    for _ in 0..3 {
        shared.noreply(r.expr("x".repeat(1 << 20))).await.unwrap();
    }
    drop(shared);
    let len = (1 << 20) + r#"[1,"",{"noreply":true}]"#.len();
    assert_eq!(told.await, Ok((vec![len; 3], 0)));
}

#[tokio::test]
async fn queries_without_an_answer_are_not_waited_for() {
    let server = |mut io: DuplexStream| async move {
        for _ in 0..2 {
            let (token, _) = fake::query(&mut io).await;
            fake::answer(&mut io, token, r#"{"t":1,"r":[1]}"#).await;
        }
    };
    let silent = || Query::new(r.expr(1)).option("noreply", true);
    let mut session = self::session(64, server).await;
    let error = session.run(silent()).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Invalid, Sent::NotSent), "{error}");
    assert!(!session.is_unclean());
    let answered = || Query::new(r.expr(1)).option("noreply", false);
    assert_eq!(session.one::<u64>(answered()).await.unwrap(), 1);
    let shared = session.share().unwrap();
    let error = shared.one::<u64>(silent()).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Invalid, Sent::NotSent), "{error}");
    assert_eq!(shared.one::<u64>(answered()).await.unwrap(), 1);
}

#[tokio::test]
async fn sessions_show_no_query_and_no_row() {
    let mut session = session(64, |mut io| async move {
        let (token, _) = fake::query(&mut io).await;
        fake::answer(&mut io, token, r#"{"t":1,"r":["a row"]}"#).await;
    })
    .await;
    session.begin(r.expr("a query")).unwrap();
    poll_fn(|cx| session.poll_form(cx)).await.unwrap();
    let shown = format!("{session:?}");
    assert!(shown.contains("unclean") && shown.len() < 400 && !shown.contains("97, 32"), "{shown}");
    assert!(!shown.contains("a query") && !shown.contains("a row"), "{shown}");
}

#[test]
fn sharing_takes_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = runtime.block_on(session(64, |io| async move {
        std::future::pending::<()>().await;
        drop(io);
    }));
    assert_eq!(session.share().unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn shared_connections_end_for_everybody() {
    let session = session(64, |mut io| async move {
        let (first, _) = fake::query(&mut io).await;
        let _ = fake::query(&mut io).await;
        fake::answer(&mut io, first, r#"{"t":1,"r":[1]}"#).await;
        fake::answer(&mut io, 999, r#"{"t":1,"r":[1]}"#).await;
        let _ = io.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let shared = session.share().unwrap();
    let (one, other) = tokio::join!(shared.one::<u64>(r.expr(1)), shared.one::<u64>(r.expr(2)));
    assert_eq!(one.unwrap(), 1);
    let error = other.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Protocol, Sent::Sent), "{error}");
    assert!(error.to_string().contains("wasn't asked"), "{error}");
    let error = shared.one::<u64>(r.expr(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Closed, Sent::NotSent), "{error}");
}
