//! Large documents: they take another way into the database than small ones, and are the same there.

use serde_json::{Value, json};
use warp_reql::settings::{Limits, Settings};

use crate::support::{Api, body, problem};

const DOCS: &str = "/tables/heroes/docs";
const MERGE: (&str, &str) = ("content-type", "application/merge-patch+json");

/// Fields of every kind.
fn fields() -> Value {
    json!({
        "numbers": [0, -1, 2.5, 1e300, 9_007_199_254_740_992_u64, -0.5],
        "texts": ["", "ä\u{0}\n\"\\", "r.table('x')", "\u{1F600}"],
        "nothing": [null, {}, [], true, false],
        "deep": [[[[{"a": {"b": {"c": [1, [2, [3]]]}}}]]]],
        "time": {"$reql_type$": "TIME", "epoch_time": 1.5, "timezone": "+01:00"},
        "bytes": {"$reql_type$": "BINARY", "data": "AQID"},
    })
}

/// The fields, and as much text as makes them large.
fn large() -> Value {
    let mut large = fields();
    large["filler"] = json!("x".repeat(100_000));
    large
}

fn with(mut document: Value, name: &str, value: impl Into<Value>) -> Value {
    document[name] = value.into();
    document
}

#[tokio::test]
async fn they_are_stored_as_small_ones_are() {
    let api = Api::start().await;
    let both = async |method: &str, id: &str, headers: &[(&str, &str)], change: &dyn Fn(Value) -> Value| {
        for (id, document) in [(format!("small-{id}"), fields()), (format!("large-{id}"), large())] {
            let sent = change(document).to_string();
            let answer = api.with(method, &format!("{DOCS}/{id}"), headers, sent.as_bytes()).await;
            assert!(answer.status().is_success(), "{method} {id}: {:?}", answer.body());
        }
        let read = async |kind: &str| body(&api.call("GET", &format!("{DOCS}/{kind}-{id}")).await);
        let (mut small, mut large) = (read("small").await, read("large").await);
        large.as_object_mut().and_then(|large| large.remove("filler")).expect("it is large");
        small["id"] = json!(id);
        large["id"] = json!(id);
        assert_eq!(small, large, "{method} {id}");
    };
    both("PUT", "put", &[], &|document| document).await;
    both("PUT", "put", &[], &|document| with(document, "again", 1)).await;
    both("PATCH", "put", &[MERGE], &|document| with(document, "again", Value::Null)).await;
    let merged = body(&api.call("GET", &format!("{DOCS}/large-put")).await);
    assert_eq!((merged.get("again"), &merged["deep"]), (None, &fields()["deep"]));
}

#[tokio::test]
async fn they_are_inserted_one_by_one_and_together() {
    let api = Api::start().await;
    let one = api.send("POST", DOCS, &with(large(), "id", "one")).await;
    assert_eq!(one.status(), 201, "{:?}", one.body());
    assert_eq!(body(&one)["deep"], fields()["deep"]);
    let many: Vec<_> = (0..3).map(|id| with(large(), "id", id)).collect();
    assert_eq!(api.send("POST", DOCS, &json!(many)).await.status(), 201);
    let again = api.send("POST", DOCS, &json!(many)).await;
    let told = body(&again);
    assert_eq!(
        (again.status().as_u16(), &told[2]["code"], &told[2]["id"]),
        (207, &json!("conflict"), &json!(2))
    );
    for id in ["one", "0", "2"] {
        let read = body(&api.call("GET", &format!("{DOCS}/{id}")).await);
        assert_eq!(read["numbers"], fields()["numbers"], "{id}");
    }
    let listed = body(&api.call("GET", &format!("{DOCS}?order=id&limit=4")).await);
    assert_eq!(listed[0]["texts"], fields()["texts"]);
}

#[tokio::test]
async fn tags_are_the_same_whichever_way_they_come() {
    let api = Api::start().await;
    let (path, tag) = (format!("{DOCS}/1"), |answer: &_| crate::support::header(answer, "etag").to_owned());
    let put = api.send("PUT", &path, &large()).await;
    let got = api.call("GET", &path).await;
    assert_eq!((tag(&put), put.body()), (tag(&got), got.body()));
    let changed = api.with("PATCH", &path, &[MERGE, ("if-match", &tag(&got))], b"{\"a\":1}").await;
    assert_eq!(changed.status(), 200, "{:?}", changed.body());
    problem(
        &api.with("PATCH", &path, &[MERGE, ("if-match", &tag(&got))], b"{}").await,
        412,
        "precondition-failed",
    );
    let patch: &[_] = &[("content-type", "application/json-patch+json"), ("if-match", &tag(&changed))];
    let patched = api.with("PATCH", &path, patch, br#"[{"op":"remove","path":"/a"}]"#).await;
    assert_eq!((patched.status().as_u16(), tag(&patched)), (200, tag(&got)));
}

/// Values so small that what becomes of them takes many times the body's length.
#[tokio::test]
async fn bodies_of_many_values_are_taken_one_at_a_time() {
    let limits = Limits { bodies: 2 << 20, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { limits, ..settings }).await;
    let zeros = json!({ "a": vec![vec![0; 1000]; 90] });
    for _ in 0..2 {
        let answer = api.send("PUT", &format!("{DOCS}/1"), &zeros).await;
        assert!(answer.status().is_success(), "alone it is taken: {:?}", answer.body());
    }
    assert_eq!(body(&api.call("GET", &format!("{DOCS}/1")).await)["a"], zeros["a"]);
}
