//! Paths: ids of all kinds, and what others on the way make of them.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use super::{DOCS, made, nasty, random};
use crate::support::{Api, body, header, number, problem};

/// Ids that are special for one reason or another.
pub fn special() -> Vec<Value> {
    let mut ids: Vec<Value> = [
        "",
        ".",
        "..",
        "...",
        "/",
        "//",
        "a/b",
        "../heroes",
        "../../heroes",
        "a/..",
        "\\",
        "..\\..",
        "%",
        "%2e%2e",
        "%2F",
        "%252e",
        "?all=true",
        "#",
        ";",
        "..;",
        "a b",
        " ",
        "+",
        "a+b",
        "é",
        "𝕏",
        "\u{a0}",
        "\n",
        "\u{7f}",
        "\"",
        "\"\"",
        "'",
        "null",
        "true",
        "42",
        "-0",
        "[1]",
        "{}",
        "{\"a\":1}",
        "~",
        "-",
        "_",
        "*",
        "a,b",
        "(a)",
        ":",
        "@",
        "&",
        "=",
        "$",
        "!",
        "changes",
        "docs",
        "\\u002f",
        "\"a\\u002fb\"",
        "x".repeat(127).as_str(),
        "/".repeat(127).as_str(),
    ]
    .map(Value::from)
    .into();
    ids.extend([
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(9007199254740993_u64),
        json!(-2.5e-8),
        json!(true),
        json!(false),
        json!([]),
        json!([1, "a"]),
        json!(["..", ["/", "%2f"]]),
        json!([[["?"]]]),
        json!({"$reql_type$": "TIME", "epoch_time": 1365168000.25, "timezone": "+05:30"}),
        json!({"$reql_type$": "TIME", "epoch_time": -1, "timezone": "-00:30"}),
        json!({"$reql_type$": "BINARY", "data": "++//AA=="}),
        json!({"$reql_type$": "BINARY", "data": ""}),
        json!([{"$reql_type$": "TIME", "epoch_time": 5, "timezone": "+00:00"},
               {"$reql_type$": "BINARY", "data": "/w=="}]),
    ]);
    ids
}

/// A path without dot segments, as RFC 3986 has it and, for escaped dots, the URL standard of browsers.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// A path as a proxy passes it on that takes it apart: escapes undone, slashes merged, dots taken out, and
/// then escaped anew.
fn through_a_proxy(path: &str) -> String {
    const ESCAPED: &AsciiSet =
        &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'"').add(b'{').add(b'}').add(b'\\');
    let mut plain = percent_decode_str(path).decode_utf8().expect("UTF-8").into_owned();
    while plain.contains("//") {
        plain = plain.replace("//", "/");
    }
    utf8_percent_encode(&without_dots(&plain), ESCAPED).to_string()
}

/// A path as clients send it that undo the escapes of what needs none.
fn without_needless_escapes(path: &str) -> String {
    let mut plain = path.to_owned();
    for c in (0x21..0x7f_u8).map(char::from).filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
        plain = plain.replace(&format!("%{:02X}", u32::from(c)), &c.to_string());
    }
    without_dots(&plain)
}

#[tokio::test]
async fn every_document_is_found_at_its_location_whoever_rewrites_it() {
    let api = Api::start().await;
    let (seed, mut random) = random();
    let mut ids = special();
    let count = number("TEST_IDS", 120);
    ids.extend((0..count).map(|_| Value::from(nasty(&mut random))));
    ids.extend((0..count / 6).map(|_| json!([nasty(&mut random), random.u8(..)])));
    let mut locations = BTreeMap::new();
    for id in ids {
        let created = api.send("POST", DOCS, &json!({"id": id})).await;
        match created.status().as_u16() {
            201 => {}
            // It was made up before, or is longer than keys may be.
            409 | 422 => continue,
            _ => panic!("{id}: {:?}", created.body()),
        }
        let stored = body(&created)["id"].clone();
        let location = header(&created, "location").to_owned();
        assert!(location.starts_with(&format!("{DOCS}/")) && location.split('/').count() == 5, "{location}");
        for path in [
            location.clone(),
            without_dots(&location),
            without_needless_escapes(&location),
            through_a_proxy(&location),
            through_a_proxy(&through_a_proxy(&location)),
        ] {
            let read = api.call("GET", &path).await;
            assert_eq!(read.status(), 200, "seed {seed}: {id} at {path}: {:?}", read.body());
            assert_eq!(body(&read)["id"], stored, "seed {seed}: {path}");
        }
        locations.insert(location, stored);
    }
    assert!(locations.len() as u64 > count / 2, "seed {seed}");
    for (location, id) in &locations {
        let patched = api.send("PATCH", location, &json!({"id": id, "a": 1})).await;
        assert_eq!(body(&patched), json!({"a": 1, "id": id}), "seed {seed}: {location}");
        let put = api.send("PUT", location, &json!({"b": 1})).await;
        assert_eq!(
            (put.status().as_u16(), body(&put)),
            (200, json!({"b": 1, "id": id})),
            "seed {seed}: {location}"
        );
        let removed = api.call("DELETE", &through_a_proxy(location)).await;
        assert_eq!(removed.status(), 204, "seed {seed}: {location}");
    }
    assert_eq!(body(&api.call("GET", "/tables/heroes").await)["count"], 0);
}

