//! Arithmetic on numbers, and the meaning of `add`, `sub` and `mul` for strings, arrays and times.

use crate::budget::fuel::{self, Scope};
use crate::budget::memory::LARGE;
use crate::datum::{Array, Datum, MAX_VALUE, pseudo, too_large};
use crate::error::{Error, Result};
use crate::eval::{Arity, Call, Limits, Spec};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::plain(TermType::Add, Arity::at_least(1), sum),
    Spec::plain(TermType::Sub, Arity::at_least(1), |call| fold(call, sub)),
    Spec::plain(TermType::Mul, Arity::at_least(1), |call| fold(call, mul)),
    Spec::plain(TermType::Div, Arity::at_least(1), |call| fold(call, div)),
    Spec::plain(TermType::Mod, Arity::exactly(2), modulo),
    Spec::plain(TermType::Floor, Arity::exactly(1), |call| round(call, f64::floor)),
    Spec::plain(TermType::Ceil, Arity::exactly(1), |call| round(call, f64::ceil)),
    Spec::plain(TermType::Round, Arity::exactly(1), |call| round(call, f64::round)),
    Spec::plain(TermType::BitAnd, Arity::at_least(1), |call| fold_bits(call, |left, right| left & right)),
    Spec::plain(TermType::BitOr, Arity::at_least(1), |call| fold_bits(call, |left, right| left | right)),
    Spec::plain(TermType::BitXor, Arity::at_least(1), |call| fold_bits(call, |left, right| left ^ right)),
    Spec::plain(TermType::BitNot, Arity::exactly(1), bit_not),
    Spec::plain(TermType::BitSal, Arity::exactly(2), |call| shift(call, shift_left)),
    Spec::plain(TermType::BitSar, Arity::exactly(2), |call| shift(call, shift_right)),
];

type Operator = fn(Datum, Datum, Limits) -> Result<Datum>;

/// Applies an operator from left to right; each argument is evaluated when its turn comes.
fn fold(call: &mut Call<'_>, operator: Operator) -> Result<Datum> {
    let mut result = call.datum(0)?;
    for index in 1..call.len() {
        let next = call.datum(index)?;
        result = operator(result, next, call.env.limits)?;
    }
    Ok(result)
}

fn sum(call: &mut Call<'_>) -> Result<Datum> {
    // The memory that is reserved for the growing sum is released at the end.
    let _scope = Scope::begin();
    let mut sum = Sum::Value(call.datum(0)?);
    for index in 1..call.len() {
        let next = call.datum(index)?;
        sum = sum.add(next, call.env.limits)?;
    }
    Ok(sum.into_datum())
}

/// A sum so far. Texts and arrays grow in place: adding many takes time by the length of the result.
enum Sum {
    Value(Datum),
    Text(String),
    Items(Vec<Datum>),
}

impl Sum {
    fn add(self, next: Datum, limits: Limits) -> Result<Sum> {
        match (self, next) {
            (Sum::Value(Datum::Str(text)), Datum::Str(more)) => {
                keep_twice(text.len(), text.len() + more.len())?;
                let mut sum = String::with_capacity((text.len() + more.len()).min(MAX_VALUE));
                sum.push_str(&text);
                concat(sum, &more)
            }
            (Sum::Text(text), Datum::Str(more)) => concat(text, &more),
            (Sum::Value(Datum::Array(items)), Datum::Array(more)) => {
                keep_items(items.len(), items.len())?;
                chain(items.into_vec(), &more, limits)
            }
            (Sum::Items(items), Datum::Array(more)) => chain(items, &more, limits),
            (sum, next) => Ok(Sum::Value(add(&sum.into_datum(), &next)?)),
        }
    }

    fn into_datum(self) -> Datum {
        match self {
            Sum::Value(datum) => datum,
            Sum::Text(text) => Datum::from(text),
            Sum::Items(items) => Datum::array(items),
        }
    }
}

fn concat(mut text: String, more: &str) -> Result<Sum> {
    if text.len() + more.len() > MAX_VALUE {
        return Err(too_large());
    }
    // Counted in advance, so that a long sum isn't made on a thread that must not take long.
    fuel::spend_bytes(more.len())?;
    keep_twice(more.len(), text.len() + more.len())?;
    text.push_str(more);
    Ok(Sum::Text(text))
}

/// Reserves memory for `bytes` more bytes of a text, if it is long: for the text itself, and for the value of
/// it.
fn keep_twice(bytes: usize, length: usize) -> Result<()> {
    if length > LARGE { fuel::keep(2 * bytes) } else { Ok(()) }
}

/// Reserves memory for so many elements of an array, if it is long.
fn keep_items(count: usize, length: usize) -> Result<()> {
    let bytes = |count: usize| count.saturating_mul(size_of::<Datum>());
    if bytes(length) > LARGE { fuel::keep(bytes(count)) } else { Ok(()) }
}

