//! Strings.

use crate::datum::Datum;
use crate::datum::text::{self, Separator, regexp};
use crate::error::Result;
use crate::eval::{Arity, Call, Spec};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::plain(TermType::Match, Arity::exactly(2), match_term),
    Spec::plain(TermType::Split, Arity::between(1, 3), split),
    Spec::plain(TermType::Upcase, Arity::exactly(1), upcase),
    Spec::plain(TermType::Downcase, Arity::exactly(1), downcase),
];

fn match_term(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    let pattern = call.str(1)?;
    let regex = call.env.regex(&pattern, regexp::compile)?;
    Ok(regexp::find(&regex, &text))
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
    call.env.limits.array(text::split(&text, separator, limit).into_iter().map(Datum::from).collect())
}

/// How often to split; -1 stands for no limit.
fn limit(call: &mut Call<'_>) -> Result<Option<usize>> {
    let limit = call.int(2)?;
    let most = call.env.limits.array.saturating_sub(1);
    match usize::try_from(limit) {
        Ok(limit) if limit <= most => Ok(Some(limit)),
        Err(_) if limit == -1 => Ok(None),
        _ => Err(call.fail(format!("Error: `split` size argument must be in range [-1, {most}]."))),
    }
}

/// Only ASCII letters have cases in RethinkDB.
fn upcase(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    Ok(Datum::from(text.to_ascii_uppercase()))
}

fn downcase(call: &mut Call<'_>) -> Result<Datum> {
    let text = call.str(0)?;
    Ok(Datum::from(text.to_ascii_lowercase()))
}
