//! Databases and tables: making, dropping and listing them.

use crate::datum::Datum;
use crate::error::{At, Error, Result};
use crate::eval::config;
use crate::eval::terms::table::{db_and_name, name};
use crate::eval::{Arity, Call, Determinism, Spec, Val};
use crate::storage::{Durability, TableOptions};
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
];

/// What administrative terms answer: a count, and the configuration before and after.
fn changed(count: &'static str, number: f64, changes: Vec<(Datum, Datum)>) -> Datum {
    let changes =
        changes.into_iter().map(|(old, new)| Datum::object([("old_val", old), ("new_val", new)])).collect();
    Datum::object([(count, Datum::Num(number)), ("config_changes", Datum::array(changes))])
}

fn db_create(call: &mut Call<'_>) -> Result<Val> {
    let name = name(call.arg(0)?, "Database")?;
    let database = call.env.store()?.create_database(&name).at(call.bt())?;
    Ok(call.val(changed("dbs_created", 1.0, vec![(Datum::Null, config::database(&database))])))
}

fn db_drop(call: &mut Call<'_>) -> Result<Val> {
    let name = name(call.arg(0)?, "Database")?;
    let (database, tables) = call.env.store()?.drop_database(&name).at(call.bt())?;
    let mut answer = vec![("tables_dropped", Datum::from(tables.len()))];
    answer.push(("dbs_dropped", Datum::Num(1.0)));
    let change = Datum::object([("old_val", config::database(&database)), ("new_val", Datum::Null)]);
    answer.push(("config_changes", Datum::array(vec![change])));
    Ok(call.val(Datum::object(answer)))
}

fn db_list(call: &mut Call<'_>) -> Result<Val> {
    let mut names: Vec<Datum> = call.env.store()?.databases().into_iter().map(|db| db.name.into()).collect();
    names.push(Datum::str("rethinkdb"));
    names.sort();
    call.array(names)
}

fn table_create(call: &mut Call<'_>) -> Result<Val> {
    let mut options = TableOptions::default();
    if let Some(primary_key) = call.optarg("primary_key")? {
        options.primary_key = primary_key.into_str()?.to_string();
    }
    if let Some(durability) = call.optarg("durability")? {
        let bt = durability.bt;
        options.durability = match &*durability.into_str()? {
            "hard" => Durability::Hard,
            "soft" => Durability::Soft,
            other => {
                return Err(Error::logic(format!(
                    "Durability option `{other}` unrecognized (options are \"hard\" and \"soft\")."
                ))
                .at(bt));
            }
        };
    }
    let (db, name) = db_and_name(call)?;
    let table = call.env.store()?.create_table(&db.name, &name, options).at(call.bt())?;
    let config = config::table(&table, call.env).at(call.bt())?;
    Ok(call.val(changed("tables_created", 1.0, vec![(Datum::Null, config)])))
}

fn table_drop(call: &mut Call<'_>) -> Result<Val> {
    let (db, name) = db_and_name(call)?;
    let store = call.env.store()?;
    let table = store.table(&db.name, &name).at(call.bt())?;
    let config = config::table(&table, call.env).at(call.bt())?;
    store.drop_table(&db.name, &name).at(call.bt())?;
    Ok(call.val(changed("tables_dropped", 1.0, vec![(config, Datum::Null)])))
}

fn table_list(call: &mut Call<'_>) -> Result<Val> {
    let db = if call.len() == 1 { Some(call.arg(0)?) } else { call.optarg("db")? };
    let Some(db) = db else { return Err(Error::internal("No database is set.")) };
    let db = db.into_db()?;
    let tables = call.env.store()?.tables(&db.name).at(call.bt())?;
    call.array(tables.into_iter().map(|table| Datum::str(table.config.name)).collect())
}