fn chain(mut items: Vec<Datum>, more: &Array, limits: Limits) -> Result<Sum> {
    limits.check_array(items.len() + more.len())?;
    fuel::spend(more.len())?;
    keep_items(more.len(), items.len() + more.len())?;
    items.extend(more.iter());
    Ok(Sum::Items(items))
}

/// Adds values that aren't two texts or two arrays.
fn add(left: &Datum, right: &Datum) -> Result<Datum> {
    match (left, right) {
        (Datum::Num(a), Datum::Num(b)) => Datum::num(a + b),
        _ if left.is_ptype(pseudo::TIME) || right.is_ptype(pseudo::TIME) => pseudo::time::add(left, right),
        (Datum::Num(_), _) => Err(right.wrong_type("NUMBER")),
        (Datum::Str(_), _) => Err(right.wrong_type("STRING")),
        (Datum::Array(_), _) => Err(right.wrong_type("ARRAY")),
        _ => Err(left.wrong_type("NUMBER")),
    }
}

fn sub(left: Datum, right: Datum, _: Limits) -> Result<Datum> {
    match (&left, &right) {
        (Datum::Num(a), Datum::Num(b)) => Datum::num(a - b),
        _ if left.is_ptype(pseudo::TIME) => pseudo::time::subtract(&left, &right),
        _ => Datum::num(left.as_num()? - right.as_num()?),
    }
}

fn mul(left: Datum, right: Datum, limits: Limits) -> Result<Datum> {
    match (&left, &right) {
        (Datum::Array(items), count) | (count, Datum::Array(items)) => {
            let count = usize::try_from(count.as_int()?)
                .map_err(|_| Error::logic("Cannot multiply an ARRAY by a negative number."))?;
            let length = items.len().saturating_mul(count);
            limits.check_array(length)?;
            fuel::spend(length)?;
            let _room = fuel::aside((items.len() + length).saturating_mul(size_of::<Datum>()))?;
            // Once for all copies, which share what is read from a packed array.
            let items = items.clone().into_vec();
            let copies = std::iter::repeat_n(&items, if items.is_empty() { 0 } else { count });
            Ok(Datum::array(copies.flatten().cloned().collect()))
        }
        _ => Datum::num(left.as_num()? * right.as_num()?),
    }
}

fn div(left: Datum, right: Datum, _: Limits) -> Result<Datum> {
    let (dividend, divisor) = (left.as_num()?, right.as_num()?);
    if divisor == 0.0 {
        return Err(Error::logic("Cannot divide by zero."));
    }
    Datum::num(dividend / divisor)
}

fn modulo(call: &mut Call<'_>) -> Result<Datum> {
    let dividend = call.int(0)?;
    let divisor = call.int(1)?;
    match dividend.checked_rem(divisor) {
        Some(remainder) => Ok(Datum::from(remainder)),
        None => Err(call.fail("Cannot take a number modulo 0.")),
    }
}

fn round(call: &mut Call<'_>, rounded: fn(f64) -> f64) -> Result<Datum> {
    let number = call.num(0)?;
    Datum::num(rounded(number))
}

/// Returns an argument of the bitwise terms. They are closed over this range, so that their results are
/// exact.
fn bits(call: &mut Call<'_>, index: usize) -> Result<i64> {
    let value = call.int(index)?;
    if (-(1 << 53)..1 << 53).contains(&value) {
        Ok(value)
    } else {
        Err(call.fail(format!("Integer too large: {value}")))
    }
}

fn fold_bits(call: &mut Call<'_>, operator: fn(i64, i64) -> i64) -> Result<Datum> {
    let mut result = bits(call, 0)?;
    for index in 1..call.len() {
        result = operator(result, bits(call, index)?);
    }
    Ok(Datum::from(result))
}

fn bit_not(call: &mut Call<'_>) -> Result<Datum> {
    let value = bits(call, 0)?;
    Ok(Datum::from(!value))
}

fn shift(call: &mut Call<'_>, shifted: fn(i64, i64) -> f64) -> Result<Datum> {
    let value = bits(call, 0)?;
    let by = call.int(1)?;
    if by < 0 {
        return Err(call.fail("Cannot bit-shift by a negative value"));
    }
    Datum::num(shifted(value, by))
}

/// Shifts as a double, which may grow beyond 64 bits, and to infinity.
fn shift_left(value: i64, by: i64) -> f64 {
    scale(value as f64, by)
}

/// Returns a number times a power of two.
pub(super) fn scale(number: f64, exponent: i64) -> f64 {
    /// Beyond the exponents of all doubles.
    const FAR: i64 = 4096;
    let mut result = number;
    let mut left = exponent.clamp(-FAR, FAR);
    while left != 0 {
        // Each of these powers is a normal number.
        let step = left.clamp(-1022, 1023);
        result *= 2f64.powi(step as i32);
        left -= step;
    }
    result
}

fn shift_right(value: i64, by: i64) -> f64 {
    (value >> by.min(63)) as f64
}
