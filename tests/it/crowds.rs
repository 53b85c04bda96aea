//! Clients that crowd: users of many addresses, guessers, probes, and answers that weigh too much.

use std::time::{Duration, Instant};

use crate::support::events::Events;
use crate::support::guarded::{Guarded, basic};
use crate::support::{Api, body, header, problem};
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warp_reql::settings::{Limits, Settings};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_its_share_whatever_its_addresses() {
    let limits = Limits { feeds: 4, client_share: 100, user_share: 25, ..Limits::default() };
    let guarded = Guarded::with(|settings| Settings { limits, ..settings }).await;
    let serving = guarded.api.serve().await;
    let follow = async |who: &str| {
        let authorization = guarded.basic(who, &format!("{who}'s"));
        Events::open_with(serving.addr, DOCS, &[("authorization", &authorization)]).await
    };
    let one = follow("reader").await;
    assert_eq!(one.status, 200);
    let refused = follow("reader").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    let told = refused.problem().await;
    assert_eq!(told["detail"], "One client may have 1 live queries at once, and this one has.");
    assert_eq!(follow("writer").await.status, 200, "others have theirs");
    drop(one);
    while follow("reader").await.status != 200 {}
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_keeps_out_nobody_who_knows() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let ask = async |user: &str, password: &str| {
        let authorization = guarded.basic(user, password);
        guarded.api.with("GET", DOCS, &[("authorization", &authorization)], b"").await
    };
    assert_eq!(ask("writer", "writer's").await.status(), 200);
    for user in ["reader", "writer"] {
        let mut guesses = 0;
        let refused = loop {
            let answer = ask(user, &format!("guess {guesses}")).await;
            if answer.status() != 401 {
                break answer;
            }
            guesses += 1;
        };
        problem(&refused, 429, "too-many-guesses");
        let wait: u64 = header(&refused, "retry-after").parse().expect("seconds");
        assert!((1..=6).contains(&wait) && guesses >= 10, "{wait} {guesses}");
    }
    let opened = guarded.api.database.stats().opened;
    problem(&ask("reader", "reader's").await, 429, "too-many-guesses");
    assert_eq!(guarded.api.database.stats().opened, opened, "the database isn't asked");
    assert_eq!(ask("writer", "writer's").await.status(), 200, "that was right before");
    let admin = basic("admin", "");
    assert_eq!(guarded.api.with("GET", DOCS, &[("authorization", &admin)], b"").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_asked_once_for_all_who_ask_whether_it_is_there() {
    let api = Api::start().await;
    let (before, began) = (api.database.stats().opened, Instant::now());
    let answers = join_all((0..400).map(|_| api.call("GET", "/health/ready"))).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    let most = 1 + began.elapsed().as_millis() as u64 / 100;
    let opened = api.database.stats().opened - before;
    assert!((1..=most).contains(&opened), "{opened} of {most}");
}

#[tokio::test]
async fn one_document_and_groups_have_a_weight_too() {
    let limits = Limits { answer: 100_000, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let long = |id: u64, length: usize| json!({"id": id, "text": format!("{id}{}", "x".repeat(length))});
    let filled = api.send("POST", DOCS, &json!([long(1, 150_000), long(2, 70_000), long(3, 60_000)])).await;
    assert_eq!(filled.status(), 201, "{:?}", filled.body());
    for path in [DOC, "/tables/heroes/docs/1?select=text"] {
        problem(&api.call("GET", path).await, 422, "answer-too-large");
    }
    problem(&api.call("GET", &format!("{DOCS}?id=gt.1&group=text")).await, 422, "answer-too-large");
    for path in ["/tables/heroes/docs/2", "/tables/heroes/docs?id=gt.2&group=text", DOC_IDS] {
        assert_eq!(api.call("GET", path).await.status(), 200, "{path}");
    }
}

/// More large answers than are made at the same time: each waits for its turn.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_many_large_answers_gets_them_all() {
    let api = Api::start().await;
    let filled: Vec<_> = (0..3).map(|id| json!({"id": id, "text": "x".repeat(50_000)})).collect();
    assert_eq!(api.send("POST", DOCS, &json!(filled)).await.status(), 201);
    let answers = join_all((0..40).map(|_| api.call("GET", DOCS))).await;
    assert!(answers.iter().all(|answer| answer.status() == 200 && body(answer) == json!(filled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_a_weight_too() {
    let limits = Limits { answer: 300_000, client_share: 100, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let serving = api.serve().await;
    let mut events = Events::open(serving.addr, "/tables/heroes/changes").await;
    events.ready().await;
    let long = |length: usize| json!({"id": 1, "text": "x".repeat(length)});
    for length in [100_000, 50_000, 90_000, 290_000] {
        let written = api.send("PUT", DOC, &long(length)).await;
        assert!(written.status().is_success(), "{:?}", written.body());
    }
    for name in ["add", "change", "change"] {
        assert_eq!(events.change().await.0, name);
    }
    let last = events.next().await.expect("an event");
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!("answer-too-large")));
    assert_eq!(events.next().await, None);
    // Whoever comes back is told what is there.
    let mut events = Events::open(serving.addr, "/tables/heroes/changes").await;
    assert_eq!(events.change().await.0, "initial");
}

const DOC_IDS: &str = "/tables/heroes/docs?select=id";

#[tokio::test]
async fn a_field_that_stands_twice_is_refused() {
    let api = Api::start().await;
    let lines = [("content-type", "application/x-ndjson")];
    for (method, path, headers, sent) in [
        ("POST", DOCS, &[][..], r#"{"id":1,"id":2}"#),
        ("POST", DOCS, &[][..], r#"[{"id":1},{"id":2,"a":{"b":1,"b":1}}]"#),
        ("POST", DOCS, &lines[..], "{\"id\":1}\n{\"id\":2,\"a\":1,\"a\":2}\n"),
        ("PUT", DOC, &[][..], r#"{"a":1,"\u0061":2}"#),
        ("PATCH", DOC, &[][..], r#"{"a":null,"a":1}"#),
        ("PATCH", "/tables/heroes/docs?all=true", &[][..], r#"{"a":1,"a":2}"#),
        ("POST", "/tables", &[][..], r#"{"name":"a","name":"b"}"#),
        ("PUT", "/tables/heroes/indexes/i", &[][..], r#"{"fields":["a"],"fields":["b"]}"#),
    ] {
        let refused = problem(&api.with(method, path, headers, sent.as_bytes()).await, 400, "bad-request");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("twice")), "{refused}");
    }
    assert_eq!(body(&api.call("GET", DOCS).await), json!([]));
    let tables = body(&api.call("GET", "/tables").await);
    assert_eq!(tables.as_array().map(Vec::len), Some(1), "{tables}");
}

/// A body whose first character doesn't come, byte by byte: each byte is looked at once. If each were looked
/// at again with every other one, this would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_blanks_costs_as_much_as_its_length() {
    const BLANKS: usize = 200_000;
    let limits = Limits { client_share: 100, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let serving = api.serve().await;
    let began = Instant::now();
    let mut client = TcpStream::connect(serving.addr).await.expect("the service is there");
    let head = format!(
        "POST {DOCS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("the service reads");
    client.write_all("1\r\n \r\n".repeat(BLANKS).as_bytes()).await.expect("the service reads on");
    client.write_all(b"2\r\n{}\r\n0\r\n\r\n").await.expect("the service reads to the end");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("the service answers");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(body(&api.call("GET", DOCS).await).as_array().map(Vec::len), Some(1));
}

/// Bodies that stop just before their end, each of which would be kept in memory.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_that_do_not_end_leave_room_for_others() {
    let limits = Limits { body: 400_000, bodies: 2 << 20, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let serving = api.serve().await;
    let send = async |length: usize| {
        let mut client = TcpStream::connect(serving.addr).await.expect("the service is there");
        let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n\r\n";
        client.write_all(format!("PUT {DOC} HTTP/1.1\r\n{head}").as_bytes()).await.expect("it reads");
        // What is refused may be left unread.
        let _ = client.write_all(&vec![b' '; length]).await;
        client
    };
    let refused = async {
        let mut held = Vec::new();
        // Each takes more than a quarter of what this address may have.
        for _ in 0..4 {
            held.push(send(390_000).await);
        }
        let (answer, _, _) = futures_util::future::select_all(held.iter_mut().map(|client| {
            Box::pin(async move {
                let mut answer = vec![0; 4096];
                let length = client.read(&mut answer).await.expect("it answers");
                String::from_utf8_lossy(&answer[..length]).into_owned()
            })
        }))
        .await;
        (answer, held)
    };
    let (answer, _held) = refused.await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("bodies of 1 MiB"), "{answer}");
    // Small ones don't count, and others have their part.
    assert_eq!(api.send("PUT", DOC, &json!({"text": "x".repeat(30_000)})).await.status(), 201);
    assert_eq!(api.send("PUT", DOC, &json!({"text": "x".repeat(300_000)})).await.status(), 200);
}
