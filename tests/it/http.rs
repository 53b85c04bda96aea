//! Features of all answers: metrics, CORS, compression, caching.

use crate::support::{Api, header, nobody, raw, rdb};
use serde_json::json;
use warp_reql::settings::{Cors, Settings};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";

async fn offline(cors: Cors) -> Api {
    Api::with_settings(Settings { cors, rdb: rdb(nobody().await), ..Settings::default() })
}

async fn figures(api: &Api) -> String {
    let response = api.call("GET", "/metrics").await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "content-type")),
        (200, "text/plain; version=0.0.4")
    );
    String::from_utf8(response.body().to_vec()).expect("text")
}

#[track_caller]
fn has(figures: &str, line: &str) {
    assert!(figures.lines().any(|other| other == line), "no {line} in\n{figures}");
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let api = Api::start().await;
    api.send("PUT", DOC, &json!({})).await;
    for path in [DOC, "/tables/heroes/docs/2", "/tables/heroes/docs/3"] {
        api.call("GET", path).await;
    }
    let figures = figures(&api).await;
    let docs = "route=\"/tables/{table}/docs/{id}\"";
    for line in [
        format!("http_requests_total{{method=\"GET\",{docs},status=\"200\"}} 1"),
        format!("http_requests_total{{method=\"GET\",{docs},status=\"404\"}} 2"),
        format!("http_requests_total{{method=\"PUT\",{docs},status=\"201\"}} 1"),
        format!("http_request_duration_seconds_count{{method=\"GET\",{docs}}} 3"),
        format!("http_request_duration_seconds_bucket{{method=\"GET\",{docs},le=\"+Inf\"}} 3"),
        "http_requests_running 1".to_owned(),
        "warp_reql_feeds 0".to_owned(),
    ] {
        has(&figures, &line);
    }
}

#[tokio::test]
async fn connections_and_the_process_have_figures() {
    let api = Api::start().await;
    api.call("GET", DOC).await;
    let (stats, figures) = (api.database.stats(), figures(&api).await);
    has(&figures, &format!("warp_reql_db_connections_opened_total {}", stats.opened));
    has(&figures, &format!("warp_reql_db_connections_closed_total {}", stats.closed));
    has(&figures, "warp_reql_db_connections{state=\"in_use\"} 0");
    has(&figures, "warp_reql_db_timeouts_total{waiting_for=\"answer\"} 0");
    assert!(stats.opened > 0);
    if cfg!(target_os = "linux") {
        for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
            let line = figures.lines().find(|line| line.starts_with(name));
            let value =
                line.and_then(|line| line.split(' ').nth(1)).and_then(|value| value.parse::<f64>().ok());
            assert!(value.is_some(), "{name}: {line:?}");
        }
    }
}

#[tokio::test]
async fn the_embedded_database_has_figures() {
    if crate::support::home::about_the_embedded("its figures") {
        return;
    }
    let server = crate::support::server().await;
    let rdb = rdb(server.local_addr());
    let database = warp_reql::Database::new(rdb.clone()).expect("the settings name a server");
    let settings = Settings { rdb, ..Settings::default() };
    let app = warp_reql::App::with_embedded(settings, database, Some(server.activity()));
    let api = Api::of(app);
    assert_eq!(api.call("GET", "/health/ready").await.status(), 200);
    let figures = figures(&api).await;
    has(&figures, "reql_embedded_queries_total 1");
    has(&figures, "reql_embedded_queries_running 0");
    assert!(figures.contains("\nreql_embedded_connections "));
}

#[tokio::test]
async fn labels_stay_few_whatever_is_asked_for() {
    let api = offline(Cors::Off).await;
    for n in 0..50 {
        api.call("GET", &format!("/nope/{n}")).await;
        api.call(&format!("BREW{n}"), &format!("/tables/t{n}/docs/{n}")).await;
        api.call("GET", &format!("/tables/t%20{n}/docs/{n}?x={n}")).await;
    }
    let figures = figures(&api).await;
    let series: Vec<_> = figures.lines().filter(|line| line.starts_with("http_requests_total{")).collect();
    assert_eq!(series.len(), 3, "{series:?}");
    has(&figures, "http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 50");
    has(
        &figures,
        "http_requests_total{method=\"other\",route=\"/tables/{table}/docs/{id}\",status=\"405\"} 50",
    );
}

