//! Documents: create, read, replace, patch, delete.

pub(crate) mod bulk;
pub(crate) mod idempotency;
mod list;
mod many;
mod patch;
mod write;

use reql::{Term, args, r};
use serde_json::{Map, Value};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::http::header::{HeaderMap, HeaderName};
use warp::reply::Response;

use crate::api::admission::{Unproven, admitted, conn};
use crate::app::App;
use crate::conn::Conn;
use crate::error::{Error, Missing};
use crate::http::answer::{at, empty, json_text, only, read, with_header};
use crate::http::body;
use crate::http::body::body;
use crate::http::call::{Call, JSON, NDJSON, call};
use crate::http::etag::{Conditions, tag, tagged};
use crate::http::paths::{id, segment, table_name};
use crate::query::Fields;
use bulk::{Chunks, Documents, chunks};
use idempotency::{Keyed, Plan};
pub(crate) use patch::Patch;
pub(crate) use write::same;
use write::{Target, Written, json};

pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The type of a JSON merge patch.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

type Body = Result<Vec<u8>, Error>;

pub(crate) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let conn = || conn(app);

    let path = || warp::path!("tables" / String / "docs");
    let list = path().and(read()).and(call(app)).and(conn());
    let list =
        list.then(|table, call, conn: Unproven| admitted(conn, move |conn| list::list(table, call, conn)));
    let create = path().and(warp::post()).and(chunks()).and(call(app)).and(conn());
    let create = create.then(|table, body, call, conn: Unproven| {
        admitted(conn, move |conn| create_any(table, body, call, conn))
    });
    let patch = path().and(warp::patch()).and(body(app)).and(call(app)).and(conn());
    let patch = patch.then(|table, body, call, conn: Unproven| {
        admitted(conn, move |conn| many::patch(table, body, call, conn))
    });
    let delete = path().and(warp::delete()).and(call(app)).and(conn());
    let delete = delete
        .then(|table, call, conn: Unproven| admitted(conn, move |conn| many::delete(table, call, conn)));
    let other = path().and(only("GET, HEAD, POST, PATCH, DELETE")).map(|_: String, response| response);
    let all = list.or(create).unify().or(patch).unify().or(delete).unify().or(other).unify().boxed();

    one_document(app).or(all).unify().boxed()
}

fn one_document(app: &App) -> BoxedFilter<(Response,)> {
    let conn = || conn(app);
    let body = || body(app);
    let path = || warp::path!("tables" / String / "docs" / String);

    let get = path().and(read()).and(call(app)).and(conn());
    let get = get
        .then(|table, id, call, conn: Unproven| admitted(conn, move |conn| get_one(table, id, call, conn)));
    let put = path().and(warp::put()).and(body()).and(call(app)).and(conn());
    let put = put.then(|table, id, body, call, conn: Unproven| {
        admitted(conn, move |conn| put_one(table, id, body, call, conn))
    });
    let patch = path().and(warp::patch()).and(body()).and(call(app)).and(conn());
    let patch = patch.then(|table, id, body, call, conn: Unproven| {
        admitted(conn, move |conn| patch_one(table, id, body, call, conn))
    });
    let delete = path().and(warp::delete()).and(call(app)).and(conn());
    let delete = delete.then(|table, id, call, conn: Unproven| {
        admitted(conn, move |conn| delete_one(table, id, call, conn))
    });
    let other =
        path().and(only("GET, HEAD, PUT, PATCH, DELETE")).map(|_: String, _: String, response| response);
    get.or(put).unify().or(patch).unify().or(delete).unify().or(other).unify().boxed()
}

/// `POST /tables/{t}/docs`: one document, or many, as the body has it.
async fn create_any(table: String, body: Chunks, call: Call, conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    call.body_is(&[JSON, NDJSON])?;
    let table = table_name(&table)?;
    let Some(key) = idempotency::key(call.headers())? else {
        return create(&table, body, &call, conn, None).await;
    };
    // What is done once has to be known as a whole before.
    let limits = call.app.limits();
    let arrived = call.app.arriving(call.holder(&conn));
    let body = Documents::new(body, call.headers(), limits, true, arrived).into_whole().await?;
    let keyed = Keyed::new(key, &table, &conn, call.headers(), &body);
    let (app, holder) = (call.app.clone(), call.holder(&conn));
    let run = async move |conn, plan| create(&table, bulk::whole(body), &call, conn, Some(&plan)).await;
    keyed.once(&app, holder, conn, run).await
}

async fn create(
    table: &str,
    body: Chunks,
    call: &Call,
    mut conn: Conn,
    plan: Option<&Plan>,
) -> Result<Response, Error> {
    let lines = call.body_is(&[JSON]).is_err();
    let arrived = call.app.arriving(call.holder(&conn));
    let mut documents = Documents::new(body, call.headers(), call.app.limits(), lines, arrived);
    if lines || documents.is_array().await? {
        return bulk::insert(table, documents, call, &mut conn, plan).await;
    }
    let document = body::document(&documents.into_whole().await?)?;
    create_one(table, document, call, &mut conn, plan).await
}

