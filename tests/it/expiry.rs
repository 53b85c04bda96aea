//! Documents that expire: as good as gone for everybody, and then deleted.

use reql::r;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use warp_reql::settings::{Expire, Settings, TableSpec};
use warp_reql::{Conn, bootstrap, sweep};

use crate::support::events::Events;
use crate::support::{Api, Home, PATIENCE, body, problem};

const DOCS: &str = "/tables/visits/docs";
/// Long ago, and long after this.
const PAST: u64 = 1_000_000_000;
const FUTURE: u64 = 32_000_000_000;

fn time(seconds: impl Into<Value>) -> Value {
    json!({"$reql_type$": "TIME", "epoch_time": seconds.into(), "timezone": "+00:00"})
}

fn spec(after: u64) -> TableSpec {
    let expire = Expire { field: "until".to_owned(), after: std::time::Duration::from_secs(after) };
    TableSpec { expire: Some(expire), ..TableSpec::new("visits") }
}

async fn api(after: u64) -> Api {
    let home = Home::start().await;
    bootstrap::once(&home.database(), &[spec(after)]).await.unwrap();
    Api::in_home(home, |settings| Settings { tables: vec![spec(after)], ..settings }).await
}

/// Puts documents there behind the back of the service.
async fn store(api: &Api, documents: Value) {
    let mut conn = Conn::new(api.database.clone());
    conn.write(r.table("visits").insert(documents)).await.unwrap();
}

async fn count(api: &Api) -> u64 {
    Conn::new(api.database.clone()).first(r.table("visits").count()).await.unwrap().unwrap()
}

/// An expired document, one that expires later, and those that never do.
async fn visits(api: &Api) {
    let never =
        [json!({"id": 3, "n": 1}), json!({"id": 4, "n": 1, "until": null}), json!({"id": 5, "until": "x"})];
    let timed =
        [json!({"id": 1, "n": 1, "until": time(PAST)}), json!({"id": 2, "n": 1, "until": time(FUTURE)})];
    store(api, json!([timed.as_slice(), never.as_slice()].concat())).await;
}

