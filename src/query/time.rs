//! Dates and times in filters, in the format of ISO 8601.

use chrono::{FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use serde_json::{Map, Value, json};

use crate::names::PSEUDO_TYPE;

/// The years that the database supports.
const YEARS: std::ops::RangeInclusive<i32> = 1400..=9999;

/// Parses a date or time, and returns its text and the time as a value. Without a time of day it is the start
/// of the day, and without an offset it is in UTC. A blank in the place of the offset's sign is a plus that
/// was not escaped in the URL.
pub(super) fn read(text: &str) -> Option<(String, Value)> {
    let (date, time) = match text.char_indices().find(|(_, c)| matches!(c, 'T' | 't' | ' ')) {
        Some((at, c)) => (text.get(..at)?, Some(text.get(at + c.len_utf8()..)?)),
        None => (text, None),
    };
    let date = digits(date, "0000-00-00").then(|| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok())??;
    let Some(time) = time else { return moment(text, date.and_time(NaiveTime::MIN), 0) };
    let (clock, offset) = time.split_at(time.find(['Z', 'z', '+', '-', ' ']).unwrap_or(time.len()));
    let whole = clock.split('.').next().unwrap_or_default();
    let form = match whole {
        whole if digits(whole, "00:00:00") => "%H:%M:%S%.f",
        whole if digits(whole, "00:00") && whole == clock => "%H:%M",
        _ => return None,
    };
    let clock = NaiveTime::parse_from_str(clock, form).ok()?;
    let offset = offset.replacen(' ', "+", 1);
    let text = text.get(..text.len() - offset.len()).map(|before| format!("{before}{offset}"))?;
    moment(&text, date.and_time(clock), seconds(&offset)?)
}

fn moment(text: &str, local: NaiveDateTime, offset: i32) -> Option<(String, Value)> {
    let moment = FixedOffset::east_opt(offset)?.from_local_datetime(&local).single()?;
    let year = chrono::Datelike::year(&moment.to_utc());
    let seconds = moment.timestamp_millis() as f64 / 1000.0;
    let time = json!({"$reql_type$": "TIME", "epoch_time": seconds, "timezone": "+00:00"});
    YEARS.contains(&year).then(|| (text.to_owned(), time))
}

/// Returns whether a value is a time such as [`read`] makes them, which the database takes.
pub(super) fn is_sound(value: &Value) -> bool {
    let moment = value.get("epoch_time").and_then(Value::as_f64);
    let moment = moment.and_then(|seconds| chrono::DateTime::from_timestamp(seconds as i64, 0));
    let is_within = moment.is_some_and(|moment| YEARS.contains(&chrono::Datelike::year(&moment)));
    let is_utc = value.get("timezone").is_some_and(|zone| zone == "+00:00");
    let fields = value.as_object().map_or(0, Map::len);
    is_within && is_utc && fields == 3 && value.get(PSEUDO_TYPE).is_some_and(|name| name == "TIME")
}

/// Returns an offset from UTC in seconds.
fn seconds(offset: &str) -> Option<i32> {
    if matches!(offset, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, offset) = match offset.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, offset.strip_prefix('+')?),
    };
    let forms = ["00:00", "0000", "00"];
    let number = |at: usize| offset.get(at..at + 2)?.parse::<i32>().ok();
    let form = forms.into_iter().find(|form| digits(offset, form))?;
    let (hours, minutes) = (number(0)?, if form == "00" { 0 } else { number(form.len() - 2)? });
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

/// Returns whether a text has a digit wherever the form has a `0`, and equals the form elsewhere.
fn digits(text: &str, form: &str) -> bool {
    let alike = |(own, wanted): (u8, u8)| if wanted == b'0' { own.is_ascii_digit() } else { own == wanted };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(alike)
}

/// Parses a time in the format of ISO 8601.
pub(crate) fn time_of(text: &str) -> Option<Value> {
    read(text).map(|(_, time)| time)
}

/// Formats a time, given by its fields, as ISO 8601.
pub(crate) fn iso8601(time: &Map<String, Value>) -> Option<String> {
    let millis = (time.get("epoch_time")?.as_f64()? * 1000.0).round();
    let offset = FixedOffset::east_opt(seconds(time.get("timezone")?.as_str()?)?)?;
    // The database's times are within this range.
    let millis = (millis.abs() < 1e15).then_some(millis as i64)?;
    let moment = chrono::DateTime::from_timestamp_millis(millis)?.with_timezone(&offset);
    Some(moment.format("%Y-%m-%dT%H:%M:%S%.f%:z").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(text: &str) -> Option<f64> {
        read(text).map(|(_, time)| time["epoch_time"].as_f64().unwrap())
    }

    #[test]
    fn dates_and_times_are_moments() {
        for (text, seconds) in [
            ("1970-01-01", 0.0),
            ("1970-01-02T00:00", 86_400.0),
            ("1970-01-01T00:00:01Z", 1.0),
            ("1970-01-01 00:00:01.25", 1.25),
            ("1970-01-01T05:30:00+05:30", 0.0),
            ("1970-01-01T05:30:00 05:30", 0.0),
            ("1970-01-01t00:00:00-0130", 5_400.0),
            ("1969-12-31T23:00:00-01", 0.0),
            ("2013-04-05T18:50:00+05:30", 1_365_168_000.0),
        ] {
            assert_eq!(epoch(text), Some(seconds), "{text}");
        }
        assert_eq!(read("1970-01-01T05:30:00 05:30").unwrap().0, "1970-01-01T05:30:00+05:30");
    }

    #[test]
    fn other_text_is_none() {
        for text in [
            "",
            "1970",
            "1970-1-1",
            "1970-13-01",
            "1970-02-30",
            "+1970-01-01",
            "1970-01-01T",
            "1970-01-01T24",
            "1970-01-01T25:00",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00.5",
            "1970-01-01T00:00:00+25:00",
            "1970-01-01T00:00:00+5",
            "1970-01-01T00:00:00Z ",
            "1970-01-01 ",
            "0999-01-01",
            "é970-01-01",
            "1970-01-01é",
        ] {
            assert_eq!(epoch(text), None, "{text}");
        }
    }
}
