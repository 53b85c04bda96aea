//! `Idempotency-Key`: a request that is repeated is done once, and answered as it was the first time
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! Three things make that hold when a client hangs up, when this process or the database dies, and when the
//! request comes again at another process:
//!
//! - **Writes can be found.** A record of the key is made before anything else. It holds the seed of the ids
//!   of all documents that come without one ([`Plan`]). Another attempt at a request whose end nobody knows
//!   makes the same ids, and meets the documents that are there already.
//! - **Work that has begun goes on.** It has a task of its own, which no client ends by leaving. The key is
//!   claimed for [`LEASE`](records::LEASE), and the claim is renewed until the work is done. If the process
//!   that does it dies, the key is left to the next request that asks for it.
//! - **The database is asked anew.** A client that repeats a request must be allowed to make it now. No
//!   answer comes from the record, and no record is made, before the database has accepted the credentials
//!   and shown that the table may be written.

mod answer;
mod plan;
mod records;

use warp::http::HeaderMap;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use crate::access::Grant;
use crate::api::permission::may_write;
use crate::app::App;
use crate::conn::Conn;
use crate::digest::{digest, hex};
use crate::error::Error;
use crate::http::context::Context;
use crate::http::headers::{IDEMPOTENCY_KEY as KEY, PREFER};
use crate::shares::Holder;
use answer::Answer;
pub(crate) use plan::Plan;
use records::{Claim, Records};

/// The longest key.
const KEY_MAX: usize = 255;
/// What keys look like, as a regular expression: printable ASCII, in quotes or not. [`key`] reads them so.
pub(crate) const PATTERN: &str = r#"^("[ !#-~]{1,255}"|[!#-~]([ !#-~]{0,253}[!#-~])?)$"#;

/// A request that has a key.
pub(crate) struct Keyed {
    /// The table that it writes.
    table: String,
    /// A hash of the key and of whom it belongs to. The same key of another user, or for another table, is
    /// another one. A password is no part of the hash, since it may be changed between a request and its
    /// repetition.
    id: String,
    /// A hash of all that the request asks for.
    fingerprint: String,
}

/// The key of a request, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let wrong = || {
        let form = "printable ASCII characters other than `\"`, in quotes or without any";
        Error::bad_request(format!("The header `{KEY}` must be 1 to {KEY_MAX} {form}."))
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
    /// A request for documents of a table. It belongs to the user of its connection, or to the subject of its
    /// token; and to the rights that they had, since a remembered answer shows what those allow.
    pub(crate) fn new(
        key: &str,
        table: &str,
        conn: &Conn,
        context: &Context,
        grant: &Grant,
        body: &[u8],
    ) -> Self {
        let header = |name| context.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        let db = conn.database().settings().db.as_str();
        let user = match context.caller() {
            Some(caller) => format!("{:?} {}", caller.subject(), grant.fingerprint()),
            None => conn.user().unwrap_or_default().to_owned(),
        };
        Keyed {
            table: table.to_owned(),
            id: hash(&[key, db, table, &user].map(str::as_bytes)),
            fingerprint: hash(&[header(CONTENT_TYPE), header(PREFER), body]),
        }
    }

    /// Has a request done once, even if its client doesn't wait for the answer. Returns the answer, or the
    /// one that the request had before.
    pub(crate) async fn once<F>(
        self,
        app: &App,
        holder: Holder,
        mut conn: Conn,
        run: impl FnOnce(Conn, Plan) -> F + Send + 'static,
    ) -> Result<Response, Error>
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        may_write(&mut conn, &self.table).await?;
        let records = Records::new(app.database().clone());
        app.to_its_end(holder, async move { self.claimed(&records, |plan| run(conn, plan)).await })?.await
    }

    async fn claimed<F>(self, records: &Records, run: impl FnOnce(Plan) -> F) -> Result<Response, Error>
    where
        F: Future<Output = Result<Response, Error>>,
    {
        let (claim, plan) = match records.claim(self.id, self.fingerprint).await? {
            Claim::Made(claim, plan) => (claim, plan),
            Claim::Answered(answer) => return answer.replayed(&self.table),
        };
        let resumed = plan.is_resumed();
        let outcome = tokio::select! {
            outcome = run(plan) => outcome,
            never = records.renew(&claim) => match never {},
        };
        match outcome {
            Ok(response) => {
                let (answer, response) = Answer::of(response).await?;
                records.answered(&claim, answer).await;
                Ok(response)
            }
            Err(error) => {
                // Only an error that the request itself is to blame for shows that it wrote nothing. Even
                // that says nothing of an earlier attempt.
                match error.status().is_client_error() && !resumed {
                    true => records.release(&claim).await,
                    false => records.leave(&claim).await,
                }
                Err(error)
            }
        }
    }
}

/// A hash of several parts, each with its length, so that none runs into the next.
fn hash(parts: &[&[u8]]) -> String {
    hex(&digest(parts))
}
