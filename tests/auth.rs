//! HTTP authentication by the database: users of different permissions, and none that gets another's session.

mod support;

use std::time::Duration;

use ql2::term::TermType;
use reql::{Command, r};
use serde_json::{Value, json};
use support::{Api, Home, PATIENCE, body, header, problem};
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::settings::{Auth, Rdb, Settings};
use warp_reql::{Conn, Database};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";

/// A user as HTTP Basic has it.
fn basic(user: &str, password: &str) -> String {
    use headers::HeaderMapExt;
    let mut map = warp::http::HeaderMap::new();
    map.typed_insert(headers::Authorization::basic(user, password));
    map["authorization"].to_str().unwrap_or_default().to_owned()
}

/// The API with authentication, over a server that has `reader`, who may read, and `writer`, who may write too.
struct Guarded {
    api: Api,
    /// The administrator's way to the same server.
    admin: Database,
}

impl Guarded {
    async fn start(adapt: impl FnOnce(Rdb) -> Rdb) -> Guarded {
        let home = Home::start().await;
        let admin = home.database();
        let settings = Settings { auth: Auth::Database, rdb: adapt(home.rdb()), ..Settings::default() };
        let api = Api { home: Some(home), ..Api::with_settings(settings) };
        let guarded = Guarded { api, admin };
        guarded.ask(r.table_create("heroes")).await;
        for (user, write) in [("reader", false), ("writer", true)] {
            guarded.set(user, json!({"password": format!("{user}'s")})).await;
            let permissions = Command::from_json(json!({"read": true, "write": write}));
            let grant = Command::new(TermType::Grant).with_arg(r.db(guarded.api.home().name.clone()));
            let name = Command::from_json(guarded.name(user));
            let permission = grant.with_arg(name).with_arg(permissions);
            guarded.ask(permission).await;
        }
        guarded
    }

    async fn ask(&self, query: Command) -> Value {
        Conn::new(self.admin.clone()).first(query).await.expect("the administrator may").unwrap_or_default()
    }

    /// A user's full name.
    fn name(&self, user: &str) -> String {
        self.api.home().named(user)
    }

    /// What a user sends along who has this password.
    fn basic(&self, user: &str, password: &str) -> String {
        basic(&self.name(user), password)
    }

    /// Writes a row of the table of users.
    async fn set(&self, user: &str, mut row: Value) {
        let users = r.db("rethinkdb").table("users");
        let done = match row {
            Value::Null => self.ask(users.get(self.name(user)).delete(())).await,
            _ => {
                row["id"] = self.name(user).into();
                let conflict = reql::cmd::insert::Options::new().conflict(reql::cmd::Conflict::Update);
                self.ask(users.insert(r.args((row, conflict)))).await
            }
        };
        assert_eq!(done["errors"], 0, "{done}");
    }

    async fn send(&self, who: &str, method: &str, path: &str, text: &str) -> Response<Bytes> {
        let authorization = self.basic(who, &format!("{who}'s"));
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.api.with(method, path, &headers, text.as_bytes()).await
    }
}

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
    // All that would make crossing possible: sessions that stand by and are reused, and one connection for all.
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
