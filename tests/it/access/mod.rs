//! Access control: tokens, and rules for documents.

mod changes;
mod channels;
mod filters;
mod followers;
mod hidden;
pub mod keys;
mod matrix;
mod model;
mod property;
mod rules;
mod schemas;
mod unique;
mod worlds;
mod writes;

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::settings::{AccessRule, Auth, Rdb, Secret, Settings, Token};
use warp_reql::{Conn, Database};

use crate::support::{Api, Home, PATIENCE};

/// The secret of the service's tokens.
pub const SECRET: &str = "the secret of tests, which is long enough";
/// The role that may do everything.
pub const ADMIN: &str = "admin";
/// The documents of the table `t`, and one of them.
const DOCS: &str = "/tables/t/docs";
const DOC: &str = "/tables/t/docs/1";
/// The types of bodies: documents, and the kinds of changes.
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const CHANGES: &str = "application/vnd.warp-reql.changes+json";

/// The API where tokens count, over a database of its own.
pub struct Ruled {
    pub api: Api,
    /// The administrator's way to the same database, by connections that are used again.
    admin: Database,
}

impl Ruled {
    /// With these rules, and tables of these names.
    pub async fn start(rules: Value, tables: &[&str]) -> Ruled {
        Ruled::with(rules, tables, |settings| settings).await
    }

    pub async fn with(rules: Value, tables: &[&str], adapt: impl FnOnce(Settings) -> Settings) -> Ruled {
        let home = Home::start().await;
        let settings = Settings { rdb: home.rdb(), ..ruled(rules) };
        let api = Api { home: Some(home), ..Api::with_settings(adapt(settings)) };
        let admin = Database::new(Rdb { max_age: PATIENCE, ..api.home().rdb() });
        let ruled = Ruled { api, admin: admin.expect("the settings name a server") };
        for table in tables {
            ruled.ask(reql::r.table_create(*table)).await;
        }
        ruled
    }

    /// Asks the database itself.
    pub async fn ask(&self, query: impl Into<reql::Query>) -> Value {
        Conn::new(self.admin.clone()).first(query).await.expect("the administrator may").unwrap_or_default()
    }

    /// All documents of a table, in the order of their ids.
    pub async fn all(&self, table: &str) -> Vec<Value> {
        let mut conn = Conn::new(self.admin.clone());
        let rows = reql::r.table(table).order_by(reql::r.index("id")).coerce_to("array");
        conn.all(rows).await.expect("the administrator may")
    }

    /// Puts documents into a table in the place of all others.
    pub async fn fill(&self, table: &str, documents: &Value) {
        self.ask(reql::r.table(table).delete()).await;
        let told = self.ask(reql::r.table(table).insert(documents)).await;
        assert_eq!(told["errors"], 0, "{told}");
    }

    /// Sends a request with a token, or without any if that is empty.
    pub async fn send(
        &self,
        token: &str,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Bytes> {
        let authorization = format!("Bearer {token}");
        let own = (!token.is_empty()).then_some(("authorization", authorization.as_str()));
        let headers: Vec<_> = own.into_iter().chain(headers.iter().copied()).collect();
        self.api.with(method, path, &headers, body.as_bytes()).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Response<Bytes> {
        self.send(token, ("GET", path), &[], "").await
    }
}

/// Settings where tokens count.
pub fn ruled(rules: Value) -> Settings {
    let rules: Vec<AccessRule> = serde_json::from_value(rules).expect("the rules are sound");
    let token = Token { secret: Secret::from(SECRET), ..Token::default() };
    Settings { auth: Auth::Token, token, admin_roles: vec![ADMIN.to_owned()], rules, ..Settings::default() }
}

/// The time, in seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with these parts, signed by HMAC.
pub fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64(signature))
}

/// A token that counts for a minute, with these claims.
pub fn token(mut claims: Value) -> String {
    if claims["exp"].is_null() {
        claims["exp"] = (now() + 60).into();
    }
    signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims, SECRET.as_bytes())
}

/// The token of a subject that has these roles.
pub fn of(subject: &str, roles: &[&str]) -> String {
    token(json!({"sub": subject, "role": roles}))
}
