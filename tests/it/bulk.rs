//! Bulk inserts: bodies that are read as they arrive, and what becomes of each document.

use crate::support::{Api, body, problem};
use serde_json::{Value, json};
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::settings::{Limits, Settings};

const DOCS: &str = "/tables/heroes/docs";
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(api: &Api, headers: &[(&str, &str)], text: &str) -> Response<Bytes> {
    api.with("POST", DOCS, headers, text.as_bytes()).await
}

async fn count(api: &Api) -> u64 {
    body(&api.call("GET", "/tables/heroes").await)["count"].as_u64().expect("a count")
}

fn lines(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{{\"id\": {id}, \"text\": \"a, ]}}[{{ \\\" b\"}}\n")).collect()
}

#[tokio::test]
async fn many_batches_are_written_in_their_order() {
    let api = Api::start().await;
    let response = post(&api, &[LINES], &lines(0..1001)).await;
    assert_eq!(response.status(), 201, "{:?}", response.body());
    let outcomes = body(&response);
    assert_eq!(outcomes.as_array().map(Vec::len), Some(1001));
    assert_eq!(outcomes[1000], json!({"status": 201, "id": 1000}));
    let again = lines(1000..1500).trim_end().replace('\n', ",\n");
    let response = post(&api, &[JSON], &format!("\n [{again}]\n")).await;
    assert_eq!(response.status(), 207);
    assert_eq!(body(&response)[0], json!({"status": 409, "id": 1000, "code": "conflict"}));
    assert_eq!(body(&response)[499], json!({"status": 201, "id": 1499}));
    assert_eq!(count(&api).await, 1500);
}

#[tokio::test]
async fn a_fault_in_the_first_batch_writes_nothing() {
    let api = Api::start().await;
    for (kind, text, code) in [
        (JSON, "[{\"id\": 1}, {\"id\": 2,}]", "bad-json"),
        (JSON, "[{\"id\": 1}, 2]", "bad-request"),
        (JSON, "[{\"id\": 1}", "bad-json"),
        (JSON, "[{\"id\": 1}] []", "bad-json"),
        (LINES, "{\"id\": 1}\n{\"id\": 2", "bad-json"),
        (LINES, "{\"id\": 1}\n[]\n", "bad-request"),
    ] {
        problem(&post(&api, &[kind], text).await, 400, code);
    }
    assert_eq!(count(&api).await, 0);
    let empty = post(&api, &[JSON], "[ ]").await;
    assert_eq!((empty.status().as_u16(), body(&empty)), (201, json!([])));
}

#[tokio::test]
async fn a_later_fault_is_the_last_outcome() {
    let api = Api::start().await;
    let text = format!("{}{{\"id\": oops}}\n{}", lines(0..450), lines(450..500));
    let response = post(&api, &[LINES], &text).await;
    assert_eq!(response.status(), 207);
    let outcomes = body(&response);
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), 451);
    assert!(outcomes[..450].iter().all(|outcome| outcome["status"] == 201));
    let last = &outcomes[450];
    assert_eq!((&last["status"], &last["code"]), (&json!(400), &json!("bad-json")));
    assert!(last["detail"].as_str().unwrap().contains("line 451"), "{last}");
    assert_eq!(count(&api).await, 450);
}

#[tokio::test]
async fn bodies_and_documents_are_bounded() {
    let limits = Limits { body: 1000, bulk_body: 30_000, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let table = lines(0..1);
    let of = |length: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(length - 9));
    assert_eq!(post(&api, &[JSON], &format!("[{}]", of(1000))).await.status(), 201);
    problem(&post(&api, &[JSON], &format!("[{}]", of(1001))).await, 413, "body-too-large");
    assert_eq!(post(&api, &[JSON], &of(1000)).await.status(), 201);
    problem(&post(&api, &[JSON], &of(1001)).await, 413, "body-too-large");
    let most = 30_000 / table.len();
    let all: String = std::iter::repeat_n("{\"n\": 1}\n", 30_000 / 9).collect();
    assert!(most > 200 && all.len() <= 30_000);
    assert_eq!(post(&api, &[LINES], &all).await.status(), 201);
    let before = count(&api).await;
    let more = post(&api, &[LINES], &format!("{all}{}", "{\"n\": 1}\n".repeat(10))).await;
    problem(&more, 413, "body-too-large");
    assert_eq!(count(&api).await, before, "a body whose length is told is refused at once");
}