#[tokio::test]
async fn without_cors_no_page_is_told_anything() {
    let api = offline(Cors::Off).await;
    let response = api.with("GET", "/health/live", &[("origin", "https://a.example")], b"").await;
    assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn any_page_or_those_of_a_list_may_read_answers_and_problems() {
    let list = Cors::List(vec!["https://a.example".to_owned(), "http://localhost:3000".to_owned()]);
    for (cors, origin, allowed) in [
        (Cors::Any, "https://b.example", "*"),
        (list.clone(), "https://a.example", "https://a.example"),
        (list.clone(), "http://localhost:3000", "http://localhost:3000"),
        (list.clone(), "https://b.example", ""),
        (list.clone(), "https://a.example.evil", ""),
        (list.clone(), "null", ""),
    ] {
        let api = offline(cors.clone()).await;
        for path in ["/health/live", "/nope"] {
            let response = api.with("GET", path, &[("origin", origin)], b"").await;
            assert_eq!(header(&response, "access-control-allow-origin"), allowed, "{cors} {origin}");
            assert_eq!(
                header(&response, "access-control-expose-headers").contains("etag"),
                !allowed.is_empty()
            );
            assert_eq!(header(&response, "vary"), if cors == Cors::Any { "" } else { "origin" });
        }
    }
}

#[tokio::test]
async fn preflights_tell_the_methods_of_their_path() {
    let api = offline(Cors::Any).await;
    // A cache may keep this for a page.
    let response = api.call("GET", "/health/live").await;
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert!(header(&response, "access-control-expose-headers").contains("reql-answer"));
    let ask = [("origin", "https://a.example"), ("access-control-request-method", "PUT")];
    let response = api.with("OPTIONS", DOC, &ask, b"").await;
    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-allow-methods"), header(&response, "allow"));
    assert!(header(&response, "access-control-allow-methods").contains("PUT"));
    for name in [
        "if-match",
        "content-type",
        "authorization",
        "cache-control",
        "pragma",
        "x-requested-with",
        "traceparent",
    ] {
        assert!(header(&response, "access-control-allow-headers").contains(name), "{name}");
    }
    let plain = api.call("OPTIONS", DOC).await;
    assert_eq!(header(&plain, "access-control-allow-methods"), "");
    let (one, many) = (header(&plain, "accept-patch"), api.call("OPTIONS", DOCS).await);
    assert!(one.contains("json-patch+json") && one.contains("merge-patch+json"), "{one}");
    let many = header(&many, "accept-patch");
    assert!(!many.contains("json-patch+json") && many.contains("merge-patch+json"), "{many}");
}

#[tokio::test]
async fn what_has_a_tag_may_be_kept_and_nothing_else() {
    let api = Api::start().await;
    let put = api.send("PUT", DOC, &json!({"name": "x"})).await;
    let read = api.call("GET", DOC).await;
    assert_eq!(header(&read, "cache-control"), "no-cache");
    let tag = header(&put, "etag").to_owned();
    let known = api.with("GET", DOC, &[("if-none-match", &tag)], b"").await;
    assert_eq!(
        (known.status().as_u16(), known.body().len(), header(&known, "cache-control")),
        (304, 0, "no-cache")
    );
    assert_eq!(header(&api.call("GET", DOCS).await, "cache-control"), "no-cache");
    for path in ["/tables", "/health/live", "/metrics", "/nope"] {
        assert_eq!(header(&api.call("GET", path).await, "cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn heads_are_gets_without_a_body() {
    let api = Api::start().await;
    api.send("PUT", DOC, &json!({"name": "x"})).await;
    let serving = api.serve().await;
    let addr = serving.addr;
    for path in [
        DOC,
        DOCS,
        "/tables",
        "/tables/heroes",
        "/tables/heroes/indexes",
        "/health/live",
        "/health/ready",
        "/metrics",
    ] {
        let (got, head) =
            (api.call("GET", path).await, raw(addr, request("HEAD", path, "").as_bytes()).await);
        let head = String::from_utf8(head).expect("text");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{path}: {head}");
        assert!(
            head.contains(&format!("content-type: {}\r\n", header(&got, "content-type"))),
            "{path}: {head}"
        );
    }
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_accepts_it() {
    let api = Api::start().await;
    let long = json!({"id": 1, "text": "x".repeat(5000)});
    api.send("PUT", DOC, &long).await;
    let serving = api.serve().await;
    let addr = serving.addr;
    let head = async |path: &str, accepted: &str| {
        let answer =
            raw(addr, request("GET", path, &format!("Accept-Encoding: {accepted}\r\n")).as_bytes()).await;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an end of the head");
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer.len() - end - 4)
    };
    let plain = header(&api.call("GET", DOC).await, "etag").trim_matches('"').to_owned();
    for (accepted, encoding) in [("gzip", "gzip"), ("br", "br"), ("gzip;q=0.5, br", "br")] {
        let (head, length) = head(DOC, accepted).await;
        assert!(
            head.contains(&format!("content-encoding: {encoding}")) && length < 500,
            "{accepted}: {head}"
        );
        // Other bytes have another strong tag.
        assert!(head.contains(&format!("etag: \"{plain}-{encoding}\"")), "{head}");
        assert!(head.contains("vary: accept-encoding"), "{head}");
        let tag = format!("\"{plain}-{encoding}\"");
        let known = request("GET", DOC, &format!("Accept-Encoding: {accepted}\r\nIf-None-Match: {tag}\r\n"));
        let known = String::from_utf8(raw(addr, known.as_bytes()).await).expect("text");
        assert!(known.starts_with("HTTP/1.1 304 ") && known.contains(&format!("etag: {tag}")), "{known}");
        assert!(known.contains("vary: accept-encoding"), "{known}");
        let same = api.with("PATCH", DOC, &[("if-match", &tag)], b"{}").await;
        assert_eq!(same.status(), 200, "it is a tag of the document: {:?}", same.body());
    }
    let (whole, _) = head(DOC, "identity").await;
    assert!(
        whole.contains(&format!("etag: \"{plain}\"")) && whole.contains("vary: accept-encoding"),
        "{whole}"
    );
    for (path, accepted) in [(DOC, "identity"), (DOC, "gzip;q=0"), ("/health/live", "gzip")] {
        let (head, _) = head(path, accepted).await;
        assert!(!head.contains("content-encoding"), "{path} {accepted}: {head}");
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let api = offline(Cors::Off).await;
    let serving = api.serve().await;
    for (head, status) in [
        ("GET /health/live HTTP/1.1\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400),
        ("GET /health/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a/b\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: me@a\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a:80\r\n", 200),
        ("GET /health/live HTTP/1.1\r\nHost: [::1]:80\r\n", 200),
        ("GET /health/live HTTP/1.1\r\nHost:\r\n", 200),
        ("GET /health/live HTTP/1.0\r\n", 200),
        ("GET http://a/health/live HTTP/1.1\r\nHost: a\r\n", 200),
    ] {
        let answer = raw(serving.addr, format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{head}: {answer}");
        assert!(status == 200 || answer.contains("\"code\":\"bad-request\""), "{answer}");
    }
}

#[tokio::test]
async fn encoded_bodies_are_not_guessed_at() {
    let api = Api::start().await;
    for encoding in ["deflate", "gzip, br", "gzip, gzip", "zstd", "x"] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        for (method, path) in [
            ("POST", "/tables"),
            ("POST", DOCS),
            ("PUT", DOC),
            ("PATCH", DOC),
            ("PATCH", "/tables/heroes/docs?all=true"),
        ] {
            let response = api.with(method, path, &headers, b"{}").await;
            crate::support::problem(&response, 415, "unsupported-media-type");
            assert_eq!(header(&response, "accept-encoding"), "gzip, br", "{method} {path}");
        }
    }
    let plain = [("content-type", "application/json"), ("content-encoding", "Identity")];
    assert_eq!(api.with("PUT", DOC, &plain, b"{}").await.status(), 201);
}

#[tokio::test]
async fn what_is_liked_best_is_answered() {
    const LINES: &str = "application/x-ndjson";
    const EVENTS: &str = "text/event-stream";
    let api = Api::start().await;
    api.send("PUT", DOC, &json!({})).await;
    for (accept, kind) in [
        ("application/x-ndjson;q=0.9, application/json", "application/json"),
        ("application/x-ndjson, application/json;q=0.9", LINES),
        ("text/event-stream;q=0.1, application/json", "application/json"),
        ("text/event-stream;q=0, application/x-ndjson;q=0.1", LINES),
        ("*/*", "application/json"),
    ] {
        for method in ["GET", "HEAD"] {
            let response = api.with(method, DOCS, &[("accept", accept)], b"").await;
            assert_eq!(
                (response.status().as_u16(), header(&response, "content-type")),
                (200, kind),
                "{accept}"
            );
        }
    }
    for path in [DOCS, DOC, "/tables/heroes/changes"] {
        let head = api.with("HEAD", path, &[("accept", EVENTS)], b"").await;
        assert_eq!((head.status().as_u16(), header(&head, "content-type")), (200, EVENTS), "{path}");
        let missing = api.with("HEAD", &path.replace("heroes", "none"), &[("accept", EVENTS)], b"").await;
        assert_eq!(missing.status(), 404, "{path}");
    }
    assert_eq!(api.database.stats().in_use, 0, "no feed was opened");
}
