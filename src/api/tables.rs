//! Tables: list, create, describe, drop.

use std::ops::RangeInclusive;

use reql::{Term, args, obj, r};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::ComponentsBuilder;
use warp::http::StatusCode;
use warp::reply::Response;

use super::endpoint::{Endpoint, delete, get, post};
use super::openapi::operation::{described, json_of, said, sent};
use super::openapi::parameters;
use super::openapi::schemas::{list_of, named};
use crate::bootstrap::{make_indexes, with_placement};
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::{self, at, empty};
use crate::http::body::{Body, parse};
use crate::http::context::Context;
use crate::http::guards::Guards;
use crate::http::negotiate::JSON;
use crate::http::paths::check_new_name;
use crate::json;
use crate::names::PSEUDO_TYPE;
use crate::query::Path;
use crate::reserved;
use crate::settings::{Durability, REPLICAS, SHARDS, TableSpec};

/// A table as a request describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTable {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$")]
    name: String,
    /// The name of the primary key. Default: `id`.
    #[schema(min_length = 1, max_length = 1024)]
    primary_key: Option<String>,
    /// `hard` acknowledges writes once they are on disk, `soft` before that.
    #[schema(inline)]
    durability: Option<Durability>,
    /// The number of its shards; 1 unless it is given.
    #[schema(minimum = 1, maximum = 64)]
    #[serde(default, deserialize_with = "whole")]
    shards: Option<u32>,
    /// The number of replicas of each shard, for which there must be as many servers; 1 unless it is given.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(default, deserialize_with = "whole")]
    replicas: Option<u32>,
}

/// Reads a whole number, which JSON may write as `3.0`.
fn whole<'de, D: Deserializer<'de>>(number: D) -> Result<Option<u32>, D::Error> {
    // As text, `3.0` is `3`.
    let whole = |number: f64| number.to_string().parse();
    let read = Option::<f64>::deserialize(number)?.map(whole).transpose();
    read.map_err(|_| D::Error::custom("a whole number is expected"))
}

/// A table as an answer describes it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Table {
    name: String,
    primary_key: String,
    /// The names of its secondary indexes.
    indexes: Vec<String>,
    /// The number of its documents. Absent in lists of tables.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let (many, one) = ("/tables", "/tables/{table}");
    vec![
        get(many, "listTables", "The tables")
            .answers(200, json_of("The tables, by name.", list_of("Table")))
            .data(list),
        post(many, "createTable", "Create a table")
            .body(sent(&[JSON], named("NewTable")))
            .answers(
                201,
                json_of("The table.", named("Table")).header("Location", said("The path of the table.")),
            )
            .problems(&[Code::Conflict, Code::OutcomeUnknown, Code::Refused, Code::StorageFull])
            .data_and_body(create),
        get(one, "describeTable", "A table, with the number of its documents")
            .takes([parameters::name("table")])
            .answers(200, json_of("The table.", named("Table")))
            .data(describe),
        delete(one, "dropTable", "Drop a table")
            .takes([parameters::name("table")])
            .answers(204, described("The table is gone."))
            .problems(&[Code::OutcomeUnknown, Code::StorageFull])
            .data(drop),
    ]
}

/// Adds the schemas of bodies and answers.
pub(crate) fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    components.schema_from::<Table>().schema_from::<NewTable>()
}

async fn list(context: Context, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    let tables = r.table_list().map(|name: Term| description(&r.table(name)));
    let mut tables: Vec<Table> = conn.all(tables).await?;
    tables.retain(|table| !reserved::is_table(&table.name));
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(answer::json(StatusCode::OK, &tables))
}

async fn create(context: Context, body: Body, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    context.body_is(&[JSON])?;
    Guards::check_none(&context)?;
    let new: NewTable = parse(&body?)?;
    check_new_name(&new.name)?;
    if reserved::is_table(&new.name) {
        return Err(Error::new(Code::Conflict, "The service keeps this name for itself."));
    }
    // A table that the settings name is made as they say.
    let spec = context.app().settings().tables.iter().find(|spec| spec.name == new.name);
    let spec = spec.cloned().unwrap_or_else(|| TableSpec::new(&*new.name));
    let primary_key = new.primary_key.unwrap_or_else(|| spec.primary_key.clone());
    let can_be_written = Path::of_names(vec![primary_key.clone()]).is_some();
    if primary_key == PSEUDO_TYPE || json::is_reserved(&primary_key) || !can_be_written {
        return Err(Error::bad_request("Documents can't have a field of this name."));
    }
    if primary_key.is_empty() {
        return Err(Error::bad_request("The primary key has no name."));
    }
    let is_within =
        |number: Option<u32>, range: RangeInclusive<u32>| number.is_none_or(|it| range.contains(&it));
    if !is_within(new.shards, SHARDS) || !is_within(new.replicas, REPLICAS) {
        return Err(Error::bad_request("A table has 1 to 64 shards, and 1 to 1000 replicas of each."));
    }
    context.app().catalog().forget_table(&new.name);
    let create = r.table_create(&new.name).primary_key(&primary_key);
    let (shards, replicas) = (new.shards.or(spec.shards), new.replicas.or(spec.replicas));
    let create = with_placement(create, shards, replicas, new.durability.or(spec.durability));
    conn.run(create).await?;
    let database = conn.database().name().to_owned();
    let indexes = make_indexes(&mut conn, &database, &spec).await?;
    context.app().catalog().forget_table(&new.name);
    let location = context.within(&format!("/tables/{}", new.name))?;
    let table = Table { name: new.name, primary_key, indexes, count: None };
    Ok(at(answer::json(StatusCode::CREATED, &table), &location))
}

async fn describe(context: Context, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    let table = r.table(context.table()?);
    let table = description(&table).merge(obj! { "count": table.count() });
    let table: Table = conn.first(table).await?.ok_or(Error::from(Code::NoSuchTable))?;
    Ok(answer::json(StatusCode::OK, &table))
}

async fn drop(context: Context, mut conn: Conn) -> Result<Response, Error> {
    context.plain()?;
    let table = context.table()?;
    Guards::check_none(&context)?;
    context.app().catalog().forget_table(&table);
    conn.run(r.table_drop(table)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Returns the term of a [`Table`] without its count.
fn description(table: &Term) -> Term {
    table.info().pluck(args!["name", "primary_key", "indexes"])
}
