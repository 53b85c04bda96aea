//! Control: calling functions, choosing, logic.

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Arity, Call, Flags, Grouping, Groups, Shortcut, Spec, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::And, Arity::at_least(0), and),
    Spec::new(TermType::Or, Arity::at_least(0), or),
    Spec::new(TermType::Branch, Arity::at_least(3), branch),
    Spec::new(TermType::Funcall, Arity::at_least(1), funcall).optargs(&["_SHORTCUT_", "_EVAL_FLAGS_"]),
];

/// The value of `_EVAL_FLAGS_` that permits `r.literal`: it is part of stored functions.
const LITERAL_OK: i64 = 1;

fn and(call: &mut Call<'_>) -> Result<Val> {
    last_until(call, true)
}

fn or(call: &mut Call<'_>) -> Result<Val> {
    last_until(call, false)
}

/// Returns the first argument whose truth differs from `neutral`, else the last one, else `neutral` itself.
fn last_until(call: &mut Call<'_>, neutral: bool) -> Result<Val> {
    let mut last = call.val(Datum::Bool(neutral));
    for index in 0..call.len() {
        let arg = call.arg(index)?;
        let is_true;
        (last, is_true) = if let Value::Single(row) = &arg.value {
            let is_true = row.get()?.is_truthy();
            (arg, is_true)
        } else {
            let (datum, bt) = arg.into_placed()?;
            let is_true = datum.is_truthy();
            (Val::datum(datum, bt), is_true)
        };
        if is_true != neutral {
            break;
        }
    }
    Ok(last)
}

fn branch(call: &mut Call<'_>) -> Result<Val> {
    if call.len().is_multiple_of(2) {
        return Err(call.fail("Cannot call `branch` term with an even number of arguments."));
    }
    let last = call.len() - 1;
    for test in (0..last).step_by(2) {
        if call.arg(test)?.into_bool()? {
            return call.arg(test + 1);
        }
    }
    call.arg(last)
}

/// Computes `do`: calls its first argument with the others. Groups come in by the second, not by the first.
fn funcall(call: &mut Call<'_>) -> Result<Val> {
    let flags = call.optarg("_EVAL_FLAGS_")?.map(Val::into_int).transpose()?;
    let flags = if flags == Some(LITERAL_OK) { Flags::LITERAL_OK } else { Flags::NONE };
    let func = call.arg_with(0, flags)?.into_func(Shortcut::Constant)?;
    if call.len() == 1 {
        return func.call_val(call.env, &[], flags);
    }
    let first = call.arg_with(1, flags)?;
    let mut args = vec![Datum::Null];
    for index in 2..call.len() {
        args.push(call.arg_with(index, flags)?.into_datum()?);
    }
    match first.into_groups(call.env, Grouping::PerGroup)? {
        Ok(groups) => {
            let mut results = Groups::new();
            for (group, value) in groups {
                args[0] = value;
                results.insert(group, func.call_val(call.env, &args, flags)?.into_datum()?);
            }
            Ok(Val::grouped(results, call.bt()))
        }
        Err(ungrouped) => {
            args[0] = ungrouped.into_datum()?;
            func.call_val(call.env, &args, flags)
        }
    }
}
