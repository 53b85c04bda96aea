//! Side channels: no answer may depend on what is hidden from its caller.

use std::time::Duration;

use serde_json::{Value, json};

use super::worlds::{Worlds, documents, rules, told};
use super::{Ruled, now, of, token};
use crate::support::events::Events;
use crate::support::{body, problem};

#[tokio::test]
async fn reading_tells_of_nothing_that_is_hidden() {
    let mut worlds = Worlds::start(&["n", "tag", "owner", "secret", "w"]).await;
    let queries = [
        "",
        "n=gt.0",
        "n=gte.1&limit=1",
        "w=eq.alpha",
        "w=has",
        "w=not.has",
        "or=(w=eq.alpha,tag=eq.x)",
        "tag=in.(x,y)",
        "tag=match.x",
        "owner=eq.you",
        "owner=not.eq.me",
        "owner=ne.me",
        "id=eq.o1",
        "id=in.(o1,m1)",
        "secret=has",
        "secret=eq.alpha",
        "secret=not.eq.alpha",
        "secret=match.al",
        "deep.er=eq.1",
        "deep=has",
        "or=(secret=has,tag=has)",
        "order=n",
        "order=n.desc",
        "order=w",
        "order=secret",
        "order=deep.er",
        "order=tag,n.desc&limit=2",
        "order=id.desc",
        "select=id",
        "select=secret",
        "select=id,deep",
        "select=deep.er",
        "select=owner,w",
        "omit=id",
        "omit=deep.w",
        "group=tag",
        "group=owner",
        "group=secret",
        "group=w",
        "agg=count",
        "agg=max(n),min(n),sum(n),avg(n)",
        "agg=max(secret)",
        "agg=min(w)",
        "group=tag&agg=count,max(n)",
        "offset=1",
        "offset=3",
        "limit=2",
        "limit=2&offset=2",
        "cursor=%5B%22m1%22%5D",
        "cursor=%5B%22n0%22%5D",
        "order=n&cursor=%5B1,%22m1%22%5D",
        "order=n&cursor=%5B0.05,%22o0%22%5D",
        "order=n&cursor=%5Bnull,%22m1%22%5D",
        "order=secret&cursor=%5B%22b%22,%22m1%22%5D",
        "index=n&n=gt.0",
        "index=secret&secret=eq.alpha",
        "index=w&w=gte.a",
        "index=owner&owner=eq.you",
        "index=nothing",
        "expand=u",
        "a=near.(1,2,3m)",
        "where.w=has",
    ];
    let ways: [&[(&str, &str)]; 6] = [
        &[],
        &[("prefer", "count=exact")],
        &[("prefer", "explain")],
        &[("accept", "application/x-ndjson")],
        &[("accept", "text/csv")],
        &[("if-none-match", "\"x\""), ("accept", "application/json")],
    ];
    for query in queries {
        for way in ways {
            worlds.same(("GET", &format!("/tables/t/docs?{query}")), way, "").await;
        }
    }
    for id in ["m1", "m3", "o1", "o30", "zz", "%22o1%22", "1"] {
        for query in ["", "?select=secret", "?select=deep", "?omit=n", "?select=w"] {
            for way in [&[][..], &[("if-none-match", "*")], &[("if-match", "*")], &[("if-match", "\"x\"")]] {
                worlds.same(("GET", &format!("/tables/t/docs/{id}{query}")), way, "").await;
                worlds.same(("HEAD", &format!("/tables/t/docs/{id}{query}")), way, "").await;
            }
        }
    }
    for path in [
        "/openapi.json",
        "/docs",
        "/tables",
        "/tables/t",
        "/tables/t/indexes",
        "/tables/t/indexes/secret",
        "/reql",
    ] {
        worlds.same(("GET", path), &[], "").await;
    }
}

