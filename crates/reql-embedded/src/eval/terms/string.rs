//! Strings.

use crate::budget::fuel::{self, Scope};
use crate::datum::Datum;
use crate::datum::text::{self, Separator, regexp::Pattern};
use crate::error::Result;
use crate::eval::{Arity, Call, Spec, thread};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::plain(TermType::Match, Arity::exactly(2), match_term),
    Spec::plain(TermType::Split, Arity::between(1, 3), split),
    Spec::plain(TermType::Upcase, Arity::exactly(1), upcase),
    Spec::plain(TermType::Downcase, Arity::exactly(1), downcase),
];

/// The memory that a short text takes, roughly.
const SHORT_TEXT: usize = 32;

fn match_term(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    let pattern = call.str(1)?;
    thread::find(&pattern, &text, Pattern::compile)
}

fn split(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    let separator = match call.len() {
        1 => Datum::Null,
        _ => call.datum(1)?,
    };
    let separator = match &separator {
        Datum::Null => Separator::Whitespace,
        other => Separator::Text(other.as_str()?),
    };
    let limit = if call.len() > 2 { limit(call)? } else { None };
    let _scope = Scope::begin();
    // One piece more than an array may have tells that there are too many.
    let pieces = text::split(&text, separator, limit.unwrap_or(call.env.limits.array))?;
    call.env.limits.check_array(pieces.len())?;
    let values = pieces.len().saturating_mul(size_of::<Datum>() + SHORT_TEXT);
    let _values = fuel::aside(values.saturating_add(text.len()))?;
    let values = pieces.into_iter().take_while(|piece| fuel::burn_bytes(piece.len()));
    Ok(Datum::array(values.map(Datum::from).collect()))
}

/// Returns the most splits; -1 stands for no limit.
fn limit(call: &mut Call<'_>) -> Result<Option<usize>> {
    let limit = call.int(2)?;
    let most = call.env.limits.array.saturating_sub(1);
    match usize::try_from(limit) {
        Ok(limit) if limit <= most => Ok(Some(limit)),
        Err(_) if limit == -1 => Ok(None),
        _ => Err(call.fail(format!("Error: `split` size argument must be in range [-1, {most}]."))),
    }
}

/// Makes letters large. Only ASCII letters have cases in RethinkDB.
fn upcase(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    fuel::spend_bytes(text.len())?;
    let _aside = fuel::aside(2 * text.len())?;
    Ok(Datum::from(text.to_ascii_uppercase()))
}

fn downcase(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    fuel::spend_bytes(text.len())?;
    let _aside = fuel::aside(2 * text.len())?;
    Ok(Datum::from(text.to_ascii_lowercase()))
}
