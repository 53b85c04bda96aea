//! The tables of the database `rethinkdb`: the server's settings and state as rows.
//!
//! | file | tables |
//! |---|---|
//! | `databases` | `db_config` |
//! | `table_config`, `layout` | `table_config`, and what it says about shards |
//! | `table_status` | `table_status` |
//! | `servers` | `server_config`, `server_status`, `cluster_config` |
//! | `users`, `permissions` | `users`, `permissions` |
//! | `jobs` | `jobs` |
//! | `stats` | `stats` |
//! | here | `current_issues`, `logs`, `_debug_scratch` |

mod databases;
mod fields;
mod jobs;
pub mod layout;
mod permissions;
mod servers;
mod stats;
pub mod table_config;
mod table_status;
mod users;

use std::sync::{Arc, PoisonError};

use uuid::{Uuid, uuid};

use super::env::Env;
use super::table::{SingleSelection, TableRef};
use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::instance::{Guarded, Instance, Locked};
use crate::storage;

pub use databases::row as database_row;
pub use permissions::grant;

/// The name of the database that holds the system tables.
pub const DATABASE: &str = "rethinkdb";

/// The namespace of the ids of system tables, which follow from their names.
const BASE_TABLE: Uuid = uuid!("0eabef01-6deb-4069-9a2d-448db057ab1e");

/// A system table: the function that reads its rows, and the one that writes a row.
struct Definition {
    name: &'static str,
    rows: fn(&View<'_>) -> Result<Vec<Datum>>,
    write: fn(&View<'_>, Write<'_>) -> Result<Datum>,
    /// The lock under which a row is replaced, unless rows can only be deleted or not be written at all.
    lock: Option<Guarded>,
}

impl Definition {
    const fn new(
        name: &'static str,
        rows: fn(&View<'_>) -> Result<Vec<Datum>>,
        write: fn(&View<'_>, Write<'_>) -> Result<Datum>,
        lock: Option<Guarded>,
    ) -> Self {
        Definition { name, rows, write, lock }
    }
}

/// The system tables, in the order of their names. Those that begin with `_` are not listed.
const TABLES: &[Definition] = &[
    Definition::new("_debug_scratch", scratch_rows, write_scratch, Some(Guarded::Scratch)),
    Definition::new("cluster_config", servers::cluster_rows, servers::write_cluster, Some(Guarded::Server)),
    Definition::new("current_issues", no_rows, read_only, None),
    Definition::new("db_config", databases::rows, databases::write, Some(Guarded::Databases)),
    Definition::new("jobs", jobs::rows, jobs::write, None),
    Definition::new("logs", no_rows, write_logs, None),
    Definition::new("permissions", permissions::rows, permissions::write, Some(Guarded::Permissions)),
    Definition::new("server_config", servers::config_rows, servers::write_config, Some(Guarded::Server)),
    Definition::new("server_status", servers::status_rows, read_only, None),
    Definition::new("stats", stats::rows, read_only, None),
    Definition::new("table_config", table_config::rows, table_config::write, Some(Guarded::Tables)),
    Definition::new("table_status", table_status::rows, read_only, None),
    Definition::new("users", users::rows, users::write, Some(Guarded::Users)),
];

/// The form in which rows name databases, tables and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identifiers {
    /// By name.
    #[default]
    Names,
    /// By id, which stays when names change.
    Ids,
}

impl Identifiers {
    /// Returns the name or the id.
    fn pick(self, name: &str, id: Uuid) -> Datum {
        match self {
            Identifiers::Names => Datum::str(name),
            Identifiers::Ids => Datum::str(id.to_string()),
        }
    }
}

/// A system table, with the form in which its rows name things.
#[derive(Clone, Copy)]
pub struct SystemTable {
    definition: &'static Definition,
    identifiers: Identifiers,
}

/// The arguments of the functions of a [`Definition`].
struct View<'a> {
    env: &'a Env,
    instance: &'a Arc<Instance>,
    table: SystemTable,
}

/// A row that is to be replaced by another.
struct Write<'a> {
    key: &'a Datum,
    /// True if the server generated the key.
    is_key_generated: bool,
    /// New row; `null` if the row is to be deleted.
    new: Datum,
}

impl SystemTable {
    /// Returns the table of this name.
    pub fn find(name: &str, identifiers: Identifiers) -> Option<SystemTable> {
        let definition = TABLES.iter().find(|table| table.name == name)?;
        Some(SystemTable { definition, identifiers })
    }

