//! Terms that work on one row after the other: `map`, `concat_map`, `filter`, `zip`.

use crate::error::Result;
use crate::eval::stream::{ConcatMap, Filter, Map, Predicate, Zip, ZipWith};
use crate::eval::{Arity, Call, Flags, Func, Grouping, Shortcut, Spec, Stream, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Map, Arity::at_least(2), map).grouping(Grouping::Stream),
    Spec::new(TermType::ConcatMap, Arity::exactly(2), concat_map).grouping(Grouping::Stream),
    Spec::new(TermType::Filter, Arity::exactly(2), filter)
        .optargs(&["default"])
        .lazy_optargs(&["default"])
        .grouping(Grouping::Stream),
    Spec::new(TermType::Zip, Arity::exactly(1), zip),
];

fn map(call: &mut Call<'_>) -> Result<Val> {
    let count = call.len() - 1;
    let streams = (0..count).map(|index| call.stream(index)).collect::<Result<Vec<_>>>()?;
    let func = call.arg(count)?.into_func(Shortcut::None)?;
    check_parameters(call, &func, count)?;
    match <[Stream; 1]>::try_from(streams) {
        Ok([stream]) => call.seq(stream.then(Map(func), call.bt())),
        Err(streams) => call.seq(Stream::new(ZipWith::new(streams, func), call.bt())),
    }
}

fn check_parameters(call: &Call<'_>, func: &Func, sequences: usize) -> Result<()> {
    match func.arity() {
        Some(parameters) if parameters != 0 && parameters != sequences => {
            let plural = if parameters == 1 { "" } else { "s" };
            let found = if sequences == 1 { " was" } else { "s were" };
            Err(call.fail(format!(
                "The function passed to `map` expects {parameters} argument{plural}, but {sequences} \
                 sequence{found} found."
            )))
        }
        _ => Ok(()),
    }
}

fn concat_map(call: &mut Call<'_>) -> Result<Val> {
    let stream = call.stream(0)?;
    let func = call.arg(1)?.into_func(Shortcut::None)?;
    call.seq(stream.then(ConcatMap { func }, call.bt()))
}

fn filter(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let func = call.arg_with(1, Flags::LITERAL_OK)?.into_func(Shortcut::Constant)?;
    let default = match call.lazy_optarg("default") {
        Some((term, scope)) => Some(term.eval(call.env, scope, Flags::NONE)?.into_func(Shortcut::None)?),
        None => None,
    };
    let (table, rows) = call.rows(sequence)?;
    call.selection_or_seq(table, rows.then(Filter(Predicate::Matches { func, default }), call.bt()))
}

fn zip(call: &mut Call<'_>) -> Result<Val> {
    let joined = call.stream(0)?;
    call.seq(joined.then(Zip, call.bt()))
}
