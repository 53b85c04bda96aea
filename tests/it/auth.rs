//! HTTP authentication by the database: users of different permissions, and none that gets another's session.

use std::time::Duration;

use crate::support::guarded::{Guarded, basic};
use crate::support::{PATIENCE, body, header, problem};
use serde_json::{Value, json};
use warp_reql::Conn;
use warp_reql::settings::{Limits, Rdb, Settings};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";

#[tokio::test]
async fn who_says_nothing_of_himself_is_asked_to() {
    let Guarded { api, .. } = Guarded::start(|rdb| rdb).await;
    for (method, path) in
        [("GET", "/tables"), ("GET", DOC), ("PUT", DOC), ("DELETE", "/tables/heroes"), ("POST", DOCS)]
    {
        let response = api.call(method, path).await;
        problem(&response, 401, "unauthorized");
        assert_eq!(header(&response, "www-authenticate"), "Basic realm=\"warp-reql\", charset=\"UTF-8\"");
    }
    for wrong in ["Bearer x", "Basic", "Basic =", "Basic Og=="] {
        problem(&api.with("GET", DOC, &[("authorization", wrong)], b"").await, 401, "unauthorized");
    }
    assert_eq!(api.database.stats().opened, 0, "none of it concerns the database");
}

#[tokio::test]
async fn what_tells_of_the_service_asks_nobody_for_a_name() {
    let Guarded { api, .. } = Guarded::start(|rdb| rdb).await;
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(api.call("GET", path).await.status(), 200, "{path}");
    }
    assert_eq!(api.call("OPTIONS", DOC).await.status(), 204);
}

#[tokio::test]
async fn permissions_are_the_users() {
    let guarded = Guarded::start(|rdb| rdb).await;
    assert_eq!(guarded.send("writer", "PUT", DOC, "{\"name\": \"x\"}").await.status(), 201);
    assert_eq!(body(&guarded.send("reader", "GET", DOC, "").await)["name"], "x");
    problem(&guarded.send("reader", "PUT", DOC, "{\"name\": \"y\"}").await, 403, "forbidden");
    problem(&guarded.send("reader", "DELETE", DOC, "").await, 403, "forbidden");
    problem(&guarded.send("writer", "POST", "/tables", "{\"name\": \"mine\"}").await, 403, "forbidden");
    assert_eq!(body(&guarded.send("reader", "GET", DOC, "").await)["name"], "x");
    let admin = guarded
        .api
        .with("POST", "/tables", &[("authorization", &basic("admin", ""))], b"{\"name\":\"t\"}")
        .await;
    assert_eq!(admin.status(), 201);
}

#[tokio::test]
async fn live_queries_are_the_users_too() {
    let guarded = Guarded::start(|rdb| rdb).await;
    guarded.set("stranger", json!({"password": "stranger's"})).await;
    for path in [DOCS, DOC, "/tables/heroes/changes"] {
        for (who, status, code) in [("stranger", 403, "forbidden"), ("nobody", 401, "unauthorized")] {
            let authorization = guarded.basic(who, &format!("{who}'s"));
            let headers = [("authorization", authorization.as_str()), ("accept", "text/event-stream")];
            problem(&guarded.api.with("GET", path, &headers, b"").await, status, code);
        }
    }
}

#[tokio::test]
async fn wrong_passwords_and_unknown_users_look_the_same() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let api = &guarded.api;
    let mut answers = Vec::new();
    for (user, password) in
        [("reader", "wrong"), ("nobody", "reader's"), ("reader", ""), ("reader", "writer's")]
    {
        let response = api
            .with(
                "GET",
                DOC,
                &[("authorization", &guarded.basic(user, password)), ("x-request-id", "same")],
                b"",
            )
            .await;
        let mut problem = problem(&response, 401, "unauthorized");
        problem["cause"].take();
        answers.push(problem);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let stats = api.database.stats();
    assert_eq!((stats.in_use, stats.opened), (0, stats.closed), "{stats:?}");
}

#[tokio::test]
async fn sessions_never_cross_users() {
    // All that would make crossing possible: sessions that stand by and are reused, and one connection for
    // all.
    let eager = |rdb| Rdb { standby: 1, max_age: Duration::from_secs(60), max_connections: 2, ..rdb };
    let guarded = Guarded::start(eager).await;
    for _ in 0..5 {
        assert_eq!(guarded.api.call("GET", "/health/ready").await.status(), 200);
        assert!(guarded.send("writer", "PUT", DOC, "{}").await.status().is_success());
        problem(&guarded.send("reader", "PUT", DOC, "{}").await, 403, "forbidden");
        problem(&guarded.send("nobody", "GET", DOC, "").await, 401, "unauthorized");
        let stats = guarded.api.database.stats();
        assert!(stats.opened - stats.closed <= 2, "the limit spans all: {stats:?}");
    }
}