#[tokio::test]
async fn what_has_expired_is_never_shown() {
    let api = api(0).await;
    visits(&api).await;
    for (query, ids) in [
        ("select=id", json!([2, 3, 4, 5])),
        ("select=id&n=eq.1&order=id.desc", json!([4, 3, 2])),
        ("select=id&order=until", json!([2, 5, 3, 4])),
        ("select=id&id=in.(1,2)", json!([2])),
    ] {
        let ids: Vec<_> = ids.as_array().unwrap().iter().map(|id| json!({ "id": id })).collect();
        assert_eq!(body(&api.call("GET", &format!("{DOCS}?{query}")).await), json!(ids), "{query}");
    }
    let grouped = body(&api.call("GET", &format!("{DOCS}?group=n&agg=count")).await);
    assert_eq!(grouped, json!([{"group": null, "count": 1}, {"group": 1, "count": 3}]));
    let counted = api.with("GET", &format!("{DOCS}?limit=1"), &[("prefer", "count=exact")], b"").await;
    assert_eq!(counted.headers()["x-total-count"], "4");
    problem(&api.call("GET", &format!("{DOCS}/1")).await, 404, "no-such-document");
    assert_eq!(api.call("GET", &format!("{DOCS}/2")).await.status(), 200);
    let lines = api.with("GET", DOCS, &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(lines.body().iter().filter(|byte| **byte == b'\n').count(), 4);
    let csv = api.with("GET", &format!("{DOCS}?select=id"), &[("accept", "text/csv")], b"").await;
    assert_eq!(&csv.body()[..], b"id\r\n2\r\n3\r\n4\r\n5\r\n");
}

#[tokio::test]
async fn writes_take_it_for_gone() {
    let api = api(0).await;
    let expired = |id: u64| json!({"id": id, "old": true, "until": time(PAST)});
    store(&api, json!((1..=8).map(expired).collect::<Vec<_>>())).await;
    let new = json!({"n": 1});
    problem(&api.send("PATCH", &format!("{DOCS}/1"), &new).await, 404, "no-such-document");
    problem(&api.call("DELETE", &format!("{DOCS}/1")).await, 404, "no-such-document");
    let put = api.send("PUT", &format!("{DOCS}/1"), &new).await;
    assert_eq!((put.status().as_u16(), body(&put)), (201, json!({"id": 1, "n": 1})));
    let only_new = [("if-none-match", "*")];
    let put = api.with("PUT", &format!("{DOCS}/2"), &only_new, new.to_string().as_bytes()).await;
    assert_eq!(put.status(), 201, "{:?}", put.body());
    let posted = api.send("POST", DOCS, &json!({"id": 3, "n": 1})).await;
    assert_eq!((posted.status().as_u16(), body(&posted)), (201, json!({"id": 3, "n": 1})));
    problem(&api.send("POST", DOCS, &json!({"id": 3, "n": 2})).await, 409, "conflict");
    for (id, resolution) in [(4, "resolution=merge-duplicates"), (5, "resolution=replace-duplicates")] {
        let sent = json!([{"id": id, "n": 1}]).to_string();
        let posted = api.with("POST", DOCS, &[("prefer", resolution)], sent.as_bytes()).await;
        assert_eq!(posted.status(), 201, "{:?}", posted.body());
        assert_eq!(body(&api.call("GET", &format!("{DOCS}/{id}")).await), json!({"id": id, "n": 1}));
    }
    let all = api.send("PATCH", &format!("{DOCS}?all=true"), &json!({"m": 1})).await;
    assert_eq!(body(&all)["replaced"], 5);
    let all = api.call("DELETE", &format!("{DOCS}?all=true")).await;
    assert_eq!(body(&all)["deleted"], 5);
    assert_eq!(count(&api).await, 3, "what has expired isn't theirs to delete");
}

#[tokio::test]
async fn two_services_delete_it_together() {
    let api = api(60).await;
    let documents: Vec<_> = (0..1000).map(|id| json!({"id": id, "until": time(PAST)})).collect();
    store(&api, json!(documents)).await;
    store(&api, json!([{"id": "alive", "until": time(FUTURE)}, {"id": "none"}])).await;
    let other = Api::of(api.app.clone());
    let mut sweeping = JoinSet::new();
    for app in [api.app.clone(), other.app.clone()] {
        sweeping.spawn(sweep::run(app));
    }
    // What is deleted is counted a moment later.
    let told = async {
        let expected = "warp_reql_expired_documents_total{table=\"visits\"} 1000\n";
        while !String::from_utf8_lossy(api.call("GET", "/metrics").await.body()).contains(expected) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE * 3, told).await.expect("all of it is deleted, and counted once");
    assert_eq!(count(&api).await, 2);
}

#[tokio::test]
async fn a_live_query_tells_that_it_goes() {
    let api = api(0).await;
    visits(&api).await;
    let serving = api.serve().await;
    let mut events = Events::open(serving.addr, &format!("{DOCS}?n=eq.1")).await;
    let mut ids = Vec::new();
    while ids.len() < 3 {
        ids.extend(events.change().await.2["id"].as_u64());
    }
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4], "what has expired isn't there");
    let soon = json!({"until": time(0)});
    let soon = soon.to_string().replace("\"epoch_time\":0", &format!("\"epoch_time\":{}", now() + 1.0));
    let changed = api.with("PATCH", &format!("{DOCS}/2"), &[], soon.as_bytes()).await;
    assert_eq!(changed.status(), 200, "{:?}", changed.body());
    let mut sweeping = JoinSet::new();
    sweeping.spawn(sweep::run(api.app.clone()));
    let removed = async {
        loop {
            let (name, old, _) = events.change().await;
            if name == "remove" {
                return old["id"].clone();
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, removed).await.expect("it is told"), 2);
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}
