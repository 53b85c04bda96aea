//! Preferences of a request about the database and of the answer's form: replicas, durability, tags of lists,
//! bodies that come compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use warp_reql::settings::{Durability, Limits, ReadMode, Settings, TableSpec};

use crate::support::counted::Counted;
use crate::support::{Api, Home, body, header, problem};

const DOCS: &str = "/tables/heroes/docs";

#[tokio::test]
async fn preferences_reach_the_database() {
    let home = Home::start().await;
    let counted = Counted::to(home.addr()).await;
    let rdb = home.rdb_by(counted.addr);
    let api = Api::in_home(home, |settings| Settings { rdb, ..settings }).await;
    for (method, path, prefer, sent) in [
        ("GET", DOCS, "read-mode=outdated", "\"read_mode\":\"outdated\""),
        ("GET", "/tables/heroes/docs?group=a", "read-mode=majority", "\"read_mode\":\"majority\""),
        ("POST", DOCS, "durability=soft", "\"durability\":\"soft\""),
        ("PUT", "/tables/heroes/docs/1", "return=minimal, durability=hard", "\"durability\":\"hard\""),
        ("GET", "/tables/heroes/docs/1", "read-mode=outdated", "\"read_mode\":\"outdated\""),
        ("PATCH", "/tables/heroes/docs?all=true", "durability=soft", "\"durability\":\"soft\""),
        ("DELETE", "/tables/heroes/docs/1", "durability=soft", "\"durability\":\"soft\""),
    ] {
        let sends = if ["GET", "DELETE"].contains(&method) { "" } else { "{\"a\":1}" };
        let response = api.with(method, path, &[("prefer", prefer)], sends.as_bytes()).await;
        assert!(response.status().is_success(), "{method} {path}: {:?}", response.body());
        assert_eq!(header(&response, "preference-applied"), prefer, "{method} {path}");
        assert!(counted.last().contains(sent), "{method} {path}: {}", counted.last());
    }
    for prefer in ["read-mode=none", "durability=soft"] {
        let response = api.with("GET", DOCS, &[("prefer", prefer)], b"").await;
        assert_eq!((response.status().as_u16(), header(&response, "preference-applied")), (200, ""));
        assert!(!counted.last().contains("read_mode"), "{}", counted.last());
    }
}

#[tokio::test]
async fn the_settings_choose_for_those_who_do_not() {
    let home = Home::start().await;
    let counted = Counted::to(home.addr()).await;
    let mut rdb = home.rdb_by(counted.addr);
    rdb.read_mode = ReadMode::Outdated;
    let api = Api::in_home(home, |settings| Settings { rdb, ..settings }).await;
    let listed = api.call("GET", DOCS).await;
    assert_eq!((listed.status().as_u16(), header(&listed, "preference-applied")), (200, ""));
    assert!(counted.last().contains("\"read_mode\":\"outdated\""), "{}", counted.last());
    api.with("GET", DOCS, &[("prefer", "read-mode=single")], b"").await;
    assert!(!counted.last().contains("outdated"), "{}", counted.last());
}