#[tokio::test]
async fn duplicates_are_merged_or_replaced() {
    let api = Api::start().await;
    post(&api, &[JSON], "[{\"id\": 1, \"a\": 1}, {\"id\": 2, \"a\": 1}]").await;
    for (resolution, expected) in [
        ("merge-duplicates", json!({"id": 1, "a": 1, "b": 1})),
        ("replace-duplicates", json!({"id": 1, "b": 1})),
    ] {
        let prefer = format!("resolution={resolution}");
        let response = post(&api, &[JSON, ("prefer", &prefer)], "[{\"id\": 1, \"b\": 1}]").await;
        assert_eq!((response.status().as_u16(), body(&response)), (201, json!([{"status": 200, "id": 1}])));
        assert_eq!(crate::support::header(&response, "preference-applied"), prefer);
        assert_eq!(body(&api.call("GET", &format!("{DOCS}/1")).await), expected);
    }
}

#[tokio::test]
async fn a_request_with_a_key_is_done_once() {
    let api = Api::start().await;
    let key = [JSON, ("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")];
    let writes = (0..8).map(|_| post(&api, &key, "{\"name\": \"new\"}"));
    let answers = futures_util::future::join_all(writes).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status() == 201).collect();
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status().as_u16())), "{answers:?}");
    assert!(!done.is_empty());
    let repeated = post(&api, &key, "{\"name\": \"new\"}").await;
    assert_eq!((repeated.status().as_u16(), count(&api).await), (201, 1));
    assert_eq!(crate::support::header(&repeated, "idempotency-replayed"), "true");
    for name in ["location", "etag", "content-type"] {
        assert!(!crate::support::header(&repeated, name).is_empty(), "{name}");
        assert_eq!(crate::support::header(&repeated, name), crate::support::header(done[0], name));
    }
    assert_eq!(repeated.body(), done[0].body());
    problem(&post(&api, &key, "{\"name\": \"other\"}").await, 422, "idempotency-key-reused");
    let plain = [JSON, ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    assert_eq!(
        crate::support::header(&post(&api, &plain, "{\"name\": \"new\"}").await, "idempotency-replayed"),
        "true"
    );
    let other = [JSON, ("idempotency-key", "\"another\"")];
    assert_eq!(post(&api, &other, "[{}, {}]").await.status(), 201);
    assert_eq!(crate::support::header(&post(&api, &other, "[{}, {}]").await, "idempotency-replayed"), "true");
    assert_eq!(count(&api).await, 3);
    for wrong in ["", "\"\"", "\"a", "a\"", "\"", "a\"b", "\"a\\\"b\"", "a\tb", "k\u{e9}", &"x".repeat(256)] {
        problem(&post(&api, &[JSON, ("idempotency-key", wrong)], "{}").await, 400, "bad-request");
    }
}

#[tokio::test]
async fn a_key_is_free_again_if_nothing_was_written() {
    let api = Api::start().await;
    let key = [JSON, ("idempotency-key", "\"k\"")];
    post(&api, &[JSON], "{\"id\": 1}").await;
    problem(&post(&api, &key, "{\"id\": 1}").await, 409, "conflict");
    assert_eq!(api.call("DELETE", &format!("{DOCS}/1")).await.status(), 204);
    assert_eq!(post(&api, &key, "{\"id\": 1}").await.status(), 201);
}

#[tokio::test]
async fn keys_expire_and_are_cleared_away() {
    let api = Api::start().await;
    let key = |key: &'static str| [JSON, ("idempotency-key", key)];
    for name in ["\"a\"", "\"b\"", "\"c\""] {
        assert_eq!(post(&api, &key(name), "{}").await.status(), 201);
    }
    let mut conn = warp_reql::Conn::new(api.database.clone());
    let keys = || reql::r.db(api.home().named("warp_reql")).table("idempotency_keys");
    conn.first::<Value>(keys().update(json!({"expires": 1}))).await.unwrap();
    let again = post(&api, &key("\"a\""), "{}").await;
    assert_eq!((again.status().as_u16(), crate::support::header(&again, "idempotency-replayed")), (201, ""));
    assert_eq!(count(&api).await, 4);
    // What clears them isn't waited for.
    let mut left = 0;
    for _ in 0..1000 {
        left = conn.all::<Value>(keys()).await.unwrap().len();
        if left == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(left, 1);
}
