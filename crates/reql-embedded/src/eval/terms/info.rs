//! `info`: what a value is and where it comes from.

use super::types::type_name;
use crate::datum::{Datum, ObjectBuilder};
use crate::error::Result;
use crate::eval::table::{Bounds, Sorting};
use crate::eval::{Arity, Call, Database, Env, Func, Grouping, Spec, TableRef, TableSlice, Val, Value};
use crate::term::{TermType, as_javascript, parameter_names};

/// The terms of this family.
pub const TERMS: &[Spec] = &[Spec::new(TermType::Info, Arity::exactly(1), info).grouping(Grouping::Whole)];

fn info(call: &mut Call<'_>) -> Result<Val> {
    let val = call.arg(0)?;
    let mut info = ObjectBuilder::new();
    info.insert("type", Datum::from(type_name(&val)));
    match val.value {
        Value::Db(db) => return Ok(call.val(of_database(call.env, &db)?)),
        Value::Table(table) => return Ok(call.val(of_table(call.env, &table)?)),
        Value::Slice(slice) => describe_slice(call.env, slice, &mut info)?,
        Value::Selection(table, _) => drop(info.insert("table", of_table(call.env, &table)?)),
        Value::Single(row) => drop(info.insert("table", of_table(call.env, row.table())?)),
        Value::Func(func) => drop(info.insert("source_code", Datum::from(source_code(&func)))),
        Value::Datum(datum) => describe_datum(&datum, &mut info),
        Value::Stream(_) | Value::Grouped(_) => {}
    }
    Ok(call.val(Datum::Object(info.build())))
}

fn of_database(env: &Env, db: &Database) -> Result<Datum> {
    let stored = env.store()?.database(&db.name)?;
    Ok(Datum::object([
        ("id", Datum::from(stored.id.to_string())),
        ("name", Datum::from(db.name.clone())),
        ("type", Datum::str("DB")),
    ]))
}

fn of_table(env: &Env, table: &TableRef) -> Result<Datum> {
    let mut indexes: Vec<String> =
        table.stored.indexes()?.into_iter().map(|status| status.spec.name.to_string()).collect();
    indexes.sort();
    Ok(Datum::object([
        ("db", of_database(env, &table.db)?),
        ("doc_count_estimates", Datum::array(vec![Datum::from(table.stored.len()?)])),
        ("id", Datum::from(table.stored.id().to_string())),
        ("indexes", Datum::array(indexes.into_iter().map(Datum::from).collect())),
        ("name", Datum::str(table.name())),
        ("primary_key", Datum::from(table.primary_key().clone())),
        ("type", Datum::str("TABLE")),
    ]))
}

fn describe_slice(env: &Env, slice: TableSlice, info: &mut ObjectBuilder) -> Result<()> {
    info.insert("table", of_table(env, &slice.table)?);
    info.insert("index", slice.index.map_or(Datum::Null, Datum::from));
    let sorting = match slice.sorting {
        Sorting::Unordered => "UNORDERED",
        Sorting::Ascending => "ASCENDING",
        Sorting::Descending => "DESCENDING",
    };
    info.insert("sorting", Datum::str(sorting));
    let Bounds { left, left_open, right, right_open } = slice.bounds.unwrap_or_default();
    describe_bound(info, ("left_bound", "left_bound_type"), (left, left_open), &Datum::MinVal);
    describe_bound(info, ("right_bound", "right_bound_type"), (right, right_open), &Datum::MaxVal);
    Ok(())
}

/// Describes a bound. `far` is the one that bounds nothing; its opposite leaves nothing.
fn describe_bound(
    info: &mut ObjectBuilder,
    (name, type_name): (&'static str, &'static str),
    (bound, is_open): (Datum, bool),
    far: &Datum,
) {
    let kind = match &bound {
        bound if bound == far => "unbounded",
        Datum::MinVal | Datum::MaxVal => "unachievable",
        _ if is_open => "open",
        _ => "closed",
    };
    if !matches!(bound, Datum::MinVal | Datum::MaxVal) {
        info.insert(name, bound);
    }
    info.insert(type_name, Datum::str(kind));
}

fn describe_datum(datum: &Datum, info: &mut ObjectBuilder) {
    if let Datum::Binary(bytes) = datum {
        info.insert("count", Datum::from(bytes.len()));
    }
    if !matches!(datum, Datum::Null | Datum::MinVal | Datum::MaxVal) {
        info.insert("value", Datum::from(datum.print()));
    }
}

/// A function's text, with the variables that it has captured.
fn source_code(func: &Func) -> String {
    let Some((term, scope)) = func.source() else { return func.native_source().unwrap_or_default() };
    let (bindings, implicit) = scope.bindings();
    let row = match (scope.implicit_depth(), implicit) {
        (0, _) => "(no implicit)".to_owned(),
        (1, Some(row)) => format!("implicit: {}", row.print()),
        (1, None) => "implicit: (not stored)".to_owned(),
        _ => "(multiple implicits)".to_owned(),
    };
    let captures: String =
        bindings.iter().rev().map(|(name, value)| format!(", {name}: {}", value.print())).collect();
    let params = parameter_names(term).join(", ");
    let body = term.args.get(1).map(as_javascript).unwrap_or_default();
    format!("function (captures = [{row}{captures}]) (args = [{params}]) {body}")
}
