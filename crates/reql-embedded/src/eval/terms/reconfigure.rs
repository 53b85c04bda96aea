//! Shards and replicas: `reconfigure` and `rebalance`, and the parts that they share with `table_create`.

use std::collections::{BTreeMap, BTreeSet};

use super::admin::replacement;
use super::table::is_name;
use crate::accounts::Permission;
use crate::datum::Datum;
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::eval::stats::Merged;
use crate::eval::system::{self, layout::Layout, layout::Replication};
use crate::eval::table::{Database, TableRef};
use crate::eval::{Arity, Call, Determinism, Spec, Val, Value};
use crate::storage::Table;
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Reconfigure, Arity::between(0, 1), reconfigure)
        .optargs(&[
            "dry_run",
            "emergency_repair",
            "nonvoting_replica_tags",
            "primary_replica_tag",
            "replicas",
            "shards",
        ])
        .determinism(Determinism::NO),
    Spec::new(TermType::Rebalance, Arity::between(0, 1), rebalance).determinism(Determinism::NO),
];

/// The database or table of an administrative term.
pub enum Target {
    /// All tables of a database.
    Database(Database),
    /// One table.
    Table(TableRef),
}

impl Target {
    /// Takes a database or a table.
    pub fn of(val: Val) -> Result<Target> {
        match val.value {
            Value::Db(db) => Ok(Target::Database(db)),
            _ => val.into_table().map(Target::Table),
        }
    }

    /// Takes the argument of a term that could use the default database, but is not to.
    pub fn required(call: &mut Call<'_>, term: &str) -> Result<Target> {
        if call.len() == 0 {
            call.optarg("db")?.map(Val::into_db).transpose()?;
            return Err(call.fail(format!("`{term}` can only be called on a table or database.")));
        }
        Target::of(call.arg(0)?)
    }

    /// Returns the database, or that of the table.
    pub fn database(&self) -> &Database {
        match self {
            Target::Database(db) => db,
            Target::Table(table) => table.db(),
        }
    }

    /// Returns the tables, which the user has to be allowed to configure.
    fn configurable(&self, call: &Call<'_>) -> Result<Vec<TableRef>> {
        let tables = match self {
            Target::Table(table) => vec![table.clone()],
            Target::Database(db) => {
                call.env.require(Permission::Config, db.scope())?;
                let store = call.env.store()?;
                let tables = store.tables(&db.name)?;
                let handles = tables.into_iter().filter_map(|table| store.table_by_id(table.id));
                handles.map(|table| TableRef::new(db.clone(), table)).collect()
            }
        };
        for table in &tables {
            call.env.require(Permission::Config, table.scope())?;
        }
        Ok(tables)
    }
}

/// Checks the name of a tag.
fn tag(name: &str, bt: Bt) -> Result<String> {
    if is_name(name) {
        return Ok(name.to_owned());
    }
    Err(Error::logic(format!("Server tag name `{name}` invalid (Use A-Z, a-z, 0-9, _ and - only).")).at(bt))
}

/// Reads the optional arguments about shards and replicas, which can be required.
pub fn replication(call: &Call<'_>, is_required: bool) -> Result<Replication> {
    let argument = |name: &str| match call.optarg(name)? {
        None if is_required => Err(call.fail(format!("Missing required argument `{name}`."))),
        value => Ok(value),
    };
    let mut replication = Replication::default();
    if let Some(shards) = argument("shards")? {
        let bt = shards.bt;
        replication.shards = u64::try_from(shards.into_int()?)
            .ok()
            .filter(|shards| *shards > 0)
            .ok_or_else(|| Error::logic("Every table must have at least one shard.").at(bt))?;
    }
    let replicas = argument("replicas")?;
    let nonvoting = call.optarg("nonvoting_replica_tags")?;
    let primary = call.optarg("primary_replica_tag")?;
    if let Some(replicas) = replicas {
        replication.replicas =
            replicas_by_tag(replicas, &replication.primary_tag, primary.is_some(), nonvoting.is_some())?;
    }
    if let Some(tags) = nonvoting {
        replication.nonvoting_tags = nonvoting_tags(tags)?;
    }
    if let Some(primary) = primary {
        let bt = primary.bt;
        replication.primary_tag = tag(&primary.into_str()?, bt)?;
    }
    Ok(replication)
}

fn replicas_by_tag(
    replicas: Val,
    default_tag: &str,
    has_primary: bool,
    has_nonvoting: bool,
) -> Result<BTreeMap<String, u64>> {
    let bt = replicas.bt;
    let fail = |message: &str| Err(Error::logic(message).at(bt));
    match replicas.into_datum()? {
        Datum::Object(_) if !has_primary => {
            fail("`primary_replica_tag` must be specified when `replicas` is an OBJECT.")
        }
        Datum::Object(counts) => {
            let counts = counts.iter().map(|(name, count)| {
                let count = u64::try_from(count.as_int().at(bt)?)
                    .map_err(|_| Error::logic("Can't have a negative number of replicas").at(bt))?;
                Ok((tag(name, bt)?, count))
            });
            counts.collect()
        }
        Datum::Num(_) if has_primary => {
            fail("`replicas` must be an OBJECT if `primary_replica_tag` is specified.")
        }
        Datum::Num(_) if has_nonvoting => {
            fail("`replicas` must be an OBJECT if `nonvoting_replica_tags` is specified.")
        }
        // RethinkDB reads a negative number as one without a sign.
        count @ Datum::Num(_) => {
            Ok(BTreeMap::from([(default_tag.to_owned(), count.as_int().at(bt)?.cast_unsigned())]))
        }
        other => Err(other.wrong_kind("OBJECT or NUMBER").at(bt)),
    }
}

