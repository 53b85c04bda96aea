//! Raising errors, and replacing missing values.

use crate::datum::Datum;
use crate::datum::text::until_nul;
use crate::error::{ErrorKind, Result};
use crate::eval::{Arity, Call, Flags, Grouping, Spec, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Error, Arity::between(0, 1), error),
    Spec::new(TermType::Default, Arity::exactly(2), default).grouping(Grouping::Whole),
];

fn error(call: &mut Call<'_>) -> Result<Val> {
    if call.len() == 0 {
        return Err(call.fail_as(ErrorKind::EmptyUser, "Empty ERROR term outside a default block."));
    }
    let message = call.str(0)?;
    Err(call.fail_as(ErrorKind::User, until_nul(&message)))
}

/// Returns the first argument, or the second one in place of `null` and of a missing value. With `r.error()`
/// as the second one, the first one's error stays.
fn default(call: &mut Call<'_>) -> Result<Val> {
    let value = match call.arg(0).and_then(|val| Ok((val.is_null()?, val))) {
        Ok((false, val)) => return Ok(val),
        Ok((true, val)) => Ok(val),
        Err(error) if error.kind() == ErrorKind::NonExistence => Err(error),
        Err(error) => return Err(error),
    };
    match fallback(call, value.as_ref().err().map(|error| error.message())) {
        Err(error) if error.kind() == ErrorKind::EmptyUser => value,
        result => result,
    }
}

/// Returns the second argument; a function is called with the reason.
fn fallback(call: &mut Call<'_>, reason: Option<&str>) -> Result<Val> {
    let val = call.arg(1)?;
    match val.value {
        Value::Func(func) => func.call_val(call.env, &[reason.map_or(Datum::Null, Datum::str)], Flags::NONE),
        value => Ok(Val { value, bt: val.bt }),
    }
}
