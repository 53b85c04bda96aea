//! Making values: arrays, binary strings, the bounds of all values.

use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{At, Result};
use crate::eval::{Arity, Call, Spec, Val};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::plain(TermType::MakeArray, Arity::at_least(0), make_array),
    Spec::new(TermType::Binary, Arity::exactly(1), binary),
    Spec::plain(TermType::Minval, Arity::exactly(0), |_| Ok(Datum::MinVal)),
    Spec::plain(TermType::Maxval, Arity::exactly(0), |_| Ok(Datum::MaxVal)),
];

fn make_array(call: &mut Call<'_>) -> Result<Datum> {
    let items = (0..call.len()).map(|index| call.datum(index)).collect::<Result<_>>()?;
    call.env.limits.array(items)
}

fn binary(call: &mut Call<'_>) -> Result<Val> {
    let (datum, bt) = call.placed(0)?;
    if matches!(datum, Datum::Binary(_)) {
        return Ok(Val::datum(datum, bt));
    }
    let text = datum.as_str().at(call.bt())?;
    fuel::spend_bytes(text.len())?;
    let _aside = fuel::aside(text.len())?;
    Ok(call.val(Datum::Binary(text.as_bytes().into())))
}
