//! Values from JSON text, and back.

use crate::budget::fuel;
use crate::datum::{Datum, json, syntax};
use crate::error::Result;
use crate::eval::{Arity, Call, Limits, Spec, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Json, Arity::exactly(1), parse),
    Spec::new(TermType::ToJsonString, Arity::exactly(1), print),
];

fn parse(call: &mut Call<'_>) -> Result<Val> {
    let text = call.str(0)?;
    fuel::spend_bytes(text.len())?;
    let _aside = fuel::aside(reading(&text))?;
    let datum = json::parse(&text)?;
    check_arrays(&datum, call.env.limits)?;
    Ok(call.val(datum))
}

/// Returns about the memory that reading a text takes, besides that of the result.
fn reading(text: &str) -> usize {
    /// A value in the tree, and on the stack of open containers.
    const VALUE: usize = 32;
    // A short text isn't worth counting.
    if text.len() < 16 << 10 { 0 } else { VALUE * syntax::count_values(text.as_bytes()) }
}

/// Fails if an array is over the limit, at any depth.
fn check_arrays(datum: &Datum, limits: Limits) -> Result<()> {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || match datum {
        Datum::Array(items) => {
            items.iter().try_for_each(|item| check_arrays(&item, limits))?;
            limits.check_array(items.len())
        }
        Datum::Object(object) => object.iter().try_for_each(|(_, value)| check_arrays(&value, limits)),
        _ => Ok(()),
    })
}

fn print(call: &mut Call<'_>) -> Result<Val> {
    let datum = call.datum(0)?;
    Ok(call.val(text_of(&datum)?))
}

/// Returns a value as JSON text.
pub fn text_of(datum: &Datum) -> Result<Datum> {
    // The text, and the value that is made of it.
    let _aside = fuel::aside(2 * datum.size())?;
    Ok(Datum::from(json::to_string(datum)?))
}
