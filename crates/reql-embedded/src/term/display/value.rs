//! Literals as JavaScript.

use super::layout::Doc;
use super::{field, separated};
use crate::datum::Datum;
use crate::datum::pseudo::binary;

/// Writes a value; `constant` writes `r.minval` and `r.maxval`.
pub(super) fn value(datum: &Datum, constant: &dyn Fn(&'static str) -> Doc) -> Doc {
    match datum {
        Datum::MinVal => constant("minval"),
        Datum::MaxVal => constant("maxval"),
        Datum::Null | Datum::Damaged => Doc::text("null"),
        Datum::Bool(true) => Doc::text("true"),
        Datum::Bool(false) => Doc::text("false"),
        Datum::Num(number) => Doc::text(text_of(*number)),
        // RethinkDB formats the text as a C string, which ends at the first NUL.
        Datum::Str(text) => Doc::text(format!("\"{}\"", text.split('\0').next().unwrap_or_default())),
        Datum::Binary(bytes) => {
            let args = separated([Doc::text(binary::encode(bytes)), Doc::text("'base64'")]);
            Doc::concat([Doc::text("Buffer("), Doc::group(args), Doc::text(")")])
        }
        Datum::Array(items) => {
            let items = separated(items.iter().map(|item| nested(&item, constant)));
            Doc::concat([Doc::text("["), Doc::group(items), Doc::text("]")])
        }
        Datum::Object(object) => {
            let fields = separated(object.iter().map(|(key, item)| field(key, nested(&item, constant))));
            Doc::group([Doc::text("{")].into_iter().chain(fields).chain([Doc::text("}")]))
        }
    }
}

fn nested(datum: &Datum, constant: &dyn Fn(&'static str) -> Doc) -> Doc {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || value(datum, constant))
}

/// Returns the text of a number: integers plainly, all others with six decimals. Integers of more than 64
/// bits, which RethinkDB shows wrongly, get an exponent.
fn text_of(number: f64) -> String {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() != 0.0 {
        format!("{number:.6}")
    } else if number.abs() < LIMIT {
        (number as i64).to_string()
    } else {
        format!("{number:e}")
    }
}
