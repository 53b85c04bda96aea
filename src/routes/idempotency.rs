//! `Idempotency-Key`: a request that is repeated is done once, and answered as it was the first time
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! A table of the database remembers each key with a hash of its request and, once there is one, the answer. The key is
//! claimed by one atomic write, so that of two requests with one key at once only one runs. What wrote nothing is not
//! remembered: its key is free again. If it isn't known whether a request wrote, because the database broke off or this
//! service did, its key stays claimed for [`LEASE`]; who repeats it after that has looked whether it was done.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::BodyExt;
use ql2::term::TermType;
use reql::cmd::{Conflict, ReturnChanges, insert, replace};
use reql::{Command, r};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response};

use super::answer::with_header;
use super::documents::PREFERENCE_APPLIED;
use super::hex::hex;
use crate::conn::Conn;
use crate::database::Database;
use crate::error::{Error, Missing};
use crate::query::term::{Options, between, branch, datum, eq, field, func, limit, null, term};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The table, which is made when it is first needed.
pub(super) const TABLE: &str = "idempotency_keys";
/// The field, and the index, by which expired keys are found.
const EXPIRES: &str = "expires";
/// How long an answer is remembered.
const LASTS: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a request may run whose key is claimed.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// The longest key.
const KEY_MAX: usize = 255;
/// What keys look like, as a regular expression: printable ASCII, in quotes or not. [`key`] reads them so.
pub(super) const PATTERN: &str = r#"^("[ !#-~]{1,255}"|[!#-~]([ !#-~]{0,253}[!#-~])?)$"#;
/// How many keys that have expired each request with a key clears away.
const CLEARED: usize = 20;
/// The headers of an answer that are remembered.
const REMEMBERED: [HeaderName; 4] = [CONTENT_TYPE, LOCATION, ETAG, PREFERENCE_APPLIED];

/// A request that has a key.
pub(super) struct Keyed {
    /// Of the key and of whom it belongs to: other users' keys and other paths' are other ones.
    id: String,
    /// Of all that the request asks for.
    fingerprint: String,
    database: Database,
}

/// What is remembered of a key.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    id: String,
    fingerprint: String,
    /// In seconds since 1970.
    expires: f64,
    answer: Option<Answer>,
}

/// An answer that can be given again.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let wrong = || {
        let form = "printable ASCII characters other than `\"`, in quotes or without any";
        Error::BadRequest(format!("The header `{KEY}` must be 1 to {KEY_MAX} {form}."))
    };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    // The draft has it as a string in quotes; many clients leave them out.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    // A quote that is left is without its other half, or was to be escaped.
    let sane = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"';
    let is_key = (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(sane);
    if is_key && headers.get_all(KEY).iter().count() == 1 {
        return Ok(Some(text));
    }
    Err(wrong())
}

impl Keyed {
    pub(super) fn new(key: &str, path: &str, headers: &HeaderMap, body: &[u8], database: Database) -> Self {
        let header = |name| {
            headers.get(name).map(|value: &warp::http::HeaderValue| value.as_bytes()).unwrap_or_default()
        };
        Keyed {
            id: hash(&[key.as_bytes(), path.as_bytes(), header(AUTHORIZATION)]),
            fingerprint: hash(&[header(CONTENT_TYPE), header(HeaderName::from_static("prefer")), body]),
            database,
        }
    }

    /// Runs a request once: its answer, or the one that it had before.
    pub(super) async fn once(
        self,
        run: impl Future<Output = Result<Response, Error>>,
    ) -> Result<Response, Error> {
        if let Some(answer) = self.claim().await? {
            return Ok(answer.into_response());
        }
        match run.await {
            Ok(response) => {
                let (answer, response) = Answer::of(response).await?;
                self.remember(answer).await;
                Ok(response)
            }
            Err(error) => {
                if !error.leaves_doubt() {
                    self.release().await;
                }
                Err(error)
            }
        }
    }

    /// Claims the key, unless it is taken; then there is an answer, or a reason why there is none yet.
    async fn claim(&self) -> Result<Option<Answer>, Error> {
        let mut conn = Conn::new(self.database.clone());
        let now = now();
        let taken = match self.try_claim(&mut conn, now).await {
            Err(error) if error.missing() == Some(Missing::Table) => {
                make_table(&mut conn).await?;
                self.try_claim(&mut conn, now).await?
            }
            taken => taken?,
        };
        clear(&mut conn, now).await;
        match taken {
            None => Ok(None),
            Some(record) if record.fingerprint != self.fingerprint => Err(Error::KeyReused),
            Some(Record { answer: Some(answer), .. }) => Ok(Some(answer)),
            Some(_) => Err(Error::KeyInUse),
        }
    }

