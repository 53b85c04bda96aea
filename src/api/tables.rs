//! Tables: list, create, describe, drop.

use reql::{Durability, Term, args, obj, r};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use super::admission::{Unproven, admitted, conn};
use crate::app::App;
use crate::conn::Conn;
use crate::error::{Error, Missing};
use crate::http::answer::{at, empty, json, only, read};
use crate::http::body::{PSEUDO_TYPE, body, parse};
use crate::http::call::{Call, JSON, call};
use crate::http::paths::{check_new_name, table_name};
use crate::reserved;

/// A table as a request describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTable {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$")]
    name: String,
    /// The field that identifies a document; `id` unless it is given.
    #[schema(min_length = 1)]
    primary_key: Option<String>,
    /// Whether a write is answered once it is on disk.
    #[schema(inline)]
    durability: Option<NewDurability>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NewDurability {
    Hard,
    Soft,
}

/// A table as an answer describes it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Table {
    name: String,
    primary_key: String,
    /// The names of its secondary indexes.
    indexes: Vec<String>,
    /// How many documents it has; only of a table that was asked for by itself.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

pub(crate) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let conn = || conn(app);

    let path = || warp::path!("tables");
    let list = path().and(read()).and(call(app)).and(conn());
    let list = list.then(|call, conn: Unproven| admitted(conn, move |conn| list_all(call, conn)));
    let create = path().and(warp::post()).and(body(app)).and(call(app)).and(conn());
    let create = create.then(|body, call, conn: Unproven| admitted(conn, move |conn| make(body, call, conn)));
    let all = list.or(create).unify().or(path().and(only("GET, HEAD, POST"))).unify();

    let path = || warp::path!("tables" / String);
    let describe = path().and(read()).and(call(app)).and(conn());
    let describe = describe
        .then(|table, call, conn: Unproven| admitted(conn, move |conn| describe_one(table, call, conn)));
    let remove = path().and(warp::delete()).and(call(app)).and(conn());
    let remove =
        remove.then(|table, call, conn: Unproven| admitted(conn, move |conn| drop_one(table, call, conn)));
    let other = path().and(only("GET, HEAD, DELETE")).map(|_: String, response| response);

    all.or(describe).unify().or(remove).unify().or(other).unify().boxed()
}

async fn list_all(call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let tables = r.table_list().map(|name: Term| description(&r.table(name)));
    let mut tables: Vec<Table> = conn.all(tables).await?;
    tables.retain(|table| !reserved::is_table(&table.name));
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(json(StatusCode::OK, &tables))
}

async fn make(body: Result<Vec<u8>, Error>, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    call.body_is(&[JSON])?;
    let new: NewTable = parse(&body?)?;
    check_new_name(&new.name)?;
    if reserved::is_table(&new.name) {
        return Err(Error::Conflict("The service keeps this name for itself.".to_owned()));
    }
    let primary_key = new.primary_key.unwrap_or_else(|| "id".to_owned());
    if primary_key == PSEUDO_TYPE {
        return Err(Error::BadRequest("Documents can't have a field of this name.".to_owned()));
    }
    if primary_key.is_empty() {
        return Err(Error::BadRequest("The primary key has no name.".to_owned()));
    }
    call.app.forget_primary_key(&new.name);
    let create = r.table_create(&new.name).primary_key(&primary_key);
    let create = match new.durability {
        Some(durability) => create.durability(Durability::from(durability)),
        None => create,
    };
    conn.run(create).await?;
    let location = format!("/tables/{}", new.name);
    let table = Table { name: new.name, primary_key, indexes: Vec::new(), count: None };
    Ok(at(json(StatusCode::CREATED, &table), &location))
}

async fn describe_one(table: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let table = r.table(table_name(&table)?);
    let table = description(&table).merge(obj! { "count": table.count() });
    let table: Table = conn.first(table).await?.ok_or(Error::NotFound(Missing::Table))?;
    Ok(json(StatusCode::OK, &table))
}

async fn drop_one(table: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let table = table_name(&table)?;
    call.app.forget_primary_key(&table);
    conn.run(r.table_drop(table)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// A [`Table`] without its count.
fn description(table: &Term) -> Term {
    table.info().pluck(args!["name", "primary_key", "indexes"])
}

impl From<NewDurability> for Durability {
    fn from(durability: NewDurability) -> Self {
        match durability {
            NewDurability::Hard => Durability::Hard,
            NewDurability::Soft => Durability::Soft,
        }
    }
}
