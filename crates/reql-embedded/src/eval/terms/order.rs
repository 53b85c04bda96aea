//! Terms that put rows in order: `order_by` with `asc` and `desc`, and `distinct`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{At, Error, Result};
use crate::eval::stable_sort::stable_sort;
use crate::eval::stream::{DistinctValues, HeldRows, Map, SortedRuns};
use crate::eval::table::{Sorting, TableSlice};
use crate::eval::{Arity, Call, Func, Order, Spec, Stream, Val, Value};
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
    let is_whole = matches!(sequence.value, Value::Table(_) | Value::Slice(_));
    if is_whole && let Some(index) = call.optarg("index")? {
        return order_by_index(call, sequence.into_slice()?, index.into_str()?, order);
    }
    let (table, mut rows) = call.rows(sequence)?;
    if is_whole {
        // In RethinkDB, this term reads the rows of a range rather than the term that made the range.
        rows.blame(call.bt());
    }
    let has_index = !is_whole && call.optarg("index")?.is_some();
    let is_exhausted = !is_whole && rows.is_exhausted();
    if has_index && !is_exhausted {
        return Err(call.fail(
            "Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes \
             before any transformations (such as map) or filters.",
        ));
    }
    if order.is_empty() && !has_index {
        return Err(call.fail("Must specify something to order by."));
    }
    if is_exhausted {
        // There is nothing to sort, so the value stays the same: a stream isn't made an array.
        return call.selection_or_seq(table, rows);
    }
    let (rows, held) = rows.rows(call.env, call.bt())?;
    let sorted = HeldRows::new(order.sort(call.env, rows)?, held);
    call.selection_or_seq(table, Stream::new(sorted, call.bt()))
}

/// Returns the rows in the order of an index, and then of the other criteria.
fn order_by_index(call: &Call<'_>, slice: TableSlice, index: Arc<str>, order: Order) -> Result<Val> {
    let descending = call.lazy_optarg("index").is_some_and(|(term, _)| term.kind == TermType::Desc);
    let sorting = if descending { Sorting::Descending } else { Sorting::Ascending };
    let slice = slice.with_sorting(index, sorting)?;
    if order.is_empty() {
        return Ok(Val::slice(slice, call.bt()));
    }
    let (table, index) = (slice.table.clone(), slice.index.clone().unwrap_or_default());
    let rows = if table.is_primary(Some(&index)) {
        // No two rows have the same primary key, so there is nothing left to sort. Like the rows of other
        // indexes, which are sorted further, these can't be followed by `changes`.
        slice.into_stream(call.env, call.bt())?.through(|rows| rows)
    } else {
        slice.into_pairs(call.env, call.bt())?.through(|pairs| SortedRuns::new(pairs, index, order))
    };
    call.selection_or_seq(Some(table), rows)
}

/// Returns the order of the arguments after the first one.
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
    let index = call.optarg("index")?;
    if matches!(sequence.value, Value::Table(_) | Value::Slice(_)) {
        let index = index.map(Val::into_str).transpose()?;
        let bt = sequence.bt;
        let slice = sequence.into_slice()?;
        return match distinct_by_index(call, &slice, index.as_ref())? {
            // Not to be followed by `changes`.
            Some(rows) => call.seq(rows.through(|rows| rows)),
            None if index.is_some() => Err(not_a_table(call)),
            None => distinct_rows(call, Val::slice(slice, bt)),
        };
    }
    if index.is_some() {
        return Err(not_a_table(call));
    }
    distinct_rows(call, sequence)
}

fn not_a_table(call: &Call<'_>) -> Error {
    call.fail("Can only perform an indexed distinct on a TABLE.")
}

/// Returns the values of an index, or without one the rows of a table, which are distinct already; `None` for
/// a range of another index.
fn distinct_by_index(
    call: &Call<'_>,
    slice: &TableSlice,
    index: Option<&Arc<str>>,
) -> Result<Option<Stream>> {
    let (slice, env) = (slice.clone(), call.env);
    let primary_key = slice.table.primary_key().clone();
    if let Some(index) = index.filter(|index| **index == primary_key) {
        let key = Func::field(Datum::Str(index.clone()), call.bt())?;
        return Ok(Some(slice.into_stream(env, call.bt())?.then(Map(key), call.bt())));
    }
    let by = index.unwrap_or(&primary_key);
    if slice.index.as_ref().is_some_and(|other| other != by) {
        return Ok(None);
    }
    let slice = match slice.sorting {
        Sorting::Unordered => slice.with_sorting(by.clone(), Sorting::Ascending)?,
        _ => slice,
    };
    let rows = match index {
        None => slice.into_stream(env, call.bt())?,
        Some(_) => slice.into_pairs(env, call.bt())?.through(DistinctValues::new),
    };
    Ok(Some(rows))
}

fn distinct_rows(call: &Call<'_>, sequence: Val) -> Result<Val> {
    let mut rows = sequence.into_stream(call.env)?;
    rows.check_finite()?;
    let (mut seen, mut held) = (BTreeSet::new(), call.env.reserve());
    while let Some(row) = rows.next(call.env)? {
        let bytes = row.footprint();
        if seen.insert(row) {
            held.add_bytes(bytes)?;
        }
        call.env.limits.check_array(seen.len())?;
    }
    let mut distinct: Vec<&Datum> = seen.iter().collect();
    stable_sort(&mut distinct, &mut |a, b| Ok(a.compare(b).is_lt()))?;
    call.array(distinct.into_iter().cloned().collect())
}
