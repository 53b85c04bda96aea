//! `group` and `ungroup`.

use crate::datum::Datum;
use crate::error::{At, Error, Result};
use crate::eval::stream::GroupBy;
use crate::eval::{Arity, Call, Grouping, Shortcut, Spec, Val, Value};
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
    if let Some(index) = call.optarg("index")? {
        return Err(call.fail("Indexes are not supported by this server.").at(index.bt));
    }
    let bt = sequence.bt;
    let rows = sequence.into_stream(call.env)?;
    if by.is_empty() {
        return Err(call.fail("Cannot group by nothing."));
    }
    let multi = call.optarg("multi")?.map(Val::into_bool).transpose()?.unwrap_or(false);
    if rows.is_grouped() {
        let message = "Cannot call `group` on the output of `group` (did you mean to `ungroup`?).";
        return Err(Error::logic(message).at(bt));
    }
    let grouped = rows.grouped_by(GroupBy { by, multi, bt: call.bt() });
    Ok(Val { value: Value::Stream(grouped), bt: call.bt() })
}

fn ungroup(call: &mut Call<'_>) -> Result<Val> {
    let groups = match call.arg(0)?.into_groups(call.env, Grouping::PerGroup)? {
        Ok(groups) => groups,
        Err(other) => return Err(other.wrong_type("GROUPED_DATA")),
    };
    let pairs = groups
        .into_iter()
        .map(|(group, reduction)| Datum::object([("group", group), ("reduction", reduction)]));
    call.array(pairs.collect()).at(call.bt())
}
