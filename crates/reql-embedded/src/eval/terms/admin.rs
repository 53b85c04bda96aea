//! Databases and tables: making, dropping and listing them, and reading their settings.

use std::collections::BTreeSet;

use super::reconfigure::{self, Target, UNCONFIGURABLE};
use super::table::{db_and_name, name};
use super::write::durability;
use crate::accounts::{Permission, Scope};
use crate::datum::Datum;
use crate::error::{At, Error, ErrorKind, Result};
use crate::eval::system::{self, SystemTable, layout::Layout};
use crate::eval::{Arity, Call, Determinism, Spec, Val, Value};
use crate::storage::TableOptions;
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::DbCreate, Arity::exactly(1), db_create).determinism(Determinism::NO),
    Spec::new(TermType::DbDrop, Arity::exactly(1), db_drop).determinism(Determinism::NO),
    Spec::new(TermType::DbList, Arity::exactly(0), db_list).determinism(Determinism::NO),
    Spec::new(TermType::TableCreate, Arity::between(1, 2), table_create)
        .optargs(&[
            "primary_key",
            "shards",
            "replicas",
            "nonvoting_replica_tags",
            "primary_replica_tag",
            "durability",
        ])
        .determinism(Determinism::NO),
    Spec::new(TermType::TableDrop, Arity::between(1, 2), table_drop).determinism(Determinism::NO),
    Spec::new(TermType::TableList, Arity::between(0, 1), table_list).determinism(Determinism::NO),
    Spec::new(TermType::Config, Arity::exactly(1), config).determinism(Determinism::NO),
    Spec::new(TermType::Status, Arity::exactly(1), status).determinism(Determinism::NO),
    Spec::new(TermType::Wait, Arity::between(0, 1), wait)
        .optargs(&["timeout", "wait_for"])
        .determinism(Determinism::NO),
];

/// Returns the configuration before and after, which administrative terms answer with.
pub fn replacement(old: Datum, new: Datum) -> Datum {
    Datum::array(vec![Datum::object([("new_val", new), ("old_val", old)])])
}

fn db_create(call: &mut Call<'_>) -> Result<Val> {
    let name = name(call.arg(0)?, "Database")?;
    if *name == *system::DATABASE {
        return Err(call.fail_as(ErrorKind::OpFailed, format!("Database `{name}` already exists.")));
    }
    call.env.require(Permission::Config, Scope::Global).at(call.bt())?;
    let database = call.env.store()?.create_database(&name).at(call.bt())?;
    Ok(call.val(Datum::object([
        ("config_changes", replacement(Datum::Null, system::database_row(&database))),
        ("dbs_created", Datum::Num(1.0)),
    ])))
}

fn db_drop(call: &mut Call<'_>) -> Result<Val> {
    let name = name(call.arg(0)?, "Database")?;
    if *name == *system::DATABASE {
        let message = format!("Database `{name}` is special; you can't delete it.");
        return Err(call.fail_as(ErrorKind::OpFailed, message));
    }
    let store = call.env.store()?;
    let database = store.database(&name).at(call.bt())?;
    call.env.require(Permission::Config, Scope::Database(database.id)).at(call.bt())?;
    for table in store.tables(&name).at(call.bt())? {
        let scope = Scope::Table { database: database.id, table: table.id };
        call.env.require(Permission::Config, scope).at(call.bt())?;
    }
    let (database, tables) = store.drop_database(&name).at(call.bt())?;
    Ok(call.val(Datum::object([
        ("config_changes", replacement(system::database_row(&database), Datum::Null)),
        ("dbs_dropped", Datum::Num(1.0)),
        ("tables_dropped", Datum::from(tables.len())),
    ])))
}

fn db_list(call: &mut Call<'_>) -> Result<Val> {
    let databases = call.env.store()?.databases();
    let mut names: BTreeSet<Datum> = databases.into_iter().map(|database| database.name.into()).collect();
    names.insert(Datum::str(system::DATABASE));
    call.array(names.into_iter().collect())
}