    /// The record of whoever had the key before, unless it has expired.
    async fn try_claim(&self, conn: &mut Conn, now: f64) -> Result<Option<Record>, Error> {
        #[derive(Deserialize)]
        struct Claimed {
            unchanged: f64,
            errors: f64,
            first_error: Option<String>,
            changes: Vec<Change>,
        }
        #[derive(Deserialize)]
        struct Change {
            old_val: Option<Value>,
        }
        let mine = self.record(now + LEASE.as_secs_f64(), None);
        let function: Command = func(|row: Command| {
            let expired = term(TermType::Le, [field(row.clone(), "expires"), datum(now)]);
            let free = term(TermType::Or, [eq(row.clone(), null()), expired]);
            branch(free, datum(&mine), row)
        });
        let options = replace::Options::new().return_changes(ReturnChanges::Always);
        let query = r.table(TABLE).get(self.id.as_str()).replace(r.args((function, options)));
        let claimed: Claimed = conn.first(query).await?.ok_or_else(lost)?;
        if claimed.errors > 0.0 {
            return Err(Error::Internal(claimed.first_error.unwrap_or_default()));
        }
        if claimed.unchanged == 0.0 {
            return Ok(None);
        }
        let old = claimed.changes.into_iter().next().and_then(|change| change.old_val).ok_or_else(lost)?;
        serde_json::from_value(old).map(Some).map_err(Error::Decode)
    }

    fn record(&self, expires: f64, answer: Option<Answer>) -> Record {
        Record { id: self.id.clone(), fingerprint: self.fingerprint.clone(), expires, answer }
    }

    /// Keeps the answer. If that fails the request has been done all the same, and its key stays claimed for a while.
    async fn remember(&self, answer: Answer) {
        let record = self.record(now() + LASTS.as_secs_f64(), Some(answer));
        let options = insert::Options::new().conflict(Conflict::Replace);
        let query = r.table(TABLE).insert(r.args((datum::<Command>(record), options)));
        if let Err(error) = Conn::new(self.database.clone()).first::<Value>(query).await {
            log::warn!("An answer with an idempotency key could not be kept: {error}");
        }
    }

    async fn release(&self) {
        let row = r.table(TABLE).get(self.id.as_str());
        let delete = term(TermType::Delete, [row]);
        if let Err(error) = Conn::new(self.database.clone()).first::<Value>(delete).await {
            log::warn!("An idempotency key stays claimed for {LEASE:?}: {error}");
        }
    }
}

impl Answer {
    async fn of(response: Response) -> Result<(Self, Response), Error> {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Error::Internal(error.to_string()))?.to_bytes();
        let headers = REMEMBERED.into_iter().filter_map(|name| {
            let value = head.headers.get(&name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let answer = Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let again = answer.respond();
        Ok((answer, again))
    }

    fn respond(&self) -> Response {
        let mut response = self.body.clone().into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::CREATED);
        response.headers_mut().remove(CONTENT_TYPE);
        self.headers.iter().fold(response, |response, (name, value)| match name.parse() {
            Ok(name) => with_header(response, name, value),
            Err(_) => response,
        })
    }

    fn into_response(self) -> Response {
        with_header(self.respond(), REPLAYED, "true")
    }
}

/// Clears away some keys that have expired. Nobody waits for it.
async fn clear(conn: &mut Conn, now: f64) {
    let options = Options { index: Some(EXPIRES.to_owned()), ..Options::default() };
    let expired = between::<Command>(r.table(TABLE), datum(0), datum(now), options);
    let query = term(TermType::Delete, [limit(expired, CLEARED)]);
    if let Err(error) = conn.noreply(query).await {
        log::debug!("Expired idempotency keys could not be cleared: {error}");
    }
}

/// Makes the table and its index. Another request may be doing the same.
async fn make_table(conn: &mut Conn) -> Result<(), Error> {
    let settled = |done: Result<Option<Value>, Error>| match done {
        Err(error) if error.status() == StatusCode::CONFLICT => Ok(()),
        done => done.map(|_| ()),
    };
    let db = conn.database().settings().db.clone();
    settled(conn.first(r.db(db).table_create(TABLE)).await)?;
    settled(conn.first(term(TermType::IndexCreate, [r.table(TABLE), datum(EXPIRES)])).await)?;
    settled(conn.first(term(TermType::IndexWait, [r.table(TABLE), datum(EXPIRES)])).await)
}

fn lost() -> Error {
    Error::Internal("a write of an idempotency key told of nothing".to_owned())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A hash of several parts, each with its length, so that none runs into the next.
fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}
