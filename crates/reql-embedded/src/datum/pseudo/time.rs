//! Times: seconds since the epoch, to the millisecond, with a time zone that is an offset.

use super::{REQL_TYPE, TIME};
use crate::datum::{Datum, Object};
use crate::error::{Error, Result};

/// The field that holds the seconds since 1970.
pub const EPOCH_TIME: &str = "epoch_time";
/// The field that holds the offset, such as `+02:00`.
pub const TIMEZONE: &str = "timezone";

/// A time from seconds since the epoch, rounded to the millisecond, and a normalised offset.
pub fn make(epoch: f64, timezone: &str) -> Result<Datum> {
    Ok(Datum::object([
        (REQL_TYPE, Datum::str(TIME)),
        (EPOCH_TIME, Datum::num(round_to_millis(epoch))?),
        (TIMEZONE, Datum::str(timezone)),
    ]))
}

/// Seconds since the epoch of a time.
pub fn epoch(time: &Datum) -> f64 {
    match time.get(EPOCH_TIME) {
        Some(Datum::Num(seconds)) => seconds,
        _ => 0.0,
    }
}

/// A time and a number of seconds, in either order.
pub fn add(left: &Datum, right: &Datum) -> Result<Datum> {
    let (time, duration) = if left.is_ptype(TIME) { (left, right) } else { (right, left) };
    move_to(time, epoch(time) + duration.as_num()?)
}

/// A time less a number of seconds, or the seconds between two times.
pub fn subtract(time: &Datum, other: &Datum) -> Result<Datum> {
    if other.is_ptype(TIME) {
        Datum::num(round_to_millis(epoch(time) - epoch(other)))
    } else {
        move_to(time, epoch(time) - other.as_num()?)
    }
}

fn move_to(time: &Datum, epoch: f64) -> Result<Datum> {
    sanitize(time.as_object()?.clone().with(EPOCH_TIME, Datum::num(epoch)?))
}

fn round_to_millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

pub(super) fn sanitize(object: Object) -> Result<Datum> {
    let fail = |reason: String| {
        let shown = Datum::Object(object.clone()).trunc_print();
        Err(Error::logic(format!("Invalid time object constructed ({reason}):\n{shown}")))
    };
    let (mut seconds, mut zone) = (None, None);
    for (key, value) in object.iter() {
        match (key, &value) {
            (REQL_TYPE, _) => {}
            (EPOCH_TIME, Datum::Num(epoch)) => seconds = Some(*epoch),
            (TIMEZONE, Datum::Str(text)) => match normalize_zone(text) {
                Ok(offset) => zone = Some(offset),
                Err(_) => return fail(format!("invalid timezone string `{}`", value.trunc_print())),
            },
            (EPOCH_TIME | TIMEZONE, _) => {
                let expected = if key == EPOCH_TIME { "number" } else { "string" };
                return fail(format!(
                    "field `{key}` must be a {expected} (got `{}` of type {})",
                    value.trunc_print(),
                    value.type_name()
                ));
            }
            _ => return fail(format!("unrecognized field `{key}`")),
        }
    }
    match (seconds, zone) {
        (Some(epoch), Some(zone)) => make(epoch, &zone),
        (None, _) => fail(format!("no field `{EPOCH_TIME}`")),
        (_, None) => fail(format!("no field `{TIMEZONE}`")),
    }
}

/// A time zone as `+hh:mm` or `-hh:mm`. Takes `Z`, `+hh`, `+hhmm` and `+hh:mm`.
pub fn normalize_zone(text: &str) -> Result<String> {
    let invalid = || {
        Error::logic(format!(
            "Invalid time zone string `{text}`. Valid time zones are `+hh:mm`, `-hh:mm`, `+hhmm`, `-hhmm`, `+hh`, \
             `-hh` and `Z`."
        ))
    };
    if text == "Z" {
        return Ok("+00:00".into());
    }
    let digits = text.strip_prefix(['+', '-']).ok_or_else(invalid)?;
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 if digits.is_ascii() => digits.split_at(2),
        5 => digits.split_once(':').ok_or_else(invalid)?,
        _ => return Err(invalid()),
    };
    let number = |text: &str, limit: u32| {
        let all_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        all_digits && text.parse::<u32>().is_ok_and(|value| value < limit)
    };
    if !number(hours, 24) || !number(minutes, 60) {
        return Err(invalid());
    }
    let sign = &text[..1];
    Ok(format!("{sign}{hours}:{minutes}"))
}
