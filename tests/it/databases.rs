//! Several databases of one server at `/db/{name}/tables`, and that nothing of one gets into another.

use reql::r;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use warp_reql::settings::{Auth, Databases, Expire, RelationSpec, Settings, TableSpec};
use warp_reql::{Conn, bootstrap, sweep};

use crate::access::{ADMIN, Ruled, of};
use crate::support::events::Events;
use crate::support::guarded::basic;
use crate::support::{Api, Home, body, header, problem};

/// The API over a database, and three others: one that is named, one that fits a pattern, one that does not.
struct Several {
    api: Api,
    named: String,
    fitting: String,
    foreign: String,
}

impl Several {
    async fn start(adapt: impl FnOnce(Settings) -> Settings) -> Several {
        let home = Home::start().await;
        let [named, fitting, foreign] = ["a", "tenant_b", "c"].map(|name| home.named(name));
        let mut conn = Conn::new(home.database());
        for name in [&named, &fitting, &foreign] {
            conn.run(r.db_create(name.as_str())).await.unwrap();
        }
        let databases = Databases(vec![named.clone(), home.named("tenant_*")]);
        let settings = Settings { databases, debug: true, rdb: home.rdb(), ..Settings::default() };
        let api = Api { home: Some(home), ..Api::with_settings(adapt(settings)) };
        Several { api, named, fitting, foreign }
    }

    /// The starts of the paths of those that are served.
    fn prefixes(&self) -> [String; 3] {
        [String::new(), format!("/db/{}", self.named), format!("/db/{}", self.fitting)]
    }

    async fn sent(&self, method: &str, path: &str, sent: &Value) -> Value {
        let answer = self.api.send(method, path, sent).await;
        assert!(answer.status().is_success(), "{method} {path}: {:?}", answer.body());
        body(&answer)
    }

    async fn got(&self, path: &str) -> Value {
        let answer = self.api.call("GET", path).await;
        assert_eq!(answer.status(), 200, "{path}: {:?}", answer.body());
        body(&answer)
    }

    /// Makes a table in each, with three documents that tell where they are.
    async fn fill(&self, table: &str) {
        for (at, prefix) in self.prefixes().iter().enumerate() {
            self.sent("POST", &format!("{prefix}/tables"), &json!({"name": table})).await;
            let documents: Vec<_> = (1..=3).map(|n| json!({"id": n, "n": n, "in": at})).collect();
            self.sent("POST", &format!("{prefix}/tables/{table}/docs"), &json!(documents)).await;
        }
    }
}

fn unchanged(settings: Settings) -> Settings {
    settings
}

#[tokio::test]
async fn each_has_tables_of_its_own() {
    let several = Several::start(unchanged).await;
    let api = &several.api;
    for (at, prefix) in several.prefixes().iter().enumerate() {
        let made = api.send("POST", &format!("{prefix}/tables"), &json!({"name": "heroes"})).await;
        assert_eq!(
            (made.status().as_u16(), header(&made, "location")),
            (201, &*format!("{prefix}/tables/heroes"))
        );
        let docs = format!("{prefix}/tables/heroes/docs");
        let made = api.send("POST", &docs, &json!({"id": "a b", "in": at})).await;
        assert_eq!(header(&made, "location"), format!("{docs}/a%20b"));
        let read = api.call("GET", header(&made, "location")).await;
        assert_eq!(body(&read), json!({"id": "a b", "in": at}));
        let index = format!("{prefix}/tables/heroes/indexes/in");
        let made = api.send("PUT", &index, &json!({"fields": ["in"]})).await;
        assert_eq!((made.status().as_u16(), header(&made, "location")), (201, &*index));
    }
    for (at, prefix) in several.prefixes().iter().enumerate() {
        assert_eq!(several.got(&format!("{prefix}/tables/heroes")).await["count"], 1);
        let docs = format!("{prefix}/tables/heroes/docs");
        assert_eq!(several.got(&docs).await, json!([{"id": "a b", "in": at}]));
        let changed = several.sent("PATCH", &format!("{docs}?in=eq.{at}"), &json!({"own": at})).await;
        assert_eq!(changed["replaced"], 1);
        assert_eq!(
            several.got(&format!("{docs}?group=in&agg=count")).await,
            json!([{"group": at, "count": 1}])
        );
    }
    let [_, named, _] = several.prefixes();
    assert_eq!(api.call("DELETE", &format!("{named}/tables/heroes/docs?all=true")).await.status(), 200);
    assert_eq!(api.call("DELETE", &format!("{named}/tables/heroes")).await.status(), 204);
    problem(&api.call("GET", &format!("{named}/tables/heroes/docs")).await, 404, "no-such-table");
    assert_eq!(several.got("/tables").await.as_array().unwrap().len(), 1, "the others are still there");
}

