//! Secondary indexes: list, create, drop.

use reql::r;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::ComponentsBuilder;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};
use warp::http::StatusCode;
use warp::reply::Response;

use super::endpoint::{Endpoint, delete, get, put};
use super::openapi::operation::{described, json_of, said, sent};
use super::openapi::parameters;
use super::openapi::schemas::{list_of, named};
use super::permission::may_read;
use crate::bootstrap::index_create;
use crate::catalog::{Index, Status};
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::{at, empty, json};
use crate::http::body::{Body, parse};
use crate::http::context::Context;
use crate::http::guards::Guards;
use crate::http::negotiate::JSON;
use crate::http::paths::check_new_name;
use crate::query::Path;

/// An index as a request describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIndex {
    /// The fields, nested ones as `a.b`; several make a compound index.
    #[schema(schema_with = fields)]
    fields: Vec<String>,
    /// `true` gives each member of an indexed array an entry of its own.
    #[serde(default)]
    multi: bool,
    /// `true` for a field that holds geometry.
    #[serde(default)]
    geo: bool,
}

fn fields() -> Array {
    let field = ObjectBuilder::new().schema_type(Type::String).pattern(Some(Path::INDEXED_PATTERN)).build();
    ArrayBuilder::new().items(field).min_items(Some(1)).max_items(Some(Path::INDEXED)).build()
}

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let (many, one) = ("/tables/{table}/indexes", "/tables/{table}/indexes/{index}");
    vec![
        get(many, "listIndexes", "The secondary indexes of a table, and their state")
            .takes([parameters::name("table")])
            .answers(200, json_of("The indexes.", list_of("Index")))
            .data(list),
        get(one, "describeIndex", "A secondary index, and its state")
            .takes([parameters::name("table"), parameters::name("index")])
            .answers(200, json_of("The index.", named("Index")))
            .problems(&[Code::NoSuchIndex])
            .data(describe),
        put(one, "createIndex", "Create a secondary index, and wait until it can be used")
            .takes([parameters::name("table"), parameters::name("index")])
            .body(sent(&[JSON], named("NewIndex")))
            .answers(
                201,
                json_of("The new index.", named("Index")).header("Location", said("The path of the index.")),
            )
            .answers(200, json_of("The index, which existed already.", named("Index")))
            .problems(&[Code::Conflict, Code::OutcomeUnknown, Code::StorageFull, Code::QueryLogic])
            .data_and_body(create),
        delete(one, "dropIndex", "Drop a secondary index")
            .takes([parameters::name("table"), parameters::name("index")])
            .answers(204, described("The index is gone."))
            .problems(&[Code::NoSuchIndex, Code::OutcomeUnknown, Code::StorageFull])
            .data(drop),
    ]
}

/// Adds the schemas of bodies and answers.
pub(crate) fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    components.schema_from::<Index>().schema_from::<NewIndex>()
}

async fn list(context: Context, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    let table = context.table()?;
    // The database lists indexes without checking the permission to read the table.
    may_read(&mut conn, &table).await?;
    Ok(json(StatusCode::OK, &Index::fetch_all(&table, &mut conn).await?))
}

async fn describe(context: Context, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    let (table, index) = (context.table()?, context.index()?);
    may_read(&mut conn, &table).await?;
    let status = conn.all::<Status>(r.table(table).index_status(index)).await?.into_iter().next();
    Ok(json(StatusCode::OK, &Index::from(status.ok_or(Error::from(Code::NoSuchIndex))?)))
}

async fn create(context: Context, body: Body, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    context.body_is(&[JSON])?;
    let (table, index) = (context.table()?, context.index()?);
    Guards::check_none(&context)?;
    check_new_name(&index)?;
    context.app().catalog().forget_indexes(&table);
    let new: NewIndex = parse(&body?)?;
    if new.fields.is_empty() {
        return Err(Error::bad_request("An index needs at least one field."));
    }
    let fields = Path::parse_indexed(&new.fields, "fields")?;
    if index == context.app().catalog().primary_key(&mut conn, &table).await? {
        return Err(Error::new(
            Code::Conflict,
            format!("`{index}` is the primary key, which has an index already."),
        ));
    }
    let create = index_create(&r.table(&table), &index, &fields, (new.multi, new.geo));
    let created = match conn.run(create).await {
        Ok(()) => true,
        Err(error) if error.status() == StatusCode::CONFLICT => false,
        Err(error) => return Err(error),
    };
    let index = wait(&mut conn, &table, &index).await?;
    // Another request may have cached the index while it was being built.
    context.app().catalog().forget_indexes(&table);
    if created {
        let location = context.within(&format!("/tables/{table}/indexes/{}", index.name))?;
        return Ok(at(json(StatusCode::CREATED, &index), &location));
    }
    if index.is(&fields, new.multi, new.geo) {
        return Ok(json(StatusCode::OK, &index));
    }
    Err(Error::new(Code::Conflict, "There is an index of this name with another definition."))
}

async fn drop(context: Context, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    let (table, index) = (context.table()?, context.index()?);
    Guards::check_none(&context)?;
    conn.run(r.table(&table).index_drop(index)).await?;
    context.app().catalog().forget_indexes(&table);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Waits until the index is ready.
async fn wait(conn: &mut Conn, table: &str, index: &str) -> Result<Index, Error> {
    let statuses: Vec<Status> = conn.all(r.table(table).index_wait(index)).await?;
    statuses.into_iter().next().map(Index::from).ok_or(Error::from(Code::NoSuchIndex))
}
