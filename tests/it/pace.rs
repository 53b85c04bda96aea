//! Clients that stall, trickle or crowd: what they hold is taken from them, and others are served meanwhile.

use std::time::Duration;

use crate::support::{Api, Serving, eventually, header, problem, raw};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use warp::http::{Request, StatusCode, Version};
use warp_reql::settings::{Limits, Rdb, Settings};

const DOCS: &str = "/tables/heroes/docs";
/// The time for which a client may stall in these tests: soon over, but long enough for one that is merely
/// slow.
const SOON: Duration = Duration::from_secs(1);

/// The API with these limits, over a database with a table.
async fn limited(limits: Limits) -> Api {
    Api::at_home(|settings| Settings { limits, ..settings }).await
}

/// Puts so many documents of a hundred kilobytes into the table.
async fn fill(api: &Api, count: usize) {
    let documents: Vec<_> = (0..count).map(|id| json!({"id": id, "text": "x".repeat(100_000)})).collect();
    let filled = api.send("POST", DOCS, &Value::from(documents)).await;
    assert_eq!(filled.status(), 201, "{:?}", filled.body());
}

/// A client whose window is small, so that little of an answer is on its way.
async fn connect(serving: &Serving) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(serving.addr).await.expect("the service is there")
}

/// A client with another address.
async fn connect_from_elsewhere(serving: &Serving) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("all of 127/8 is this machine");
    socket.connect(serving.addr).await.expect("the service is there")
}

/// Asks, and reads no more than the status.
async fn stall(serving: &Serving, accept: &str) -> (TcpStream, String) {
    ask(connect(serving).await, accept).await
}

