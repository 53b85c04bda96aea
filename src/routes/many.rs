//! Writes of many documents: bulk inserts, and changes of all that match a filter.

use ql2::term::TermType;
use reql::cmd::{Conflict, ReturnChanges, insert as insert_options};
use reql::{Command, r};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema};
use warp::http::StatusCode;
use warp::reply::Response;

use super::answer::{json, with_header};
use super::body::parse;
use super::call::{Call, JSON, name};
use super::documents::{MERGE_PATCH, Patch};
use crate::conn::Conn;
use crate::error::Error;
use crate::query::Listing;
use crate::query::term::{datum, func, term};

/// How many documents one query inserts: enough to make the trips to the database cheap, and well within what one query
/// may carry.
const BATCH: usize = 200;

/// What became of one document of a bulk insert.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outcome {
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
}

fn id() -> RefOr<Schema> {
    Ref::from_schema_name("Id").into()
}

/// What a write of many documents has done, in the database's own counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    replaced: f64,
    unchanged: f64,
    deleted: f64,
    skipped: f64,
    errors: f64,
    first_error: Option<String>,
    changes: Vec<Change>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    old_val: Value,
    new_val: Value,
    error: Option<String>,
}

/// The documents of a body with one in each line.
pub(super) fn lines(body: &[u8]) -> Result<Vec<Value>, Error> {
    let mut documents = Vec::new();
    for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            documents.push(parse(line).map_err(|error| in_line(error, at))?);
        }
    }
    Ok(documents)
}

fn in_line(error: Error, at: usize) -> Error {
    match error {
        Error::BadJson { column, reason, .. } => Error::BadJson { line: at + 1, column, reason },
        error => error,
    }
}

/// Inserts documents, in batches, and tells what became of each.
pub(super) async fn insert(
    table: &str,
    documents: Vec<Value>,
    call: &Call,
    conn: &mut Conn,
) -> Result<Response, Error> {
    if documents.iter().any(|document| !document.is_object()) {
        return Err(Error::BadRequest("A document is a JSON object.".to_owned()));
    }
    let conflict = match call.prefers("resolution") {
        Some("merge-duplicates") => Some(Conflict::Update),
        Some("replace-duplicates") => Some(Conflict::Replace),
        _ => None,
    };
    let key = call.app.primary_key(conn, table).await?;
    let mut outcomes = Vec::with_capacity(documents.len());
    for batch in documents.chunks(BATCH) {
        outcomes.extend(insert_batch(table, &key, batch, conflict, conn).await?);
    }
    let all_created = outcomes.iter().all(|outcome| outcome.code.is_none());
    let status = if all_created { StatusCode::CREATED } else { StatusCode::MULTI_STATUS };
    let response = json(status, &outcomes);
    Ok(match conflict {
        Some(_) => {
            let applied = format!("resolution={}", call.prefers("resolution").unwrap_or_default());
            with_header(response, super::documents::PREFERENCE_APPLIED, &applied)
        }
        None => response,
    })
}

async fn insert_batch(
    table: &str,
    key: &str,
    batch: &[Value],
    conflict: Option<Conflict>,
    conn: &mut Conn,
) -> Result<Vec<Outcome>, Error> {
    let mut options = insert_options::Options::new().return_changes(ReturnChanges::Always);
    if let Some(conflict) = conflict {
        options = options.conflict(conflict);
    }
    let query = r.table(table.to_owned()).insert(r.args((datum::<Command>(batch), options)));
    let counts: Counts = conn.first(query).await?.unwrap_or_default();
    if counts.changes.len() == batch.len() {
        return Ok(counts.changes.into_iter().map(|change| change.outcome(key)).collect());
    }
    // The database tells of each document in the order of the batch. If it tells of other than each, only the sum is known.
    Err(Error::Internal(format!("an insert of {} told of {}", batch.len(), counts.changes.len())))
}

impl Change {
    fn outcome(self, key: &str) -> Outcome {
        match self.error {
            Some(error) => {
                let error = Error::of_write(error);
                let id = self.old_val.get(key).cloned();
                Outcome { status: error.status().as_u16(), id, code: Some(error.code()) }
            }
            None => {
                let status = if self.old_val.is_null() { StatusCode::CREATED } else { StatusCode::OK };
                Outcome { status: status.as_u16(), id: self.new_val.get(key).cloned(), code: None }
            }
        }
    }
}

/// `PATCH /tables/{t}/docs?filter`
pub(super) async fn patch(
    table: String,
    body: Result<Vec<u8>, Error>,
    call: Call,
    mut conn: Conn,
) -> Result<Response, Error> {
    call.body_is(&[MERGE_PATCH, JSON])?;
    call.accept(&[JSON])?;
    let table = name(&table)?;
    let rows = selected(&table, &call)?;
    let patch: Map<String, Value> = parse(&body?)?;
    let patch = Patch::new(patch);
    if patch.touches(&call.app.primary_key(&mut conn, &table).await?) {
        return Err(Error::BadRequest("A document's id can't be changed.".to_owned()));
    }
    let query = term(TermType::Replace, [rows, func(|row| patch.apply(row))]);
    counted(query, &mut conn).await
}

/// `DELETE /tables/{t}/docs?filter`
pub(super) async fn delete(table: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.accept(&[JSON])?;
    let rows = selected(&name(&table)?, &call)?;
    counted(term(TermType::Delete, [rows]), &mut conn).await
}

/// The rows that a request is about: those that match its filter, or, if it says so, all.
fn selected(table: &str, call: &Call) -> Result<Command, Error> {
    let mut parameters = call.parameters()?;
    let all = parameters.take_flag("all")?;
    let filter = Listing::filter(parameters)?;
    let rows = r.table(table.to_owned());
    match (filter.is_empty(), all) {
        (true, true) => Ok(rows),
        (false, false) => Ok(term(TermType::Filter, [rows, func(|row: Command| filter.holds(&row))])),
        (true, false) => Err(Error::BadRequest("Without a filter this needs `all=true`.".to_owned())),
        (false, true) => Err(Error::BadParameter {
            name: "all".to_owned(),
            reason: "it can't be combined with a filter".to_owned(),
        }),
    }
}

async fn counted(query: Command, conn: &mut Conn) -> Result<Response, Error> {
    let counts: Counts = conn.first(query).await?.unwrap_or_default();
    if let Some(error) = counts.first_error {
        log::warn!("{} documents could not be changed, the first because: {error}", counts.errors);
    }
    let counts = serde_json::json!({
        "replaced": counts.replaced as u64,
        "unchanged": counts.unchanged as u64,
        "deleted": counts.deleted as u64,
        "skipped": counts.skipped as u64,
        "errors": counts.errors as u64,
    });
    Ok(json(StatusCode::OK, &counts))
}
