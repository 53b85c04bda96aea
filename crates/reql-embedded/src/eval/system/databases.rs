//! `db_config`: a row for each database; writing it creates, renames and drops databases.

use super::fields::{self, Fields, prefixed};
use super::{DATABASE, View, Write};
use crate::accounts::{Permission, Scope};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::Database;

/// Returns a database's row.
pub fn row(database: &Database) -> Datum {
    Datum::object([("id", Datum::str(database.id.to_string())), ("name", database.name.clone().into())])
}

pub(super) fn rows(view: &View<'_>) -> Result<Vec<Datum>> {
    Ok(view.instance.store.databases().iter().map(row).collect())
}

pub(super) fn write(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    let store = &view.instance.store;
    let id = fields::as_id(write.key);
    let existing = store.databases().into_iter().find(|database| Some(database.id) == id);
    let scope = existing.as_ref().map_or(Scope::Global, |database| Scope::Database(database.id));
    view.env.require(Permission::Config, scope)?;
    if write.new.is_null() {
        if let Some(database) = existing {
            drop(view, &database)?;
        }
        return Ok(write.new);
    }
    let wrong = "The change you're trying to make to `rethinkdb.db_config` has the wrong format. ";
    let (name, id) = prefixed(wrong, parse(&write.new))?;
    match existing {
        Some(database) if name == DATABASE => Err(Error::op_failed(format!(
            "Cannot rename database `{}` to `{name}` because database `{name}` already exists.",
            database.name
        ))),
        Some(database) => store.rename_database(&database.name, &name).map(|_| write.new),
        None if !write.is_key_generated => Err(Error::op_failed(
            "If you want to create a new table by inserting into `rethinkdb.db_config`, you must use an \
             auto-generated primary key.",
        )),
        None if name == DATABASE => Err(Error::op_failed(format!("Database `{DATABASE}` already exists."))),
        None => store.create_database_as(id, &name).map(|_| write.new),
    }
}

fn drop(view: &View<'_>, database: &Database) -> Result<()> {
    let store = &view.instance.store;
    for table in store.tables(&database.name)? {
        let scope = Scope::Table { database: database.id, table: table.id };
        view.env.require(Permission::Config, scope)?;
    }
    store.drop_database(&database.name).map(|_| ())
}

fn parse(row: &Datum) -> Result<(String, uuid::Uuid)> {
    let mut fields = Fields::new(row)?;
    let name = fields.read("name", |name| fields::name(name, "db name"))?;
    let id = fields.read("id", fields::id)?;
    fields.finish()?;
    Ok((name, id))
}