async fn create_one(
    table: &str,
    mut document: Map<String, Value>,
    call: &Call,
    conn: &mut Conn,
    plan: Option<&Plan>,
) -> Result<Response, Error> {
    let key = call.app.primary_key(conn, table).await?;
    let had_id = plan.is_none_or(|plan| plan.identify(&mut document, &key, 0));
    let is_own = |stored: &Value| plan.is_some_and(|plan| plan.wrote(&document, had_id, stored));
    let conflict = bulk::resolution(call);
    // One whose id was made up for it is there only if an earlier attempt wrote it.
    let written = Written::of_insert(conn, table, &document, conflict.filter(|_| had_id), is_own).await?;
    let stored =
        written.document().ok_or_else(|| Error::Internal("an insert told of no document".to_owned()))?;
    let id = stored.get(&key).cloned().unwrap_or_default();
    let location = format!("/tables/{table}/docs/{}", segment(&id));
    let status = if written.has_inserted() { StatusCode::CREATED } else { StatusCode::OK };
    let response = at(represent(status, &written, call.headers())?, &location);
    let Some(resolution) = call.prefers("resolution").filter(|_| conflict.is_some()) else {
        return Ok(response);
    };
    let before = response.headers().get(PREFERENCE_APPLIED).and_then(|applied| applied.to_str().ok());
    let before = before.map(|applied| format!("{applied}, ")).unwrap_or_default();
    Ok(with_header(response, PREFERENCE_APPLIED, &format!("{before}resolution={resolution}")))
}

async fn get_one(table: String, document: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    let mut parameters = call.parameters()?;
    let fields = Fields::take(&mut parameters)?;
    parameters.finish()?;
    call.accept(&[JSON])?;
    let (table, id) = (table_name(&table)?, id(&document)?);
    let conditions = Conditions::of(call.headers())?;
    let target = Target { table: &table, id: &id };
    let mut scale = call.app.scale(call.holder(&conn));
    let Some((text, told)) = target.read_fields(&mut conn, &fields, &mut scale).await? else {
        let missing = Error::NotFound(Missing::Document);
        return Err(if conditions.match_holds(None) { missing } else { Error::PreconditionFailed });
    };
    // That of the whole document, which is what a change is conditional on.
    let tag = tag(&text);
    let text = told.unwrap_or(text);
    if !conditions.match_holds(Some(&tag)) {
        return Err(Error::PreconditionFailed);
    }
    Ok(match conditions.none_match_holds(Some(&tag)) {
        true => scale.leave_with(tagged(json_text(StatusCode::OK, text), &tag)),
        false => tagged(empty(StatusCode::NOT_MODIFIED), conditions.known(&tag)),
    })
}

async fn put_one(
    table: String,
    document: String,
    body: Body,
    call: Call,
    mut conn: Conn,
) -> Result<Response, Error> {
    call.plain()?;
    call.body_is(&[JSON])?;
    let (table, id) = (table_name(&table)?, id(&document)?);
    let conditions = Conditions::of_change(&call)?;
    let mut new = body::document(&body?)?;
    let key = call.app.primary_key(&mut conn, &table).await?;
    write::check_id(&new, &key, &id)?;
    new.insert(key, id.clone());
    let target = Target { table: &table, id: &id };
    let written = target.replace(&mut conn, &conditions, |_| r.expr(&new)).await?;
    let status = if written.has_inserted() { StatusCode::CREATED } else { StatusCode::OK };
    represent(status, &written, call.headers())
}

async fn patch_one(
    table: String,
    document: String,
    body: Body,
    call: Call,
    mut conn: Conn,
) -> Result<Response, Error> {
    call.plain()?;
    if let Err(error) = call.body_is(&[MERGE_PATCH, JSON]) {
        return Ok(with_header(warp::Reply::into_response(error), ACCEPT_PATCH, MERGE_PATCH));
    }
    let (table, id) = (table_name(&table)?, id(&document)?);
    let conditions = Conditions::of_change(&call)?;
    let patch = body::document(&body?)?;
    let key = call.app.primary_key(&mut conn, &table).await?;
    write::check_id(&patch, &key, &id)?;
    let patch = Patch::new(patch);
    let target = Target { table: &table, id: &id };
    let patched = |row: Term| r.branch(args![row.eq(()), write::missing(), patch.apply(&row)]);
    let written = target.replace(&mut conn, &conditions, patched).await?;
    represent(StatusCode::OK, &written, call.headers())
}

async fn delete_one(table: String, document: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let (table, id) = (table_name(&table)?, id(&document)?);
    let conditions = Conditions::of_change(&call)?;
    let target = Target { table: &table, id: &id };
    let written = match conditions == Conditions::default() {
        true => Written::of(&mut conn, target.row().delete()).await?,
        false => target.replace(&mut conn, &conditions, |_| r.expr(())).await?,
    };
    if written.has_deleted() {
        Ok(empty(StatusCode::NO_CONTENT))
    } else {
        Err(Error::NotFound(Missing::Document))
    }
}

/// The written document, unless the request prefers to do without it.
fn represent(status: StatusCode, written: &Written, headers: &HeaderMap) -> Result<Response, Error> {
    let preferred = crate::http::call::preference(headers, "return");
    let no_content = if status == StatusCode::OK { StatusCode::NO_CONTENT } else { status };
    let response = match written.document() {
        None => empty(no_content),
        Some(document) => {
            let text = json(document)?;
            let tag = tag(&text);
            let minimal = preferred == Some("minimal");
            tagged(if minimal { empty(no_content) } else { json_text(status, text) }, &tag)
        }
    };
    Ok(match preferred {
        Some(applied @ ("minimal" | "representation")) => {
            with_header(response, PREFERENCE_APPLIED, &format!("return={applied}"))
        }
        _ => response,
    })
}
