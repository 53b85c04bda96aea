//! Terms that make a sequence of integers or take a part of one: `range`, `limit`, `skip`, `sample`.

use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;

use super::position::position;
use crate::datum::Datum;
use crate::error::{At, Result};
use crate::eval::stream::{HeldRows, Range, Slice};
use crate::eval::{Arity, Call, Determinism, Spec, Stream, Val};
use crate::term::{RawTerm, TermType};

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Range, Arity::between(0, 2), range),
    Spec::new(TermType::Limit, Arity::exactly(2), limit),
    Spec::rewritten(TermType::Skip, Arity::exactly(2), skip),
    Spec::new(TermType::Sample, Arity::exactly(2), sample).determinism(Determinism::NO),
];

fn range(call: &mut Call<'_>) -> Result<Val> {
    let (start, end) = match call.len() {
        0 => (0, None),
        1 => (0, Some(call.int(0)?)),
        _ => (call.int(0)?, Some(call.int(1)?)),
    };
    call.seq(Stream::new(Range::new(start, end, call.bt()), call.bt()))
}

fn limit(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let (table, rows) = call.rows(sequence)?;
    let count = position(call.arg(1)?)?;
    let count = u64::try_from(count)
        .map_err(|_| call.fail(format!("LIMIT takes a non-negative argument (got {count})")))?;
    call.selection_or_seq(table, rows.through(|rows| Slice::new(rows, 0, Some(count))))
}

/// Rewrites `skip` to `slice(n, -1)` with the right bound closed.
fn skip(raw: &RawTerm) -> Result<RawTerm> {
    let literal = |datum| RawTerm::literal(datum, raw.bt);
    let mut slice = RawTerm::generated(TermType::Slice, raw.bt, raw.args.to_vec());
    slice.args.make_mut().push(literal(Datum::Num(-1.0)));
    slice.optargs.make_mut().push((Arc::from("right_bound"), literal(Datum::str("closed"))));
    slice.optargs.make_mut().extend(raw.optargs.iter().cloned());
    Ok(slice)
}

fn sample(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let count = call.int(1)?;
    let count = usize::try_from(count)
        .map_err(|_| call.fail(format!("Number of items to sample must be non-negative, got `{count}`.")))?;
    call.env.limits.check_array(count).at(call.bt())?;
    let (table, rows) = call.rows(sequence)?;
    call.selection_or_seq(table, Stream::new(choose(call, rows, count)?, call.bt()))
}

/// Returns some of the rows, all equally likely, in any order (reservoir sampling).
fn choose(call: &Call<'_>, mut rows: Stream, count: usize) -> Result<HeldRows> {
    rows.check_finite()?;
    let mut random = rand::rng();
    let (mut chosen, mut held) = (Vec::<Datum>::new(), call.env.reserve());
    let mut seen = 0_usize;
    while let Some(row) = rows.next(call.env)? {
        seen += 1;
        if chosen.len() < count {
            held.add(&row)?;
            chosen.push(row);
        } else if let Some(place) = chosen.get_mut(random.random_range(0..seen)) {
            held.replace(place.footprint(), row.footprint())?;
            *place = row;
        }
    }
    chosen.shuffle(&mut random);
    Ok(HeldRows::new(chosen, held))
}
