//! ISO 8601, as far as RethinkDB reads and writes it.
//!
//! Dates may be years, months, calendar dates or ordinal dates, with or without hyphens; week dates are
//! recognised and refused. Clock times may lack minutes or seconds, and carry over into the next day.

use chrono::{NaiveDate, Timelike};

use super::calendar::{self, MICROS};
use super::cursor::Cursor;
use super::make;
use super::zone::{self, Zone};
use crate::datum::Datum;
use crate::datum::text::until_nul;
use crate::error::{Error, Result};

/// Reads a time. The offset `default_zone`, which may be empty, replaces a missing one.
pub fn parse(text: &str, default_zone: &str) -> Result<Datum> {
    let (date, rest) = text.split_once('T').map_or((text, None), |(date, rest)| (date, Some(rest)));
    let date = Date::parse(date)?;
    let Some(rest) = rest else { return combine(date, Clock::default(), default_zone) };
    let sign = rest.find('-').or_else(|| rest.find('+')).or_else(|| rest.find('Z'));
    let (clock, zone) = rest.split_at(sign.unwrap_or(rest.len()));
    let clock = Clock::parse(clock)?;
    if zone.is_empty() {
        combine(date, clock, default_zone)
    } else {
        combine(date, clock, &zone::normalize(zone)?)
    }
}

/// Writes a time, with milliseconds if it has any.
pub fn format(time: &Datum) -> Result<String> {
    let (local, zone) = calendar::local_and_utc(time)?;
    let micros = local.nanosecond() / 1000;
    let fraction = if micros == 0 { String::new() } else { format!(".{:03}", micros / 1000) };
    Ok(format!("{}{fraction}{}", local.format("%Y-%m-%dT%H:%M:%S"), zone.normalized()?))
}

fn combine(date: Date, mut clock: Clock, zone: &str) -> Result<Datum> {
    let date = date.resolve()?;
    // RethinkDB reads a default zone right behind the fraction of the seconds, which takes its leading
    // digits.
    let digits = zone.bytes().take_while(u8::is_ascii_digit).count();
    let (more, zone) = zone.split_at(digits);
    clock.fraction.push_str(more);
    let zone = Zone::parse(zone)?;
    if zone.is_missing() {
        return Err(Error::logic("ISO 8601 string has no time zone, and no default time zone was provided."));
    }
    let local = calendar::midnight(date) + clock.micros();
    let instant = local - i128::from(zone.seconds()) * MICROS;
    calendar::from_micros(local)?;
    calendar::from_micros(instant)?;
    make(instant as f64 / MICROS as f64, &zone.normalized()?)
}

/// A date as written, of which only the form was checked.
enum Date {
    Calendar { year: u32, month: u32, day: u32 },
    Ordinal { year: u32, day: u32 },
    Week,
}

impl Date {
    fn parse(text: &str) -> Result<Date> {
        let mut cursor = Cursor::new(text);
        let year = cursor.digits(4)?;
        if cursor.at_end() {
            return Ok(Date::Calendar { year, month: 1, day: 1 });
        }
        let hyphen = cursor.skip('-');
        let date = if cursor.skip('W') {
            cursor.digits(2)?;
            if !cursor.at_end() {
                cursor.skip('-');
                cursor.digits(1)?;
            }
            Date::Week
        } else if cursor.rest().len() == 3 {
            Date::Ordinal { year, day: cursor.digits(3)? }
        } else {
            let month = cursor.digits(2)?;
            // A month without a day needs its hyphen: `201307` is no month, and no date of another century.
            if hyphen && cursor.at_end() {
                return Ok(Date::Calendar { year, month, day: 1 });
            }
            if cursor.skip('-') != hyphen {
                return Err(Error::logic(format!(
                    "Date string `{}` must have 0 or 2 hyphens.",
                    until_nul(text)
                )));
            }
            Date::Calendar { year, month, day: cursor.digits(2)? }
        };
        cursor.finish("date")?;
        Ok(date)
    }

    fn resolve(&self) -> Result<NaiveDate> {
        match *self {
            Date::Calendar { year, month, day } => {
                calendar::date_of(year.cast_signed(), month.cast_signed(), day.cast_signed())
            }
            Date::Ordinal { year, day } => calendar::ordinal_date(year.cast_signed(), day),
            Date::Week => Err(Error::logic(
                "Due to limitations in the boost time library we use for parsing, we cannot support ISO week \
                 dates right now.  Sorry about that!  Please use years, calendar dates, or ordinal dates \
                 instead.",
            )),
        }
    }
}

