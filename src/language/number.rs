//! Numbers: literals, and arithmetic with them.

use serde_json::Number;

use super::node::Kind;
use super::{Fault, Node, Result, Span};

/// The greatest integer up to which a double can represent every integer.
const EXACT: f64 = 9_007_199_254_740_991.0;

/// Reads the literal of a number.
pub(super) fn literal(text: &str, span: Span) -> Result<f64> {
    let digits = text.replace('_', "");
    let misplaced = text.ends_with('_') || text.contains("__") || text.contains("_.") || text.contains("._");
    let prefix = digits.get(..2).map(str::to_ascii_lowercase).unwrap_or_default();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(name, _)| *name == prefix);
    let value = match radix {
        Some((_, radix)) => whole(digits.get(2..).unwrap_or_default(), radix),
        // Rust's parser accepts `inf` and `nan`, but those don't begin with a digit or a point.
        None => digits.parse().ok(),
    };
    match value {
        Some(value) if !misplaced && value.is_finite() => Ok(value),
        Some(_) if !misplaced => Err(Fault::new(span, "this number is too large")),
        _ if digits.ends_with('n') => Err(Fault::new(span, "ReQL's numbers are doubles: leave out the `n`")),
        _ => Err(Fault::new(span, "this is no number")),
    }
}

fn whole(digits: &str, radix: u32) -> Option<f64> {
    let mut digits = digits.chars().map(|c| c.to_digit(radix)).peekable();
    digits.peek()?;
    digits.try_fold(0.0, |value, digit| Some(value * f64::from(radix) + f64::from(digit?)))
}

/// Makes a node of a number: a whole one is written as such.
pub(super) fn node(value: f64, span: Span) -> Result {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the exact ones")]
    let number = match value {
        whole if whole.fract() == 0.0 && whole.abs() <= EXACT => Some(Number::from(whole as i64)),
        other => Number::from_f64(other),
    };
    let number = number.ok_or_else(|| Fault::new(span, "this comes to no finite number"))?;
    Ok(Node::plain(span, Kind::Number(number)))
}

/// Evaluates an operator on two number literals; `None` if the operands aren't such.
pub(super) fn fold(left: &Node, sign: &str, right: &Node, span: Span) -> Option<Result> {
    if !(left.is_plain() && right.is_plain()) {
        return None;
    }
    let (Kind::Number(left), Kind::Number(right)) = (left.kind(), right.kind()) else { return None };
    let (left, right) = (left.as_f64()?, right.as_f64()?);
    let value = match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "%" => left % right,
        _ => return None,
    };
    Some(node(value, span))
}
