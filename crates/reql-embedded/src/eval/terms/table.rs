//! Reaching data: databases, tables, rows by key and by range.

use std::sync::Arc;

use crate::datum::text::until_nul;
use crate::datum::{Datum, pseudo};
use crate::error::{At, Error, Result};
use crate::eval::system::Identifiers;
use crate::eval::table::{Bounds, Database, SingleSelection, TableRef};
use crate::eval::{Arity, Call, Determinism, Spec, Val, Value};
use crate::storage::Store;
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Db, Arity::exactly(1), db).determinism(Determinism::NO),
    Spec::new(TermType::Table, Arity::between(1, 2), table)
        .optargs(&["read_mode", "use_outdated", "identifier_format"])
        .determinism(Determinism::NO),
    Spec::new(TermType::Get, Arity::exactly(2), get),
    Spec::new(TermType::GetAll, Arity::at_least(1), get_all).optargs(&["index"]),
    Spec::new(TermType::Between, Arity::exactly(3), between).optargs(&["index", "left_bound", "right_bound"]),
    Spec::new(TermType::BetweenDeprecated, Arity::exactly(3), between).optargs(&[
        "index",
        "left_bound",
        "right_bound",
    ]),
];

/// Returns true if databases, tables and servers may have such a name.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Reads a name of a database or a table.
pub fn name(val: Val, what: &str) -> Result<Arc<str>> {
    let bt = val.bt;
    let name = val.into_str()?;
    if !is_name(&name) {
        return Err(Error::logic(format!(
            "{what} name `{}` invalid (Use A-Z, a-z, 0-9, _ and - only).",
            until_nul(&name)
        ))
        .at(bt));
    }
    Ok(name)
}

fn db(call: &mut Call<'_>) -> Result<Val> {
    let name = name(call.arg(0)?, "Database")?;
    let database = Database::find(call.env, &name).at(call.bt())?;
    Ok(Val { value: Value::Db(database), bt: call.bt() })
}

/// Returns the database and the table's name of a term that takes both or just the name.
pub fn db_and_name(call: &mut Call<'_>) -> Result<(Database, Arc<str>)> {
    if call.len() == 1 {
        let db = match call.optarg("db")? {
            Some(db) => db.into_db()?,
            None => return Err(Error::internal("No database is set.")),
        };
        return Ok((db, name(call.arg(0)?, "Table")?));
    }
    let db = call.arg(0)?.into_db()?;
    Ok((db, name(call.arg(1)?, "Table")?))
}

fn table(call: &mut Call<'_>) -> Result<Val> {
    if call.optarg("use_outdated")?.is_some() {
        return Err(call
            .fail("The `use_outdated` optarg is no longer supported.  Use the `read_mode` optarg instead."));
    }
    if let Some(mode) = call.optarg("read_mode")? {
        let mode = mode.into_str()?;
        if !matches!(&*mode, "majority" | "single" | "outdated" | "_debug_direct") {
            return Err(call.fail(format!(
                "Read mode `{mode}` unrecognized (options are \"majority\", \"single\", and \"outdated\")."
            )));
        }
    }
    let identifiers = identifiers(call)?;
    let table = match known_table(call)? {
        Some(table) => table,
        None => {
            let stamp = call.env.store().map(Store::stamp);
            let (db, name) = db_and_name(call)?;
            let table = TableRef::find(call.env, db, &name, identifiers).at(call.bt())?;
            if let (1, Ok(stamp)) = (call.len(), stamp) {
                call.env.note_table(stamp, &table);
            }
            table
        }
    };
    Ok(Val { value: Value::Table(table), bt: call.bt() })
}

/// Returns the table if it is one of the query's own database, its name is a literal or a variable, and the
/// query has named it before.
fn known_table(call: &mut Call<'_>) -> Result<Option<TableRef>> {
    // A profile tells of each evaluation.
    if call.len() > 1 || call.env.trace().is_some() || !call.has_fixed_args(0) {
        return Ok(None);
    }
    let (name, _) = call.look(0)?;
    Ok(if let Datum::Str(name) = &*name { call.env.known_table(name) } else { None })
}

fn identifiers(call: &Call<'_>) -> Result<Identifiers> {
    let Some(format) = call.optarg("identifier_format")? else { return Ok(Identifiers::default()) };
    match &*format.into_str()? {
        "name" => Ok(Identifiers::Names),
        "uuid" => Ok(Identifiers::Ids),
        other => Err(call
            .fail(format!("Identifier format `{other}` unrecognized (options are \"name\" and \"uuid\")."))),
    }
}

fn get(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let key = call.datum(1)?;
    let row = SingleSelection::Key { table, key, env: call.env.clone() };
    Ok(Val { value: Value::Single(row), bt: call.bt() })
}

fn get_all(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let index = call.optarg("index")?.map(Val::into_str).transpose()?;
    let mut keys = Vec::with_capacity(call.len());
    for position in 1..call.len() {
        let (key, bt) = call.placed(position)?;
        if key.is_ptype(pseudo::GEOMETRY) {
            return Err(Error::logic(
                "Cannot use a geospatial index with `get_all`. Use `get_intersecting` instead.",
            )
            .at(bt));
        }
        if key.is_null() {
            return Err(Error::missing("Keys cannot be NULL.").at(bt));
        }
        keys.push(key);
    }
    keys.sort();
    let rows = table.get_all(call.env, keys, index.as_deref(), call.bt())?;
    Ok(Val { value: Value::Selection(table, rows), bt: call.bt() })
}

fn between(call: &mut Call<'_>) -> Result<Val> {
    let slice = call.arg(0)?.into_slice()?;
    let left_open = is_open(call, "left_bound", false)?;
    let right_open = is_open(call, "right_bound", true)?;
    let left = bound(call, 1, Datum::MinVal)?;
    let right = bound(call, 2, Datum::MaxVal)?;
    let index = match call.optarg("index")? {
        Some(index) => index.into_str()?,
        None => slice.index.clone().unwrap_or_else(|| slice.table.primary_key().clone()),
    };
    let bounds = Bounds { left, left_open, right, right_open };
    let slice_bt = call.bt();
    Ok(Val::slice(slice.with_bounds(index, bounds)?, slice_bt))
}

fn bound(call: &mut Call<'_>, position: usize, unbounded: Datum) -> Result<Datum> {
    let (bound, bt) = call.placed(position)?;
    match bound {
        Datum::Null if call.kind() == TermType::BetweenDeprecated => Ok(unbounded),
        Datum::Null => Err(Error::logic(
            "Cannot use `null` in BETWEEN, use `r.minval` or `r.maxval` to denote unboundedness.",
        )
        .at(bt)),
        bound => Ok(bound),
    }
}

/// Returns true if a bound is open, by an optional argument that is `open` or `closed`.
pub fn is_open(call: &Call<'_>, name: &str, default: bool) -> Result<bool> {
    let Some(value) = call.optarg(name)? else { return Ok(default) };
    let bt = value.bt;
    let (datum, text) = {
        let datum = value.into_datum()?;
        let text = datum.as_str().at(bt)?.clone();
        (datum, text)
    };
    match &*text {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => Err(call.fail(format!(
            "Expected `open` or `closed` for optarg `{name}` (got `{}`).",
            datum.trunc_print()
        ))),
    }
}
