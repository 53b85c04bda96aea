//! `group` and `ungroup`.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::stream::GroupBy;
use crate::eval::table::{Sorting, TableSlice};
use crate::eval::{Arity, Call, Func, Grouping, Shortcut, Spec, Stream, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Group, Arity::at_least(1), group)
        .optargs(&["index", "multi"])
        .grouping(Grouping::Stream),
    Spec::new(TermType::Ungroup, Arity::exactly(1), ungroup).grouping(Grouping::Whole),
];

fn group(call: &mut Call<'_>) -> Result<Val> {
    let mut by = Vec::with_capacity(call.len());
    for index in 1..call.len() {
        by.push(call.arg(index)?.into_func(Shortcut::GetField)?);
    }
    let sequence = call.arg(0)?;
    let (rows, by_index) = match call.optarg("index")? {
        Some(index) => rows_by_index(call, sequence, index, &mut by)?,
        None => (sequence.into_stream(call.env)?, false),
    };
    if by.is_empty() && !by_index {
        return Err(call.fail("Cannot group by nothing."));
    }
    let multi = call.optarg("multi")?.map(Val::into_bool).transpose()?.unwrap_or(false);
    if rows.is_grouped() {
        let message = "Cannot call `group` on the output of `group` (did you mean to `ungroup`?).";
        return Err(Error::logic(message).at(rows.place()));
    }
    let grouped = rows.grouped_by(GroupBy { by, by_index, multi }, call.bt());
    Ok(Val { value: Value::Stream(grouped), bt: call.bt() })
}

/// Returns the rows of a table by an index: in pairs with their values, unless it is the primary key, which
/// is just a field.
fn rows_by_index(call: &Call<'_>, table: Val, index: Val, by: &mut Vec<Func>) -> Result<(Stream, bool)> {
    let bt = index.bt;
    let index = index.into_str()?;
    let table_bt = table.bt;
    let slice = TableSlice::whole(table.into_table()?, table_bt);
    if slice.table.is_primary(Some(&index)) {
        by.push(Func::field(Datum::Str(index), bt)?);
        return Ok((slice.into_stream(call.env, call.bt())?, false));
    }
    let slice = slice.with_sorting(index, Sorting::Ascending)?;
    Ok((slice.into_pairs(call.env, call.bt())?, true))
}

fn ungroup(call: &mut Call<'_>) -> Result<Val> {
    let groups = match call.arg(0)?.into_groups(call.env, Grouping::PerGroup)? {
        Ok(groups) => groups,
        Err(other) => return Err(other.wrong_type("GROUPED_DATA")),
    };
    let pairs = groups
        .into_iter()
        .map(|(group, reduction)| Datum::object([("group", group), ("reduction", reduction)]));
    call.array(pairs.collect())
}
