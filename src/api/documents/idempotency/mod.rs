//! `Idempotency-Key`: a repeated request is done only once, and gets the answer of the first
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! It stays so even if a client disconnects, if this process or the database dies, and if the request is
//! repeated at another process, for three reasons:
//!
//! - **Writes can be found.** A record of the key is written before anything else. It has the seed of the ids
//!   for all documents without an id ([`Plan`]). Another attempt at a request with an unknown outcome makes
//!   the same ids, and finds the documents that exist already.
//! - **Work is finished.** It runs in a task of its own, which a client can't end by disconnecting. The key
//!   is claimed for [`LEASE`](records::LEASE), and the claim is renewed until the work is done. If the
//!   process dies, the next request with the key takes over.
//! - **Permissions are checked again.** A client that repeats a request must have the permission for it now.
//!   The database has to accept the credentials and the permission to write the table before a record is
//!   read or written.

mod answer;
mod plan;
mod records;

use warp::http::HeaderMap;
use warp::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
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
/// A regular expression for keys, as [`key`] reads them: printable ASCII, in quotes or not.
pub(crate) const PATTERN: &str = r#"^("[ !#-~]{1,255}"|[!#-~]([ !#-~]{0,253}[!#-~])?)$"#;

/// A request with a key.
pub(crate) struct Keyed {
    /// The database in the path of the request, if it names one.
    database: Option<String>,
    /// The table that the request writes.
    table: String,
    /// A hash of the key, its owner and the table. Users can't use each other's keys. The password isn't part
    /// of the hash, since it may be changed between a request and its repetition.
    id: String,
    /// A hash of the content of the request.
    fingerprint: String,
}

/// Returns the key of a request, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let wrong = || {
        let form = "printable ASCII characters other than `\"`, in quotes or without any";
        Error::bad_request(format!("The header `{KEY}` must be 1 to {KEY_MAX} {form}."))
    };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    // The draft requires quotes; many clients leave them out.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    // A remaining quote is unbalanced, or was meant to be escaped.
    let sane = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"';
    let is_key = (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(sane);
    if is_key && headers.get_all(KEY).iter().count() == 1 {
        return Ok(Some(text));
    }
    Err(wrong())
}

impl Keyed {
    /// Creates the keyed request for documents of a table. Its owner is the user of the connection, or the
    /// subject of the token, together with the rights they have, since a stored answer depends on those.
    pub(crate) fn new(
        key: &str,
        table: &str,
        conn: &Conn,
        context: &Context,
        grant: &Grant,
        body: &[u8],
    ) -> Result<Self, Error> {
        // Several lines of a header mean the same as one (RFC 9110, section 5.3).
        let header = |name: HeaderName| {
            let lines = context.headers().get_all(name).iter();
            lines.map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..])
        };
        let db = conn.database().name();
        let user = match context.caller() {
            Some(caller) => format!("{:?} {}", caller.subject(), grant.fingerprint()),
            None => conn.user().unwrap_or_default().to_owned(),
        };
        // How CSV is read.
        let parameters = Some(context.raw_query().as_bytes()).filter(|parameters| !parameters.is_empty());
        let (content_type, prefer) = (header(CONTENT_TYPE), header(PREFER));
        let sent: Vec<_> = [&content_type, &prefer, body].into_iter().chain(parameters).collect();
        Ok(Keyed {
            database: context.database_name()?,
            table: table.to_owned(),
            id: hash(&[key, db, table, &user].map(str::as_bytes)),
            fingerprint: hash(&sent),
        })
    }

    /// Runs a request once, even if its client doesn't wait for the answer. Returns its answer, or the stored
    /// one.
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
        // The claim needs a connection, too.
        conn.make_way();
        let records = Records::new(conn.database().clone());
        app.to_its_end(holder, async move { self.claimed(&records, |plan| run(conn, plan)).await })?.await
    }

    async fn claimed<F>(self, records: &Records, run: impl FnOnce(Plan) -> F) -> Result<Response, Error>
    where
        F: Future<Output = Result<Response, Error>>,
    {
        let (claim, plan) = match records.claim(self.id, self.fingerprint).await? {
            Claim::Made(claim, plan) => (claim, plan),
            Claim::Answered(answer) => return answer.replayed(self.database.as_deref(), &self.table),
        };
        let progress = plan.progress();
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
                // Only a client error proves that nothing was written. Even that proves nothing about an
                // earlier attempt, or an earlier batch.
                match error.status().is_client_error() && !progress.may_have_begun() {
                    true => records.release(&claim).await,
                    false => records.leave(&claim).await,
                }
                Err(error)
            }
        }
    }
}

/// Returns the hash of several parts, each preceded by its length, so that their borders count.
fn hash(parts: &[&[u8]]) -> String {
    hex(&digest(parts))
}
