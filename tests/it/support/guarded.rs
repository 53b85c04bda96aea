//! The API with authentication, and users of different permissions.

use reql::{Conflict, Query, r};
use serde_json::{Value, json};
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::settings::{Auth, Rdb, Settings};
use warp_reql::{Conn, Database};

use super::{Api, Home};

/// A user as HTTP Basic has it.
pub fn basic(user: &str, password: &str) -> String {
    use headers::HeaderMapExt;
    let mut map = warp::http::HeaderMap::new();
    map.typed_insert(headers::Authorization::basic(user, password));
    map["authorization"].to_str().unwrap_or_default().to_owned()
}

/// The API with authentication, over a server that has `reader`, who may read, and `writer`, who may write
/// too.
pub struct Guarded {
    pub api: Api,
    /// The administrator's way to the same server.
    pub admin: Database,
}

impl Guarded {
    pub async fn start(adapt: impl FnOnce(Rdb) -> Rdb) -> Guarded {
        Guarded::with(|settings| Settings { rdb: adapt(settings.rdb.clone()), ..settings }).await
    }

    /// With settings of its own.
    pub async fn with(adapt: impl FnOnce(Settings) -> Settings) -> Guarded {
        let home = Home::start().await;
        let admin = home.database();
        let settings = Settings { auth: Auth::Database, rdb: home.rdb(), ..Settings::default() };
        let api = Api { home: Some(home), ..Api::with_settings(adapt(settings)) };
        let guarded = Guarded { api, admin };
        guarded.ask(r.table_create("heroes")).await;
        for (user, write) in [("reader", false), ("writer", true)] {
            guarded.set(user, json!({"password": format!("{user}'s")})).await;
            guarded.permit(user, json!({"read": true, "write": write})).await;
        }
        guarded
    }

    /// Grants a user permissions on the database of the API.
    pub async fn permit(&self, user: &str, permissions: Value) {
        self.ask(r.db(&self.api.home().name).grant(self.name(user), permissions)).await;
    }

    pub async fn ask(&self, query: impl Into<Query>) -> Value {
        Conn::new(self.admin.clone()).first(query).await.expect("the administrator may").unwrap_or_default()
    }

    /// A user's full name.
    pub fn name(&self, user: &str) -> String {
        self.api.home().named(user)
    }

    /// The credentials that a user with this password sends along.
    pub fn basic(&self, user: &str, password: &str) -> String {
        basic(&self.name(user), password)
    }

    /// Writes a row of the table of users.
    pub async fn set(&self, user: &str, mut row: Value) {
        let users = r.db("rethinkdb").table("users");
        let done = match row {
            Value::Null => self.ask(users.get(self.name(user)).delete()).await,
            _ => {
                row["id"] = self.name(user).into();
                self.ask(users.insert(row).conflict(Conflict::Update)).await
            }
        };
        assert_eq!(done["errors"], 0, "{done}");
    }

    pub async fn send(&self, who: &str, method: &str, path: &str, text: &str) -> Response<Bytes> {
        let authorization = self.basic(who, &format!("{who}'s"));
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.api.with(method, path, &headers, text.as_bytes()).await
    }
}