fn nonvoting_tags(tags: Val) -> Result<BTreeSet<String>> {
    let bt = tags.bt;
    let tags = match tags.into_datum()? {
        Datum::Array(tags) => tags,
        other => return Err(other.wrong_kind("ARRAY").at(bt)),
    };
    let tags = tags.iter().map(|item| match item {
        Datum::Str(name) => tag(&name, bt),
        other => Err(other.wrong_kind("STRING").at(bt)),
    });
    tags.collect()
}

trait WrongKind {
    fn wrong_kind(&self, expected: &str) -> Error;
}

impl WrongKind for Datum {
    /// Returns a type error that shows the value, unlike others.
    fn wrong_kind(&self, expected: &str) -> Error {
        Error::logic(format!("Expected type {expected} but found {}:\n{}", self.type_name(), self.print()))
    }
}

/// The reason why a system table is refused.
pub const UNCONFIGURABLE: &str = "you can't configure the tables in it.";

fn reconfigure(call: &mut Call<'_>) -> Result<Val> {
    let target = Target::required(call, "reconfigure")?;
    let dry_run = call.optarg("dry_run")?.map(Val::into_bool).transpose()?.unwrap_or(false);
    if let Some(mode) = call.optarg("emergency_repair")?
        && !mode.is_null()?
    {
        return Err(emergency_repair(call, &target, mode)?);
    }
    let replication = replication(call, true)?;
    target.database().refuse_system(UNCONFIGURABLE).at(call.bt())?;
    let mut merged = Merged::new(call.env);
    for table in target.configurable(call).at(call.bt())? {
        let answer = reconfigure_table(call, &table, &replication, dry_run).at(call.bt())?;
        merged.add(&answer)?;
    }
    Ok(call.val(merged.into_datum()?))
}

fn reconfigure_table(
    call: &Call<'_>,
    table: &TableRef,
    replication: &Replication,
    dry_run: bool,
) -> Result<Datum> {
    let env = call.env;
    let stored = table.ordinary(UNCONFIGURABLE)?;
    let config = system::table_config_row(env, stored)?;
    let status = system::table_status_row(env, stored)?;
    replication.check(&env.instance()?.identity())?;
    let shards = replication.shards;
    if dry_run {
        let shard = config.field("shards")?.as_array()?.get(0).unwrap_or_default();
        let shards = (0..shards).map(|_| shard.clone()).collect();
        let planned = Datum::Object(config.as_object()?.clone().with("shards", Datum::array(shards)));
        return Ok(Datum::object([
            ("config_changes", replacement(config, planned)),
            ("reconfigured", Datum::Num(0.0)),
        ]));
    }
    let changed = stored.alter(move |config| {
        config.extra = Layout { shards, ..Layout::of(config) }.to_extra();
        Ok(())
    })?;
    Ok(Datum::object([
        ("config_changes", replacement(config, system::table_config_row(env, &changed)?)),
        ("reconfigured", Datum::Num(1.0)),
        ("status_changes", replacement(status, system::table_status_row(env, &changed)?)),
    ]))
}

/// Returns the error that there is nothing to repair: with only one server, replicas can't get lost.
fn emergency_repair(call: &Call<'_>, target: &Target, mode: Val) -> Result<Error> {
    let bt = mode.bt;
    if !matches!(&*mode.into_str()?, "_debug_recommit" | "unsafe_rollback" | "unsafe_rollback_or_erase") {
        return Ok(Error::logic(
            "`emergency_repair` should be \"unsafe_rollback\" or \"unsafe_rollback_or_erase\"",
        )
        .at(bt));
    }
    for name in ["nonvoting_replica_tags", "primary_replica_tag", "replicas", "shards"] {
        if call.optarg(name)?.is_some() {
            return Ok(call.fail("In emergency repair mode, you can't specify shards, replicas, etc."));
        }
    }
    if let Target::Database(_) = target {
        return Ok(call.fail(
            "Can't emergency repair an entire database at once; instead you should run `reconfigure()` on \
             each table individually.",
        ));
    }
    target.database().refuse_system(UNCONFIGURABLE).at(call.bt())?;
    target.configurable(call).at(call.bt())?;
    Ok(call.fail_as(ErrorKind::OpFailed, "This table doesn't need to be repaired."))
}

fn rebalance(call: &mut Call<'_>) -> Result<Val> {
    let target = Target::required(call, "rebalance")?;
    target.database().refuse_system("you can't rebalance the tables in it.").at(call.bt())?;
    let mut merged = Merged::new(call.env);
    for table in target.configurable(call).at(call.bt())? {
        let stored = table.ordinary(UNCONFIGURABLE).at(call.bt())?;
        let answer = rebalance_table(call, stored).at(call.bt())?;
        merged.add(&answer)?;
    }
    Ok(call.val(merged.into_datum()?))
}

/// Rebalances a table. Rows are not spread over servers, so nothing moves. As in RethinkDB, a table with
/// fewer rows than shards counts as one that can't be balanced.
fn rebalance_table(call: &Call<'_>, table: &Table) -> Result<Datum> {
    let status = system::table_status_row(call.env, table)?;
    let can_balance = table.len()? >= Layout::of(table.config()).shards;
    Ok(Datum::object([
        ("rebalanced", Datum::Num(if can_balance { 1.0 } else { 0.0 })),
        ("status_changes", replacement(status.clone(), status)),
    ]))
}