#[tokio::test]
async fn tables_are_made_as_they_are_wanted() {
    let api = Api::start().await;
    let new = json!({"name": "wide", "primary_key": "key", "shards": 2, "replicas": 1, "durability": "soft"});
    assert_eq!(api.send("POST", "/tables", &new).await.status(), 201);
    let spec = TableSpec {
        shards: Some(2),
        replicas: Some(1),
        durability: Some(Durability::Soft),
        ..TableSpec::new("broad")
    };
    warp_reql::bootstrap::once(&api.database, &[spec]).await.unwrap();
    for table in ["wide", "broad"] {
        let mut conn = warp_reql::Conn::new(api.database.clone());
        let config: serde_json::Value = conn.first(reql::r.table(table).config()).await.unwrap().unwrap();
        assert_eq!((config["shards"].as_array().unwrap().len(), &config["durability"]), (2, &json!("soft")));
    }
    for wrong in [json!({"name": "t", "shards": 0}), json!({"name": "t", "shards": 65})] {
        problem(&api.send("POST", "/tables", &wrong).await, 400, "bad-request");
    }
    problem(&api.send("POST", "/tables", &json!({"name": "t", "replicas": 0})).await, 400, "bad-request");
    problem(&api.send("POST", "/tables", &json!({"name": "t", "shards": -1})).await, 400, "bad-request");
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let api = Api::start().await;
    api.send("POST", DOCS, &json!([{"id": 1, "a": 1}, {"id": 2, "a": 2}])).await;
    for path in [format!("{DOCS}?limit=1"), format!("{DOCS}?group=a")] {
        let first = api.call("GET", &path).await;
        let tag = header(&first, "etag").to_owned();
        assert!(tag.len() > 2 && header(&first, "cache-control") == "no-cache", "{first:?}");
        assert!(header(&first, "vary").contains("accept"), "{first:?}");
        let known = api.with("GET", &path, &[("if-none-match", &tag)], b"").await;
        assert_eq!((known.status().as_u16(), known.body().len()), (304, 0));
        assert_eq!((header(&known, "etag"), header(&known, "link")), (&tag[..], header(&first, "link")));
        problem(&api.with("GET", &path, &[("if-match", "\"x\"")], b"").await, 412, "precondition-failed");
        api.send("PATCH", "/tables/heroes/docs/1", &json!({"a": tag})).await;
        assert_eq!(api.with("GET", &path, &[("if-none-match", &tag)], b"").await.status(), 200);
    }
    let lines = api.with("GET", DOCS, &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(header(&lines, "etag"), "", "nobody knows it before its end");
    // What its headers say is part of the page.
    let two = format!("{DOCS}?limit=2");
    let counted = async |tag: &str, wanted: &str| {
        api.with("GET", &two, &[("if-none-match", tag), ("prefer", wanted)], b"").await
    };
    let tag = header(&api.call("GET", &two).await, "etag").to_owned();
    let tag_with_total = header(&counted("\"\"", "count=exact").await, "etag").to_owned();
    assert_eq!(counted(&tag, "").await.status(), 304);
    assert_eq!(counted(&tag_with_total, "count=exact").await.status(), 304);
    for (id, next, total) in [(3, 200, 200), (4, 304, 200)] {
        let before = header(&api.call("GET", &two).await, "etag").to_owned();
        api.send("PUT", &format!("{DOCS}/{id}"), &json!({})).await;
        let tag = if id == 3 { &tag } else { &before };
        let (more, known) = (counted(tag, "").await, counted(&tag_with_total, "count=exact").await);
        assert_eq!((more.status().as_u16(), known.status().as_u16()), (next, total), "{id}");
        assert!(header(&more, "link").contains("rel=\"next\""), "{more:?}");
    }
    // `HEAD` answers conditions as `GET` does.
    let tag = header(&api.call("GET", &two).await, "etag").to_owned();
    let head = api.with("HEAD", &two, &[("if-none-match", &tag)], b"").await;
    assert_eq!((head.status().as_u16(), header(&head, "etag")), (304, &tag[..]));
    let other = api.with("HEAD", &two, &[("if-none-match", "\"x\"")], b"").await;
    assert_eq!((other.status().as_u16(), header(&other, "etag")), (200, &tag[..]));
    assert_eq!(api.with("HEAD", &two, &[("if-match", "\"x\"")], b"").await.status(), 412);
    for id in [3, 4] {
        api.call("DELETE", &format!("{DOCS}/{id}")).await;
    }
    let head = api.with("HEAD", DOCS, &[("prefer", "count=exact")], b"").await;
    assert_eq!((head.status().as_u16(), header(&head, "x-total-count"), head.body().len()), (200, "2", 0));
    problem(&api.call("GET", "/tables/none/docs").await, 404, "no-such-table");
    assert_eq!(api.call("HEAD", "/tables/none/docs").await.status(), 404);
    assert_eq!(api.call("HEAD", &format!("{DOCS}?index=none")).await.status(), 404);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_come_compressed() {
    let api = Api::start().await;
    let send = async |encoding: &str, kind: &str, bytes: &[u8]| {
        let headers = [("content-encoding", encoding), ("content-type", kind)];
        api.with("POST", DOCS, &headers, bytes).await
    };
    let one = send("gzip", "application/json", &gzip(b"{\"id\": 1}")).await;
    assert_eq!((one.status().as_u16(), body(&one)), (201, json!({"id": 1})));
    let lines: String = (10..2000).map(|id| format!("{{\"id\": {id}}}\n")).collect();
    let many = send("GZIP", "application/x-ndjson", &gzip(lines.as_bytes())).await;
    assert_eq!((many.status().as_u16(), body(&many).as_array().map(Vec::len)), (201, Some(1990)));
    // Brotli's form of text that isn't compressed.
    let text = b"{\"id\": \"br\"}";
    let last = text.len() as u8 - 1;
    let mut brotli = vec![0x0b | ((last & 1) << 7), last >> 1, 0x80];
    brotli.extend(text);
    brotli.push(3);
    let one = send("br", "application/json", &brotli).await;
    assert_eq!(one.status(), 201, "{:?}", one.body());
    // As the service compresses, it is compressed.
    let told = api.with("GET", &format!("{DOCS}?limit=1000"), &[("accept-encoding", "br")], b"").await;
    assert_eq!((header(&told, "content-encoding"), told.body().len() < 5000), ("br", true));
    let replace = [
        ("content-encoding", "br"),
        ("content-type", "application/json"),
        ("prefer", "resolution=replace-duplicates"),
    ];
    let back = api.with("POST", DOCS, &replace, told.body()).await;
    assert_eq!((back.status().as_u16(), body(&back).as_array().map(Vec::len)), (201, Some(1000)));
    for (encoding, bytes) in
        [("gzip", &b"{\"id\": 7}"[..]), ("br", b"{\"id\": 7}"), ("gzip", &gzip(b"{}")[..9])]
    {
        problem(&send(encoding, "application/json", bytes).await, 400, "bad-request");
    }
    let bomb = gzip(&[b' '; 8 << 20]);
    problem(&send("gzip", "application/x-ndjson", &bomb).await, 400, "bad-request");
    let refused = send("zstd", "application/json", b"{}").await;
    problem(&refused, 415, "unsupported-media-type");
    assert_eq!(header(&refused, "accept-encoding"), "gzip, br");
    problem(&send("gzip, gzip", "application/json", b"{}").await, 415, "unsupported-media-type");
}

#[tokio::test]
async fn what_decoders_hold_counts_like_bodies() {
    let limits = Limits { bodies: 8 << 20, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let send = async |method: &str, path: &str, bytes: &[u8]| {
        let headers = [("content-encoding", "br"), ("content-type", "application/json")];
        api.with(method, path, &headers, bytes).await
    };
    // A part of 16 MiB in a window of 16 MiB, and the first of its bytes.
    let large = b"\xcf\xff\xff\xffx";
    for (method, path) in [("PUT", "/tables/heroes/docs/1"), ("POST", DOCS), ("POST", "/tables")] {
        problem(&send(method, path, large).await, 503, "bodies-exhausted");
    }
    // "{}", as it is.
    assert_eq!(send("POST", DOCS, &[0x8b, 0x00, 0x80, b'{', b'}', 0x03]).await.status(), 201);
}
