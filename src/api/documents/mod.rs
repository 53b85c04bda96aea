//! Documents: create, read, replace, patch, delete.

mod bulk;
mod change;
mod changes;
mod csv;
mod depth;
mod endpoints;
mod idempotency;
mod insertion;
mod json_patch;
mod large;
mod list;
mod many;
mod own;
mod parts;
mod patch;
mod read;
mod unique;
mod write;

use futures_util::FutureExt;
use reql::{Conflict, r};
use serde_json::{Map, Value};
use warp::http::header::CONTENT_RANGE;
use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use crate::access::Grant;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::{at, empty, json_text, with_header};
use crate::http::body::{self, Body, Chunks};
use crate::http::context::Context;
use crate::http::etag::{Conditions, tag, tagged};
use crate::http::guards::{Guards, unkeyed, unrequired};
use crate::http::headers::PREFERENCE_APPLIED;
use crate::http::negotiate::{CHANGES, CSV, JSON, JSON_PATCH, MERGE_PATCH, NDJSON, preference};
use crate::http::paths::segment;
use bulk::{Documents, Form};
use change::{Change, Rules};
use changes::Changes;
use csv::Dialect;
pub(crate) use endpoints::{endpoints, schemas};
use idempotency::{Keyed, Plan};
use insertion::Insertion;
use json_patch::JsonPatch;
use large::value;
pub(crate) use patch::Patch;
use unique::{Unique, kept};
pub(crate) use write::same;
use write::{Target, Written};

/// `POST /tables/{t}/docs`, with one document or many in the body.
async fn create_any(context: Context, body: Chunks, conn: Conn, grant: Grant) -> Result<Response, Error> {
    kept(post_any, context, body, conn, grant).await
}

async fn post_any(context: Context, body: Chunks, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    let kind = context.body_among(&[JSON, NDJSON, CSV])?;
    let mut parameters = context.parameters()?;
    let form = match kind {
        JSON => Form::Array,
        CSV => Form::Csv(Dialect::take(&mut parameters)?),
        _ => Form::Lines,
    };
    parameters.finish()?;
    context.accept(&[JSON])?;
    let table = context.table()?;
    Guards::check_none(&context)?;
    if bulk::resolution(&context).is_some() {
        unrequired(&context)?;
    }
    grant.to_create()?;
    let Some(key) = idempotency::key(context.headers())? else {
        return create(&table, body, form, &context, conn, (&grant, None)).await;
    };
    // A request with a key is hashed as a whole before it is done.
    let limits = context.app().limits();
    let arrived = context.app().arriving(context.holder(&conn));
    let body = Documents::new(body, context.headers(), limits, Form::Lines, arrived);
    let (body, _) = conn.awaiting(body.into_whole()).await?;
    let keyed = Keyed::new(key, &table, &conn, &context, &grant, &body)?;
    let (app, holder) = (context.app().clone(), context.holder(&conn));
    let run = async move |conn, plan| {
        create(&table, bulk::whole(body), form, &context, conn, (&grant, Some(&plan))).await
    };
    keyed.once(&app, holder, conn, run).boxed().await
}

/// Creates what the body has. What follows the body is boxed: a request whose body is still on its way holds
/// no memory for that.
async fn create(
    table: &str,
    body: Chunks,
    form: Form,
    context: &Context,
    mut conn: Conn,
    (grant, plan): (&Grant, Option<&Plan>),
) -> Result<Response, Error> {
    let is_json = matches!(form, Form::Array);
    let arrived = context.app().arriving(context.holder(&conn));
    let mut documents = Documents::new(body, context.headers(), context.app().limits(), form, arrived);
    if !is_json || conn.awaiting(documents.is_array()).await? {
        return bulk::insert(table, documents, context, &mut conn, (grant, plan)).boxed().await;
    }
    let (body, mut arrived) = conn.awaiting(documents.into_whole()).await?;
    arrived.reach_tree(&body)?;
    context.hold(arrived);
    let document = body::document(&body)?;
    create_one(table, document, context, &mut conn, (grant, plan)).boxed().await
}

