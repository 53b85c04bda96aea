//! Terms that put rows in order: `order_by` with `asc` and `desc`, and `distinct`.

use std::collections::BTreeSet;

use crate::datum::Datum;
use crate::error::{At, Result};
use crate::eval::{Arity, Call, Order, Spec, Stream, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::OrderBy, Arity::at_least(1), order_by).optargs(&["index"]),
    Spec::new(TermType::Asc, Arity::exactly(1), |call| call.arg(0)),
    Spec::new(TermType::Desc, Arity::exactly(1), |call| call.arg(0)),
    Spec::new(TermType::Distinct, Arity::exactly(1), distinct).optargs(&["index"]),
];

fn order_by(call: &mut Call<'_>) -> Result<Val> {
    let order = order_of(call)?;
    let sequence = call.arg(0)?;
    let index = call.optarg("index")?;
    let is_empty = matches!(&sequence.value, Value::Datum(Datum::Array(items)) if items.is_empty());
    if index.is_some() && !is_empty {
        return Err(call.fail("Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes before any transformations (such as map) or filters."));
    }
    if order.is_empty() && index.is_none() {
        return Err(call.fail("Must specify something to order by."));
    }
    let bt = sequence.bt;
    let (table, rows) = call.rows(sequence)?;
    let sorted = order.sort(call.env, rows.rows(call.env).at(bt)?)?;
    call.selection_or_seq(table, Stream::of_array(sorted))
}

/// What the arguments after the first one say.
fn order_of(call: &mut Call<'_>) -> Result<Order> {
    if call.has_spread() {
        return Err(call.fail("r.args is not supported in an order_by or union command yet."));
    }
    let mut order = Order::default();
    for index in 1..call.len() {
        let val = call.arg(index)?;
        order.push(call.arg_kind(index).unwrap_or(TermType::Asc), val).at(call.bt())?;
    }
    Ok(order)
}

fn distinct(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    if call.optarg("index")?.is_some() {
        return Err(call.fail("Can only perform an indexed distinct on a TABLE."));
    }
    let bt = sequence.bt;
    let mut rows = sequence.into_stream(call.env)?;
    rows.check_finite().at(bt)?;
    let mut seen = BTreeSet::new();
    while let Some(row) = rows.next(call.env).at(bt)? {
        seen.insert(row);
        call.env.limits.check_array(seen.len())?;
    }
    call.array(seen.into_iter().collect())
}
