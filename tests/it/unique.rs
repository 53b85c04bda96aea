//! Unique fields: no two documents get one value, however they are written.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use reql::r;
use serde_json::{Value, json};
use warp_reql::settings::{Auth, Rdb, Settings, TableSpec};
use warp_reql::{Conn, bootstrap};

use crate::support::counted::Counted;
use crate::support::guarded::basic;
use crate::support::{Api, Home, body, problem};

const DOCS: &str = "/tables/users/docs";

fn spec() -> TableSpec {
    TableSpec { unique: vec!["email".to_owned(), "login.name".to_owned()], ..TableSpec::new("users") }
}

async fn api(adapt: impl FnOnce(Settings) -> Settings) -> Api {
    let home = Home::start().await;
    bootstrap::once(&home.database(), &[spec()]).await.unwrap();
    let settings = Settings { tables: vec![spec()], debug: true, rdb: home.rdb(), ..Settings::default() };
    Api { home: Some(home), ..Api::with_settings(adapt(settings)) }
}

async fn claims(api: &Api) -> Vec<Value> {
    let beside = format!("{}_warp_reql", api.database.settings().db);
    Conn::new(api.database.clone()).all(r.db(beside).table("unique_claims")).await.unwrap()
}

async fn statuses(api: &Api, bulk: &Value) -> Vec<u64> {
    let told = body(&api.send("POST", DOCS, bulk).await);
    told.as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_at_once_gets_it() {
    let api = api(|settings| settings).await;
    let posts = (0..50).map(|n| {
        let api = &api;
        async move { api.send("POST", DOCS, &json!({"n": n, "email": "a@b.example"})).await }
    });
    let answers = join_all(posts).await;
    let created = answers.iter().filter(|answer| answer.status() == 201).count();
    let taken = answers.iter().filter(|answer| answer.status() == 409).count();
    assert_eq!((created, taken), (1, 49));
    assert_eq!(claims(&api).await, Vec::<Value>::new(), "nothing is left");
    let refused = answers.iter().find(|answer| answer.status() == 409).unwrap();
    let problem = problem(refused, 409, "not-unique");
    assert_eq!(problem["errors"][0]["pointer"], "/email");
    let id = body(answers.iter().find(|answer| answer.status() == 201).unwrap())["id"].clone();
    assert!(!problem.to_string().contains(id.as_str().unwrap()), "whose it is stays untold");
}

/// With a single connection, nobody may wait for another one while having it.
#[tokio::test]
async fn a_write_that_needs_a_second_connection_waits_for_none_that_it_has() {
    let api = api(|settings| Settings { rdb: Rdb { max_connections: 1, ..settings.rdb }, ..settings }).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let made = api.with("POST", DOCS, &headers, br#"{"id": 1, "email": "a@b.example"}"#).await;
    assert_eq!(made.status(), 201, "{:?}", made.body());
    let many = json!([{"id": 2, "email": "b@b.example"}, {"id": 3, "email": "a@b.example"}]);
    assert_eq!(statuses(&api, &many).await, [201, 409]);
    let changed = api.send("PATCH", &format!("{DOCS}?id=lt.3"), &json!({"email": null})).await;
    assert_eq!((changed.status().as_u16(), &body(&changed)["replaced"]), (200, &json!(2)));
    let moved = api.send("PATCH", &format!("{DOCS}/2"), &json!({"email": "c@b.example"})).await;
    assert_eq!(moved.status(), 200, "{:?}", moved.body());
    assert_eq!(claims(&api).await, Vec::<Value>::new(), "nothing is left");
}

#[tokio::test]
async fn every_write_keeps_to_it() {
    let api = api(|settings| settings).await;
    let sent = json!([
        {"id": 1, "email": "a", "login": {"name": "x"}}, {"id": 2, "email": "a"}, {"id": 3, "email": "b"},
        {"id": 4}, {"id": 5, "email": null}, {"id": 6, "login": {"name": "x"}}, {"id": 7, "email": [1]},
    ]);
    assert_eq!(statuses(&api, &sent).await, [201, 409, 201, 201, 201, 409, 422]);
    let one = format!("{DOCS}/4");
    let patch = [("content-type", "application/json-patch+json")];
    let small = [("content-type", "application/vnd.warp-reql.changes+json")];
    let operations = br#"[{"op": "add", "path": "/email", "value": "a"}]"#;
    problem(&api.send("PUT", &one, &json!({"email": "a"})).await, 409, "not-unique");
    problem(&api.send("PATCH", &one, &json!({"email": "a"})).await, 409, "not-unique");
    problem(&api.send("PATCH", &one, &json!({"login": {"name": "x"}})).await, 409, "not-unique");
    problem(&api.with("PATCH", &one, &patch, operations).await, 409, "not-unique");
    // The database would cut the name, and so make it that of the field.
    let cut = br#"[{"op": "add", "path": "/email\u0000", "value": "a"}]"#;
    problem(&api.with("PATCH", &one, &patch, cut).await, 400, "bad-request");
    problem(&api.with("PATCH", &one, &small, br#"{"set": {"email": "a"}}"#).await, 409, "not-unique");
    let merge = [("prefer", "resolution=merge-duplicates")];
    problem(&api.with("POST", DOCS, &merge, br#"{"id": 4, "email": "a"}"#).await, 409, "not-unique");
    let many = api.send("PATCH", &format!("{DOCS}?id=gte.4"), &json!({"email": "c"})).await;
    assert_eq!((&body(&many)["replaced"], &body(&many)["errors"]), (&json!(1), &json!(1)));
    assert_eq!(body(&many)["first_error"]["code"], "not-unique");
    problem(
        &api.send("PATCH", &format!("{DOCS}?id=in.(4,5)"), &json!({"email": "a"})).await,
        409,
        "not-unique",
    );
    let many = api.send("PATCH", &format!("{DOCS}?all=true"), &json!({"n": 1})).await;
    assert_eq!(body(&many)["replaced"], 4, "other fields are free");
    assert_eq!(api.send("PUT", &format!("{DOCS}/1"), &json!({"email": "a"})).await.status(), 200);
    assert_eq!(api.send("PATCH", &format!("{DOCS}/1"), &json!({"email": "d"})).await.status(), 200);
    assert_eq!(api.send("POST", DOCS, &json!({"email": "a"})).await.status(), 201, "it was given up");
    assert_eq!(api.call("DELETE", &format!("{DOCS}/3")).await.status(), 204);
    assert_eq!(api.send("POST", DOCS, &json!({"email": "b"})).await.status(), 201, "it was deleted");
    problem(&api.send("POST", DOCS, &json!({"email": "d"})).await, 409, "not-unique");
    assert_eq!(claims(&api).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_dead_process_leaves_is_taken_over() {
    let api = api(|settings| settings).await;
    // The only claim that is left is that of a write whose process died right after it.
    assert_eq!(api.send("POST", DOCS, &json!({"id": 1, "email": "a"})).await.status(), 201);
    let beside = format!("{}_warp_reql", api.database.settings().db);
    let mut conn = Conn::new(api.database.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let id = {
        let text = |part: &str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
        let parts = [text("users"), text("email"), text("sb")].concat();
        use sha2::Digest;
        sha2::Sha256::digest(&parts).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let left = json!({"id": id, "table": "users", "field": "email", "value": "b", "document": 2,
        "owner": "dead", "made": now, "until": now + 1.0});
    conn.write(r.db(beside).table("unique_claims").insert(left)).await.unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(api.send("POST", DOCS, &json!({"id": 3, "email": "b"})).await.status(), 201);
    assert!(begun.elapsed().as_millis() > 500, "it waits for the end of the claim");
    assert_eq!(claims(&api).await, Vec::<Value>::new());
    // What was written past the service counts as well.
    conn.write(r.table("users").insert(json!({"id": 9, "email": "z"}))).await.unwrap();
    problem(&api.send("POST", DOCS, &json!({"email": "z"})).await, 409, "not-unique");
}

#[tokio::test]
async fn users_of_the_database_need_no_permission_for_claims() {
    let api = api(|settings| Settings { auth: Auth::Database, ..settings }).await;
    let mut admin = Conn::new(api.database.clone());
    let [writer, reader] = ["writer", "reader"].map(|name| api.home().named(name));
    for (user, may) in [(&writer, json!({"read": true, "write": true})), (&reader, json!({"read": true}))] {
        let row = json!({"id": user, "password": "p"});
        admin.run(r.db("rethinkdb").table("users").insert(row)).await.unwrap();
        admin.run(r.table("users").grant(user.as_str(), may)).await.unwrap();
    }
    let sent = json!({"email": "a"}).to_string();
    let post = async |user: &str| {
        let authorization = basic(user, "p");
        api.with("POST", DOCS, &[("authorization", &authorization)], sent.as_bytes()).await
    };
    assert_eq!(post(&writer).await.status(), 201);
    problem(&post(&writer).await, 409, "not-unique");
    problem(&post(&reader).await, 403, "forbidden");
}

#[tokio::test]
async fn a_batch_is_claimed_by_one_query() {
    let home = Home::start().await;
    bootstrap::once(&home.database(), &[spec()]).await.unwrap();
    let counted = Counted::to(home.addr()).await;
    let rdb = home.rdb_by(counted.addr);
    let settings = Settings { tables: vec![spec()], debug: true, rdb, ..Settings::default() };
    let api = Api { home: Some(home), ..Api::with_settings(settings) };
    let bulk = |first: u64| -> Value {
        (first..first + 200).map(|n| json!({"email": format!("e{n}"), "login": {"name": n}})).collect()
    };
    // The first one makes the table of claims.
    assert_eq!(statuses(&api, &bulk(0)).await, [201; 200]);
    let before = counted.queries();
    assert_eq!(statuses(&api, &bulk(200)).await, [201; 200]);
    let queries = counted.queries() - before;
    // Claims, a look for other documents, the documents, the end of the claims; and, seldom, old claims.
    assert!(queries <= 5, "{queries}");
    assert_eq!(statuses(&api, &bulk(100)).await, [409; 200]);
    assert_eq!(claims(&api).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_at_once_share_the_values_among_them() {
    let api = api(|settings| settings).await;
    let batches = (0..4).map(|batch| {
        let numbers = (0..60).map(move |n| if batch % 2 == 0 { n } else { 59 - n });
        let bulk: Value = numbers.map(|n| json!({"batch": batch, "email": format!("e{n}")})).collect();
        let api = &api;
        async move { statuses(api, &bulk).await }
    });
    let told = join_all(batches).await.concat();
    let count = |status: u64| told.iter().filter(|it| **it == status).count();
    assert_eq!((count(201), count(409)), (60, 180), "{told:?}");
    assert_eq!(claims(&api).await, Vec::<Value>::new());
}
