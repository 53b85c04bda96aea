//! Numbers: integers among doubles, and the texts that RethinkDB gives them.

const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Returns the double as an integer, if it is one of magnitude at most 2^53.
pub fn as_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    (value.abs() <= MAX_INTEGER && integer as f64 == value).then_some(integer)
}

/// Appends the double as RethinkDB's JSON writer does: integers of up to 53 bits plainly, -0 as `-0.0`,
/// everything else with digits that read back the same, and with an exponent below 1e-6 and from 1e21 on.
///
/// The digits are those of rapidjson (Grisu2), which are not always the shortest or the nearest ones: texts
/// and keys that are made of numbers have to be the same here as in a cluster.
pub fn write_json(value: f64, out: &mut Vec<u8>) {
    let negative_zero = value == 0.0 && value.is_sign_negative();
    match as_integer(value) {
        Some(integer) if !negative_zero => write_integer(integer, out),
        _ => write_decimal(value, out),
    }
}

/// Appends an integer.
pub fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the double with a fraction or an exponent, even if it is an integer.
pub fn write_decimal(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(dtoa::Buffer::new().format(value).as_bytes());
}

/// Returns the double as C's `%.20g` prints it, which is the form of numbers in RethinkDB's error messages.
pub fn display_g20(value: f64) -> String {
    const DIGITS: usize = 20;
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".into()
        } else if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let scientific = format!("{value:.*e}", DIGITS - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= DIGITS as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", strip_zeros(mantissa), exponent.abs())
    } else {
        let decimals = (DIGITS as i32 - 1 - exponent) as usize;
        strip_zeros(&format!("{value:.decimals$}")).to_owned()
    }
}

fn strip_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: f64) -> String {
        let mut out = Vec::new();
        write_json(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_text_is_rapidjsons() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0.0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000.0"),
            (1e21, "1e21"),
            (1.5e300, "1.5e300"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (5e-324, "5e-324"),
            (123456.789, "123456.789"),
            (-2.5e-7, "-2.5e-7"),
            (1.2345e22, "1.2345e22"),
            // Grisu2 is content with these: each reads back the same, though another is nearer.
            (0.1 + 0.2, "0.30000000000000007"),
        ];
        for (value, text) in cases {
            assert_eq!(json(value), text);
        }
    }

    #[test]
    fn json_text_reads_back_the_same() {
        let mut bits = 1_u64;
        for _ in 0..100_000 {
            // Numbers of every exponent, always the same ones (Knuth's multiplier).
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(json(value).parse::<f64>().map(f64::to_bits), Ok(bits), "{value:e}");
            }
        }
    }

    #[test]
    fn g20_text_is_cs() {
        let cases = [
            (0.0, "0"),
            (1.5, "1.5"),
            (0.1, "0.10000000000000000555"),
            (1e100, "1.0000000000000000159e+100"),
            (1e20, "1e+20"),
            (9_007_199_254_740_994.0, "9007199254740994"),
            (0.00001, "1.0000000000000000818e-05"),
        ];
        for (value, text) in cases {
            assert_eq!(display_g20(value), text);
        }
    }
}
