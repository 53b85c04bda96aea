//! Secondary indexes: list, create, drop.

mod definition;

use reql::{Term, args, r};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use super::admission::{Unproven, admitted, conn};
use super::permission::may_read;
use crate::app::App;
use crate::conn::Conn;
use crate::error::{Error, Missing};
use crate::http::answer::{at, empty, json, only, read};
use crate::http::body::{body, parse};
use crate::http::call::{Call, JSON, call};
use crate::http::paths::{check_new_name, name, table_name};
use crate::query::Path;

/// An index as a request describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIndex {
    /// The fields, nested ones as `a.b`; several make a compound index.
    #[schema(schema_with = fields)]
    fields: Vec<String>,
    /// Whether each member of an indexed array gets an entry of its own.
    #[serde(default)]
    multi: bool,
    /// Whether the field holds geometry.
    #[serde(default)]
    geo: bool,
}

fn fields() -> Array {
    let field = ObjectBuilder::new().schema_type(Type::String).pattern(Some(Path::PATTERN)).build();
    ArrayBuilder::new().items(field).min_items(Some(1)).max_items(Some(Path::INDEXED)).build()
}

/// An index as the database describes it.
#[derive(Debug, Deserialize)]
struct Status {
    index: String,
    ready: bool,
    multi: bool,
    geo: bool,
    outdated: bool,
    query: Option<String>,
    progress: Option<f64>,
}

/// An index as an answer describes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// Absent for an index over more than plain fields, which someone made by other means.
    #[schema(nullable = false, value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Path>>,
    multi: bool,
    geo: bool,
    ready: bool,
    pub(crate) outdated: bool,
    /// How much of it has been built, from 0 to 1; only of one that is not ready.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
}

pub(crate) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let conn = || conn(app);

    let path = || warp::path!("tables" / String / "indexes");
    let list = path().and(read()).and(call(app)).and(conn());
    let list =
        list.then(|table, call, conn: Unproven| admitted(conn, move |conn| list_all(table, call, conn)));
    let other = path().and(only("GET, HEAD")).map(|_: String, response| response);
    let all = list.or(other).unify();

    let path = || warp::path!("tables" / String / "indexes" / String);
    let describe = path().and(read()).and(call(app)).and(conn());
    let describe = describe.then(|table, index, call, conn: Unproven| {
        admitted(conn, move |conn| describe_one(table, index, call, conn))
    });
    let create = path().and(warp::put()).and(body(app)).and(call(app)).and(conn());
    let create = create.then(|table, index, body, call, conn: Unproven| {
        admitted(conn, move |conn| make(table, index, body, call, conn))
    });
    let remove = path().and(warp::delete()).and(call(app)).and(conn());
    let remove = remove.then(|table, index, call, conn: Unproven| {
        admitted(conn, move |conn| drop_one(table, index, call, conn))
    });
    let other = path().and(only("GET, HEAD, PUT, DELETE")).map(|_: String, _: String, response| response);

    all.or(describe).unify().or(create).unify().or(remove).unify().or(other).unify().boxed()
}

async fn list_all(table: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let table = table_name(&table)?;
    // The database tells of indexes whoever asks, even of tables that are none of his business.
    may_read(&mut conn, &table).await?;
    Ok(json(StatusCode::OK, &of_table(&table, &mut conn).await?))
}

async fn describe_one(table: String, index: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let (table, index) = (table_name(&table)?, name(&index)?);
    may_read(&mut conn, &table).await?;
    let status = conn.all::<Status>(r.table(table).index_status(index)).await?.into_iter().next();
    Ok(json(StatusCode::OK, &Index::from(status.ok_or(Error::NotFound(Missing::Index))?)))
}

async fn make(
    table: String,
    index: String,
    body: Result<Vec<u8>, Error>,
    call: Call,
    mut conn: Conn,
) -> Result<Response, Error> {
    call.plain()?;
    call.body_is(&[JSON])?;
    let (table, index) = (table_name(&table)?, name(&index)?);
    check_new_name(&index)?;
    call.app.forget_indexes(&table);
    let new: NewIndex = parse(&body?)?;
    if new.fields.is_empty() {
        return Err(Error::BadRequest("An index needs at least one field.".to_owned()));
    }
    let fields = Path::parse_indexed(&new.fields, "fields")?;
    if index == call.app.primary_key(&mut conn, &table).await? {
        return Err(Error::Conflict(format!("`{index}` is the primary key, which has an index already.")));
    }
    let create = r.table(&table).index_create_by(&index, |row: Term| Path::entry(&fields, &row));
    // An option that is false is left out, as the official drivers do.
    let create = if new.multi { create.multi(true) } else { create };
    let create = if new.geo { create.geo(true) } else { create };
    let created = match conn.run(create).await {
        Ok(()) => true,
        Err(error) if error.status() == StatusCode::CONFLICT => false,
        Err(error) => return Err(error),
    };
    let index = wait(&mut conn, &table, &index).await?;
    // Who looked meanwhile has seen it unfinished.
    call.app.forget_indexes(&table);
    if created {
        let location = format!("/tables/{table}/indexes/{}", index.name);
        return Ok(at(json(StatusCode::CREATED, &index), &location));
    }
    if index.fields.as_ref() == Some(&fields) && (index.multi, index.geo) == (new.multi, new.geo) {
        return Ok(json(StatusCode::OK, &index));
    }
    Err(Error::Conflict("There is an index of this name with another definition.".to_owned()))
}

async fn drop_one(table: String, index: String, call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let table = table_name(&table)?;
    conn.run(r.table(&table).index_drop(name(&index)?)).await?;
    call.app.forget_indexes(&table);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Waits until the index can be used.
async fn wait(conn: &mut Conn, table: &str, index: &str) -> Result<Index, Error> {
    let statuses: Vec<Status> = conn.all(r.table(table).index_wait(index)).await?;
    statuses.into_iter().next().map(Index::from).ok_or(Error::NotFound(Missing::Index))
}

/// All indexes of a table.
pub(crate) async fn of_table(table: &str, conn: &mut Conn) -> Result<Vec<Index>, Error> {
    let statuses: Vec<Status> = conn.all(r.table(table).index_status(args![])).await?;
    Ok(statuses.into_iter().map(Index::from).collect())
}

impl Index {
    /// The fields of an index that can be read, over nothing but fields, in which a document has one entry at
    /// most.
    pub(crate) fn plain(&self) -> Option<Vec<Path>> {
        if !self.ready || self.multi || self.geo {
            return None;
        }
        self.fields.clone()
    }
}

impl From<Status> for Index {
    fn from(status: Status) -> Self {
        Index {
            fields: status.query.as_deref().and_then(definition::fields),
            name: status.index,
            multi: status.multi,
            geo: status.geo,
            ready: status.ready,
            outdated: status.outdated,
            progress: status.progress,
        }
    }
}