#[tokio::test]
async fn a_changed_password_and_a_deleted_user_count_at_once() {
    let reusing = |rdb| Rdb { standby: 2, max_age: Duration::from_secs(60), ..rdb };
    let guarded = Guarded::start(reusing).await;
    assert_eq!(guarded.send("writer", "PUT", DOC, "{}").await.status(), 201);
    guarded.set("writer", json!({"password": "new"})).await;
    problem(&guarded.send("writer", "GET", DOC, "").await, 401, "unauthorized");
    let renewed =
        guarded.api.with("GET", DOC, &[("authorization", &guarded.basic("writer", "new"))], b"").await;
    assert_eq!(renewed.status(), 200);
    assert_eq!(guarded.send("reader", "GET", DOC, "").await.status(), 200);
    guarded.set("reader", Value::Null).await;
    problem(&guarded.send("reader", "GET", DOC, "").await, 401, "unauthorized");
}

#[tokio::test]
async fn users_wait_for_the_same_connections() {
    let narrow = |rdb| Rdb { max_connections: 1, acquire_timeout: PATIENCE, ..rdb };
    let guarded = Guarded::start(narrow).await;
    guarded.send("writer", "PUT", DOC, "{}").await;
    let all = (0..8).map(|n| guarded.send(if n % 2 == 0 { "reader" } else { "writer" }, "GET", DOC, ""));
    for response in futures_util::future::join_all(all).await {
        assert_eq!(response.status(), 200);
    }
    let stats = guarded.api.database.stats();
    assert_eq!((stats.in_use, stats.refused), (0, 0), "{stats:?}");
}

#[tokio::test]
async fn odd_names_are_just_unknown() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let api = &guarded.api;
    let reader = guarded.name("reader");
    let (disguised, continued) = (format!("n={reader}"), format!("{reader},r=x"));
    for user in ["a,b=c", "nul\0", "\u{1f9b8}", &"x".repeat(2000), &disguised, &continued] {
        let response = api.with("GET", DOC, &[("authorization", &basic(user, "p:w"))], b"").await;
        problem(&response, 401, "unauthorized");
    }
}

/// Every kind of request about tables, with a body that would do.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("GET", "/tables", ""),
    ("HEAD", "/tables", ""),
    ("POST", "/tables", "{\"name\":\"walked\"}"),
    ("GET", "/tables/heroes", ""),
    ("HEAD", "/tables/heroes", ""),
    ("DELETE", "/tables/walked", ""),
    ("GET", "/tables/heroes/indexes", ""),
    ("GET", "/tables/heroes/indexes/pin", ""),
    ("PUT", "/tables/heroes/indexes/pin", "{\"fields\":[\"pin\"]}"),
    ("DELETE", "/tables/heroes/indexes/pin", ""),
    ("GET", DOCS, ""),
    ("HEAD", DOCS, ""),
    ("GET", "/tables/heroes/docs?pin=eq.1", ""),
    ("GET", "/tables/heroes/docs?index=pin&pin=eq.1", ""),
    ("GET", "/tables/heroes/docs?index=nope", ""),
    ("GET", "/tables/heroes/docs?limit=0", ""),
    ("GET", "/tables/heroes/docs?limit=nonsense", ""),
    ("GET", "/tables/heroes/docs?group=pin", ""),
    ("GET", "/tables/heroes/docs?agg=count", ""),
    ("GET", "/tables/heroes/changes", ""),
    ("GET", "/tables/heroes/changes?limit=2&order=pin", ""),
    ("GET", "/tables/heroes/changes?order=nonsense", ""),
    ("POST", DOCS, "{\"id\":\"walked\"}"),
    ("POST", DOCS, "[{\"id\":\"walked\"}]"),
    ("POST", DOCS, "[]"),
    ("POST", DOCS, ""),
    ("POST", DOCS, "nonsense"),
    ("PATCH", "/tables/heroes/docs?pin=eq.2", "{}"),
    ("PATCH", DOCS, "{}"),
    ("DELETE", "/tables/heroes/docs?pin=eq.2", ""),
    ("GET", DOC, ""),
    ("HEAD", DOC, ""),
    ("PUT", DOC, "{\"pin\":1}"),
    ("PUT", DOC, "nonsense"),
    ("PATCH", DOC, "{\"id\":\"other\"}"),
    ("PATCH", DOC, "{\"pin\":2}"),
    ("DELETE", DOC, ""),
];

