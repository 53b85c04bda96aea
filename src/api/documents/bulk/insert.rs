//! Bulk inserts: batch by batch, with the outcome of each document.
//!
//! A fault in the body, or in the way to the database, ends the insert. If nothing has been written by then,
//! it is the answer; so a body of one batch is either all readable or does nothing. Otherwise what was
//! written stays written, and the fault is the last outcome, at the position of the document that it is
//! about.

use reql::Conflict;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema};
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::{Reply, Response};

use super::{Documents, Next};
use crate::access::Grant;
use crate::api::documents::change::{Change as Write, Rules};
use crate::api::documents::idempotency::Plan;
use crate::api::documents::insertion::{Change, Insertion};
use crate::api::documents::write::{Target, Written};
use crate::api::permission::may_write;
use crate::conn::Conn;
use crate::error::{Error, Violation};
use crate::http::answer::with_header;
use crate::http::context::Context;
use crate::http::etag::Conditions;
use crate::http::headers::PREFERENCE_APPLIED;
use crate::http::negotiate::JSON;

/// The most documents of one request, whose outcomes have to be kept until all are known.
const MOST: usize = 1_000_000;

/// What became of one document of a bulk insert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// As of a request of its own.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    #[schema(schema_with = id)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    /// The code of the problem, if there was one.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The explanation of what was wrong, where the code doesn't say it all. The last outcome's may be about
    /// the rest of the body rather than about the document.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The places that are wrong, if the document is not what the table's schema asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Violation>,
}

fn id() -> RefOr<Schema> {
    Ref::from_schema_name("Id").into()
}

/// What became of all so far, as JSON: a million of them take tens of megabytes, not hundreds.
#[derive(Default)]
struct Outcomes {
    text: Vec<u8>,
    count: usize,
    failed: bool,
}

/// Inserts all documents of a body, and tells what became of each.
pub(crate) async fn insert(
    table: &str,
    mut documents: Documents,
    context: &Context,
    conn: &mut Conn,
    (grant, plan): (&Grant, Option<&Plan>),
) -> Result<Response, Error> {
    let conflict = resolution(context);
    // Nothing is asked of the database for a body that can't be read.
    let mut key = None;
    let mut outcomes = Outcomes::default();
    loop {
        let mut batch = documents.batch().await;
        if outcomes.count + batch.documents.len() > MOST {
            batch.documents.truncate(MOST - outcomes.count);
            batch.next =
                Next::Fault(Error::bad_request(format!("A bulk insert has {MOST} documents at most.")));
        }
        if outcomes.count == 0
            && let Next::Fault(error) = batch.next
        {
            documents.drain().await;
            return Err(error);
        }
        if !batch.documents.is_empty() {
            let key = match &key {
                Some(key) => key,
                None => key.insert(context.app().catalog().primary_key(conn, table).await?),
            };
            let rules = Rules { key, schema: context.app().schema(table) };
            let insert = Insert { table, key, conflict, grant, plan, rules };
            match insert.batch(batch.documents, outcomes.count, conn).await {
                Ok(told) => outcomes.extend(told)?,
                // What is to be done once isn't done before it is done to its end.
                Err(error) if outcomes.count == 0 || plan.is_some() => return Err(error),
                Err(error) => batch.next = Next::Fault(error),
            }
        }
        match batch.next {
            Next::More => {}
            Next::End => break,
            Next::Fault(error) => {
                outcomes.extend([Outcome::fault(&error, true)])?;
                documents.drain().await;
                break;
            }
        }
    }
    if key.is_none() {
        // Not even nothing can be put into a table that isn't there, or is closed to whoever asks.
        may_write(conn, table).await?;
    }
    let response = outcomes.into_response();
    if conflict.is_none() {
        return Ok(response);
    }
    let applied = format!("resolution={}", context.prefers("resolution").unwrap_or_default());
    Ok(with_header(response, PREFERENCE_APPLIED, &applied))
}

/// Returns what is to be done to documents that are there already, if the request says so.
pub(crate) fn resolution(context: &Context) -> Option<Conflict> {
    match context.prefers("resolution") {
        Some("merge-duplicates") => Some(Conflict::Update),
        Some("replace-duplicates") => Some(Conflict::Replace),
        _ => None,
    }
}

/// The way in which the documents of a body are to be inserted.
#[derive(Clone, Copy)]
struct Insert<'a> {
    table: &'a str,
    key: &'a str,
    conflict: Option<Conflict>,
    grant: &'a Grant,
    plan: Option<&'a Plan>,
    rules: Rules<'a>,
}

/// A document, and its place in the body.
type Placed = (usize, Map<String, Value>);