async fn ask(mut client: TcpStream, accept: &str) -> (TcpStream, String) {
    let request = format!("GET {DOCS} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("the service reads");
    let mut status = [0; 12];
    client.read_exact(&mut status).await.expect("the service answers");
    (client, String::from_utf8_lossy(&status[9..]).into_owned())
}

/// Reads to the end; `false` if it comes too early.
async fn whole(mut client: TcpStream) -> bool {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.is_ok() && rest.ends_with(b"0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stall_lose_their_connections() {
    let api = limited(Limits { send_time: SOON, ..Limits::default() }).await;
    fill(&api, 100).await;
    let serving = api.serve().await;
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let (client, status) = stall(&serving, "application/x-ndjson").await;
        assert_eq!(status, "200");
        stalled.push(client);
    }
    assert_eq!(api.database.stats().in_use, 4);
    let stats = || api.database.stats();
    eventually("stalled answers give their connections back", || stats().in_use == 0).await;
    for client in stalled {
        assert!(!whole(client).await, "half an answer must not look like a whole one");
    }
    // Who reads gets everything.
    let request = format!("GET {DOCS} HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n");
    let mut client = TcpStream::connect(serving.addr).await.expect("the service is there");
    client.write_all(request.as_bytes()).await.expect("the service reads");
    let reads = async {
        let (mut read, mut part) = (Vec::new(), vec![0; 1 << 20]);
        while !read.ends_with(b"\r\n0\r\n\r\n") {
            match client.read(&mut part).await {
                Ok(length) if length > 0 => read.extend_from_slice(&part[..length]),
                ended => panic!("the answer broke off after {} bytes: {ended:?}", read.len()),
            }
        }
        read.len()
    };
    assert!(reads.await > 100 * 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_nobody_reads_ends() {
    let api = limited(Limits { send_time: SOON, ..Limits::default() }).await;
    fill(&api, 100).await;
    let serving = api.serve().await;
    let (_client, status) = stall(&serving, "text/event-stream").await;
    assert_eq!(status, "200");
    let stats = || api.database.stats();
    eventually("the feed gives its connection back", || stats().in_use == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_counted() {
    let api = limited(Limits { streams: 2, client_share: 100, ..Limits::default() }).await;
    fill(&api, 50).await;
    let serving = api.serve().await;
    let (one, _) = stall(&serving, "application/x-ndjson").await;
    let (_other, _) = stall(&serving, "application/x-ndjson").await;
    let refused = api.with("GET", DOCS, &[("accept", "application/x-ndjson")], b"").await;
    problem(&refused, 503, "streams-exhausted");
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(api.call("GET", "/tables/heroes/docs?limit=1").await.status(), 200, "pages are no streams");
    drop(one);
    let mut again = stall(&serving, "application/x-ndjson").await;
    while again.1 != "200" {
        again = stall(&serving, "application/x-ndjson").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_its_share() {
    let api = limited(Limits { streams: 4, client_share: 50, ..Limits::default() }).await;
    fill(&api, 50).await;
    let serving = api.serve().await;
    let (_one, _) = stall(&serving, "application/x-ndjson").await;
    let (_other, _) = stall(&serving, "application/x-ndjson").await;
    let (_, status) = stall(&serving, "application/x-ndjson").await;
    assert_eq!(status, "429");
    let (_other_client, status) = ask(connect_from_elsewhere(&serving).await, "application/x-ndjson").await;
    assert_eq!(status, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_leaves_others_their_connections_to_the_database() {
    let adapt = |settings: Settings| Settings {
        rdb: Rdb { max_connections: 4, acquire_timeout: SOON, ..settings.rdb },
        limits: Limits { streams: 100, ..Limits::default() },
        ..settings
    };
    let api = Api::at_home(adapt).await;
    fill(&api, 50).await;
    let serving = api.serve().await;
    let (_one, _) = stall(&serving, "application/x-ndjson").await;
    let (_other, status) = stall(&serving, "application/x-ndjson").await;
    assert_eq!((status.as_str(), api.database.stats().in_use), ("200", 2));
    let request = format!("GET {DOCS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let refused = String::from_utf8(raw(serving.addr, request.as_bytes()).await).expect("text");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\"connections-exhausted\"") && refused.contains("All 2 database"), "{refused}");
    assert_eq!(api.database.stats().refused, 1);
    let (_elsewhere, status) = ask(connect_from_elsewhere(&serving).await, "application/json").await;
    assert_eq!(status, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_slowly_keeps_no_connection() {
    let api =
        Api::at_home(|settings| Settings { rdb: Rdb { max_connections: 1, ..settings.rdb }, ..settings })
            .await;
    let serving = api.serve().await;
    let mut client = TcpStream::connect(serving.addr).await.expect("the service is there");
    // More than one batch.
    let first = "{}\n".repeat(300);
    let head = format!(
        "POST {DOCS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{first}",
        first.len() + 2
    );
    client.write_all(head.as_bytes()).await.expect("the service reads");
    eventually("it has the connection", || api.database.stats().in_use == 1).await;
    eventually("it has it no longer", || api.database.stats().in_use == 0).await;
    assert_eq!(api.call("GET", &format!("{DOCS}?limit=1")).await.status(), 200);
    client.write_all(b"{}").await.expect("the service reads on");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("the service answers");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer:.200}");
    assert_eq!(answer.matches("\"status\":201").count(), 301, "{answer:.200}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come_are_given_up() {
    let api = limited(Limits { body_pause: SOON, ..Limits::default() }).await;
    let serving = api.serve().await;
    let head = "Host: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";
    for (method, path, body) in [
        ("PUT", "/tables/heroes/docs/1", "Content-Length: 9\r\n\r\n{"),
        ("POST", DOCS, "Content-Length: 100\r\n\r\n["),
        ("POST", DOCS, "Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\n{head}{body}");
        let answer = String::from_utf8(raw(serving.addr, request.as_bytes()).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"body-too-slow\""), "{answer}");
    }
}

#[tokio::test]
async fn answers_have_a_weight() {
    let api = limited(Limits { answer: 1 << 20, ..Limits::default() }).await;
    fill(&api, 20).await;
    problem(&api.call("GET", DOCS).await, 422, "answer-too-large");
    assert_eq!(api.call("GET", &format!("{DOCS}?limit=5")).await.status(), 200);
    assert_eq!(api.call("GET", &format!("{DOCS}?select=id")).await.status(), 200);
}

/// Returns a frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames up to the head of an answer. Returns true if its status is 200, the entry 8 of HPACK's table.
async fn is_ok(client: &mut TcpStream) -> bool {
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.expect("a frame comes");
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        client.read_exact(&mut payload).await.expect("the frame is whole");
        if head[3] == 1 {
            return payload.first() == Some(&0x88);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn short_answers_count_while_http_2_leaves_them_unread() {
    let api = limited(Limits { answers: 128 << 10, answer: 128 << 10, ..Limits::default() }).await;
    let document = json!({ "text": "x".repeat(50_000) });
    let path = format!("{DOCS}/1");
    assert_eq!(api.send("PUT", &path, &document).await.status(), 201);
    let serving = api.serve().await;
    let mut client = TcpStream::connect(serving.addr).await.expect("the service is there");
    let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &no_window[..]].concat();
    client.write_all(&preface).await.expect("the service reads");
    let fields = [&[0x82, 0x86, 0x04, path.len() as u8], path.as_bytes(), &[0x01, 1, b't']].concat();
    let mut answers = Vec::new();
    for stream in [1, 3, 5] {
        client.write_all(&frame(1, 5, stream, &fields)).await.expect("the service reads");
        answers.push(is_ok(&mut client).await);
    }
    // One client has half of what there is, which is less than two of them.
    assert_eq!(answers, [true, false, false]);
    // Nor is there room for the document that a large write returns, which is done all the same.
    let large = json!({ "text": "x".repeat(100_000) });
    let written = Request::put(&path).version(Version::HTTP_2).header("content-type", "application/json");
    let written = api.ask(written.body(Full::from(large.to_string())).expect("a request")).await;
    assert_eq!((written.status(), written.body().len()), (StatusCode::NO_CONTENT, 0));
    assert!(written.headers().contains_key("etag"));
    // With HTTP/1, a connection has one answer at a time.
    assert_eq!(api.send("PUT", &path, &document).await.status(), 200);
    assert_eq!(api.call("GET", &path).await.status(), 200);
}

#[tokio::test]
async fn what_tells_of_the_service_counts_too() {
    let api = limited(Limits { answers: 128 << 10, answer: 128 << 10, ..Limits::default() }).await;
    let ask = || Request::get("/openapi.json").version(Version::HTTP_2).body(Full::default());
    let refused = api.ask(ask().expect("a request")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "it is longer than all that there is");
    assert_eq!(api.call("GET", "/health/ready").await.status(), 200);
}

/// Bodies come as a browser sends them for a page that a form could be on.
#[tokio::test]
async fn a_body_needs_its_type() {
    let api = limited(Limits::default()).await;
    for (method, path) in
        [("POST", "/tables"), ("POST", DOCS), ("PUT", "/tables/heroes/docs/1"), ("PATCH", DOCS)]
    {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.body(Full::new("{\"name\":\"t\"}".into())).unwrap();
        problem(&api.ask(request).await, 415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_not_write() {
    let api = limited(Limits::default()).await;
    let json = ("content-type", "application/json");
    for (headers, status, code) in [
        (&[json, ("host", "localhost"), ("origin", "https://evil.example")], 403, "foreign-origin"),
        (&[json, ("host", "evil.example"), ("origin", "http://evil.example")], 403, "foreign-host"),
    ] {
        let refused = api.with("PUT", "/tables/heroes/docs/1", headers, b"{}").await;
        problem(&refused, status, code);
    }
    let own = [json, ("host", "localhost:8000"), ("origin", "http://localhost:8000")];
    assert_eq!(api.with("PUT", "/tables/heroes/docs/1", &own, b"{}").await.status(), 201);
}
