//! Bad input of all kinds: every answer is a problem document about the request, never about the service.

use crate::support::{Api, body, header, problem};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warp_reql::settings::Settings;

const DOC: &str = "/tables/heroes/docs/1";
const DOCS: &str = "/tables/heroes/docs";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// An API whose database is never asked.
async fn offline() -> Api {
    Api::over(crate::support::rdb(crate::support::nobody().await), false)
}

#[tokio::test]
async fn unknown_paths_are_404() {
    let api = offline().await;
    for path in ["/nope", "/explorer", "/tables//docs", "/tables/t/docs/1/2", "/health", "/%ff"] {
        problem(&api.call("GET", path).await, 404, "no-such-path");
    }
}

#[tokio::test]
async fn wrong_methods_are_405_with_allow() {
    let api = offline().await;
    for (method, path, allow) in [
        ("PUT", "/tables", "GET, HEAD, POST"),
        ("POST", "/tables/t", "GET, HEAD, DELETE"),
        ("POST", "/tables/t/indexes", "GET, HEAD"),
        ("POST", "/tables/t/indexes/i", "GET, HEAD, PUT, DELETE"),
        ("PUT", DOCS, "GET, HEAD, POST, PATCH, DELETE"),
        ("POST", DOC, "GET, HEAD, PUT, PATCH, DELETE"),
        ("BREW", DOC, "GET, HEAD, PUT, PATCH, DELETE"),
        ("DELETE", "/health/live", "GET, HEAD"),
        ("POST", "/health/ready", "GET, HEAD"),
    ] {
        let response = api.call(method, path).await;
        problem(&response, 405, "method-not-allowed");
        assert_eq!(header(&response, "allow"), allow, "{method} {path}");
        let options = api.call("OPTIONS", path).await;
        assert_eq!((options.status().as_u16(), header(&options, "allow")), (204, allow));
    }
}

#[tokio::test]
async fn broken_bodies_are_400_with_their_place() {
    let api = offline().await;
    let bodies: [(&[u8], u64, u64); 5] = [
        (b"", 1, 0),
        (b"{\"a\":\n tru}", 2, 5),
        (b"{\"a\":1}x", 1, 8),
        (b"{\"a\":\"\xff\xfe\"}", 1, 7),
        (b"{\"a\":1e400}", 1, 10),
    ];
    for (text, line, column) in bodies {
        let problem = problem(&api.with("PUT", DOC, &JSON, text).await, 400, "bad-json");
        let place = format!("line {line}, column {column}");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains(&place)),
            "{place}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_nested_without_end_is_400() {
    let api = offline().await;
    // Of an array, document by document is read, and the first one never ends.
    for (level, code, reason) in
        [("[", "bad-json", "EOF while parsing"), ("{\"a\":", "bad-request", "more than 100 deep")]
    {
        let text = level.repeat(100_000);
        let problem = problem(&api.with("POST", DOCS, &JSON, text.as_bytes()).await, 400, code);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(reason)), "{problem}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_documents_are_400() {
    let api = offline().await;
    for text in ["null", "1", "\"text\"", "true"] {
        problem(&api.with("POST", DOCS, &JSON, text.as_bytes()).await, 400, "bad-request");
        problem(&api.with("PUT", DOC, &JSON, text.as_bytes()).await, 400, "bad-request");
        problem(&api.with("PATCH", DOC, &JSON, text.as_bytes()).await, 400, "bad-request");
    }
    problem(&api.with("POST", DOCS, &JSON, b"[{},1]").await, 400, "bad-request");
}

#[tokio::test]
async fn bodies_that_are_too_long_are_413() {
    let api = offline().await;
    let long = json!({"text": "x".repeat(2 << 20)}).to_string();
    for (method, path) in [("PUT", DOC), ("PATCH", DOC), ("POST", DOCS), ("POST", "/tables")] {
        problem(&api.with(method, path, &JSON, long.as_bytes()).await, 413, "body-too-large");
    }
}