#[tokio::test]
async fn no_other_can_be_reached() {
    let several = Several::start(unchanged).await;
    let api = &several.api;
    let own = format!("{}_warp_reql", several.named);
    let lacking = api.home().named("tenant_none");
    for name in
        [&several.foreign, "rethinkdb", "test", &own, &lacking, &format!("{}_warp_reql", several.fitting)]
    {
        for path in
            ["tables", "tables/users", "tables/users/docs", "tables/users/docs/1", "tables/users/indexes"]
        {
            problem(&api.call("GET", &format!("/db/{name}/{path}")).await, 404, "no-such-database");
        }
        let made = api.send("POST", &format!("/db/{name}/tables"), &json!({"name": "x"})).await;
        problem(&made, 404, "no-such-database");
        let live = [("accept", "text/event-stream")];
        let live = api.with("GET", &format!("/db/{name}/tables/users/docs"), &live, b"").await;
        problem(&live, 404, "no-such-database");
    }
    for name in ["a%20b", "a%2Fb", "%22a%22", "%00"] {
        problem(&api.call("GET", &format!("/db/{name}/tables")).await, 400, "bad-name");
    }
    problem(&api.call("GET", "/db/%2e%2e/tables").await, 400, "bad-request");
    for path in [
        "/db",
        "/db/",
        "/db//tables",
        &format!("/db/{}", several.named),
        &format!("/db/{}/reql", several.named),
    ] {
        problem(&api.call("GET", path).await, 404, "no-such-path");
    }
    let refused = api.call("PUT", &format!("/db/{}/tables", several.named)).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "GET, HEAD, POST"));
    let one = Api::start().await;
    let name = one.database.settings().db.clone();
    problem(&one.call("GET", &format!("/db/{name}/tables")).await, 404, "no-such-path");
}

#[tokio::test]
async fn nothing_known_of_one_is_taken_for_another() {
    let several = Several::start(unchanged).await;
    let api = &several.api;
    // Of another primary key and another index in each, asked in turns, so that a shared cache would tell.
    for (prefix, key) in several.prefixes().iter().zip(["id", "key", "name"]) {
        several.sent("POST", &format!("{prefix}/tables"), &json!({"name": "t", "primary_key": key})).await;
        several
            .sent("PUT", &format!("{prefix}/tables/t/indexes/i"), &json!({"fields": [format!("by_{key}")]}))
            .await;
    }
    for _ in 0..2 {
        for (prefix, key) in several.prefixes().iter().zip(["id", "key", "name"]) {
            let docs = format!("{prefix}/tables/t/docs");
            let path = format!("{docs}/x");
            several.sent("PUT", &path, &json!({"n": 1})).await;
            assert_eq!(several.got(&path).await, json!({key: "x", "n": 1}));
            for of in ["id", "key", "name"] {
                let explained = [("prefer", "explain")];
                let explained = api.with("GET", &format!("{docs}?by_{of}=eq.1"), &explained, b"").await;
                assert_eq!(body(&explained)["index"] == "i", of == key, "{docs} by_{of}");
                let database = prefix.strip_prefix("/db/").map_or(Value::Null, |name| json!(name));
                assert_eq!(body(&explained)["database"], database);
            }
        }
    }
}

