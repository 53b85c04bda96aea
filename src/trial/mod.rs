//! `warp-reql rules test`: test cases for access rules. Their requests are made to the service with the rules
//! of the settings, over a database in memory.

mod cases;

use std::io;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use reql::r;
use ring::hmac;
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use warp::http::Request;
use warp::hyper::body::Bytes;

use crate::app::App;
use crate::embedded::Embedded;
use crate::settings::{Auth, Rdb, Secret, Settings, TableSpec, Token};
use crate::{Conn, Database, bootstrap, service};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cases::{Case, Cases};

/// The lifetime of the tokens of cases, in seconds.
const LASTS: u64 = 3600;

/// The outcome of a test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The name of the case.
    pub name: String,
    /// The differences from the expected answer; empty if the case has passed.
    pub faults: Vec<String>,
}

/// Runs the cases of a file, one after another. The documents are reset before each.
///
/// # Errors
///
/// If the file can't be read, or the embedded database doesn't start.
pub async fn run(settings: Settings, file: &Path) -> io::Result<Vec<Outcome>> {
    let cases = Cases::read(file)?;
    let rdb = Rdb { db: settings.rdb.db.clone(), data_dir: ":memory:".into(), standby: 0, ..Rdb::default() };
    let embedded = Embedded::start(rdb.clone()).await?;
    let trial = Trial::new(Settings { rdb, ..settings }, &cases, embedded.database().clone()).await?;
    let mut outcomes = Vec::new();
    for case in &cases.cases {
        trial.fill(&cases).await?;
        let faults = trial.faults(case, &cases).await?;
        outcomes.push(Outcome { name: case.name(), faults });
    }
    embedded.shutdown().await;
    Ok(outcomes)
}

/// The service under test.
struct Trial {
    app: App,
    secret: String,
}

/// The answer to a request.
struct Answer {
    status: u16,
    text: String,
}

impl Trial {
    async fn new(settings: Settings, cases: &Cases, database: Database) -> io::Result<Self> {
        let secret: String = std::iter::repeat_with(fastrand::alphanumeric).take(64).collect();
        let token =
            Token { secret: Secret::from(secret.as_str()), roles: "/role".to_owned(), ..Token::default() };
        let settings = Settings { auth: Auth::Token, token, ..settings };
        let mut tables = settings.tables.clone();
        for name in cases.documents.keys() {
            if !tables.iter().any(|table| table.name == *name) {
                tables.push(TableSpec::new(name.as_str()));
            }
        }
        bootstrap::once(&database, &tables).await.map_err(io::Error::other)?;
        Ok(Trial { app: App::new(settings, database), secret })
    }

    /// Replaces all documents by those of the file.
    async fn fill(&self, cases: &Cases) -> io::Result<()> {
        let mut conn = Conn::new(self.app.database().clone());
        for (table, documents) in &cases.documents {
            conn.run(r.table(table).delete()).await.map_err(io::Error::other)?;
            let told =
                conn.first::<Value>(r.table(table).insert(documents)).await.map_err(io::Error::other)?;
            if let Some(error) = told.as_ref().and_then(|told| told["first_error"].as_str()) {
                return Err(io::Error::other(format!("the documents of `{table}` can't be stored: {error}")));
            }
        }
        Ok(())
    }

    /// Returns all documents.
    async fn stored(&self, cases: &Cases) -> io::Result<Vec<Value>> {
        let mut conn = Conn::new(self.app.database().clone());
        let mut stored = Vec::new();
        for table in cases.documents.keys() {
            let rows = conn.all::<Value>(r.table(table)).await.map_err(io::Error::other)?;
            stored.extend(rows.into_iter().map(|row| json!([table, row])));
        }
        stored.sort_by_key(Value::to_string);
        Ok(stored)
    }

    async fn faults(&self, case: &Case, cases: &Cases) -> io::Result<Vec<String>> {
        let before = self.stored(cases).await?;
        let Answer { status, text } = self.ask(case).await?;
        let after = self.stored(cases).await?;
        let mut faults = Vec::new();
        if status != case.status {
            faults.push(format!("the status is {status} and not {}: {text}", case.status));
        }
        if let Some(expected) = &case.rows
            && let Err(found) = case.check_rows(&text)
        {
            faults.push(format!("the rows are {found} and not {}", Value::from(expected.clone())));
        }
        if case.unchanged && before != after {
            faults.push("documents were written".to_owned());
        }
        Ok(faults)
    }

    async fn ask(&self, case: &Case) -> io::Result<Answer> {
        let (method, path) = case.line()?;
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if let Some(claims) = case.claims() {
            request = request.header("authorization", format!("Bearer {}", self.token(claims)));
        }
        if case.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &case.headers {
            request = request.header(name, value);
        }
        let body = case.body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        let Ok(answer) = service(self.app.clone()).oneshot(request).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| io::Error::other(error.into()))?;
        Ok(Answer { status, text: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    }

    /// Returns a token with these claims, signed as an issuer would do it.
    fn token(&self, mut claims: Map<String, Value>) -> String {
        claims.entry("exp").or_insert_with(|| (jsonwebtoken::get_current_timestamp() + LASTS).into());
        let base64 = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = json!({ "alg": "HS256", "typ": "JWT" }).to_string();
        let message = format!("{}.{}", base64(header), base64(Value::Object(claims).to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