#[tokio::test]
async fn writing_tells_of_nothing_that_is_hidden() {
    let mut worlds = Worlds::start(&[]).await;
    let prefers = [
        "return=representation",
        "return=minimal",
        "resolution=merge-duplicates",
        "resolution=replace-duplicates",
    ];
    for (method, path, sent) in [
        ("PATCH", "/tables/t/docs/m1", json!({"n": 5})),
        ("PATCH", "/tables/t/docs/m1", json!({"owner": "you"})),
        ("PATCH", "/tables/t/docs/m1", json!({"secret": null})),
        ("PATCH", "/tables/t/docs/m1", json!({"deep": null})),
        ("PATCH", "/tables/t/docs/m1", json!({"deep": {"w": 2}})),
        ("PATCH", "/tables/t/docs/o1", json!({"n": 5})),
        ("PATCH", "/tables/t/docs/o1", json!({"owner": "me"})),
        ("PATCH", "/tables/t/docs/zz", json!({"n": 5})),
        ("PUT", "/tables/t/docs/m1", json!({"owner": "me"})),
        ("PUT", "/tables/t/docs/m1", json!({"owner": "you"})),
        ("PUT", "/tables/t/docs/m2", json!({"owner": "me", "deep": {}})),
        ("PUT", "/tables/t/docs/o1", json!({"owner": "you"})),
        ("PUT", "/tables/t/docs/zz", json!({"owner": "me"})),
        ("PUT", "/tables/t/docs/zz", json!({"owner": "you"})),
        ("DELETE", "/tables/t/docs/m1", Value::Null),
        ("DELETE", "/tables/t/docs/o1", Value::Null),
        ("DELETE", "/tables/t/docs/zz", Value::Null),
        ("PATCH", "/tables/t/docs?tag=eq.x", json!({"n": 9})),
        ("PATCH", "/tables/t/docs?w=eq.alpha", json!({"n": 9})),
        ("PATCH", "/tables/t/docs?secret=has", json!({"n": 9})),
        ("PATCH", "/tables/t/docs?all=true", json!({"owner": "you"})),
        ("DELETE", "/tables/t/docs?all=true", Value::Null),
        ("DELETE", "/tables/t/docs?owner=eq.you", Value::Null),
        ("DELETE", "/tables/t/docs?secret=eq.alpha", Value::Null),
        ("POST", "/tables/t/docs", json!({"id": "m1", "owner": "me"})),
        ("POST", "/tables/t/docs", json!({"id": "o1", "owner": "you"})),
        ("POST", "/tables/t/docs", json!({"id": "zz", "owner": "me"})),
        (
            "POST",
            "/tables/t/docs",
            json!([{"id": "m1", "owner": "me"}, {"id": "o1", "owner": "you"}, {"id": "m9", "owner": "me"}]),
        ),
        (
            "POST",
            "/tables/t/docs",
            json!([{"id": "m1", "owner": "me", "secret": 1}, {"id": "m2", "owner": "me", "deep": {"er": 1}}]),
        ),
    ] {
        let sent = if sent.is_null() { String::new() } else { sent.to_string() };
        for prefer in prefers {
            for condition in [
                &[][..],
                &[("if-match", "*")],
                &[("if-none-match", "*")],
                &[("if-match", "\"x\"")],
                &[("if-none-match", "\"x\"")],
            ] {
                let headers: Vec<_> =
                    [("prefer", prefer)].into_iter().chain(condition.iter().copied()).collect();
                worlds.same((method, path), &headers, &sent).await;
            }
        }
    }
}

/// An id that is taken can't be taken again. That is told, as it has to be, and nothing else.
#[tokio::test]
async fn of_an_id_that_is_taken_only_that_is_told() {
    let service = Ruled::start(rules(), &["t"]).await;
    let me = of("me", &["user"]);
    for (prefer, status, code) in [
        ("", 409, "conflict"),
        ("resolution=merge-duplicates", 403, "forbidden"),
        ("resolution=replace-duplicates", 403, "forbidden"),
    ] {
        service.fill("t", &documents(0)).await;
        let before = service.all("t").await;
        let sent = json!({"id": "o1", "owner": "me"}).to_string();
        let answer = service.send(&me, ("POST", "/tables/t/docs"), &[("prefer", prefer)], &sent).await;
        let text = problem(&answer, status, code).to_string();
        assert!(!text.contains("you") && !text.contains("alpha"), "{text}");
        let answer =
            service.send(&me, ("POST", "/tables/t/docs"), &[("prefer", prefer)], &format!("[{sent}]")).await;
        assert_eq!(body(&answer)[0]["status"], status, "{:?}", answer.body());
        assert!(!told(&answer).contains("you") && !told(&answer).contains("alpha"), "{:?}", answer.body());
        problem(&service.send(&me, ("PUT", "/tables/t/docs/o1"), &[], &sent).await, 403, "forbidden");
        assert_eq!(service.all("t").await, before);
    }
}