/// Headers that lead a request another way.
const WAYS: &[&[(&str, &str)]] = &[
    &[],
    &[("prefer", "explain")],
    &[("prefer", "count=exact")],
    &[("prefer", "return=minimal")],
    &[("accept", "application/x-ndjson")],
    &[("accept", "application/x-ndjson, application/json"), ("prefer", "explain")],
    &[("accept", "text/event-stream")],
    &[("accept", "text/event-stream"), ("last-event-id", "1")],
    &[("idempotency-key", "k")],
    &[("if-match", "\"x\"")],
    &[("if-none-match", "*")],
];

#[tokio::test]
async fn every_request_asks_the_database_who_it_is_from() {
    // There are hundreds of wrong ones.
    let limits = Limits { guesses: 1_000_000, ..Limits::default() };
    let guarded = Guarded::with(|settings| Settings { limits, ..settings }).await;
    // One round of hashing is enough: none of the thousands of hashes is about its cost.
    for user in ["stranger", "writer"] {
        let password = json!({"password": format!("{user}'s"), "iterations": 1});
        guarded.set(user, json!({"password": password})).await;
    }
    let admin = basic("admin", "");
    let ask = async |authorization: Option<&str>, method, path, way: &[(&str, &str)], sent: &str| {
        let own = authorization.map(|value| ("authorization", value));
        let kind =
            ("content-type", if sent.starts_with('{') { "application/json" } else { "application/x-ndjson" });
        let headers: Vec<_> = own.into_iter().chain([kind]).chain(way.iter().copied()).collect();
        // A live query that is let in doesn't end: that it begins is answer enough.
        guarded.api.with(method, path, &headers, sent.as_bytes()).await
    };
    let made = ask(Some(&admin), "PUT", "/tables/heroes/indexes/pin", &[], "{\"fields\":[\"pin\"]}").await;
    assert_eq!(made.status(), 201);
    for warm in [false, true] {
        for (method, path, sent) in REQUESTS {
            for way in WAYS {
                if warm {
                    // Whatever can be remembered of the table is.
                    let list = ask(Some(&admin), "GET", "/tables/heroes/docs?pin=eq.1", &[], "").await;
                    assert_eq!(list.status(), 200);
                }
                for (who, authorization) in [
                    ("nobody at all", None),
                    ("no such user", Some(basic("nobody", "wrong"))),
                    ("a wrong password", Some(guarded.basic("writer", "wrong"))),
                ] {
                    let response = ask(authorization.as_deref(), method, path, way, sent).await;
                    let at = format!("{who}: {method} {path} {way:?} {sent}, warm: {warm}");
                    assert_eq!(response.status(), 401, "{at}: {:?}", response.body());
                    assert!(*method == "HEAD" || body(&response)["code"] == "unauthorized", "{at}");
                }
                let stranger = guarded.basic("stranger", "stranger's");
                let response = ask(Some(&stranger), method, path, way, sent).await;
                let text = String::from_utf8_lossy(response.body()).into_owned();
                let at = format!("{method} {path} {way:?} {sent}, warm: {warm}: {text}");
                let refused = response.status().is_client_error();
                // The list of tables is of those that the user may see.
                assert!(refused || *path == "/tables" && !text.contains("heroes"), "{at}");
                assert!(!text.contains("\"index\":"), "{at}");
            }
        }
    }
    let kept: Vec<Value> = Conn::new(guarded.admin.clone()).all(reql::r.table("heroes")).await.unwrap();
    assert!(kept.is_empty(), "nobody who may not has written anything");
    // And those who may are let in, whether anything is remembered or not.
    for _ in 0..2 {
        for way in [&[][..], &[("prefer", "explain")]] {
            let authorization = guarded.basic("reader", "reader's");
            let response = ask(Some(&authorization), "GET", "/tables/heroes/docs?pin=eq.1", way, "").await;
            assert_eq!(response.status(), 200, "{:?}", response.body());
        }
        let writer = guarded.basic("writer", "writer's");
        assert_eq!(ask(Some(&writer), "POST", DOCS, &[], "").await.status(), 201, "nothing is a bulk insert");
    }
}

#[tokio::test]
async fn a_lost_permission_counts_at_once_even_where_nothing_is_queried() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let explain = async || {
        let authorization = guarded.basic("writer", "writer's");
        let headers = [("authorization", authorization.as_str()), ("prefer", "explain")];
        guarded.api.with("GET", "/tables/heroes/docs?group=a", &headers, b"").await
    };
    assert_eq!(explain().await.status(), 200);
    assert_eq!(guarded.send("writer", "POST", DOCS, "[]").await.status(), 201);
    guarded.permit("writer", json!({"read": true, "write": false})).await;
    assert_eq!(explain().await.status(), 200);
    problem(&guarded.send("writer", "POST", DOCS, "[]").await, 403, "forbidden");
    guarded.permit("writer", json!({"read": false, "write": false})).await;
    problem(&explain().await, 403, "forbidden");
}
