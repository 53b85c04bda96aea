//! Comparisons and negation.

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Arity, Call, Spec};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::plain(TermType::Eq, Arity::at_least(2), |call| chain(call, |left, right| left == right)),
    Spec::plain(TermType::Ne, Arity::at_least(2), ne),
    Spec::plain(TermType::Lt, Arity::at_least(2), |call| {
        chain(call, |left, right| left.compare(right).is_lt())
    }),
    Spec::plain(TermType::Le, Arity::at_least(2), |call| {
        chain(call, |left, right| left.compare(right).is_le())
    }),
    Spec::plain(TermType::Gt, Arity::at_least(2), |call| {
        chain(call, |left, right| left.compare(right).is_gt())
    }),
    Spec::plain(TermType::Ge, Arity::at_least(2), |call| {
        chain(call, |left, right| left.compare(right).is_ge())
    }),
    Spec::plain(TermType::Not, Arity::exactly(1), not),
];

/// Returns true if each argument has this relation to the next one. Evaluation stops at the first that
/// doesn't.
fn holds(call: &mut Call<'_>, relation: fn(&Datum, &Datum) -> bool) -> Result<bool> {
    let (mut left, _) = call.look(0)?;
    for index in 1..call.len() {
        let (right, _) = call.look(index)?;
        if !relation(&left, &right) {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

fn chain(call: &mut Call<'_>, relation: fn(&Datum, &Datum) -> bool) -> Result<Datum> {
    holds(call, relation).map(Datum::Bool)
}

/// Computes the opposite of `eq`, not the chain of `!=`: true as soon as two neighbours differ.
fn ne(call: &mut Call<'_>) -> Result<Datum> {
    let all_equal = holds(call, |left, right| left == right)?;
    Ok(Datum::Bool(!all_equal))
}

fn not(call: &mut Call<'_>) -> Result<Datum> {
    Ok(Datum::Bool(!call.look(0)?.0.is_truthy()))
}
