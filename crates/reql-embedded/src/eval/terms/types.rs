//! Types: `type_of` and `coerce_to`.

use crate::budget::fuel;
use crate::datum::text::until_nul;
use crate::datum::{Datum, ObjectBuilder, json, pseudo};
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::eval::stream::Stream;
use crate::eval::terms::json::text_of;
use crate::eval::terms::math::scale;
use crate::eval::{Arity, Call, Grouping, Spec, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::TypeOf, Arity::exactly(1), type_of).grouping(Grouping::Whole),
    Spec::new(TermType::CoerceTo, Arity::exactly(2), coerce_to),
];

fn type_of(call: &mut Call<'_>) -> Result<Val> {
    let name = type_name(&call.arg(0)?);
    Ok(call.val(Datum::from(name)))
}

/// Returns the name of a type as queries see it.
pub fn type_name(val: &Val) -> String {
    match &val.value {
        Value::Datum(datum) => datum.type_name(),
        Value::Stream(stream) if stream.is_grouped() => "GROUPED_STREAM".into(),
        Value::Selection(_, rows) if rows.is_array() => "SELECTION<ARRAY>".into(),
        _ => kind_name(val).into(),
    }
}

/// Returns the name of a type, without the type of its content.
fn kind_name(val: &Val) -> &'static str {
    match &val.value {
        Value::Datum(datum) => datum_kind(datum),
        Value::Db(_) => "DB",
        Value::Table(_) => "TABLE",
        Value::Slice(_) => "TABLE_SLICE",
        Value::Selection(..) => "SELECTION<STREAM>",
        Value::Single(_) => "SELECTION<OBJECT>",
        Value::Stream(_) => "STREAM",
        Value::Grouped(_) => "GROUPED_DATA",
        Value::Func(_) => "FUNCTION",
        Value::Later(_) => "OBJECT",
    }
}

/// Returns the name of a value's type as `coerce_to` knows it: a time is an `OBJECT`.
fn datum_kind(datum: &Datum) -> &'static str {
    match datum {
        Datum::Binary(_) => "BINARY",
        other => other.raw_type_name(),
    }
}

/// The types that values can be converted to.
const TARGETS: &[&str] = &[
    "DB",
    "TABLE",
    "TABLE_SLICE",
    "SELECTION<STREAM>",
    "SELECTION<ARRAY>",
    "STREAM",
    "SELECTION<OBJECT>",
    "DATUM",
    "FUNCTION",
    "GROUPED_DATA",
    "NULL",
    "BINARY",
    "BOOL",
    "NUMBER",
    "STRING",
    "ARRAY",
    "OBJECT",
    "MINVAL",
    "MAXVAL",
];

fn coerce_to(call: &mut Call<'_>) -> Result<Val> {
    let val = call.arg(0)?;
    let is_null = val.is_null()?;
    let target = call.str(1)?.to_ascii_uppercase();
    if !TARGETS.contains(&&*target) {
        return Err(call.fail(format!("Unknown Type: {}", until_nul(&target))));
    }
    let is_row = matches!(val.value, Value::Single(_)) && !is_null;
    if passes_as(&val, &target) || is_row && target == "OBJECT" {
        return Ok(val);
    }
    match val.value {
        Value::Single(row) => {
            let bt = val.bt;
            coerce_datum(call, row.get()?, bt, &target)
        }
        Value::Datum(datum) => coerce_datum(call, datum, val.bt, &target),
        _ if target == "BOOL" => Ok(call.val(Datum::Bool(true))),
        _ if val.is_sequence() && matches!(&*target, "ARRAY" | "DATUM" | "OBJECT") => {
            let rows = val.into_stream(call.env)?;
            coerce_rows(call, rows, &target)
        }
        _ => Err(refused(kind_name(&val), &target).at(val.bt)),
    }
}

/// Returns true if the value is of that type already.
fn passes_as(val: &Val, target: &str) -> bool {
    use Value::*;
    match target {
        "DB" => matches!(val.value, Db(_)),
        "TABLE" => matches!(val.value, Table(_)),
        "TABLE_SLICE" => matches!(val.value, Table(_) | Slice(_)),
        "SELECTION<STREAM>" => matches!(val.value, Table(_) | Slice(_) | Selection(..)),
        "STREAM" => val.is_sequence() || matches!(val.value, Datum(_)),
        "SELECTION<OBJECT>" => matches!(val.value, Single(_)),
        "DATUM" => val.is_datum(),
        "FUNCTION" => matches!(val.value, Func(_)),
        "GROUPED_DATA" => matches!(val.value, Grouped(_)),
        _ => matches!(val.value, Datum(_)) && kind_name(val) == target,
    }
}

fn refused(kind: &str, target: &str) -> Error {
    Error::logic(format!("Cannot coerce {kind} to {target}."))
}