async fn create_one(
    table: &str,
    mut document: Map<String, Value>,
    context: &Context,
    conn: &mut Conn,
    (grant, plan): (&Grant, Option<&Plan>),
) -> Result<Response, Error> {
    grant.complete(&mut document)?;
    let key = context.app().catalog().primary_key(conn, table).await?;
    let had_id = plan.is_none_or(|plan| plan.identify(&mut document, &key, 0));
    let conflict = bulk::resolution(context);
    let unique = Unique::of(context.app(), conn.database(), table);
    let rules = Rules { key: &key, schema: context.app().schema(table), unique: unique.as_ref() };
    if let (true, Some(Conflict::Update), Some(id)) = (rules.has_any(), conflict, document.get(&key)) {
        // The merged document has to be checked against the rules before it is written.
        let (target, change) = (Target { table, id, grant }, Change::add(document.clone()));
        let written = target.change(conn, &Conditions::default(), &change, rules).await?;
        return created(table, id, &written, conflict, context);
    }
    // A copy of a document of very many values would be as large as the document itself.
    let checked = if rules.has_any() { Value::Object(document.clone()) } else { Value::Null };
    rules.check(&checked)?;
    // If a document with a generated id exists, an earlier attempt has written it.
    let insertion = Insertion { table, grant, conflict: conflict.filter(|_| had_id) };
    let id = document.get(&key).cloned();
    let permission = rules.unique.and_then(|_| insertion.permission(&checked, id.as_ref()));
    let held = rules.claim(conn, id.as_ref(), &checked, None, permission).await?;
    drop(checked);
    let new = value(&document);
    // Only a request with a key compares it with what is stored.
    let known = plan.map(|plan| (plan, document));
    let is_own = |stored: &Value| known.as_ref().is_some_and(|(plan, new)| plan.wrote(new, had_id, stored));
    let written = insertion.one(conn, new, is_own).await;
    rules.finish(held, &written, conn).await;
    let written = written?;
    // The permission to create a document doesn't include that to read it.
    let id = written.id(&key).or(id);
    let id = id.ok_or_else(|| Error::internal("an insert told of no document"))?;
    created(table, &id, &written, conflict, context)
}

/// Returns the answer for a document that was created, or merged into an existing one.
fn created(
    table: &str,
    id: &Value,
    written: &Written,
    conflict: Option<Conflict>,
    context: &Context,
) -> Result<Response, Error> {
    let location = context.within(&format!("/tables/{table}/docs/{}", segment(id)))?;
    let status = if written.has_inserted() { StatusCode::CREATED } else { StatusCode::OK };
    let response = at(represent(status, written, context.headers())?, &location);
    let Some(resolution) = context.prefers("resolution").filter(|_| conflict.is_some()) else {
        return Ok(response);
    };
    let before = response.headers().get(PREFERENCE_APPLIED).and_then(|applied| applied.to_str().ok());
    let before = before.map(|applied| format!("{applied}, ")).unwrap_or_default();
    Ok(with_header(response, PREFERENCE_APPLIED, &format!("{before}resolution={resolution}")))
}

async fn put_one(context: Context, body: Body, conn: Conn, grant: Grant) -> Result<Response, Error> {
    kept(put, context, body, conn, grant).await
}

async fn put(context: Context, body: Body, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    context.plain()?;
    context.body_is(&[JSON])?;
    // Such a body is only a part of the document (RFC 9110, section 14.5).
    if context.headers().contains_key(CONTENT_RANGE) {
        return Err(Error::bad_request("A document is replaced as a whole, without `Content-Range`."));
    }
    let (table, id) = (context.table()?, context.document()?);
    Guards::check_one(&context)?;
    let conditions = Conditions::of_change(&context)?;
    grant.to_put()?;
    let mut new = body::document(&body?)?;
    grant.check_fields(&new)?;
    let key = context.app().catalog().primary_key(&mut conn, &table).await?;
    write::check_id(&new, &key, &id)?;
    new.insert(key.clone(), id.clone());
    let unique = Unique::of(context.app(), conn.database(), &table);
    let rules = Rules { key: &key, schema: context.app().schema(&table), unique: unique.as_ref() };
    let change = Change::put(Value::Object(new), &grant, rules)?;
    let target = Target { table: &table, id: &id, grant: &grant };
    let written = target.change(&mut conn, &conditions, &change, rules).await?;
    let status = if written.has_inserted() { StatusCode::CREATED } else { StatusCode::OK };
    represent(status, &written, context.headers())
}

