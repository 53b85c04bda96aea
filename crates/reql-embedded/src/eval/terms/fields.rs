//! Choosing and merging fields.

use super::elements::{self, Elements, NO_RECURSE, Operation, Overlay};
use crate::datum::Datum;
use crate::datum::pseudo::{Literals, literal as literals};
use crate::error::Result;
use crate::eval::pathspec::PathSpec;
use crate::eval::{Arity, Call, Flags, Grouping, Spec, Val};
use crate::term::{RawTerm, TermType};

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Pluck, Arity::at_least(1), |call| by_paths(call, Elements::Map, Operation::Pluck))
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream),
    Spec::new(TermType::Without, Arity::at_least(1), |call| {
        by_paths(call, Elements::Map, Operation::Without)
    })
    .optargs(NO_RECURSE)
    .grouping(Grouping::Stream),
    Spec::new(TermType::HasFields, Arity::at_least(1), |call| {
        by_paths(call, Elements::Filter, Operation::HasFields)
    })
    .optargs(NO_RECURSE)
    .grouping(Grouping::Stream),
    Spec::new(TermType::Merge, Arity::at_least(1), merge)
        .optargs(NO_RECURSE)
        .grouping(Grouping::Stream)
        .spreading_literals(),
    Spec::new(TermType::Literal, Arity::between(0, 1), literal).grouping(Grouping::Whole),
    Spec::rewritten(TermType::WithFields, Arity::at_least(1), with_fields),
];

fn by_paths(call: &mut Call<'_>, elements: Elements, made: fn(PathSpec) -> Operation) -> Result<Val> {
    let first = call.arg(0)?;
    elements::apply(call, first, elements, |call| {
        let paths = (1..call.len()).map(|index| call.datum(index)).collect::<Result<Vec<_>>>()?;
        call.env.limits.check_array(paths.len())?;
        Ok(made(PathSpec::of_args(&paths)?))
    })
}

fn merge(call: &mut Call<'_>) -> Result<Val> {
    let first = call.arg(0)?;
    let overlay = |call: &mut Call<'_>, index| Overlay::of(call.arg_with(index, Flags::LITERAL_OK)?);
    // A value that can't be merged is an error before the next argument is evaluated.
    let merge_one = |call: &mut Call<'_>, object: &Datum| {
        (1..call.len())
            .try_fold(object.clone(), |merged, index| overlay(call, index)?.lay_over(call.env, &merged))
    };
    elements::apply_or(call, first, Elements::Map, merge_one, |call| {
        let overlays = (1..call.len()).map(|index| overlay(call, index));
        Ok(Operation::Merge(overlays.collect::<Result<_>>()?))
    })
}

fn literal(call: &mut Call<'_>) -> Result<Val> {
    if call.flags.literals == Literals::Refused {
        return Err(literals::stray());
    }
    let value = match call.len() {
        0 => None,
        _ => Some(call.arg_with(0, Flags::NONE)?.into_datum()?),
    };
    Ok(call.val(literals::literal(value)))
}

/// Rewrites `with_fields(...)` to `has_fields(...).pluck(...)`.
fn with_fields(raw: &RawTerm) -> Result<RawTerm> {
    let mut having = RawTerm::generated(TermType::HasFields, raw.bt, raw.args.to_vec());
    having.optargs = raw.optargs.clone();
    let mut args = vec![having];
    args.extend(raw.args.iter().skip(1).cloned());
    Ok(RawTerm::generated(TermType::Pluck, raw.bt, args))
}