    /// Returns the names of the tables that are listed.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLES.iter().map(|table| table.name).filter(|name| !name.starts_with('_'))
    }

    /// Returns the table's name.
    pub fn name(self) -> &'static str {
        self.definition.name
    }

    /// Returns the table's id.
    pub fn id(self) -> Uuid {
        Uuid::new_v5(&BASE_TABLE, self.name().as_bytes())
    }

    /// Returns the table's rows.
    pub fn rows(self, env: &Env) -> Result<Vec<Datum>> {
        (self.definition.rows)(&self.view(env)?)
    }

    /// Returns the row with this key.
    pub fn row(self, env: &Env, key: &Datum) -> Result<Option<Datum>> {
        Ok(self.rows(env)?.into_iter().find(|row| row.get("id").as_ref() == Some(key)))
    }

    /// Locks the rows, to be held from reading a row to writing it.
    pub fn lock(self, env: &Env) -> Result<Option<Locked<'_>>> {
        let locks = &env.instance()?.locks;
        self.definition.lock.map(|what| locks.lock(what, || env.check_wanted())).transpose()
    }

    /// Replaces the row with this key, or deletes it if `new` is `null`. Returns the outcome.
    pub fn write(self, env: &Env, key: &Datum, is_key_generated: bool, new: Datum) -> Result<Datum> {
        let written = (self.definition.write)(&self.view(env)?, Write { key, is_key_generated, new })?;
        env.instance()?.bell.ring();
        Ok(written)
    }

    fn view(self, env: &Env) -> Result<View<'_>> {
        Ok(View { env, instance: env.instance()?, table: self })
    }
}

impl View<'_> {
    fn identifiers(&self) -> Identifiers {
        self.table.identifiers
    }

    /// Returns the name or id of the server.
    fn server(&self) -> Datum {
        let identity = self.instance.identity();
        self.identifiers().pick(&identity.name, identity.id)
    }

    /// Returns the tables of all databases.
    fn tables(&self) -> Result<Vec<storage::Table>> {
        let store = &self.instance.store;
        loop {
            let stamp = store.stamp();
            match self.tables_at_once() {
                // A database was dropped or renamed meanwhile.
                Err(_) if store.stamp() != stamp => {}
                tables => return tables,
            }
        }
    }

    fn tables_at_once(&self) -> Result<Vec<storage::Table>> {
        let store = &self.instance.store;
        let mut tables = Vec::new();
        for database in store.databases() {
            for table in store.tables(&database.name)? {
                // A table that was dropped meanwhile is left out.
                tables.extend(store.table_by_id(table.id));
            }
        }
        Ok(tables)
    }
}

/// Returns the row of a table or database in a system table, as `config` and `status` select it.
pub fn selection(env: &Env, table: &str, id: Uuid) -> Result<SingleSelection> {
    let found = SystemTable::find(table, Identifiers::Names)
        .ok_or_else(|| Error::internal(format!("There is no system table `{table}`.")))?;
    let row = found
        .row(env, &Datum::str(id.to_string()))?
        .ok_or_else(|| Error::op_failed(format!("There is no row `{id}` in `{DATABASE}.{table}`.")))?;
    SingleSelection::of_row(TableRef::system(found), row)
}

/// Returns the row of `table_config` of a table.
pub fn table_config_row(env: &Env, table: &storage::Table) -> Result<Datum> {
    row_of(env, "table_config", table, table_config::row)
}

/// Returns the row of `table_status` of a table.
pub fn table_status_row(env: &Env, table: &storage::Table) -> Result<Datum> {
    row_of(env, "table_status", table, |view, table| Ok(table_status::row(view, table)))
}

fn row_of(
    env: &Env,
    name: &str,
    table: &storage::Table,
    row: impl FnOnce(&View<'_>, &storage::Table) -> Result<Datum>,
) -> Result<Datum> {
    let system = SystemTable::find(name, Identifiers::Names)
        .ok_or_else(|| Error::internal(format!("There is no system table `{name}`.")))?;
    row(&system.view(env)?, table)
}

fn no_rows(_: &View<'_>) -> Result<Vec<Datum>> {
    Ok(Vec::new())
}

fn read_only(view: &View<'_>, _: Write<'_>) -> Result<Datum> {
    let name = view.table.name();
    Err(Error::op_failed(format!("It's illegal to write to the `{DATABASE}.{name}` table.")))
}

fn write_logs(_: &View<'_>, _: Write<'_>) -> Result<Datum> {
    Err(Error::op_failed("It's illegal to write to the `rethinkdb.logs` system table."))
}

fn scratch_rows(view: &View<'_>) -> Result<Vec<Datum>> {
    Ok(view.instance.scratch.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect())
}

fn write_scratch(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    let mut scratch = view.instance.scratch.lock().unwrap_or_else(PoisonError::into_inner);
    // All threads share the order of the keys, so a search in it must not be given up.
    fuel::apart(|| match write.new.is_null() {
        true => scratch.remove(write.key),
        false => scratch.insert(write.key.clone(), write.new.clone()),
    });
    Ok(write.new)
}
