//! The effect of rules on queries, on answers and on stored documents.

use serde_json::{Value, json};

use super::{Ruled, of, token};
use crate::support::{body, problem};

fn owned() -> Value {
    json!([{"table": "notes", "roles": "user", "read": "owner=eq.{sub}", "create": "owner=eq.{sub}",
            "change": "owner=eq.{sub}", "delete": "owner=eq.{sub}", "set": {"owner": "{sub}"}}])
}

#[tokio::test]
async fn a_list_goes_through_the_index_that_its_rule_fits() {
    let service = Ruled::start(owned(), &["notes"]).await;
    service.ask(reql::r.table("notes").index_create("owner")).await;
    service.ask(reql::r.table("notes").index_create("age")).await;
    service.ask(reql::r.table("notes").index_wait(reql::args![])).await;
    let ann = of("ann", &["user"]);
    let admin = of("root", &[super::ADMIN]);
    let explained = async |token: &str, query: &str| {
        let path = format!("/tables/notes/docs?{query}");
        body(&service.send(token, ("GET", &path), &[("prefer", "explain")], "").await)
    };
    for (query, filtered) in
        [("", "owner=eq.ann"), ("order=age", "order=age&owner=eq.ann"), ("age=eq.3", "age=eq.3&owner=eq.ann")]
    {
        let (own, plain) = (explained(&ann, query).await, explained(&admin, filtered).await);
        assert_eq!(own["index"], plain["index"], "{query}: {own} {plain}");
        assert!(own["index"].is_string(), "{query}: {own}");
        assert!(own["reql"].as_str().unwrap().contains("\"ann\""), "{own}");
    }
}