#[tokio::test]
async fn pages_lead_on_in_their_own_database() {
    let several = Several::start(unchanged).await;
    several.fill("t").await;
    let mut cursor = String::new();
    for (at, prefix) in several.prefixes().iter().enumerate() {
        let first = several.api.call("GET", &format!("{prefix}/tables/t/docs?limit=2&order=n")).await;
        let link = header(&first, "link").split(['<', '>']).nth(1).unwrap().to_owned();
        assert!(link.starts_with(&format!("{prefix}/tables/t/docs?")), "{link}");
        assert_eq!(several.got(&link).await, json!([{"id": 3, "n": 3, "in": at}]));
        // A cursor is a place in an order, and leads to the same place of another database.
        cursor = link.split_once('?').unwrap().1.to_owned();
    }
    assert_eq!(several.got(&format!("/tables/t/docs?{cursor}")).await[0]["in"], 0);
    // One document of one text has one tag wherever it is, but changes of one leave the others as they were.
    let [own, named, _] = several.prefixes().map(|prefix| format!("{prefix}/tables/t/docs/9"));
    for path in [&own, &named] {
        several.sent("PUT", path, &json!({"same": true})).await;
    }
    let tag = header(&several.api.call("GET", &own).await, "etag").to_owned();
    let changed = several.api.with("PUT", &named, &[("if-match", &tag)], b"{\"same\": false}").await;
    assert_eq!(changed.status(), 200);
    let fresh = several.api.with("GET", &own, &[("if-none-match", &tag)], b"").await;
    assert_eq!(fresh.status(), 304);
    let stale = several.api.with("GET", &named, &[("if-none-match", &tag)], b"").await;
    assert_eq!(body(&stale)["same"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_queries_tell_of_their_own() {
    let several = Several::start(unchanged).await;
    several.fill("t").await;
    let serving = several.api.serve().await;
    let mut all = Vec::new();
    for (at, prefix) in several.prefixes().iter().enumerate() {
        for path in ["docs?n=gt.2", "docs?order=id&limit=5&id=gt.2", "docs/3"] {
            let mut events = Events::open(serving.addr, &format!("{prefix}/tables/t/{path}")).await;
            assert_eq!(events.change().await.2["in"], at);
            let ready = events.next().await.unwrap();
            assert_eq!(ready.name, "ready");
            all.push((at, events, ready.id.unwrap()));
        }
    }
    for (at, prefix) in several.prefixes().iter().enumerate().rev() {
        several.sent("PATCH", &format!("{prefix}/tables/t/docs/3"), &json!({"told": at})).await;
    }
    for (at, events, _) in &mut all {
        let (name, _, new) = events.change().await;
        assert_eq!((name.as_str(), &new["in"], &new["told"]), ("change", &json!(at), &json!(at)));
    }
    // Another database's place in its changes is none in those of this one.
    let elsewhere = all[3].2.clone();
    let path = format!("/tables/t/docs?n=gt.2&lastEventId={elsewhere}");
    let mut events = Events::open(serving.addr, &path).await;
    assert_eq!(events.next().await.unwrap().name, "reset");
    assert_eq!(events.change().await.2["in"], 0);
}

#[tokio::test]
async fn a_repeated_request_is_one_of_its_own_database() {
    let several = Several::start(unchanged).await;
    several.fill("t").await;
    let key = [("idempotency-key", "k-1")];
    let mut places = Vec::new();
    for prefix in several.prefixes() {
        let docs = format!("{prefix}/tables/t/docs");
        let first = several.api.with("POST", &docs, &key, b"{\"n\": 9}").await;
        let again = several.api.with("POST", &docs, &key, b"{\"n\": 9}").await;
        assert_eq!((first.status(), header(&first, "idempotency-replayed")), (again.status(), ""));
        assert_eq!(header(&again, "idempotency-replayed"), "true");
        assert_eq!(header(&first, "location"), header(&again, "location"));
        assert!(header(&first, "location").starts_with(&docs));
        assert_eq!(several.got(&format!("{docs}?n=eq.9")).await.as_array().unwrap().len(), 1);
        places.push(header(&first, "location").rsplit('/').next().unwrap().to_owned());
    }
    places.dedup();
    assert_eq!(places.len(), 3, "each has an id of its own");
}

#[tokio::test]
async fn settings_of_a_table_hold_in_each() {
    let expire = Expire { field: "until".to_owned(), after: std::time::Duration::ZERO };
    let spec = TableSpec {
        unique: vec!["email".to_owned()],
        expire: Some(expire),
        primary_key: "key".to_owned(),
        ..TableSpec::new("users")
    };
    let relation = json!({"table": "users", "name": "boss", "field": "boss", "to": "users"});
    let relations: Vec<RelationSpec> = serde_json::from_value(json!([relation])).unwrap();
    let tables = vec![spec.clone()];
    let several = Several::start(|settings| Settings { tables, relations, ..settings }).await;
    bootstrap::once(&several.api.database, std::slice::from_ref(&spec)).await.unwrap();
    for prefix in &several.prefixes()[1..] {
        let made = several.sent("POST", &format!("{prefix}/tables"), &json!({"name": "users"})).await;
        let indexes = json!(["expiry_until", "unique_email"]);
        assert_eq!((&made["primary_key"], &made["indexes"]), (&json!("key"), &indexes));
    }
    let past = json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"});
    for (at, prefix) in several.prefixes().iter().enumerate() {
        let docs = format!("{prefix}/tables/users/docs");
        several.sent("PUT", &format!("{docs}/boss"), &json!({"email": "a", "in": at})).await;
        several.sent("PUT", &format!("{docs}/x"), &json!({"email": "b", "boss": "boss"})).await;
        problem(&several.api.send("POST", &docs, &json!({"email": "a"})).await, 409, "not-unique");
        let bulk = json!([{"email": "a"}, {"key": at, "email": "c"}, {"email": "c"}]);
        let told = several.sent("POST", &docs, &bulk).await;
        let statuses: Vec<_> = told.as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
        assert_eq!(statuses, [409, 201, 409]);
        let related = several.got(&format!("{docs}/x?expand=boss")).await;
        assert_eq!(related["boss"]["in"], at);
        let gone = several.api.send("PUT", &format!("{docs}/gone"), &json!({"until": past})).await;
        assert!(gone.status().is_success(), "{:?}", gone.body());
        problem(&several.api.call("GET", &format!("{docs}/gone")).await, 404, "no-such-document");
        assert_eq!(several.got(&format!("{docs}?select=key")).await.as_array().unwrap().len(), 3);
    }
    let mut sweeping = JoinSet::new();
    sweeping.spawn(sweep::run(several.api.app.clone()));
    let swept = async {
        for name in [several.api.database.name(), &several.named, &several.fitting] {
            let mut conn = Conn::new(several.api.database.named(name));
            while conn.first::<u64>(r.table("users").count()).await.unwrap() != Some(3) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(crate::support::PATIENCE * 3, swept)
        .await
        .expect("what has expired is deleted in each");
}

#[tokio::test]
async fn users_of_the_database_have_the_rights_they_have_there() {
    let several = Several::start(|settings| Settings { auth: Auth::Database, ..settings }).await;
    let mut admin = Conn::new(several.api.home().database());
    let reader = several.api.home().named("reader");
    let users = r.db("rethinkdb").table("users");
    admin.run(users.insert(json!({"id": reader, "password": "p"}))).await.unwrap();
    for name in [&several.named, &several.fitting] {
        admin.run(r.db(name.as_str()).table_create("t")).await.unwrap();
    }
    let may = json!({"read": true});
    admin.run(r.db(several.named.as_str()).table("t").grant(reader.as_str(), may)).await.unwrap();
    let get = async |authorization: &str, name: &str| {
        let headers = [("authorization", authorization)];
        let headers = if authorization.is_empty() { &[][..] } else { &headers[..] };
        several.api.with("GET", &format!("/db/{name}/tables/t/docs"), headers, b"").await
    };
    let (right, wrong) = (basic(&reader, "p"), basic(&reader, "q"));
    assert_eq!(get(&right, &several.named).await.status(), 200);
    problem(&get(&right, &several.fitting).await, 403, "forbidden");
    problem(&get(&right, &several.foreign).await, 404, "no-such-database");
    for name in [&several.named, &several.foreign] {
        problem(&get("", name).await, 401, "unauthorized");
        problem(&get(&wrong, name).await, 401, "unauthorized");
    }
    // A ticket is for a list of one database.
    let serving = several.api.serve().await;
    let headers = [("authorization", right.as_str())];
    let url = |name: &str| json!({"url": format!("/db/{name}/tables/t/docs")}).to_string();
    let given = several.api.with("POST", "/tickets", &headers, url(&several.named).as_bytes()).await;
    let given = body(&given)["url"].as_str().unwrap().to_owned();
    let elsewhere = given.replace(&several.named, &several.fitting);
    assert_eq!(Events::open(serving.addr, &elsewhere).await.problem().await["code"], "invalid-ticket");
    let given = several.api.with("POST", "/tickets", &headers, url(&several.named).as_bytes()).await;
    Events::open(serving.addr, body(&given)["url"].as_str().unwrap()).await.ready().await;
}

#[tokio::test]
async fn figures_and_the_description_name_no_database_but_those_of_the_settings() {
    let several = Several::start(unchanged).await;
    several.fill("t").await;
    let text = several.api.call("GET", "/metrics").await;
    let text = String::from_utf8_lossy(text.body()).into_owned();
    assert!(text.contains("/tables/{table}/docs") && !text.contains(&several.named), "{text}");
    let document = several.got("/openapi.json").await;
    let servers = &document["paths"]["/tables/{table}/docs"]["servers"];
    assert_eq!(servers[1]["url"], "/db/{database}");
    assert_eq!(servers[1]["variables"]["database"]["default"], several.named);
    assert!(document["paths"]["/health/live"]["servers"].is_null());
    let one = Api::start().await;
    assert!(!body(&one.call("GET", "/openapi.json").await).to_string().contains("/db/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_in_each() {
    let rules =
        json!([{"table": "t", "roles": "user", "read": "owner=eq.{sub}", "create": "owner=eq.{sub}"}]);
    let adapt = |settings: Settings| {
        let databases = Databases(vec![format!("{}_*", settings.rdb.db)]);
        Settings { databases, ..settings }
    };
    let ruled = Ruled::with(rules, &["t"], adapt).await;
    let [name, lacking] = ["a", "none"].map(|name| ruled.api.home().named(name));
    ruled.ask(r.db_create(name.as_str())).await;
    ruled.ask(r.db(name.as_str()).table_create("t")).await;
    let (ann, admin) = (of("ann", &["user"]), of("root", &[ADMIN]));
    let serving = ruled.api.serve().await;
    for (at, prefix) in ["", &format!("/db/{name}")].into_iter().enumerate() {
        let docs = format!("{prefix}/tables/t/docs");
        let sent = json!([{"id": 1, "owner": "ann", "in": at}, {"id": 2, "owner": "bob", "in": at}]);
        let told = ruled.send(&admin, ("POST", &docs), &[], &sent.to_string()).await;
        assert_eq!(told.status(), 201, "{:?}", told.body());
        let own = json!([{"id": 1, "owner": "ann", "in": at}]);
        assert_eq!(body(&ruled.get(&ann, &docs).await), own);
        problem(&ruled.get(&ann, &format!("{docs}/2")).await, 404, "no-such-document");
        problem(&ruled.get("", &docs).await, 401, "unauthorized");
        let forged = ruled.send(&ann, ("POST", &docs), &[], "{\"owner\": \"bob\"}").await;
        problem(&forged, 403, "forbidden");
        problem(&ruled.get(&ann, &format!("{prefix}/tables")).await, 403, "forbidden");
        let authorization = format!("Bearer {ann}");
        let mut events = Events::open_with(serving.addr, &docs, &[("authorization", &authorization)]).await;
        assert_eq!(events.change().await.2, own[0]);
        events.ready().await;
    }
    problem(&ruled.get(&ann, "/db/other/tables/t/docs").await, 404, "no-such-database");
    // Without a token nobody learns more than what the settings allow: not which databases there are.
    problem(&ruled.get("", "/db/other/tables/t/docs").await, 404, "no-such-database");
    problem(&ruled.get("", &format!("/db/{lacking}/tables/t/docs")).await, 401, "unauthorized");
}
