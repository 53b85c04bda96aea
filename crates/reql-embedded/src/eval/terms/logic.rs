//! Comparisons and negation.

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Arity, Call, Spec, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Eq, Arity::at_least(2), |call| chain(call, |left, right| left == right)),
    Spec::new(TermType::Ne, Arity::at_least(2), ne),
    Spec::new(TermType::Lt, Arity::at_least(2), |call| chain(call, |left, right| left < right)),
    Spec::new(TermType::Le, Arity::at_least(2), |call| chain(call, |left, right| left <= right)),
    Spec::new(TermType::Gt, Arity::at_least(2), |call| chain(call, |left, right| left > right)),
    Spec::new(TermType::Ge, Arity::at_least(2), |call| chain(call, |left, right| left >= right)),
    Spec::new(TermType::Not, Arity::exactly(1), not),
];

/// Whether each argument stands in this relation to the next one. Evaluation stops at the first that doesn't.
fn holds(call: &mut Call<'_>, relation: fn(&Datum, &Datum) -> bool) -> Result<bool> {
    let mut left = call.datum(0)?;
    for index in 1..call.len() {
        let right = call.datum(index)?;
        if !relation(&left, &right) {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

fn chain(call: &mut Call<'_>, relation: fn(&Datum, &Datum) -> bool) -> Result<Val> {
    let holds = holds(call, relation)?;
    Ok(call.val(Datum::Bool(holds)))
}

/// Not the chain of `!=` but the opposite of `eq`: true as soon as two neighbours differ.
fn ne(call: &mut Call<'_>) -> Result<Val> {
    let all_equal = holds(call, |left, right| left == right)?;
    Ok(call.val(Datum::Bool(!all_equal)))
}

fn not(call: &mut Call<'_>) -> Result<Val> {
    let truth = call.arg(0)?.into_bool()?;
    Ok(call.val(Datum::Bool(!truth)))
}