impl Insert<'_> {
    /// Inserts documents, the first of which stands at this place of the body.
    async fn batch(
        self,
        batch: Vec<Map<String, Value>>,
        first: usize,
        conn: &mut Conn,
    ) -> Result<Vec<Outcome>, Error> {
        let (mut sound, mut outcomes) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (place, mut document) in (first..).zip(batch) {
            if let Err(error) = self.grant.complete(&mut document) {
                outcomes.push((place, Outcome::fault(&error, true)));
                continue;
            }
            match document.get(self.key).filter(|_| self.adds_to_schema()) {
                // What becomes of a document that is there has to be known before it is written.
                Some(id) => {
                    let target = Target { table: self.table, id, grant: self.grant };
                    let add = Write::Add(document.clone());
                    let added = target.change(conn, &Conditions::default(), &add, self.rules).await;
                    outcomes.push((place, Outcome::of_one(added, id)));
                }
                None => match self.rules.check(&Value::Object(document.clone())) {
                    Ok(()) => sound.push((place, document)),
                    Err(error) => outcomes.push((place, Outcome::fault(&error, true))),
                },
            }
        }
        outcomes.extend(self.inserted(sound, conn).await?);
        outcomes.sort_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Returns whether documents are merged into others of a table that has a schema.
    fn adds_to_schema(self) -> bool {
        self.rules.schema.is_some() && self.conflict == Some(Conflict::Update)
    }

    async fn inserted(self, mut batch: Vec<Placed>, conn: &mut Conn) -> Result<Vec<(usize, Outcome)>, Error> {
        let had_id = |(place, document): &mut Placed| match self.plan {
            Some(plan) => plan.identify(document, self.key, *place),
            None => true,
        };
        let had_id: Vec<bool> = batch.iter_mut().map(had_id).collect();
        // A document whose id is of the plan is there only if an earlier attempt wrote it. Nothing is to be
        // done to it again.
        let (others, own): (Vec<_>, Vec<_>) = (0..batch.len()).partition(|at| had_id[*at]);
        let mut outcomes = Vec::with_capacity(batch.len());
        for (places, conflict) in [(own, None), (others, self.conflict)] {
            let documents: Vec<_> = places.iter().map(|at| &batch[*at].1).collect();
            let insertion = Insertion { table: self.table, grant: self.grant, conflict };
            let changes = match documents.is_empty() {
                true => Vec::new(),
                false => insertion.all(conn, &documents).await?,
            };
            outcomes.extend(places.into_iter().zip(changes).map(|(at, change)| {
                let (place, document) = &batch[at];
                let wrote = |plan: &Plan| plan.wrote(document, had_id[at], &change.old_val);
                let done = change.is_of_a_duplicate() && self.plan.is_some_and(wrote);
                let created = || Outcome::created(change.old_val.get(self.key));
                (*place, if done { created() } else { change.outcome(self.key, document) })
            }));
        }
        Ok(outcomes)
    }
}

impl Change {
    /// Returns whether the insert failed because there is a document with this id.
    fn is_of_a_duplicate(&self) -> bool {
        self.error.is_some() && self.old_val.is_object()
    }

    fn outcome(self, key: &str, sent: &Map<String, Value>) -> Outcome {
        match self.error {
            _ if self.refused => Outcome::fault(&Error::forbidden(), false),
            Some(error) => {
                let error = Error::of_write(error);
                let id = self.old_val.get(key).cloned();
                // A conflict says all by its code.
                let told =
                    |error: &Error| ![StatusCode::CONFLICT, StatusCode::FORBIDDEN].contains(&error.status());
                Outcome { id, ..Outcome::fault(&error, told(&error)) }
            }
            None => {
                let status = if self.old_val.is_null() { StatusCode::CREATED } else { StatusCode::OK };
                let id = self.new_val.get(key).or_else(|| sent.get(key)).cloned();
                Outcome { status: status.as_u16(), id, code: None, detail: None, errors: Vec::new() }
            }
        }
    }
}

impl Outcome {
    fn created(id: Option<&Value>) -> Self {
        Outcome {
            status: StatusCode::CREATED.as_u16(),
            id: id.cloned(),
            code: None,
            detail: None,
            errors: Vec::new(),
        }
    }

    /// What became of a document that was written by itself.
    fn of_one(written: Result<Written, Error>, id: &Value) -> Self {
        match written {
            Ok(written) if written.has_inserted() => Outcome::created(Some(id)),
            Ok(_) => Outcome { status: StatusCode::OK.as_u16(), ..Outcome::created(Some(id)) },
            Err(error) => Outcome { id: Some(id.clone()), ..Outcome::fault(&error, true) },
        }
    }

    fn fault(error: &Error, told: bool) -> Self {
        let detail = told.then(|| error.detail().to_owned());
        let (code, errors) = (Some(error.code().as_str()), error.violations().to_vec());
        Outcome { status: error.status().as_u16(), id: None, code, detail, errors }
    }
}

impl Outcomes {
    fn extend(&mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Result<(), Error> {
        for outcome in outcomes {
            self.text.push(if self.count == 0 { b'[' } else { b',' });
            serde_json::to_writer(&mut self.text, &outcome).map_err(Error::internal)?;
            self.count += 1;
            self.failed |= outcome.code.is_some();
        }
        Ok(())
    }

    fn into_response(mut self) -> Response {
        self.text.extend_from_slice(if self.count == 0 { b"[]" } else { b"]" });
        let mut response = self.text.into_response();
        *response.status_mut() = if self.failed { StatusCode::MULTI_STATUS } else { StatusCode::CREATED };
        with_header(response, CONTENT_TYPE, JSON)
    }
}
