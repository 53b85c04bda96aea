//! Times: seconds since the epoch, to the millisecond, with a time zone that is an offset.

pub mod calendar;
mod cursor;
pub mod iso8601;
pub mod zone;

use std::cmp::Ordering;
use std::time::Duration;

use super::{REQL_TYPE, TIME};
use crate::datum::text::until_nul;
use crate::datum::{Datum, Object};
use crate::error::{Error, Result};

/// The field that holds the seconds since 1970.
pub const EPOCH_TIME: &str = "epoch_time";
/// The field that holds the offset, such as `+02:00`.
pub const TIMEZONE: &str = "timezone";

/// Makes a time of seconds since the epoch, rounded to the millisecond, and a normalised offset.
pub fn make(epoch: f64, timezone: &str) -> Result<Datum> {
    Ok(Datum::object([
        (REQL_TYPE, Datum::str(TIME)),
        (EPOCH_TIME, Datum::num(round_to_millis(epoch))?),
        (TIMEZONE, Datum::str(timezone)),
    ]))
}

/// Returns the time `since_epoch` after the epoch, in UTC, to the microsecond.
pub fn at(since_epoch: Duration) -> Result<Datum> {
    make(since_epoch.as_micros() as f64 / 1e6, "+00:00")
}

/// Returns the seconds since the epoch of a time.
pub fn epoch(time: &Datum) -> f64 {
    match time.get(EPOCH_TIME) {
        Some(Datum::Num(seconds)) => seconds,
        _ => 0.0,
    }
}

/// Returns the offset of a time, as text.
pub fn timezone(time: &Datum) -> Datum {
    time.get(TIMEZONE).unwrap_or_default()
}

/// Returns the same instant with another offset.
pub fn in_timezone(time: &Datum, zone: &str) -> Result<Datum> {
    let zone = zone::normalize(zone)?;
    sanitize(time.as_object()?.clone().with(TIMEZONE, Datum::from(zone)))
}

/// Adds a number of seconds to a time. The arguments come in either order.
pub fn add(left: &Datum, right: &Datum) -> Result<Datum> {
    let (time, duration) = if left.is_ptype(TIME) { (left, right) } else { (right, left) };
    move_to(time, epoch(time) + duration.as_num()?)
}

/// Subtracts a number of seconds from a time, or one time from another, which gives seconds.
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

/// Orders times by instant; offsets don't matter.
pub fn compare(left: &Datum, right: &Datum) -> Ordering {
    epoch(left).partial_cmp(&epoch(right)).unwrap_or(Ordering::Equal)
}

fn round_to_millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Checks the fields, rounds the seconds and normalises the offset (`sanitize_time` in `pseudo_time.cc`).
pub(super) fn sanitize(object: Object) -> Result<Datum> {
    let mut time = object.clone();
    let mut reason = None;
    for (key, value) in object.iter() {
        match (key, &value) {
            (REQL_TYPE, _) => continue,
            (EPOCH_TIME, Datum::Num(epoch)) => {
                time = time.with(EPOCH_TIME, Datum::num(round_to_millis(*epoch))?);
                continue;
            }
            (TIMEZONE, Datum::Str(text)) => {
                if let Ok(zone) = zone::normalize(text) {
                    time = time.with(TIMEZONE, Datum::from(zone));
                    continue;
                }
                reason = Some(format!("invalid timezone string `{}`", value.trunc_print()));
            }
            (EPOCH_TIME, _) => reason = Some(wrong_field(key, "number", &value)),
            (TIMEZONE, _) => reason = Some(wrong_field(key, "string", &value)),
            _ => reason = Some(format!("unrecognized field `{}`", until_nul(key))),
        }
        break;
    }
    let missing = [EPOCH_TIME, TIMEZONE].into_iter().find(|key| !time.contains_key(key));
    let time = Datum::Object(time);
    match reason.or_else(|| missing.map(|key| format!("no field `{key}`"))) {
        None => Ok(time),
        Some(reason) => {
            Err(Error::logic(format!("Invalid time object constructed ({reason}):\n{}", time.trunc_print())))
        }
    }
}

fn wrong_field(key: &str, expected: &str, value: &Datum) -> String {
    format!(
        "field `{key}` must be a {expected} (got `{}` of type {})",
        value.trunc_print(),
        value.type_name()
    )
}

/// Returns an error of the calendar or the time zone, as Boost's date library words it for RethinkDB.
fn time_logic(reason: impl std::fmt::Display) -> Error {
    Error::logic(format!("Error in time logic: {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: f64) -> Datum {
        make(epoch, "+00:00").unwrap()
    }

    fn object(fields: &[(&'static str, Datum)]) -> Object {
        let kind = (REQL_TYPE, Datum::str(TIME));
        match Datum::object(std::iter::once(kind).chain(fields.iter().cloned())) {
            Datum::Object(object) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(epoch(&at(1.4444445)), 1.444);
        assert_eq!(epoch(&at(1e30)), 1e30);
        assert_eq!(make(1e306, "+00:00").unwrap_err().message(), "Non-finite number: inf");
    }

    #[test]
    fn arithmetic_is_in_seconds() {
        let time = at(1375147296.681);
        assert_eq!(epoch(&add(&time, &Datum::Num(1000.0)).unwrap()), 1375148296.681);
        assert_eq!(epoch(&add(&Datum::Num(1000.0), &time).unwrap()), 1375148296.681);
        assert_eq!(epoch(&subtract(&time, &Datum::Num(1000.0)).unwrap()), 1375146296.681);
        assert_eq!(subtract(&at(0.0), &at(10.0)).unwrap().as_num().unwrap(), -10.0);
        let wrong = add(&at(0.0), &at(10.0)).unwrap_err();
        assert_eq!(wrong.message(), "Expected type NUMBER but found PTYPE<TIME>.");
    }

    #[test]
    fn zones_are_normalized_once() {
        let time = in_timezone(&at(0.0), "-0730").unwrap();
        assert_eq!(&**timezone(&time).as_str().unwrap(), "-07:30");
        let bad = in_timezone(&at(0.0), "bad").unwrap_err();
        assert_eq!(bad.message(), "Timezone `bad` does not start with `-` or `+`.");
        let hours = in_timezone(&at(0.0), "+99").unwrap_err();
        assert!(
            hours
                .message()
                .starts_with("Invalid time object constructed (invalid timezone string `\"+99:00\"`):\n{")
        );
    }

    #[test]
    fn incomplete_objects_are_refused() {
        let empty = sanitize(object(&[])).unwrap_err();
        assert_eq!(
            empty.message(),
            "Invalid time object constructed (no field `epoch_time`):\n{\n\t\"$reql_type$\":\t\"TIME\"\n}"
        );
        let cases = [
            (vec![(EPOCH_TIME, Datum::Num(1.0))], "(no field `timezone`)"),
            (
                vec![(EPOCH_TIME, Datum::str("x"))],
                "(field `epoch_time` must be a number (got `\"x\"` of type STRING))",
            ),
            (
                vec![(EPOCH_TIME, Datum::Num(1.0)), (TIMEZONE, Datum::Num(2.0))],
                "(field `timezone` must be a string (got `2` of type NUMBER))",
            ),
            (vec![("a", Datum::Num(1.0))], "(unrecognized field `a`)"),
        ];
        for (fields, reason) in cases {
            let error = sanitize(object(&fields)).unwrap_err();
            assert!(error.message().contains(reason), "{error}");
        }
    }
}
