//! Hidden fields within others, of objects and of the members of arrays.

use serde_json::{Value, json};

use super::{CHANGES, DOC, DOCS, JSON, MERGE, PATCH, Ruled};
use crate::support::events::Events;
use crate::support::{body, problem};

async fn hiding() -> Ruled {
    let rules = json!([{"table": "t", "roles": "*", "read": true, "create": true, "change": true,
        "delete": true, "hide": ["comments.ip", "a.b.c", "gone.x"]}]);
    Ruled::start(rules, &["t"]).await
}

/// The arrays of the tests, of which nothing is to be told.
fn arrays() -> Value {
    json!({"id": 1, "title": "a", "comments": [{"text": "hi", "ip": "secret"}, "secret"],
        "a": {"b": [{"c": "secret", "d": 1}], "e": 1}, "gone": null})
}

#[tokio::test]
async fn an_array_is_hidden_with_a_field_of_its_members() {
    let service = hiding().await;
    service.fill("t", &json!([arrays()])).await;
    let seen = json!({"id": 1, "title": "a", "a": {"e": 1}, "gone": null});
    assert_eq!(body(&service.get("", DOC).await), seen);
    for query in ["", "order=comments.text", "select=*", "omit=x", "title=eq.a&limit=1"] {
        assert_eq!(body(&service.get("", &format!("{DOCS}?{query}")).await), json!([seen]), "{query}");
    }
    for query in ["comments.text=has", "a.b.d=has", "comments.text=eq.hi", "comments.text=in.(hi)"] {
        assert_eq!(body(&service.get("", &format!("{DOCS}?{query}")).await), json!([]), "{query}");
    }
    for query in ["select=comments,a.b,title", "select=comments.text,title"] {
        assert_eq!(body(&service.get("", &format!("{DOC}?{query}")).await)["title"], "a", "{query}");
        let told =
            String::from_utf8_lossy(service.get("", &format!("{DOC}?{query}")).await.body()).into_owned();
        assert!(!told.contains("secret") && !told.contains("hi"), "{query}: {told}");
    }
    let serving = service.api.serve().await;
    for path in [DOC, DOCS] {
        let mut events = Events::open(serving.addr, path).await;
        assert_eq!(events.change().await, ("initial".to_owned(), Value::Null, seen.clone()), "{path}");
    }
}

#[tokio::test]
async fn an_array_with_a_hidden_field_is_kept_on_changes() {
    let service = hiding().await;
    let many = &format!("{DOCS}?title=eq.a")[..];
    let title = json!({"title": "b"});
    let whole = json!({"id": 1, "title": "b"});
    for (method, path, kind, prefer, sent) in [
        ("PATCH", DOC, MERGE, "", title.clone()),
        ("PATCH", DOC, PATCH, "", json!([{"op": "replace", "path": "/title", "value": "b"}])),
        ("PATCH", DOC, CHANGES, "", json!({"set": {"title": "b"}})),
        ("PATCH", many, MERGE, "", title.clone()),
        ("PATCH", many, CHANGES, "return=representation", json!({"set": {"title": "b"}})),
        ("PUT", DOC, JSON, "", title.clone()),
        ("POST", DOCS, JSON, "resolution=merge-duplicates", whole.clone()),
        ("POST", DOCS, JSON, "resolution=replace-duplicates", whole),
    ] {
        service.fill("t", &json!([arrays()])).await;
        let headers = [("content-type", kind), ("prefer", prefer)];
        let answer = service.send("", (method, path), &headers, &sent.to_string()).await;
        assert!(answer.status().is_success(), "{method} {kind} {prefer}: {:?}", answer.body());
        assert!(!String::from_utf8_lossy(answer.body()).contains("secret"), "{:?}", answer.body());
        let stored = &service.all("t").await[0];
        assert_eq!(stored["title"], "b", "{method} {kind} {prefer}");
        assert_eq!(stored["comments"], arrays()["comments"], "{method} {kind} {prefer}");
        assert_eq!(stored["a"]["b"], arrays()["a"]["b"], "{method} {kind} {prefer}");
    }
}