#[tokio::test]
async fn an_id_of_dots_never_leads_to_another_resource() {
    let api = Api::start().await;
    for id in ["..", ".", ""] {
        let location = made(&api, &json!(id)).await;
        assert_eq!(location, format!("{DOCS}/%22{id}%22"));
    }
    // Clients make `/tables/heroes/`, `/tables/heroes/docs/` of these before they send them.
    for path in [
        format!("{DOCS}/.."),
        format!("{DOCS}/."),
        format!("{DOCS}/%2e%2E"),
        "/tables/heroes/./docs/..".to_owned(),
    ] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let detail =
                problem(&api.with(method, &path, &[], b"{}").await, 400, "bad-request")["detail"].to_string();
            assert!(detail.contains("as JSON"), "{detail}");
        }
    }
    assert_eq!(body(&api.call("GET", "/tables/heroes").await)["count"], 3);
}

#[tokio::test]
async fn a_slash_more_is_another_path() {
    let api = Api::start().await;
    made(&api, &json!(1)).await;
    for path in [
        "/tables",
        "/tables/heroes",
        "/tables/heroes/docs",
        "/tables/heroes/docs/1",
        "/tables/heroes/indexes",
        "/tables/heroes/indexes/i",
        "/tables/heroes/changes",
        "/health/live",
        "/metrics",
        "/openapi.json",
        "/docs",
    ] {
        let doubled: Vec<_> =
            path.match_indices('/').map(|(at, _)| format!("{}/{}", &path[..at], &path[at..])).collect();
        for wrong in
            doubled.into_iter().chain([format!("{path}/"), format!("{path}//"), format!("{path}/?all=true")])
        {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let response = api.with(method, &wrong, &[("accept", "*/*")], b"{}").await;
                assert_eq!(response.status(), 404, "{method} {wrong}: {:?}", response.body());
            }
        }
    }
    assert_eq!(body(&api.call("GET", "/tables/heroes").await)["count"], 1);
}

#[tokio::test]
async fn what_can_be_no_id_is_said_to_be_none() {
    let api = Api::start().await;
    for id in ["null", "%7B%7D", "%5B1,null%5D", "%7B%22$reql_type$%22:%22GEOMETRY%22%7D", "%FF"] {
        problem(&api.call("GET", &format!("{DOCS}/{id}")).await, 400, "bad-request");
    }
    for id in ["%7B%22$reql_type$%22:%22TIME%22%7D", "%7B%22$reql_type$%22:%22BINARY%22,%22data%22:1%7D"] {
        let response = api.call("GET", &format!("{DOCS}/{id}")).await;
        assert!([400, 422].contains(&response.status().as_u16()), "{id}: {:?}", response.body());
    }
}

#[tokio::test]
async fn names_have_a_length_and_lead_back() {
    let api = Api::start().await;
    let (at, beyond) = ("n".repeat(128), "n".repeat(129));
    let created = api.send("POST", "/tables", &json!({"name": at})).await;
    assert_eq!(created.status(), 201, "{:?}", created.body());
    let location = header(&created, "location").to_owned();
    let index = json!({"fields": ["a"]});
    let created = api.send("PUT", &format!("{location}/indexes/{at}"), &index).await;
    assert_eq!(created.status(), 201, "{:?}", created.body());
    assert_eq!(api.call("DELETE", header(&created, "location")).await.status(), 204);
    problem(&api.send("PUT", &format!("{location}/indexes/{beyond}"), &index).await, 400, "bad-name");
    assert_eq!(api.call("DELETE", &location).await.status(), 204);
    for wrong in [&beyond, &"n".repeat(500_000)] {
        let refused = problem(&api.send("POST", "/tables", &json!({"name": wrong})).await, 400, "bad-name");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.len() < 200), "{refused}");
    }
    let taken = problem(&api.send("PUT", "/tables/heroes/indexes/id", &index).await, 409, "conflict");
    assert!(taken["detail"].as_str().is_some_and(|detail| detail.contains("primary key")), "{taken}");
}
