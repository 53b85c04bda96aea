//! `table_config`: a row for each table; writing it creates, renames, moves, sets and drops tables.

use std::collections::BTreeSet;

use super::fields::{self, Fields, missing, prefixed, within};
use super::layout::{Layout, check_shards};
use super::{Identifiers, View, Write};
use crate::accounts::{Permission, Scope};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::stored;
use crate::storage::{Database, Durability, Table, TableOptions};

/// Returns a table's row.
pub(super) fn row(view: &View<'_>, table: &Table) -> Result<Datum> {
    let meta = table.meta();
    let layout = Layout::of(&meta.config);
    let server = view.server();
    let shard = Datum::object([
        ("nonvoting_replicas", Datum::empty_array()),
        ("primary_replica", server.clone()),
        ("replicas", Datum::array(vec![server])),
    ]);
    let write_hook = match &meta.config.write_hook {
        Some(hook) => stored::hook_row(hook)?,
        None => Datum::Null,
    };
    let indexes = table.indexes()?.into_iter().map(|index| Datum::str(&index.spec.name)).collect();
    Ok(Datum::object([
        ("db", view.identifiers().pick(&meta.database.name, meta.database.id)),
        ("durability", Datum::str(meta.config.durability.name())),
        ("id", Datum::str(meta.id.to_string())),
        ("indexes", Datum::array(indexes)),
        ("name", Datum::str(&meta.config.name)),
        ("primary_key", Datum::str(&meta.config.primary_key)),
        ("shards", Datum::array((0..layout.shards).map(|_| shard.clone()).collect())),
        ("write_acks", Datum::str(&layout.write_acks)),
        ("write_hook", write_hook),
    ]))
}

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    view.tables()?.iter().map(|table| row(view, table)).collect()
}

const WRONG: &str = "The change you're trying to make to `rethinkdb.table_config` has the wrong format. ";

pub(super) fn write(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    let existing = fields::as_id(write.key).and_then(|id| view.instance.store.table_by_id(id));
    match existing {
        Some(table) => change(view, &table, write.new),
        None if write.new.is_null() => Ok(write.new),
        None if !write.is_key_generated => Err(Error::op_failed(
            "There is no existing table with the given ID. To create a new table by inserting into \
             `rethinkdb.table_config`, you must let the database generate the primary key automatically.",
        )),
        None => create(view, &write.new),
    }
}

fn change(view: &View<'_>, table: &Table, new: Datum) -> Result<Datum> {
    let meta = table.meta();
    let scope = Scope::Table { database: meta.database.id, table: meta.id };
    view.env.require(Permission::Config, scope)?;
    if new.is_null() {
        view.instance.store.drop_table(meta.id)?;
        return Ok(new);
    }
    let parsed = prefixed(WRONG, parse(view, &new, Some(table)))?;
    if parsed.database.id != meta.database.id {
        view.env.require(Permission::Config, Scope::Database(parsed.database.id))?;
    }
    if parsed.primary_key != meta.config.primary_key {
        return Err(Error::op_failed("It's illegal to change a table's primary key"));
    }
    table.alter(move |config| {
        config.db = parsed.database.id;
        config.name = parsed.name;
        config.durability = parsed.durability;
        config.extra = parsed.layout.to_extra();
        Ok(())
    })?;
    Ok(new)
}

fn create(view: &View<'_>, new: &Datum) -> Result<Datum> {
    let parsed = prefixed(WRONG, parse(view, new, None))?;
    let options = TableOptions {
        id: Some(parsed.id),
        primary_key: parsed.primary_key,
        durability: parsed.durability,
        extra: parsed.layout.to_extra(),
    };
    let table = view.instance.store.create_table(&parsed.database.name, &parsed.name, options)?;
    row(view, &table)
}

/// The settings in a row.
struct Parsed {
    id: uuid::Uuid,
    name: String,
    database: Database,
    primary_key: String,
    durability: Durability,
    layout: Layout,
}

/// Reads a row. A new table may leave most of it to the defaults; one that exists has to have every field.
fn parse(view: &View<'_>, row: &Datum, existing: Option<&Table>) -> Result<Parsed> {
    let mut fields = Fields::new(row)?;
    let name = fields.read("name", |name| fields::name(name, "table name"))?;
    let database = database(view, &fields.required("db")?)?;
    let id = fields.read("id", fields::id)?;
    check_indexes(fields.optional("indexes"), existing)?;
    let optional = |field: Option<Datum>, name: &str| match (field, existing) {
        (None, Some(_)) => Err(missing(name)),
        (field, _) => Ok(field),
    };
    let primary_key = match optional(fields.optional("primary_key"), "primary_key")? {
        Some(key) => within("primary_key", fields::string(&key))?,
        None => "id".into(),
    };
    let mut layout = Layout::default();
    if let Some(shards) = optional(fields.optional("shards"), "shards")? {
        layout.shards = within("shards", parse_shards(view, &shards))?;
    }
    if let Some(acks) = optional(fields.optional("write_acks"), "write_acks")? {
        layout.write_acks = within("write_acks", one_of(&acks, ["single", "majority"]))?;
    }
    let durability = match optional(fields.optional("durability"), "durability")? {
        Some(durability) if within("durability", one_of(&durability, ["soft", "hard"]))? == "soft" => {
            Durability::Soft
        }
        _ => Durability::Hard,
    };
    check_write_hook(fields.optional("write_hook"), existing)?;
    fields.finish()?;
    Ok(Parsed { id, name, database, primary_key, durability, layout })
}

