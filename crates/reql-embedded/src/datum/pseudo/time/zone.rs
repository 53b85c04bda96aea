//! Time zones, which are offsets from UTC.
//!
//! RethinkDB has two notions of a valid one: the texts that queries may use, which [`normalize`] checks, and
//! the offsets that its date library calculates with, which go from -12 to +14 hours. A time may be stored
//! with an offset of `+15:00`, but has no hour of the day.

use std::fmt;

use super::cursor::Cursor;
use super::time_logic;
use crate::datum::Datum;
use crate::datum::text::until_nul;
use crate::error::{Error, Result};

const HOUR: i64 = 3600;

/// The name that Boost's date library gives to no zone at all.
const UNNAMED: &str = "UTC";

/// Returns a time zone as `+hh:mm` or `-hh:mm`. Takes `Z`, `+hh`, `+hhmm` and `+hh:mm`.
pub fn normalize(text: &str) -> Result<String> {
    if matches!(text, "-00" | "-00:00") {
        return Err(Error::logic(format!("`{}` is not a valid time offset.", until_nul(text))));
    }
    if text == "Z" {
        return Ok("+00:00".into());
    }
    let mut cursor = Cursor::new(text);
    let sign = if cursor.skip('-') {
        '-'
    } else if cursor.skip('+') {
        '+'
    } else {
        return Err(Error::logic(format!("Timezone `{}` does not start with `-` or `+`.", until_nul(text))));
    };
    let hours = cursor.digits(2)?;
    if cursor.at_end() {
        // RethinkDB doesn't check the hours of this form.
        return Ok(format!("{sign}{hours:02}:00"));
    }
    cursor.skip(':');
    let minutes = cursor.digits(2)?;
    cursor.finish("timezone")?;
    if hours > 24 {
        return Err(Error::logic(format!("Hours out of range in `{}`.", until_nul(text))));
    }
    if minutes > 59 {
        return Err(Error::logic(format!("Minutes out of range in `{}`.", until_nul(text))));
    }
    Ok(format!("{sign}{hours:02}:{minutes:02}"))
}

/// A zone as POSIX writes it: an optional name, and an offset that counts eastwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    name: String,
    seconds: i64,
}

impl Zone {
    /// Returns the zone of a time.
    pub(super) fn of_time(time: &Datum) -> Result<Zone> {
        Zone::parse(&normalize(super::timezone(time).as_str()?)?)
    }

    /// Reads the text that ends an ISO 8601 string, more liberally than [`normalize`] does. Rules of daylight
    /// saving are refused.
    pub(super) fn parse(text: &str) -> Result<Zone> {
        let token = text.split_whitespace().next().unwrap_or(UNNAMED);
        let (name, offset) =
            token.split_at(token.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(token.len()));
        let mut parts = [0_i64; 3];
        let numbers = offset.split(['-', ':', ',', '.']).filter(|number| !number.is_empty());
        for (part, number) in parts.iter_mut().zip(numbers) {
            *part = number.parse::<i32>().map_err(|_| invalid(text))?.into();
        }
        let seconds = parts[0] * HOUR + parts[1] * 60 + parts[2];
        let seconds = if offset.starts_with('-') { -seconds } else { seconds };
        if (-12 * HOUR..=14 * HOUR).contains(&seconds) {
            Ok(Zone { name: name.to_owned(), seconds })
        } else {
            Err(time_logic(format_args!("Offset out of range: {}", Clock(seconds))))
        }
    }

    /// Returns true if there is no zone at all.
    pub(super) fn is_missing(&self) -> bool {
        self.name == UNNAMED && self.seconds == 0
    }

    /// Returns the seconds to add to UTC.
    pub(super) fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Returns the normalised text; fails for zones with a name.
    pub(super) fn normalized(&self) -> Result<String> {
        let text = self.to_string();
        if text == "Z+00" {
            return Ok("+00:00".into());
        }
        normalize(&text).map_err(|_| invalid(&text))
    }
}

