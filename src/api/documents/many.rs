//! Changes of all documents that match a filter.

use reql::{Query, Term, r};
use serde::Deserialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::Patch;
use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{Error, REFUSED};
use crate::http::answer::json;
use crate::http::body::{Body, document};
use crate::http::context::Context;
use crate::http::negotiate::{JSON, MERGE_PATCH};
use crate::query::{Filter, Listing, is_document};

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
}

/// `PATCH /tables/{t}/docs?filter`
pub(crate) async fn patch(
    context: Context,
    body: Body,
    mut conn: Conn,
    grant: Grant,
) -> Result<Response, Error> {
    context.body_is(&[MERGE_PATCH, JSON])?;
    context.accept(&[JSON])?;
    let table = context.table()?;
    grant.to_change()?;
    let filter = filter(&context, &grant)?;
    let patch = document(&body?)?;
    grant.check_fields(&patch)?;
    let patch = Patch::new(patch);
    if patch.touches(&context.app().catalog().primary_key(&mut conn, &table).await?) {
        return Err(Error::bad_request("A document's id can't be changed."));
    }
    let rows = selected(&table, filter, &grant, &mut conn).await?;
    let patched = |row: Term| grant.stored(&row, |seen| patch.apply(&seen));
    counted(rows.replace(patched), &grant, &mut conn).await
}

/// `DELETE /tables/{t}/docs?filter`
pub(crate) async fn delete(context: Context, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    context.accept(&[JSON])?;
    grant.to_delete()?;
    let rows = selected(&context.table()?, filter(&context, &grant)?, &grant, &mut conn).await?;
    let deletion: Query = match grant.is_open() {
        true => rows.delete().into(),
        false => rows.replace(|row: Term| grant.stored(&row, |_| r.expr(()))).into(),
    };
    counted(deletion, &grant, &mut conn).await
}

/// Which documents a request is about: those that match its filter, or, if it says so, all.
fn filter(context: &Context, grant: &Grant) -> Result<Filter, Error> {
    let mut parameters = context.parameters()?;
    let all = parameters.take_flag("all")?;
    let filter = Listing::filter(parameters)?;
    grant.readable().check(filter.fields())?;
    match (filter.is_empty(), all) {
        (true, true) | (false, false) => Ok(filter),
        (true, false) => Err(Error::bad_request("Without a filter this needs `all=true`.")),
        (false, true) => Err(Error::bad_parameter("all", "it can't be combined with a filter")),
    }
}

async fn selected(table: &str, filter: Filter, grant: &Grant, conn: &mut Conn) -> Result<Term, Error> {
    conn.check(filter.check()).await?;
    let rows = r.table(table);
    if filter.is_empty() && grant.is_open() {
        return Ok(rows.into());
    }
    let holds = |row: Term| {
        let may = grant.readable().documents().holds(&row);
        [may, Some(filter.holds(&row))].into_iter().flatten().fold(is_document(&row), |all, one| all & one)
    };
    Ok(rows.filter(holds).into())
}

async fn counted(query: impl Into<Query>, grant: &Grant, conn: &mut Conn) -> Result<Response, Error> {
    let counts: Counts = conn.first(query).await?.unwrap_or_default();
    let is_refused = counts.first_error.as_deref() == Some(REFUSED);
    if is_refused && counts.replaced + counts.unchanged + counts.deleted == 0.0 {
        return Err(grant.refusal());
    }
    if let Some(error) = counts.first_error.filter(|_| !is_refused) {
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
