//! `info`: the description of a value.

use super::types::type_name;
use crate::accounts::Permission;
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{At, Result};
use crate::eval::captures::Captures;
use crate::eval::system::layout::Layout;
use crate::eval::table::{Bounds, Database, Sorting, TableRef, TableSlice};
use crate::eval::{Arity, Call, Func, Grouping, Spec, Val, Value};
use crate::term::{TermType, as_javascript, parameter_names};

/// The terms of this family.
pub const TERMS: &[Spec] = &[Spec::new(TermType::Info, Arity::exactly(1), info).grouping(Grouping::Whole)];

fn info(call: &mut Call<'_>) -> Result<Val> {
    let val = call.arg(0)?;
    let mut info = ObjectBuilder::new();
    info.insert("type", Datum::from(type_name(&val)));
    match val.value {
        Value::Db(db) => return Ok(call.val(of_database(&db))),
        Value::Table(table) => return Ok(call.val(of_table(call, &table)?)),
        Value::Slice(slice) => of_slice(call, *slice, &mut info)?,
        Value::Selection(table, _) => {
            info.insert("table", of_table(call, &table)?);
        }
        Value::Single(row) => {
            info.insert("table", of_table(call, row.table())?);
        }
        Value::Func(func) => {
            info.insert("source_code", Datum::from(source_code(&func)));
        }
        Value::Datum(datum) => of_datum(&datum, &mut info)?,
        Value::Stream(_) | Value::Grouped(_) | Value::Later(_) => {}
    }
    Ok(call.val(Datum::Object(info.build())))
}

fn of_datum(datum: &Datum, info: &mut ObjectBuilder) -> Result<()> {
    if let Datum::Binary(bytes) = datum {
        info.insert("count", Datum::from(bytes.len()));
    }
    if !matches!(datum, Datum::Null | Datum::MinVal | Datum::MaxVal) {
        info.insert("value", Datum::from(datum.print_whole()?));
    }
    Ok(())
}

fn of_database(db: &Database) -> Datum {
    Datum::object([
        ("id", Datum::str(db.id.to_string())),
        ("name", db.name.clone().into()),
        ("type", Datum::str("DB")),
    ])
}

fn of_table(call: &Call<'_>, table: &TableRef) -> Result<Datum> {
    call.env.require(Permission::Read, table.scope()).at(call.bt())?;
    let rows = table.len(call.env).at(call.bt())?;
    let estimates = match table.stored() {
        Some(stored) => Layout::of(stored.config()).estimates(rows),
        None => vec![rows],
    };
    let indexes = table.indexes().at(call.bt())?.into_iter().map(|index| Datum::str(&index.spec.name));
    Ok(Datum::object([
        ("db", of_database(table.db())),
        ("doc_count_estimates", Datum::array(estimates.into_iter().map(Datum::from).collect())),
        ("id", Datum::str(table.id().to_string())),
        ("indexes", Datum::array(indexes.collect())),
        ("name", Datum::str(table.name())),
        ("primary_key", table.primary_key().clone().into()),
        ("type", Datum::str("TABLE")),
    ]))
}

fn of_slice(call: &Call<'_>, slice: TableSlice, info: &mut ObjectBuilder) -> Result<()> {
    info.insert("table", of_table(call, &slice.table)?);
    info.insert("index", slice.index.map_or(Datum::Null, Datum::from));
    let sorting = match slice.sorting {
        Sorting::Unordered => "UNORDERED",
        Sorting::Ascending => "ASCENDING",
        Sorting::Descending => "DESCENDING",
    };
    info.insert("sorting", Datum::str(sorting));
    let Bounds { left, left_open, right, right_open } = slice.bounds.unwrap_or_default();
    of_bound(("left_bound", "left_bound_type"), (left, left_open), Datum::MinVal, info);
    of_bound(("right_bound", "right_bound_type"), (right, right_open), Datum::MaxVal, info);
    Ok(())
}

/// Describes one end of a range. `outermost` stands for an end without a bound.
fn of_bound(
    (name, kind): (&'static str, &'static str),
    (bound, is_open): (Datum, bool),
    outermost: Datum,
    info: &mut ObjectBuilder,
) {
    let is_extreme = matches!(bound, Datum::MinVal | Datum::MaxVal);
    let of_kind = match (is_extreme, is_open) {
        (true, _) if bound == outermost => "unbounded",
        (true, _) => "unachievable",
        (false, true) => "open",
        (false, false) => "closed",
    };
    info.insert(kind, Datum::str(of_kind));
    if !is_extreme {
        info.insert(name, bound);
    }
}

/// Returns a function's text, with the variables that it has captured.
fn source_code(func: &Func) -> String {
    let Some((term, _, scope)) = func.source() else { return func.native_source().unwrap_or_default() };
    let captures = Captures::of(term, scope);
    let row = match (captures.implicit_depth, captures.implicit) {
        (0, _) => "(no implicit)".to_owned(),
        (1, Some(row)) => format!("implicit: {}", row.print()),
        (1, None) => "implicit: (not stored)".to_owned(),
        _ => "(multiple implicits)".to_owned(),
    };
    let variables = captures.variables.iter();
    let variables: String = variables.map(|(name, value)| format!(", {name}: {}", value.print())).collect();
    let params = parameter_names(term).join(", ");
    let body = term.args.get(1).map(as_javascript).unwrap_or_default();
    format!("function (captures = [{row}{variables}]) (args = [{params}]) {body}")
}
