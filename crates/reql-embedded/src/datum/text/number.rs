//! Numbers from text, as C's `scanf("%lf")` reads them.

use crate::datum::Datum;
use crate::error::{Error, Result};

/// The number that the whole text is: decimal or hexadecimal, with leading space but no trailing characters.
pub fn parse_number(text: &str) -> Result<Datum> {
    // RethinkDB hands the text on as a C string, which ends at the first NUL.
    let number = text.split('\0').next().unwrap_or_default();
    let number = number.trim_start_matches([' ', '\t', '\n', '\x0B', '\x0C', '\r']);
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => parse_hex(hex),
        None => parse_decimal(digits),
    };
    let magnitude = magnitude.ok_or_else(|| Error::logic(format!("Could not coerce `{text}` to NUMBER.")))?;
    Datum::num(if negative { -magnitude } else { magnitude })
}

/// Digits with a point and an exponent, `inf`, `infinity` or `nan`. Rust reads just these, if no sign is left.
fn parse_decimal(text: &str) -> Option<f64> {
    if text.starts_with(['+', '-']) { None } else { text.parse().ok() }
}

/// What follows `0x`: hexadecimal digits with a point, and a binary exponent.
fn parse_hex(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut exponent = exponent.saturating_sub(4 * fraction.len() as i64);
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            // No room is left: the lowest bit remembers that there was more, for rounding.
            mantissa |= u64::from(digit != 0);
            exponent = exponent.saturating_add(4);
        }
    }
    Some(scale(mantissa as f64, exponent))
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse().unwrap_or(i64::MAX / 2);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// `value * 2^exponent`, in steps that neither overflow nor underflow on the way.
fn scale(value: f64, exponent: i64) -> f64 {
    let steps = exponent.clamp(-4000, 4000) as i32;
    let step = steps / 4;
    value * 2_f64.powi(step) * 2_f64.powi(step) * 2_f64.powi(step) * 2_f64.powi(steps - 3 * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, number: f64) {
        let found = parse_number(text).unwrap().as_num().unwrap();
        assert_eq!(found.to_bits(), number.to_bits(), "{text}: {found}");
    }

    #[test]
    fn decimals_are_read() {
        reads("-1.2", -1.2);
        reads("5.5", 5.5);
        reads(" \t\n5", 5.0);
        reads("-0", -0.0);
        reads("+.5e1", 5.0);
        reads("1.", 1.0);
        reads("1e-400", 0.0);
        reads("5\0garbage", 5.0);
    }

    #[test]
    fn hexadecimals_are_read() {
        reads("0xa", 10.0);
        reads("0X10", 16.0);
        reads("-0x.8p+2", -2.0);
        reads("0x1p-1074", 5e-324);
        reads("0x1fffffffffffff8", f64::from_bits(0x4380_0000_0000_0000));
        reads("0x10000000000000000000000000", 2_f64.powi(100));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", " ", "x", "--1.2", "-1.2-", "+-1", "5 ", "1e", "1_0", "0x", "0x.", "0x1p", "0xg", "in", "0x-1"] {
            let error = parse_number(text).unwrap_err();
            assert_eq!(error.message(), format!("Could not coerce `{text}` to NUMBER."));
        }
    }

    #[test]
    fn numbers_must_be_finite() {
        for (text, shown) in [
            ("inf", "inf"),
            ("-INFINITY", "-inf"),
            ("NaN", "nan"),
            ("1e400", "inf"),
            ("0x1p2000", "inf"),
            ("0x1p99999999999999999999", "inf"),
        ] {
            assert_eq!(parse_number(text).unwrap_err().message(), format!("Non-finite number: {shown}"));
        }
    }
}