async fn patch_one(context: Context, body: Body, conn: Conn, grant: Grant) -> Result<Response, Error> {
    kept(patch, context, body, conn, grant).await
}

async fn patch(context: Context, body: Body, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    context.plain()?;
    let kind = context.body_among(&[MERGE_PATCH, JSON, JSON_PATCH, CHANGES])?;
    let (table, id) = (context.table()?, context.document()?);
    Guards::check_one(&context)?;
    unkeyed(&context)?;
    let conditions = Conditions::of_change(&context)?;
    grant.to_change()?;
    let asked = Asked::read(kind, &body?)?;
    let key = context.app().catalog().primary_key(&mut conn, &table).await?;
    let change = asked.change(&key, &id, &grant)?;
    let unique = Unique::of(context.app(), conn.database(), &table);
    let rules = Rules { key: &key, schema: context.app().schema(&table), unique: unique.as_ref() };
    let target = Target { table: &table, id: &id, grant: &grant };
    let written = target.change(&mut conn, &conditions, &change, rules).await?;
    represent(StatusCode::OK, &written, context.headers())
}

/// A change as parsed from a body.
enum Asked {
    Json(JsonPatch),
    Small(Changes),
    Merge(Map<String, Value>),
}

impl Asked {
    /// Parses a body of this type.
    fn read(kind: &str, body: &[u8]) -> Result<Asked, Error> {
        Ok(match kind {
            JSON_PATCH => Asked::Json(JsonPatch::read(body)?),
            CHANGES => Asked::Small(Changes::read(body)?),
            _ => Asked::Merge(body::document(body)?),
        })
    }

    /// Returns the change of a document with this id, if the caller may write the fields that it changes.
    fn change(self, key: &str, id: &Value, grant: &Grant) -> Result<Change, Error> {
        match self {
            Asked::Json(patch) => {
                match patch.touched() {
                    Some(fields) => grant.readable().check(&fields)?,
                    None if grant.is_open() => {}
                    // It replaces the whole document, and so changes all of its fields.
                    None => return Err(grant.refusal()),
                }
                Ok(Change::Json(patch))
            }
            Asked::Small(changes) if changes.touches(key) => {
                Err(Error::bad_request("A document's id can't be changed."))
            }
            Asked::Small(changes) => {
                grant.readable().check(changes.touched())?;
                Ok(Change::Small(changes))
            }
            Asked::Merge(patch) => {
                grant.check_fields(&patch)?;
                write::check_id(&patch, key, id)?;
                Ok(Change::Merge(Patch::new(patch)))
            }
        }
    }
}

async fn delete_one(context: Context, mut conn: Conn, grant: Grant) -> Result<Response, Error> {
    context.plain()?;
    let (table, id) = (context.table()?, context.document()?);
    Guards::check_one(&context)?;
    let conditions = Conditions::of_change(&context)?;
    grant.to_delete()?;
    let target = Target { table: &table, id: &id, grant: &grant };
    let written = match conditions == Conditions::default() && grant.is_open() {
        true => Written::of(&mut conn, target.row().delete()).await?,
        false => target.replace(&mut conn, &conditions, |_| r.expr(())).await?,
    };
    if written.has_deleted() {
        Ok(empty(StatusCode::NO_CONTENT))
    } else {
        Err(Error::from(Code::NoSuchDocument))
    }
}

/// Returns the answer with the written document, or without it for `Prefer: return=minimal`.
fn represent(status: StatusCode, written: &Written, headers: &HeaderMap) -> Result<Response, Error> {
    let preferred = preference(headers, "return");
    let no_content = if status == StatusCode::OK { StatusCode::NO_CONTENT } else { status };
    let response = match written.document() {
        None => empty(no_content),
        Some(document) => {
            let text = document.get();
            let minimal = preferred == Some("minimal");
            let answer = if minimal { empty(no_content) } else { json_text(status, text.into()) };
            tagged(answer, &tag(text.as_bytes()))
        }
    };
    Ok(match preferred {
        Some(applied @ ("minimal" | "representation")) => {
            with_header(response, PREFERENCE_APPLIED, &format!("return={applied}"))
        }
        _ => response,
    })
}