#[tokio::test]
async fn a_long_body_without_a_length_is_413_on_a_socket_too() {
    let api = offline().await;
    let serving = api.serve().await;
    let mut client = TcpStream::connect(serving.addr).await.unwrap();
    let head = format!(
        "PUT {DOC} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    for _ in 0..3 {
        client.write_all(chunk.as_bytes()).await.unwrap();
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn types_are_negotiated() {
    let api = offline().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (method, path) in [("POST", DOCS), ("PUT", DOC), ("PATCH", DOC), ("POST", "/tables")] {
        problem(&api.with(method, path, &form, b"{}").await, 415, "unsupported-media-type");
    }
    for path in [DOC, "/tables", "/health/live"] {
        problem(&api.with("GET", path, &[("accept", "text/html")], b"").await, 406, "not-acceptable");
    }
    problem(&api.with("GET", DOCS, &[("accept", "image/*, text/html")], b"").await, 406, "not-acceptable");
}

#[tokio::test]
async fn parameters_that_are_wrong_are_named() {
    let api = Api::start().await;
    for (query, name) in [
        ("limit=many", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=10001", "offset"),
        ("age=18", "age"),
        ("age=is.18", "age"),
        ("colour", "colour"),
        ("a..b=eq.1", "a..b"),
        ("or=age", "or"),
        ("order=.desc", "order"),
        ("select=a,,b", "select"),
        ("select=a&omit=b", "omit"),
        ("cursor=x", "cursor"),
        ("cursor=%5B1,2%5D", "cursor"),
    ] {
        let problem = problem(&api.call("GET", &format!("{DOCS}?{query}")).await, 400, "bad-parameter");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains(&format!("`{name}`"))),
            "{problem}"
        );
    }
    for path in ["/tables?x=1", "/tables/heroes?x=1", "/tables/heroes/docs/1?x=1", "/health/live?x=1"] {
        let problem = problem(&api.call("GET", path).await, 400, "bad-parameter");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`x`")), "{problem}");
    }
}

#[tokio::test]
async fn a_value_that_is_none_is_refused_whatever_is_stored() {
    let api = Api::start().await;
    for documents in [json!([]), json!([{"id": 1, "a": 1}])] {
        assert!(api.send("POST", DOCS, &documents).await.status().is_success());
        for (value, sound) in [
            (json!({"$reql_type$": "TIME"}), false),
            (json!({"$reql_type$": "of tomorrow"}), false),
            (json!([1, {"b": {"$reql_type$": "BINARY"}}]), false),
            (json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "noon"}), false),
            (json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+02:00"}), true),
            (json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}), true),
        ] {
            let value = utf8_percent_encode(&value.to_string(), NON_ALPHANUMERIC).to_string();
            for test in [format!("eq.{value}"), format!("not.in.({value})"), format!("all.lt.({value})")] {
                for method in ["GET", "DELETE"] {
                    let response = api.call(method, &format!("{DOCS}?b=has&a={test}")).await;
                    match sound {
                        true => assert_eq!(response.status(), 200, "{test}: {:?}", response.body()),
                        false => {
                            assert_eq!(response.status(), 400, "{method} {test}: {:?}", response.body());
                            problem(&response, 400, "query-logic");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn odd_text_is_no_fault_of_the_service() {
    let api = Api::start().await;
    problem(&api.call("GET", "/tables/heroes/docs/%ff").await, 400, "bad-request");
    problem(&api.call("GET", &format!("{DOCS}?name=eq.%ff")).await, 400, "bad-request");
    for id in ["null", "%7B%7D", "%5B%5B%5D,null%5D"] {
        problem(&api.call("GET", &format!("{DOCS}/{id}")).await, 400, "bad-request");
    }
    problem(&api.call("GET", &format!("{DOCS}/%00")).await, 422, "refused");
    problem(&api.send("POST", DOCS, &json!({"id": "nul\u{0}"})).await, 422, "refused");
    problem(&api.send("POST", DOCS, &json!({"id": "x".repeat(200)})).await, 422, "refused");
    problem(&api.call("GET", &format!("{DOCS}/{}", "x".repeat(200))).await, 422, "refused");
    let text = "\u{202e}\u{1f9b8}\u{0301} \"'\\ </script>";
    let stored = api.send("PUT", DOC, &json!({"text": text})).await;
    assert_eq!(body(&stored)["text"], text);
}

#[tokio::test]
async fn documents_can_be_odd_too() {
    let api = Api::start().await;
    let mut nested = json!(1);
    for _ in 0..19 {
        nested = json!([{"a": nested}]);
    }
    let stored = api.send("PUT", DOC, &json!({"nested": nested})).await;
    assert_eq!((stored.status().as_u16(), &body(&stored)["nested"]), (201, &nested));
    let numbers = json!({"big": 1e300, "int": 9007199254740991_i64, "tiny": 5e-324, "negative": -0.5});
    let stored = body(&api.send("PUT", DOC, &numbers).await);
    for (name, number) in numbers.as_object().unwrap() {
        assert_eq!(stored[name].as_f64(), number.as_f64(), "{name}");
    }
    let fields = json!({"$reql_type$": "NONSENSE"});
    let refused = api.send("PUT", DOC, &json!({"odd": fields})).await;
    assert!(refused.status().is_client_error(), "{:?}", refused.body());
    let no_terms = json!({"a": [15, ["users"]], "b": [[69, [[2, [1]], 1]]]});
    let stored = body(&api.send("PUT", DOC, &no_terms).await);
    assert_eq!((&stored["a"], &stored["b"]), (&no_terms["a"], &no_terms["b"]), "data never becomes a query");
}

#[tokio::test]
async fn every_answer_has_its_id_and_timings() {
    let api = offline().await;
    for path in ["/health/live", "/nope", "/tables"] {
        let response = api.with("GET", path, &[("x-request-id", "mine-1")], b"").await;
        assert_eq!(header(&response, "x-request-id"), "mine-1");
        let timing = header(&response, "server-timing");
        assert!(timing.contains("conn;dur=") && timing.contains("db;dur="), "{timing}");
    }
    let response = api.with("GET", "/health/live", &[("x-request-id", "not sane")], b"").await;
    let id = header(&response, "x-request-id");
    assert!(id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{id}");
}

#[tokio::test]
async fn without_debug_the_database_is_not_quoted() {
    let api = Api::at_home(|settings| Settings { debug: false, ..settings }).await;
    let problem = problem(&api.call("GET", "/tables/nope").await, 404, "no-such-table");
    assert_eq!(problem.get("cause"), None::<&Value>);
    assert!(!problem.to_string().contains(&api.home().name), "{problem}");
}
