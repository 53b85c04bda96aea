//! `fold`: a value carried from row to row.

use crate::error::Result;
use crate::eval::stream::Fold;
use crate::eval::{Arity, Call, Grouping, Shortcut, Spec, Stream, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[Spec::new(TermType::Fold, Arity::exactly(3), fold)
    .optargs(&["emit", "final_emit"])
    .grouping(Grouping::Stream)];

fn fold(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let mut rows = sequence.into_stream(call.env)?;
    let mut state = call.datum(1)?;
    let step = call.arg(2)?.into_func(Shortcut::None)?;
    if step.arity().is_some_and(|parameters| parameters != 0 && parameters != 2) {
        return Err(call.fail("The accumulator function passed to `fold` should expect 2 arguments"));
    }
    let emit = call.optarg("emit")?;
    let final_emit = call.optarg("final_emit")?.map(|val| val.into_func(Shortcut::None));
    if let Some(emit) = emit {
        let emit = emit.into_func(Shortcut::None)?;
        let fold = Fold::new(rows, state, step, emit, final_emit.transpose()?);
        return call.seq(Stream::new(fold, call.bt()));
    }
    rows.check_finite()?;
    let mut held = call.env.reserve();
    while let Some(row) = rows.next(call.env)? {
        state = step.call(call.env, &[state, row])?;
        held.hold(&state)?;
    }
    Ok(call.val(match final_emit.transpose()? {
        Some(last) => last.call(call.env, &[state])?,
        None => state,
    }))
}