#[tokio::test]
async fn nothing_is_written_in_the_place_of_a_hidden_array() {
    let service = hiding().await;
    service.fill("t", &json!([arrays()])).await;
    let many = &format!("{DOCS}?title=eq.a")[..];
    for (method, path, kind, prefer, sent) in [
        ("PATCH", DOC, MERGE, "", json!({"comments": {"text": "x"}})),
        ("PATCH", DOC, MERGE, "", json!({"a": {"b": {"d": 1}}})),
        ("PATCH", DOC, PATCH, "", json!([{"op": "add", "path": "/comments", "value": {"text": "x"}}])),
        ("PATCH", DOC, CHANGES, "", json!({"set": {"comments.text": 1}})),
        ("PATCH", many, MERGE, "", json!({"comments": {"text": "x"}})),
        ("PATCH", many, MERGE, "tx=rollback", json!({"comments": {"text": "x"}})),
        ("PATCH", many, MERGE, "tx=rollback, return=representation", json!({"comments": {"text": "x"}})),
        ("PUT", DOC, JSON, "", json!({"comments": {"text": "x"}})),
        ("POST", DOCS, JSON, "resolution=merge-duplicates", json!({"id": 1, "comments": {"text": "x"}})),
    ] {
        let headers = [("content-type", kind), ("prefer", prefer)];
        let answer = service.send("", (method, path), &headers, &sent.to_string()).await;
        // Whoever has no token might be allowed more with one.
        assert!([401, 403].contains(&answer.status().as_u16()), "{method} {sent}: {:?}", answer.body());
        assert_eq!(service.all("t").await, [arrays()], "{method} {sent}");
    }
    // Null is no array.
    let answer = service.send("", ("PATCH", DOC), &[], r#"{"gone": {"y": 1}}"#).await;
    assert_eq!(body(&answer)["gone"], json!({"y": 1}), "{:?}", answer.body());
}

#[tokio::test]
async fn no_later_operation_covers_one_on_a_hidden_field() {
    let rules =
        json!([{"table": "t", "roles": "*", "read": true, "change": true, "hide": ["private.email"]}]);
    let service = Ruled::start(rules, &["t"]).await;
    let stored = json!({"id": 1, "private": {"email": "ann@x", "c": 1}});
    service.fill("t", &json!([stored])).await;
    let kind = [("content-type", PATCH)];
    let claimed = json!({"op": "replace", "path": "/private", "value": {"email": "bob@x"}});
    let within = json!({"op": "add", "path": "/private/c", "value": 5});
    for sent in [
        json!([claimed]),
        json!([claimed, within]),
        json!([within, claimed, within]),
        json!([{"op": "add", "path": "/private", "value": {}}, within]),
        json!([{"op": "remove", "path": "/private"}, {"op": "add", "path": "/private", "value": {}}, within]),
        json!([{"op": "move", "from": "/private", "path": "/x"}, {"op": "remove", "path": "/x/c"}]),
        json!([{"op": "replace", "path": "/private", "value": [1]},
            {"op": "add", "path": "/private/-", "value": 5}]),
        json!([{"op": "add", "path": "/private/email/x", "value": 5}]),
    ] {
        let answer = service.send("", ("PATCH", DOC), &kind, &sent.to_string()).await;
        let told = problem(&answer, 403, "forbidden");
        assert!(told["detail"].as_str().unwrap().contains("`private"), "{sent}: {told}");
        assert_eq!(service.all("t").await, std::slice::from_ref(&stored), "{sent}");
    }
    let beside = json!([within, {"op": "copy", "from": "/private", "path": "/x"}]).to_string();
    let answer = service.send("", ("PATCH", DOC), &kind, &beside).await;
    assert_eq!(body(&answer), json!({"id": 1, "private": {"c": 5}, "x": {"c": 5}}));
    let after = json!({"id": 1, "private": {"email": "ann@x", "c": 5}, "x": {"c": 5}});
    assert_eq!(service.all("t").await, [after]);
}