#[tokio::test]
async fn a_key_replays_nobody_elses_answer() {
    let rules = json!([
        {"table": "t", "roles": ["user", "demoted"], "create": true},
        {"table": "t", "roles": ["user"], "read": true},
    ]);
    let service = Ruled::start(rules, &["t"]).await;
    let key = [("idempotency-key", "k")];
    let sent = "{\"text\":\"mine\"}";
    let post = async |token: String| service.send(&token, ("POST", "/tables/t/docs"), &key, sent).await;
    let first = post(of("ann", &["user"])).await;
    assert_eq!(first.status(), 201);
    let again = post(of("ann", &["user"])).await;
    assert_eq!(
        (again.headers()["idempotency-replayed"].as_bytes(), body(&again)),
        (&b"true"[..], body(&first))
    );
    for other in [of("bob", &["user"]), of("ann", &["demoted"])] {
        let answer = post(other).await;
        assert!(answer.status() == 201 && !answer.headers().contains_key("idempotency-replayed"));
        assert_ne!(answer.headers()["location"], first.headers()["location"]);
    }
    assert_eq!(post(of("ann", &["none"])).await.status(), 403);
    assert_eq!(post(String::new()).await.status(), 401);
    assert_eq!(post(token(json!({"sub": "ann", "role": "user", "exp": now() - 60}))).await.status(), 401);
    assert_eq!(service.all("t").await.len(), 3);
}

/// The next event that isn't a comment.
async fn next(events: &mut Events) -> (String, Value) {
    loop {
        let event = events.any().await.expect("the stream goes on");
        if event.comment.is_none() && !event.name.is_empty() {
            return (event.name, event.data);
        }
    }
}

#[tokio::test]
async fn live_queries_tell_of_what_may_be_read_only() {
    let service = Ruled::start(rules(), &["t"]).await;
    service.fill("t", &documents(0)).await;
    let serving = service.api.serve().await;
    let authorization = format!("Bearer {}", of("me", &["user"]));
    let headers = [("authorization", authorization.as_str()), ("accept", "text/event-stream")];
    let mut list = Events::open_with(serving.addr, "/tables/t/docs", &headers).await;
    let mut one = Events::open_with(serving.addr, "/tables/t/docs/o1", &headers).await;
    assert_eq!((list.status, one.status), (200, 200));
    let mut begun = Vec::new();
    loop {
        let (name, data) = next(&mut list).await;
        if name == "ready" {
            break;
        }
        begun.push(data);
    }
    assert_eq!(begun.len(), 4, "{begun:?}");
    assert!(
        begun.iter().all(|data| data["new"]["secret"].is_null() && data["new"]["deep"]["er"].is_null()),
        "{begun:?}"
    );
    let nothing = ("initial".to_owned(), json!({"old": null, "new": null}));
    assert_eq!(next(&mut one).await, nothing, "a document of others isn't there");
    assert_eq!(next(&mut one).await.0, "ready");
    let update = async |id: &str, change: Value| service.ask(reql::r.table("t").get(id).update(change)).await;
    update("o1", json!({"n": 7})).await;
    update("m1", json!({"secret": "changed"})).await;
    update("o1", json!({"owner": "me"})).await;
    let (name, data) = next(&mut list).await;
    assert_eq!((name.as_str(), &data["new"]["n"]), ("add", &json!(7)), "{data}");
    assert!(data["old"].is_null() && !data.to_string().contains("you"), "{data}");
    let (name, data) = next(&mut one).await;
    assert_eq!((name.as_str(), &data["new"]["id"], &data["old"]), ("add", &json!("o1"), &Value::Null));
    update("o1", json!({"owner": "you", "w": "hidden from now on"})).await;
    for events in [&mut list, &mut one] {
        let (name, data) = next(events).await;
        assert_eq!(
            (name.as_str(), &data["new"], &data["old"]["owner"]),
            ("remove", &Value::Null, &json!("me")),
            "{data}"
        );
    }
    update("o1", json!({"w": "still hidden"})).await;
    update("m2", json!({"n": 8, "secret": "x"})).await;
    let (name, data) = next(&mut list).await;
    assert_eq!(
        (name.as_str(), &data["old"]["n"], &data["new"]["n"]),
        ("change", &json!(2), &json!(8)),
        "{data}"
    );
    assert!(!data.to_string().contains("secret"), "{data}");
}

#[tokio::test]
async fn a_live_query_ends_with_its_token() {
    let service = Ruled::with(rules(), &["t"], |mut settings| {
        settings.token.leeway = Duration::ZERO;
        settings
    })
    .await;
    let serving = service.api.serve().await;
    let short = token(json!({"sub": "me", "role": "user", "exp": now() + 2}));
    let authorization = format!("Bearer {short}");
    let headers = [("authorization", authorization.as_str()), ("accept", "text/event-stream")];
    let mut events = Events::open_with(serving.addr, "/tables/t/docs", &headers).await;
    assert_eq!(next(&mut events).await.0, "ready");
    let (name, data) = next(&mut events).await;
    assert_eq!(
        (name.as_str(), &data["status"], &data["detail"]),
        ("error", &json!(401), &json!("The token has expired."))
    );
    let again = Events::open_with(serving.addr, "/tables/t/docs", &headers).await;
    assert_eq!(again.status, 401);
}
