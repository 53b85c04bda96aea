//! Limits on what a request may ask for, each at its value and one beyond.

use std::time::Duration;

use crate::support::{Api, Fault, Faulty, PATIENCE, header, nobody, problem, raw, rdb};
use warp_reql::settings::{Limits, Rdb, Settings};

const DOC: &str = "/tables/heroes/docs/1";
const DOCS: &str = "/tables/heroes/docs";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The API with these limits, over a database with a table.
async fn limited(limits: Limits) -> Api {
    Api::at_home(|settings| Settings { limits, ..settings }).await
}

/// The API with these limits, whose database is never asked.
async fn offline(limits: Limits) -> Api {
    Api::with_settings(Settings { limits, rdb: rdb(nobody().await), ..Settings::default() })
}

/// A document of so many bytes.
fn document(length: usize) -> Vec<u8> {
    let frame = b"{\"a\":\"\"}".len();
    format!("{{\"a\":\"{}\"}}", "x".repeat(length - frame)).into_bytes()
}

#[tokio::test]
async fn bodies() {
    let api = limited(Limits { body: 100, bulk_body: 300, ..Limits::default() }).await;
    for (method, path, created) in [("PUT", DOC, true), ("PATCH", DOC, false), ("POST", DOCS, true)] {
        let at = api.with(method, path, &JSON, &document(100)).await;
        assert_eq!(at.status(), if created { 201 } else { 200 }, "{method} {:?}", at.body());
        let beyond = api.with(method, path, &JSON, &document(101)).await;
        let problem = problem(&beyond, 413, "body-too-large");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("100 bytes")), "{problem}");
    }
}

#[tokio::test]
async fn bulk_bodies() {
    let api = limited(Limits { body: 100, bulk_body: 300, ..Limits::default() }).await;
    let many = |lengths: &[usize]| {
        let documents: Vec<_> = lengths.iter().map(|length| document(*length)).collect();
        [b"[".as_slice(), &documents.join(b",".as_slice()), b"]"].concat()
    };
    let (at, beyond) = (many(&[99, 99, 98]), many(&[99, 99, 99]));
    assert_eq!((at.len(), beyond.len()), (300, 301));
    assert_eq!(api.with("POST", DOCS, &JSON, &at).await.status(), 201);
    problem(&api.with("POST", DOCS, &JSON, &beyond).await, 413, "body-too-large");
    // Each of many is bound like one.
    assert_eq!(api.with("POST", DOCS, &JSON, &many(&[100, 100])).await.status(), 201);
    problem(&api.with("POST", DOCS, &JSON, &many(&[100, 101])).await, 413, "body-too-large");
}

#[tokio::test]
async fn urls() {
    let api = offline(Limits { url: 200, ..Limits::default() }).await;
    let path = |length: usize| format!("/nope?{}", "x".repeat(length - "/nope?".len()));
    problem(&api.call("GET", &path(200)).await, 404, "no-such-path");
    problem(&api.call("GET", &path(201)).await, 414, "url-too-long");
    problem(&api.call("GET", &format!("/{}", "x".repeat(199))).await, 404, "no-such-path");
    problem(&api.call("GET", &format!("/{}", "x".repeat(200))).await, 414, "url-too-long");
}

#[tokio::test]
async fn headers() {
    let api = offline(Limits { headers: 200, ..Limits::default() }).await;
    let serving = api.serve().await;
    let addr = serving.addr;
    let sized = |length: usize| {
        let rest = "hosttconnectionclosex-pad".len();
        let pad = "x".repeat(length - rest);
        format!("GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Pad: {pad}\r\n\r\n")
    };
    let status = async |length| {
        let answer = raw(addr, sized(length).as_bytes()).await;
        String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(status(200).await.as_deref(), Some("200"));
    let beyond = String::from_utf8(raw(addr, sized(201).as_bytes()).await).expect("text");
    assert!(beyond.starts_with("HTTP/1.1 431 ") && beyond.contains("\"headers-too-large\""), "{beyond}");
}

#[tokio::test]
async fn heads_that_http_itself_refuses_end_in_a_status_too() {
    let api = offline(Limits::default()).await;
    let serving = api.serve().await;
    let addr = serving.addr;
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nHost: t\r\n{many}\r\n"), "431"),
        // Of a head that is larger than all that is read of one, nobody knows what makes it so.
        (format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(70_000)), "431"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("\0\0\0\0\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = raw(addr, head.as_bytes()).await;
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[tokio::test]
async fn pages_and_offsets() {
    let api = limited(Limits { page: 2, page_max: 5, offset_max: 3, ..Limits::default() }).await;
    assert_eq!(api.call("GET", &format!("{DOCS}?limit=5&offset=3")).await.status(), 200);
    problem(&api.call("GET", &format!("{DOCS}?limit=6")).await, 400, "bad-parameter");
    problem(&api.call("GET", &format!("{DOCS}?offset=4")).await, 400, "bad-parameter");
}

#[tokio::test]
async fn requests_at_once() {
    let faulty = Faulty::start(Fault::Silence).await;
    let limits = Limits { requests: 2, ..Limits::default() };
    let rdb = Rdb { connect_timeout: PATIENCE, ..rdb(faulty.addr) };
    let api = Api::with_settings(Settings { limits, rdb, ..Settings::default() });
    let (one, other) = (api.call("GET", "/tables"), api.call("GET", "/tables"));
    let beyond = async {
        // Both have been polled once by now, and so are being answered.
        let beyond = api.call("GET", "/tables").await;
        problem(&beyond, 429, "too-many-requests");
        assert_eq!(header(&beyond, "retry-after"), "1");
        assert_eq!(api.call("GET", "/health/live").await.status(), 200, "a busy service lives");
        assert_eq!(api.call("GET", "/metrics").await.status(), 200);
    };
    tokio::select! {
        biased;
        _ = one => panic!("a silent server answered"),
        _ = other => panic!("a silent server answered"),
        () = beyond => {}
    }
    // Those that were given up are no longer in the way.
    problem(&api.call("GET", "/tables/no%20name").await, 400, "bad-name");
}

#[tokio::test]
async fn time() {
    let faulty = Faulty::start(Fault::Silence).await;
    let limits = Limits { request_time: Duration::from_millis(100), ..Limits::default() };
    let rdb = Rdb { connect_timeout: PATIENCE, ..rdb(faulty.addr) };
    let api = Api::with_settings(Settings { limits, rdb, debug: false, ..Settings::default() });
    let serving = api.serve().await;
    let addr = serving.addr;
    let head = "Host: t\r\nConnection: close\r\nX-Request-Id: mine\r\n";
    let answer = raw(addr, format!("GET /health/live HTTP/1.1\r\n{head}\r\n").as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    // A database that doesn't answer, and a body that doesn't come.
    for request in [
        format!("GET /tables HTTP/1.1\r\n{head}\r\n"),
        format!("PUT {DOC} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"),
    ] {
        let answer = String::from_utf8(raw(addr, request.as_bytes()).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("\"request-timeout\""), "{answer}");
        assert!(answer.contains("x-request-id: mine") && answer.contains("100ms"), "{answer}");
    }
    let figures = api.call("GET", "/metrics").await;
    let figures = String::from_utf8_lossy(figures.body());
    assert!(
        figures.contains("http_requests_total{method=\"GET\",route=\"/tables\",status=\"504\"} 1"),
        "{figures}"
    );
    let stats = api.database.stats();
    assert_eq!((stats.in_use, stats.waiting, stats.opened), (0, 0, stats.closed), "{stats:?}");
}