#[tokio::test]
async fn one_document_takes_a_table_from_nobody() {
    let rules = json!([{"table": "notes", "roles": "user", "read": "place.type=eq.public", "create": true}]);
    let service = Ruled::start(rules, &["notes"]).await;
    let ann = of("ann", &["user"]);
    let sent = json!([
        {"id": 1, "place": {"type": "public"}},
        {"id": 2, "place": {"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [1, 2]}},
    ]);
    let made = service.send(&ann, ("POST", "/tables/notes/docs"), &[], &sent.to_string()).await;
    assert_eq!(made.status(), 201, "{:?}", made.body());
    assert_eq!(body(&service.get(&ann, "/tables/notes/docs").await), json!([sent[0]]));
    problem(&service.get(&ann, "/tables/notes/docs/2").await, 404, "no-such-document");
}

#[tokio::test]
async fn what_is_set_is_set_whatever_the_client_says() {
    let service = Ruled::start(owned(), &["notes"]).await;
    let (ann, bob) = (of("ann", &["user"]), of("bob", &["user"]));
    for (method, path, sent) in [
        ("POST", "/tables/notes/docs", json!({"id": 1, "owner": "bob"})),
        ("POST", "/tables/notes/docs", json!([{"id": 2, "owner": "bob"}, {"id": 3}])),
        ("PUT", "/tables/notes/docs/4", json!({"owner": "bob"})),
        ("PUT", "/tables/notes/docs/4", json!({})),
        ("PATCH", "/tables/notes/docs/4", json!({"owner": "bob"})),
        ("PATCH", "/tables/notes/docs/4", json!({"owner": null, "x": 1})),
        ("PATCH", "/tables/notes/docs?x=eq.1", json!({"owner": "bob"})),
    ] {
        let answer = service.send(&ann, (method, path), &[], &sent.to_string()).await;
        assert!(answer.status().is_success(), "{method} {path} {sent}: {:?}", answer.body());
        assert!(
            service.all("notes").await.iter().all(|note| note["owner"] == "ann"),
            "{method} {path} {sent}"
        );
    }
    assert_eq!(body(&service.get(&bob, "/tables/notes/docs").await), json!([]));
    // Whoever has no subject can own nothing.
    let nameless = token(json!({"role": "user"}));
    problem(&service.send(&nameless, ("POST", "/tables/notes/docs"), &[], "{}").await, 403, "forbidden");
    problem(&service.get(&nameless, "/tables/notes/docs").await, 403, "forbidden");
}

#[tokio::test]
async fn hidden_fields_stay_as_they_are() {
    let rules = json!([{
        "table": "t", "roles": "*", "read": true, "create": true, "change": true, "delete": true,
        "hide": ["secret", "a.b", "\"c.d\""],
    }]);
    let service = Ruled::start(rules, &["t"]).await;
    let stored = json!({"id": 1, "a": {"b": 1, "c": 2}, "c.d": 3, "c": {"d": 4}, "secret": {"x": 1}, "n": 0});
    let seen = json!({"id": 1, "a": {"c": 2}, "c": {"d": 4}, "n": 0});
    service.fill("t", &json!([stored])).await;
    let path = "/tables/t/docs/1";
    assert_eq!(body(&service.get("", path).await), seen);
    for select in ["select=secret,a,n", "select=a.b,n", "omit=c", "select=*"] {
        let text =
            String::from_utf8(service.get("", &format!("{path}?{select}")).await.body().to_vec()).unwrap();
        assert!(
            !text.contains("\"b\"") && !text.contains("secret") && !text.contains("c.d"),
            "{select}: {text}"
        );
    }
    for (method, sent, expected) in [
        (
            "PATCH",
            json!({"n": 1}),
            json!({"id": 1, "a": {"b": 1, "c": 2}, "c.d": 3, "c": {"d": 4}, "secret": {"x": 1}, "n": 1}),
        ),
        (
            "PATCH",
            json!({"a": {"c": null}}),
            json!({"id": 1, "a": {"b": 1}, "c.d": 3, "c": {"d": 4}, "secret": {"x": 1}, "n": 1}),
        ),
        ("PUT", json!({"n": 2}), json!({"id": 1, "a": {"b": 1}, "c.d": 3, "secret": {"x": 1}, "n": 2})),
        (
            "PUT",
            json!({"a": {"z": 1}}),
            json!({"id": 1, "a": {"b": 1, "z": 1}, "c.d": 3, "secret": {"x": 1}}),
        ),
    ] {
        let answer = service.send("", (method, path), &[], &sent.to_string()).await;
        assert_eq!(answer.status(), 200, "{method} {sent}: {:?}", answer.body());
        assert_eq!(service.all("t").await, [expected], "{method} {sent}");
    }
    let before = service.all("t").await;
    for sent in [
        json!({"secret": null}),
        json!({"secret": {}}),
        json!({"a": null}),
        json!({"a": 1}),
        json!({"a": {"b": 1}}),
        json!({"a": {"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}}),
        json!({"c.d": 1}),
    ] {
        for (method, path) in
            [("PATCH", path), ("PUT", path), ("PUT", "/tables/t/docs/2"), ("POST", "/tables/t/docs")]
        {
            let answer = service.send("", (method, path), &[], &sent.to_string()).await;
            problem(&answer, 403, "forbidden");
        }
        let answer =
            service.send("", ("POST", "/tables/t/docs"), &[], &json!([sent, {"id": 9}]).to_string()).await;
        assert_eq!(body(&answer)[0]["status"], 403, "{:?}", answer.body());
        service.ask(reql::r.table("t").get(9).delete()).await;
    }
    assert_eq!(service.all("t").await, before);
    for query in [
        "secret=has",
        "secret.x=eq.1",
        "a=has",
        "a.b=eq.1",
        "or=(n=eq.1,a.b=has)",
        "order=a.b",
        "order=secret",
        "group=secret",
        "agg=max(a.b)",
        "\"c.d\"=has",
        "secret=not.has",
        "a.b.c=has",
    ] {
        problem(
            &service.get("", &format!("/tables/t/docs?{}", query.replace('"', "%22"))).await,
            403,
            "forbidden",
        );
    }
    assert_eq!(service.get("", "/tables/t/docs?c.d=eq.4").await.status(), 200);
}

#[tokio::test]
async fn a_tag_is_that_of_what_is_seen() {
    let rules = json!([{"table": "t", "roles": "*", "read": true, "change": true, "hide": ["secret"]}]);
    let service = Ruled::start(rules, &["t"]).await;
    let tag = async |secret: Value| {
        service.fill("t", &json!([{"id": 1, "n": 1, "secret": secret}])).await;
        service.get("", "/tables/t/docs/1").await.headers()["etag"].to_str().unwrap().to_owned()
    };
    let one = tag(json!("x")).await;
    assert_eq!(one, tag(json!("y")).await);
    let answer = service.send("", ("PATCH", "/tables/t/docs/1"), &[("if-match", &one)], "{\"n\":2}").await;
    assert_eq!(answer.status(), 200, "{:?}", answer.body());
    let stale = service.send("", ("PATCH", "/tables/t/docs/1"), &[("if-match", &one)], "{\"n\":3}").await;
    problem(&stale, 412, "precondition-failed");
    assert_eq!(service.all("t").await, [json!({"id": 1, "n": 2, "secret": "y"})]);
}

#[tokio::test]
async fn a_write_may_be_allowed_whose_result_is_not_to_be_read() {
    let rules = json!([{"table": "box", "roles": "anonymous", "create": "text=has"},
                       {"table": "desk", "roles": "anonymous", "read": "open=eq.true", "change": true}]);
    let service = Ruled::start(rules, &["box", "desk"]).await;
    let answer = service.send("", ("POST", "/tables/box/docs"), &[], "{\"id\":1,\"text\":\"hello\"}").await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (201, 0));
    assert_eq!(answer.headers()["location"], "/tables/box/docs/1");
    let answer = service.send("", ("POST", "/tables/box/docs"), &[], "{\"text\":\"hello\"}").await;
    assert!(answer.headers()["location"].len() > "/tables/box/docs/".len() + 30);
    problem(&service.send("", ("POST", "/tables/box/docs"), &[], "{\"n\":1}").await, 403, "forbidden");
    problem(&service.get("", "/tables/box/docs/1").await, 401, "unauthorized");
    let answer = service
        .send("", ("POST", "/tables/box/docs"), &[], "[{\"text\":1},{\"n\":1},{\"id\":1,\"text\":2}]")
        .await;
    let statuses: Vec<_> =
        body(&answer).as_array().unwrap().iter().map(|outcome| outcome["status"].clone()).collect();
    assert_eq!(statuses, [201, 403, 409], "{:?}", answer.body());
    service.fill("desk", &json!([{"id": 1, "open": true}])).await;
    let answer = service.send("", ("PATCH", "/tables/desk/docs/1"), &[], "{\"open\":false}").await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (204, 0));
    problem(
        &service.send("", ("PATCH", "/tables/desk/docs/1"), &[], "{\"open\":true}").await,
        404,
        "no-such-document",
    );
}

#[tokio::test]
async fn rows_that_are_no_documents_are_nobodys() {
    let service = Ruled::start(owned(), &[]).await;
    service.ask(reql::r.table_create("notes").primary_key("epoch_time")).await;
    service.ask(reql::r.table("notes").insert(json!({"epoch_time": 1, "owner": "ann"}))).await;
    // Not every database takes one.
    let time = json!({"$reql_type$": "TIME", "epoch_time": 2, "timezone": "+00:00"});
    service.ask(reql::r.table("notes").insert(time)).await;
    let ann = of("ann", &["user"]);
    for path in ["/tables/notes/docs", "/tables/notes/docs?order=age", "/tables/notes/docs?owner=eq.ann"] {
        assert_eq!(
            body(&service.get(&ann, path).await),
            json!([{"epoch_time": 1, "owner": "ann"}]),
            "{path}"
        );
    }
    problem(&service.get(&ann, "/tables/notes/docs/2").await, 404, "no-such-document");
}

#[tokio::test]
async fn a_preview_shows_what_would_be_done() {
    let rules = json!([{"table": "t", "roles": "user", "read": true, "change": "owner=eq.{sub}",
        "delete": "owner=eq.{sub}", "hide": ["secret"], "set": {"by": "{sub}"}}]);
    let service = Ruled::start(rules, &["t"]).await;
    let ann = of("ann", &["user"]);
    let rows = json!([{"id": 1, "owner": "ann", "secret": 1}, {"id": 2, "owner": "bob", "secret": 2},
        {"id": 3, "owner": "ann", "n": 1, "by": "ann"}]);
    let counts = |replaced: u64, unchanged: u64, deleted: u64, errors: u64| {
        let done = json!({"replaced": replaced, "unchanged": unchanged, "deleted": deleted});
        let mut counts = done.as_object().unwrap().clone();
        counts.extend([("skipped".to_owned(), json!(0)), ("errors".to_owned(), json!(errors))]);
        let refusal = json!({"code": "forbidden", "detail": "You may not do this."});
        counts.insert("first_error".to_owned(), refusal);
        Value::Object(counts)
    };
    for (method, sent, expected) in [
        ("PATCH", json!({"n": 1}), counts(1, 1, 0, 1)),
        ("PATCH", json!({"owner": "bob"}), Value::Null),
        ("DELETE", Value::Null, counts(0, 0, 2, 1)),
    ] {
        let sent = if sent.is_null() { String::new() } else { sent.to_string() };
        let told_of = async |filter: &str, prefer: &str| {
            service.fill("t", &rows).await;
            let path = format!("/tables/t/docs?{filter}");
            let answer = service.send(&ann, (method, &path), &[("prefer", prefer)], &sent).await;
            (answer.status().as_u16(), if answer.status() == 200 { body(&answer) } else { Value::Null })
        };
        let told = async |prefer: &str| told_of("all=true", prefer).await;
        let (done, shown) = (told("").await, told("tx=rollback").await);
        assert_eq!(service.all("t").await, *rows.as_array().unwrap(), "{method} {sent}");
        assert_eq!(done, shown, "{method} {sent}");
        assert_eq!(shown.1, expected, "{method} {sent}");
        // With documents that are refused, there are counts instead of the others.
        assert_eq!(told("return=representation").await, done, "{method} {sent}");
        assert_eq!(told("tx=rollback, return=representation").await, done, "{method} {sent}");
        let shown = told_of("owner=eq.ann", "tx=rollback, return=representation").await;
        assert!(!shown.1.to_string().contains("secret"), "{shown:?}");
        if method == "PATCH" && shown.0 == 200 {
            let ids: Vec<_> = shown.1.as_array().unwrap().iter().map(|it| (&it["id"], &it["by"])).collect();
            assert_eq!(ids, [(&json!(1), &json!("ann")), (&json!(3), &json!("ann"))], "{}", shown.1);
        }
    }
}

#[tokio::test]
async fn all_members_of_a_claim_are_needed() {
    let rules = json!([{"table": "t", "roles": "user", "read": "teams=all.({teams})"}]);
    let service = Ruled::start(rules, &["t"]).await;
    let [one, more, other] = [json!(["a"]), json!(["a", "b", "c"]), json!(["b"])];
    let documents = json!([{"id": 1, "teams": one}, {"id": 2, "teams": more}, {"id": 3, "teams": other}]);
    service.fill("t", &documents).await;
    let ids = async |teams: Value| {
        let answer =
            service.get(&token(json!({"role": "user", "teams": teams})), "/tables/t/docs?select=id").await;
        if answer.status() == 200 { body(&answer) } else { json!(answer.status().as_u16()) }
    };
    assert_eq!(ids(json!(["a", "b"])).await, json!([{"id": 2}]));
    assert_eq!(ids(json!(["a"])).await, json!([{"id": 1}, {"id": 2}]));
    assert_eq!(ids(json!("b")).await, json!([{"id": 2}, {"id": 3}]));
    // Whoever is in no team is not in all of them.
    assert_eq!(ids(json!([])).await, json!(403));
    assert_eq!(ids(Value::Null).await, json!(403));
}