fn invalid(text: &str) -> Error {
    Error::logic(format!("Invalid ISO 8601 timezone: `{}`.", until_nul(text)))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.seconds < 0 { '-' } else { '+' };
        let total = self.seconds.abs();
        let (hours, minutes, seconds) = (total / HOUR, total / 60 % 60, total % 60);
        write!(f, "{}{sign}{hours:02}", self.name)?;
        match (minutes, seconds) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, ":{minutes:02}"),
            _ => write!(f, ":{minutes:02}:{seconds:02}"),
        }
    }
}

/// A duration as `hh:mm:ss`.
struct Clock(i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let total = self.0.abs();
        write!(f, "{sign}{:02}:{:02}:{:02}", total / HOUR, total / 60 % 60, total % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form_has_hours_and_minutes() {
        for (text, normal) in [
            ("Z", "+00:00"),
            ("+00:00", "+00:00"),
            ("-0000", "-00:00"),
            ("-07", "-07:00"),
            ("+0545", "+05:45"),
            ("-12:30", "-12:30"),
            ("+99", "+99:00"),
            ("+24:59", "+24:59"),
        ] {
            assert_eq!(normalize(text).unwrap(), normal);
        }
    }

    #[test]
    fn malformed_texts_are_refused() {
        let invalid = |text: &str| {
            format!(
                "Invalid time zone string `{text}`. Valid time zones are `+hh:mm`, `-hh:mm`, `+hhmm`, \
                 `-hhmm`, `+hh`, `-hh` and `Z`."
            )
        };
        for (text, message) in [
            ("bad", "Timezone `bad` does not start with `-` or `+`.".to_owned()),
            ("", "Timezone `` does not start with `-` or `+`.".to_owned()),
            ("-00", "`-00` is not a valid time offset.".to_owned()),
            ("-00:00", "`-00:00` is not a valid time offset.".to_owned()),
            ("+", invalid("+")),
            ("+1", invalid("+1")),
            ("+10:3", invalid("+10:3")),
            ("-+07", "Invalid date string `-+07` (got `+` but expected a digit).".to_owned()),
            ("+1x", "Invalid date string `+1x` (got `x` but expected a digit).".to_owned()),
            ("+10:300", "Garbage characters `0` at end of timezone string `+10:300`.".to_owned()),
            ("+25:00", "Hours out of range in `+25:00`.".to_owned()),
            ("+05:99", "Minutes out of range in `+05:99`.".to_owned()),
        ] {
            assert_eq!(normalize(text).unwrap_err().message(), message);
        }
    }

    #[test]
    fn offsets_end_at_twelve_and_fourteen_hours() {
        assert_eq!(Zone::parse("+14:00").unwrap().seconds(), 14 * HOUR);
        assert_eq!(Zone::parse("-12:00").unwrap().seconds(), -12 * HOUR);
        for (text, clock) in [("+14:01", "14:01:00"), ("-12:30", "-12:30:00"), ("+0130", "130:00:00")] {
            let message = format!("Error in time logic: Offset out of range: {clock}.");
            assert_eq!(Zone::parse(text).unwrap_err().message(), message);
        }
    }

    #[test]
    fn names_are_no_zones() {
        for (text, shown) in [("X", "X+00"), ("PST-8", "PST-08"), ("UTC+01", "UTC+01"), ("Z+01", "Z+01")] {
            let error = Zone::parse(text).unwrap().normalized().unwrap_err();
            assert_eq!(error.message(), format!("Invalid ISO 8601 timezone: `{shown}`."));
        }
        for text in ["Z", "Z-0", "-0", "+00"] {
            assert_eq!(Zone::parse(text).unwrap().normalized().unwrap(), "+00:00");
        }
        assert!(Zone::parse("UTC").unwrap().is_missing());
        assert!(Zone::parse("é").is_err());
    }
}