fn table_create(call: &mut Call<'_>) -> Result<Val> {
    let replication = reconfigure::replication(call, false)?;
    let primary_key = match call.optarg("primary_key")? {
        Some(primary_key) => primary_key.into_str()?.to_string(),
        None => "id".into(),
    };
    let durability = durability(call)?.unwrap_or_default();
    let (db, name) = db_and_name(call)?;
    db.refuse_system("you can't create new tables in it.").at(call.bt())?;
    call.env.require(Permission::Config, db.scope()).at(call.bt())?;
    let store = call.env.store()?;
    if store.table(&db.name, &name).is_ok() {
        let message = format!("Table `{}.{name}` already exists.", db.name);
        return Err(call.fail_as(ErrorKind::OpFailed, message));
    }
    replication.check(&call.env.instance()?.identity()).at(call.bt())?;
    let layout = Layout { shards: replication.shards, ..Layout::default() };
    let options = TableOptions { id: None, primary_key, durability, extra: layout.to_extra() };
    let table = store.create_table(&db.name, &name, options).at(call.bt())?;
    let config = system::table_config_row(call.env, &table).at(call.bt())?;
    Ok(call.val(Datum::object([
        ("config_changes", replacement(Datum::Null, config)),
        ("tables_created", Datum::Num(1.0)),
    ])))
}

fn table_drop(call: &mut Call<'_>) -> Result<Val> {
    let (db, name) = db_and_name(call)?;
    db.refuse_system("you can't drop tables in it.").at(call.bt())?;
    let store = call.env.store()?;
    let table = store.table(&db.name, &name).at(call.bt())?;
    let scope = Scope::Table { database: db.id, table: table.id() };
    call.env.require(Permission::Config, scope).at(call.bt())?;
    let config = system::table_config_row(call.env, &table).at(call.bt())?;
    store.drop_table(table.id()).at(call.bt())?;
    Ok(call.val(Datum::object([
        ("config_changes", replacement(config, Datum::Null)),
        ("tables_dropped", Datum::Num(1.0)),
    ])))
}

fn table_list(call: &mut Call<'_>) -> Result<Val> {
    let db = if call.len() == 1 { Some(call.arg(0)?) } else { call.optarg("db")? };
    let Some(db) = db else { return Err(Error::internal("No database is set.")) };
    let db = db.into_db()?;
    if db.is_system() {
        return call.array(SystemTable::names().map(Datum::str).collect());
    }
    let tables = call.env.store()?.tables(&db.name).at(call.bt())?;
    call.array(tables.into_iter().map(|table| Datum::str(table.config.name)).collect())
}

fn config(call: &mut Call<'_>) -> Result<Val> {
    let row = match Target::of(call.arg(0)?)? {
        Target::Database(db) => {
            db.refuse_system("you can't configure it.").at(call.bt())?;
            call.env.require(Permission::Config, db.scope()).at(call.bt())?;
            system::selection(call.env, "db_config", db.id)
        }
        Target::Table(table) => {
            let stored = table.ordinary(UNCONFIGURABLE).at(call.bt())?;
            call.env.require(Permission::Config, table.scope()).at(call.bt())?;
            system::selection(call.env, "table_config", stored.id())
        }
    };
    Ok(Val { value: Value::Single(row.at(call.bt())?), bt: call.bt() })
}

fn status(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let why = "the system tables in it don't have meaningful status information.";
    let id = table.ordinary(why).at(call.bt())?.id();
    let row = system::selection(call.env, "table_status", id).at(call.bt())?;
    Ok(Val { value: Value::Single(row), bt: call.bt() })
}

/// The states to wait for.
const READINESS: [&str; 4] =
    ["ready_for_outdated_reads", "ready_for_reads", "ready_for_writes", "all_replicas_ready"];

/// Waits for tables, which are ready as soon as they exist.
fn wait(call: &mut Call<'_>) -> Result<Val> {
    let target = Target::required(call, "wait")?;
    if let Some(state) = call.optarg("wait_for")? {
        let bt = state.bt;
        let state = state.into_str()?;
        if !READINESS.contains(&&*state) {
            let [outdated, reads, writes, all] = READINESS;
            return Err(Error::logic(format!(
                "Unknown table readiness state: '{state}', must be one of '{outdated}', '{reads}', \
                 '{writes}', or '{all}'"
            ))
            .at(bt));
        }
    }
    let timeout = call.optarg("timeout")?.map(Val::into_int).transpose()?;
    let why = "the system tables in it are always available and don't need to be waited on.";
    target.database().refuse_system(why).at(call.bt())?;
    let ready = match target {
        Target::Database(db) => call.env.store()?.tables(&db.name).at(call.bt())?.len(),
        Target::Table(_) => 1,
    };
    // RethinkDB looks at the time before it looks at the first table.
    if timeout == Some(0) && ready > 0 {
        return Err(call.fail_as(ErrorKind::OpFailed, "Timed out while waiting for tables."));
    }
    Ok(call.val(Datum::object([("ready", Datum::from(ready))])))
}