fn coerce_datum(call: &Call<'_>, datum: Datum, bt: Bt, target: &str) -> Result<Val> {
    let coerced = match (&datum, target) {
        (datum, "BOOL") => Datum::Bool(!datum.is_null()),
        (Datum::Binary(bytes), "STRING") => {
            fuel::spend_bytes(bytes.len())?;
            let _aside = fuel::aside(bytes.len())?;
            Datum::str(json::utf8(bytes)?)
        }
        (Datum::Str(text), "BINARY") => {
            fuel::spend_bytes(text.len())?;
            let _aside = fuel::aside(text.len())?;
            Datum::Binary(text.as_bytes().into())
        }
        (datum, "STRING") => text_of(datum)?,
        (Datum::Object(object), "ARRAY") => {
            const PAIR: usize = 5 * size_of::<Datum>();
            fuel::spend(object.len())?;
            let _aside = fuel::aside(object.len().saturating_mul(PAIR))?;
            let pair = |(key, value): (&str, Datum)| Datum::array(vec![Datum::from(key), value]);
            return call.array(object.iter().map(pair).collect());
        }
        (Datum::Str(text), "NUMBER") => {
            fuel::spend_bytes(text.len())?;
            let text = until_nul(text);
            let number = parse_number(text)
                .ok_or_else(|| call.fail(format!("Could not coerce `{text}` to NUMBER.")))?;
            Datum::num(number)?
        }
        (Datum::Array(items), "OBJECT") => {
            return coerce_rows(call, Stream::of_array(items.clone(), bt), target);
        }
        (Datum::Null, "NULL") => datum,
        _ => {
            let error = refused(datum_kind(&datum), target);
            return Err(if datum.is_null() { error.with_kind(ErrorKind::NonExistence) } else { error }.at(bt));
        }
    };
    Ok(call.val(coerced))
}

/// Reads a number as C's `scanf` does, with nothing after it.
fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { -1.0 } else { 1.0 }, digits),
        None => (1.0, text),
    };
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => parse_hex(digits).map(|number| sign * number),
        None if digits.starts_with(['-', '+']) => None,
        None => digits.parse::<f64>().ok().map(|number| sign * number),
    }
}

/// Reads hexadecimal digits, with an optional fraction and an optional binary exponent.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut number, mut left_out) = (0_u64, 0);
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        if number >> 56 == 0 {
            number = (number << 4) | digit;
        } else {
            // More than a double can hold. What is left out matters if the number lies between two doubles.
            number |= u64::from(digit != 0);
            left_out += 1;
        }
    }
    let digits = left_out - i64::try_from(fraction.len()).ok()?;
    Some(scale(number as f64, i64::from(exponent) + 4 * digits))
}

fn coerce_rows(call: &Call<'_>, mut rows: Stream, target: &str) -> Result<Val> {
    if target != "OBJECT" {
        return Ok(call.val(rows.to_array(call.env)?));
    }
    rows.check_finite()?;
    let (mut object, mut held) = (ObjectBuilder::new(), call.env.reserve());
    while let Some(pair) = rows.next(call.env)? {
        held.add(&pair)?;
        add_pair(call, &mut object, &pair)?;
    }
    Ok(call.val(pseudo::sanitize(object.build(), pseudo::Literals::Refused)?))
}

fn add_pair(call: &Call<'_>, object: &mut ObjectBuilder, pair: &Datum) -> Result<()> {
    let items = pair.as_array()?;
    let (Some(key), Some(value), 2) = (items.get(0), items.get(1), items.len()) else {
        return Err(call.fail(format!("Expected array of size 2, but got size {}.", items.len())));
    };
    let name = key.as_str()?;
    if let Some(earlier) = object.get(name) {
        return Err(call.fail(format!(
            "Duplicate key {} in coerced object.  (got {} and {} as values)",
            key.print(),
            earlier.printable()?.trunc_print(),
            value.printable()?.trunc_print()
        )));
    }
    object.insert(name.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn numbers_are_those_of_scanf() {
        let cases = [
            ("1", Some(1.0)),
            ("-1.2", Some(-1.2)),
            (" \t+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("0x10", Some(16.0)),
            ("-0x1.8p1", Some(-3.0)),
            ("0x1p-1060", Some(f64::from_bits(1 << 14))),
            ("-0x1p-1074", Some(-5e-324)),
            ("0x3p-1075", Some(1e-323)),
            ("0x1p-1076", Some(0.0)),
            ("0x1p1024", Some(f64::INFINITY)),
            ("0x1.00000000000008p0", Some(1.0)),
            ("0x1.000000000000080000000001p0", Some(1.000_000_000_000_000_2)),
            ("", None),
            ("1 ", None),
            ("--1", None),
            ("+-1", None),
            ("1e", None),
            ("0x", None),
            ("a", None),
        ];
        for (text, number) in cases {
            assert_eq!(parse_number(text), number, "{text:?}");
        }
    }

    #[test]
    fn long_hexadecimal_numbers_are_read_to_their_end() {
        let zeros = "0".repeat(300);
        assert_eq!(parse_number(&format!("0x1{zeros}p-1200")), Some(1.0));
        assert_eq!(parse_number(&format!("0x0.{zeros}1p1210")), Some(64.0));
        assert_eq!(parse_number(&format!("0x0.{zeros}1p160")), Some(f64::from_bits(1 << 30)));
        assert_eq!(parse_number(&format!("0x{zeros}.{zeros}p99")), Some(0.0));
    }
}