fn database(view: &View<'_>, datum: &Datum) -> Result<Database> {
    let store = &view.instance.store;
    match view.identifiers() {
        Identifiers::Names => store.database(&fields::name(datum, "database name")?),
        Identifiers::Ids => {
            let id = fields::id(datum)?;
            let found = store.databases().into_iter().find(|database| database.id == id);
            found.ok_or_else(|| Error::op_failed(format!("There is no database with UUID `{id}`.")))
        }
    }
}

fn one_of(datum: &Datum, [first, second]: [&str; 2]) -> Result<String> {
    match datum {
        Datum::Str(text) if **text == *first || **text == *second => Ok(text.to_string()),
        _ => Err(Error::op_failed(format!("Expected \"{first}\" or \"{second}\", got: {}", datum.print()))),
    }
}

fn check_indexes(field: Option<Datum>, existing: Option<&Table>) -> Result<()> {
    let Some(field) = field else {
        return if existing.is_some() { Err(missing("indexes")) } else { Ok(()) };
    };
    let mut given = BTreeSet::new();
    let names = fields::list(&field, |item| {
        let name = fields::string(&item)?;
        if given.insert(name) {
            Ok(())
        } else {
            Err(Error::op_failed(format!("{} was specified more than once.", item.print())))
        }
    });
    within("indexes", names)?;
    match existing {
        Some(table) => {
            let names: BTreeSet<String> =
                table.indexes()?.into_iter().map(|index| index.spec.name.clone()).collect();
            if names == given {
                return Ok(());
            }
            Err(Error::op_failed(
                "The `indexes` field is read-only and can't be used to create or drop indexes.",
            ))
        }
        None if given.is_empty() => Ok(()),
        None => {
            Err(Error::op_failed("The `indexes` field is read-only and can't be used to create indexes."))
        }
    }
}

fn check_write_hook(field: Option<Datum>, existing: Option<&Table>) -> Result<()> {
    let Some(field) = field else {
        return if existing.is_some() { Err(missing("write_hook")) } else { Ok(()) };
    };
    let hook = existing.and_then(|table| table.config().write_hook.as_deref());
    if field == hook.map_or(Ok(Datum::Null), stored::hook_row)? {
        return Ok(());
    }
    Err(Error::op_failed(
        "The `write_hook` field is read-only and can't be used to create or drop a write hook function.",
    ))
}

/// Returns the number of shards in a list of them, each of which has its only replica on this server.
fn parse_shards(view: &View<'_>, shards: &Datum) -> Result<u64> {
    let count = fields::list(shards, |shard| parse_shard(view, &shard))?.len();
    if count == 0 {
        return Err(Error::op_failed("You must specify at least one shard."));
    }
    check_shards(count as u64)?;
    Ok(count as u64)
}

fn parse_shard(view: &View<'_>, shard: &Datum) -> Result<()> {
    let mut fields = Fields::new(shard)?;
    let replicas = fields.read("replicas", |list| replicas(view, list))?;
    if replicas == 0 {
        return Err(Error::op_failed("You must specify at least one replica for each shard."));
    }
    let nonvoting = match fields.optional("nonvoting_replicas") {
        Some(list) => within("nonvoting_replicas", self::replicas(view, &list))?,
        None => 0,
    };
    fields.read("primary_replica", |server| check_server(view, server))?;
    if nonvoting > 0 {
        let name = &view.instance.identity().name;
        return Err(Error::op_failed(format!(
            "The primary replica (`{name}`) must not be a nonvoting replica."
        )));
    }
    fields.finish()
}

/// Returns the length of a list of servers, of which there is only one.
fn replicas(view: &View<'_>, list: &Datum) -> Result<usize> {
    let mut count = 0;
    fields::list(list, |server| {
        check_server(view, &server)?;
        count += 1;
        if count > 1 {
            let name = &view.instance.identity().name;
            return Err(Error::op_failed(format!("Server `{name}` is listed more than once.")));
        }
        Ok(())
    })?;
    Ok(count)
}

fn check_server(view: &View<'_>, server: &Datum) -> Result<()> {
    let identity = view.instance.identity();
    match view.identifiers() {
        Identifiers::Names => {
            let name = fields::name(server, "server name")?;
            if name == *identity.name {
                return Ok(());
            }
            Err(Error::op_failed(format!("Server `{name}` does not exist or is not connected.")))
        }
        Identifiers::Ids => match fields::as_id(server) {
            Some(id) if id == identity.id => Ok(()),
            Some(id) => Err(Error::op_failed(format!("There is no server with UUID `{id}`."))),
            None => Err(Error::op_failed(format!("Expected a server ID; got {}", server.print()))),
        },
    }
}