/// A clock time as written.
#[derive(Default)]
struct Clock {
    seconds: u32,
    /// The digits behind the point.
    fraction: String,
}

impl Clock {
    fn parse(text: &str) -> Result<Clock> {
        let mut cursor = Cursor::new(text);
        let mut clock = Clock { seconds: cursor.digits(2)? * 3600, fraction: String::from("000") };
        if cursor.at_end() {
            return Ok(clock);
        }
        let colon = cursor.skip(':');
        clock.seconds += cursor.digits(2)? * 60;
        if cursor.at_end() {
            return Ok(clock);
        }
        if cursor.skip(':') != colon {
            return Err(Error::logic(format!("Time string `{}` must have 0 or 2 colons.", until_nul(text))));
        }
        clock.seconds += cursor.digits(2)?;
        if cursor.skip('.') {
            clock.fraction = cursor.remaining_digits()?.to_owned();
        }
        cursor.finish("time")?;
        Ok(clock)
    }

    /// Returns the microseconds since midnight; finer digits are dropped.
    fn micros(&self) -> i128 {
        let digits = self.fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
        let fraction = digits.fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        i128::from(self.seconds) * MICROS + fraction
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datum::pseudo::time::{epoch, timezone};
    use crate::error::ErrorKind;

    #[track_caller]
    fn reads(text: &str, default_zone: &str, expected: f64, zone: &str) {
        let time = parse(text, default_zone).unwrap();
        assert_eq!((epoch(&time), &**timezone(&time).as_str().unwrap()), (expected, zone), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(parse(text, "").unwrap_err().message(), message, "{text}");
    }

    #[test]
    fn reads_what_rethinkdb_reads() {
        reads("2013-07-30T20:56:05-07:00", "", 1375242965.0, "-07:00");
        reads("2013-07-30T20Z", "", 1375214400.0, "+00:00");
        reads("2013-07-30T20:56-07", "", 1375242960.0, "-07:00");
        reads("2013-07-30T205605.5Z", "", 1375217765.5, "+00:00");
        reads("20130730T205605Z", "", 1375217765.0, "+00:00");
        reads("2013-366T00Z", "", 1388534400.0, "+00:00");
        reads("2012366T00Z", "", 1356912000.0, "+00:00");
        reads("2013-07T00Z", "", 1372636800.0, "+00:00");
        reads("2013-01-01", "Z", 1356998400.0, "+00:00");
        reads("2013-07-30T20:56:05-00:30", "", 1375219565.0, "-00:30");
        reads("2013-07-30T20:56:05-0000", "", 1375217765.0, "+00:00");
    }

    #[test]
    fn clocks_carry_over() {
        reads("2016-12-31T23:59:60Z", "", 1483228800.0, "+00:00");
        reads("2013-07-30T24:00:00Z", "", 1375228800.0, "+00:00");
        reads("2013-07-30T99:99:99Z", "", 1375504839.0, "+00:00");
    }

    #[test]
    fn fractions_are_rounded_to_milliseconds() {
        reads("2020-01-01T00:00:00.123456Z", "", 1577836800.123, "+00:00");
        reads("2013-07-30T20:56:05.Z", "", 1375217765.0, "+00:00");
        reads("2013-07-30T20:56:05.0004999999Z", "", 1375217765.0, "+00:00");
        reads("2013-07-30T20:56:05.0005Z", "", 1375217765.001, "+00:00");
        reads("2013-07-30T20:56:05.99999999999999999999Z", "", 1375217766.0, "+00:00");
        reads("1969-12-31T23:59:59.5Z", "", -0.5, "+00:00");
    }

    #[test]
    fn default_zones_are_read_liberally() {
        let text = "2013-07-30T20:56:05";
        reads(text, "-07", 1375242965.0, "-07:00");
        reads(text, "-8:30", 1375248365.0, "-08:30");
        reads(text, " +1", 1375214165.0, "+01:00");
        reads(text, "Z-0", 1375217765.0, "+00:00");
        reads("2013-07-30T20:56:05+01", "bad", 1375214165.0, "+01:00");
        for (zone, message) in [
            ("bad", "Invalid ISO 8601 timezone: `bad+00`."),
            ("+0130", "Error in time logic: Offset out of range: 130:00:00."),
            ("8", "ISO 8601 string has no time zone, and no default time zone was provided."),
            ("UTC", "ISO 8601 string has no time zone, and no default time zone was provided."),
        ] {
            assert_eq!(parse(text, zone).unwrap_err().message(), message);
        }
    }

    #[test]
    fn malformed_texts_are_refused() {
        refuses("not a date", "Invalid date string `not a date` (got `n` but expected a digit).");
        refuses("2013é", "Invalid date string `2013é` (got `é` but expected a digit).");
        refuses("2013-07-3012", "Garbage characters `12` at end of date string `2013-07-3012`.");
        refuses("201307-30T00Z", "Date string `201307-30` must have 0 or 2 hyphens.");
        refuses("2013-07-30T20:5605Z", "Time string `20:5605` must have 0 or 2 colons.");
        refuses("2013-07-30T20:56:05z", "Garbage characters `z` at end of time string `20:56:05z`.");
        refuses("2013-07-30T20:56:05ZZ", "Timezone `ZZ` does not start with `-` or `+`.");
        refuses(
            "2013-07-30T20:56:05",
            "ISO 8601 string has no time zone, and no default time zone was provided.",
        );
        let digits_missing = |text: &str| {
            format!(
                "Invalid time zone string `{text}`. Valid time zones are `+hh:mm`, `-hh:mm`, `+hhmm`, \
                 `-hhmm`, `+hh`, `-hh` and `Z`."
            )
        };
        refuses("201307", &digits_missing("201307"));
        refuses("2013-07-30T20:5", &digits_missing("20:5"));
        refuses("", &digits_missing(""));
    }

    #[test]
    fn impossible_dates_are_refused() {
        refuses("2013-13-32T00:00:00+15", "Error in time logic: Month number is out of range 1..12.");
        refuses("2013-01-32T00Z", "Error in time logic: Day of month value is out of range 1..31.");
        refuses("2020-02-30T00:00:00Z", "Error in time logic: Day of month is not valid for year.");
        refuses("2013-01-01T00+15", "Error in time logic: Offset out of range: 15:00:00.");
        for year in ["1399-01-01T00Z", "1400-01-01T00+01", "9999-12-31T23-01", "9999-12-31T24+01", "0000T00Z"]
        {
            refuses(year, "Error in time logic: Year is out of valid range: 1400..9999.");
        }
        assert_eq!(parse("2013-367T00Z", "").unwrap_err().kind(), ErrorKind::Internal);
        assert!(parse("2013-W31-1", "Z").unwrap_err().message().contains("cannot support ISO week dates"));
    }

    #[test]
    fn writes_milliseconds_only_when_there_are_some() {
        for (epoch, zone, text) in [
            (0.0, "+05:30", "1970-01-01T05:30:00+05:30"),
            (1.5, "+00:00", "1970-01-01T00:00:01.500+00:00"),
            (1.4444445, "+00:00", "1970-01-01T00:00:01.444+00:00"),
            (2.058, "+00:00", "1970-01-01T00:00:02.058+00:00"),
            (-0.001, "-07:00", "1969-12-31T16:59:59.999-07:00"),
            (253402300799.999, "+00:00", "9999-12-31T23:59:59.999+00:00"),
            (1375147296.681, "-00:30", "2013-07-30T00:51:36.681-00:30"),
        ] {
            assert_eq!(format(&make(epoch, zone).unwrap()).unwrap(), text);
        }
        for (epoch, zone) in
            [(253402300799.0, "+01:00"), (253402300800.0, "-07:00"), (-17987443200.5, "+05:45")]
        {
            let error = format(&make(epoch, zone).unwrap()).unwrap_err();
            assert_eq!(error.message(), "Error in time logic: Year is out of valid range: 1400..9999.");
        }
    }

    proptest! {
        /// Checks times up to the year 2096; further away, doubles are too coarse for microseconds, and
        /// milliseconds get lost.
        #[test]
        fn reads_what_it_writes(
            millis in -4_000_000_000_000_i64..4_000_000_000_000,
            quarters in -48_i32..=56,
        ) {
            let (sign, quarters) = if quarters < 0 { ('-', -quarters) } else { ('+', quarters) };
            let zone = format!("{sign}{:02}:{:02}", quarters / 4, quarters % 4 * 15);
            let time = make(millis as f64 / 1000.0, &zone).unwrap();
            let again = parse(&format(&time).unwrap(), "").unwrap();
            prop_assert_eq!(epoch(&again), epoch(&time));
            prop_assert_eq!(timezone(&again).print(), timezone(&time).print());
        }

        #[test]
        fn never_panics(text in "[0-9TZW:.+é -]{0,30}", zone in "\\PC{0,8}") {
            let _ = parse(&text, &zone);
        }
    }
}
