//! Control: calling functions, choosing, logic.

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Arity, Call, Flags, Groups, Shortcut, Spec, Val, Value, grouped};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::And, Arity::at_least(0), and),
    Spec::new(TermType::Or, Arity::at_least(0), or),
    Spec::new(TermType::Branch, Arity::at_least(3), branch),
    Spec::new(TermType::Funcall, Arity::at_least(1), funcall).optargs(&["_SHORTCUT_", "_EVAL_FLAGS_"]),
];

fn and(call: &mut Call<'_>) -> Result<Val> {
    last_until(call, true)
}

fn or(call: &mut Call<'_>) -> Result<Val> {
    last_until(call, false)
}

/// The first argument whose truth differs from `neutral`, else the last one, else `neutral` itself.
fn last_until(call: &mut Call<'_>, neutral: bool) -> Result<Val> {
    let mut last = call.val(Datum::Bool(neutral));
    for index in 0..call.len() {
        let (datum, bt) = call.placed(index)?;
        let decided = datum.is_truthy() != neutral;
        last = Val::datum(datum, bt);
        if decided {
            break;
        }
    }
    Ok(last)
}

fn branch(call: &mut Call<'_>) -> Result<Val> {
    if call.len() % 2 == 0 {
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

/// `do`: calls its first argument with the others. Groups come in by the second, not by the first.
fn funcall(call: &mut Call<'_>) -> Result<Val> {
    let func = call.arg_with(0, Flags::NONE)?.into_func(Shortcut::Constant)?;
    if call.len() == 1 {
        return func.call_val(call.env, &[], Flags::NONE);
    }
    let first = call.arg(1)?;
    let mut args = vec![Datum::Null];
    for index in 2..call.len() {
        args.push(call.datum(index)?);
    }
    match first.value {
        Value::Grouped(groups) => call_for_groups(call, &func, groups, args),
        Value::Stream(stream) if stream.is_grouped() => {
            let groups = grouped::collect(stream, call.env)?;
            call_for_groups(call, &func, groups, args)
        }
        value => {
            args[0] = Val { value, bt: first.bt }.into_datum()?;
            func.call_val(call.env, &args, Flags::NONE)
        }
    }
}

fn call_for_groups(
    call: &Call<'_>,
    func: &crate::eval::Func,
    groups: Groups,
    mut args: Vec<Datum>,
) -> Result<Val> {
    let mut results = Groups::new();
    for (group, value) in groups {
        args[0] = value;
        results.insert(group, func.call(call.env, &args)?);
    }
    Ok(Val::grouped(results, call.bt()))
}
