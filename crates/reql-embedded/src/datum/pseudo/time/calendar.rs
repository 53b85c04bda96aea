//! Times as dates and clocks: constructing them from parts and taking them apart.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::zone::{self, Zone};
use super::{epoch, make, time_logic};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// Microseconds in a second: the resolution that RethinkDB calculates with.
pub(super) const MICROS: i128 = 1_000_000;

/// The years that RethinkDB's calendar knows.
const YEARS: std::ops::RangeInclusive<i32> = 1400..=9999;

/// A moment of the day; the numbers may be negative or beyond the day, and carry over.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeOfDay {
    /// Hours since midnight.
    pub hours: i32,
    /// Minutes after the hour.
    pub minutes: i32,
    /// Seconds after the minute, with fractions.
    pub seconds: f64,
}

/// Makes a time of the parts of its date, its time of day and its offset, as `r.time` takes them.
pub fn from_parts((year, month, day): (i32, i32, i32), time: TimeOfDay, zone: &str) -> Result<Datum> {
    // RethinkDB checks the day first here, and last where it parses text.
    check_day(day)?;
    check_month(month)?;
    let date = date_of(year, month, day)?;
    let zone = Zone::parse(&zone::normalize(zone)?)?;
    let whole = i128::from(time.hours) * 3600 + i128::from(time.minutes) * 60 - i128::from(zone.seconds());
    let instant = midnight(date) + whole * MICROS + micros(time.seconds)?;
    make(instant as f64 / MICROS as f64, &zone.normalized()?)
}

/// The parts of a time that have terms of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// 1400 to 9999
    Year,
    /// From 1
    Month,
    /// Day of the month, from 1
    Day,
    /// Monday is 1
    DayOfWeek,
    /// From 1
    DayOfYear,
    /// 0 to 23
    Hours,
    /// 0 to 59
    Minutes,
    /// 0 to 59, with milliseconds
    Seconds,
}

/// Returns a part of a time, as clocks in its zone show it.
pub fn portion(time: &Datum, portion: Portion) -> Result<f64> {
    let (local, _) = local(time)?;
    let date = || from_micros(local);
    Ok(match portion {
        Portion::Year => date()?.year().into(),
        Portion::Month => date()?.month().into(),
        Portion::Day => date()?.day().into(),
        Portion::DayOfWeek => date()?.weekday().number_from_monday().into(),
        Portion::DayOfYear => date()?.ordinal().into(),
        Portion::Hours => (clock(local)? / 3600) as f64,
        Portion::Minutes => (clock(local)? / 60 % 60) as f64,
        // The fraction is that of the seconds since 1970, and so negative before then, in RethinkDB too.
        Portion::Seconds => (clock(local)? % 60) as f64 + (epoch(time).fract() * 1000.0).round() / 1000.0,
    })
}

/// Returns the whole seconds since midnight, which need no calendar. Before the calendar's first day, in 4714
/// BC, they count down, in RethinkDB too.
fn clock(local: i128) -> Result<i64> {
    const FIRST_DAY: i128 = -2_440_588 * 86_400 * MICROS;
    let since = i64::try_from(local - FIRST_DAY).map_err(|_| year_out_of_range())?;
    Ok(since / MICROS as i64 % 86_400)
}

/// Returns midnight of the time's day, in its zone.
pub fn date(time: &Datum) -> Result<Datum> {
    let (local, zone) = local(time)?;
    let start = start_of_day(local)? - i128::from(zone.seconds()) * MICROS;
    make(start as f64 / MICROS as f64, &zone.normalized()?)
}

/// Returns the seconds since midnight, in the time's zone.
pub fn time_of_day(time: &Datum) -> Result<f64> {
    let (local, _) = local(time)?;
    let seconds = (local - start_of_day(local)?) as f64 / MICROS as f64;
    Ok((seconds * 1000.0).round() / 1000.0)
}

fn start_of_day(local: i128) -> Result<i128> {
    Ok(midnight(from_micros(local)?.date()))
}

/// Returns the microseconds since 1970 that clocks in the time's zone show, and that zone.
fn local(time: &Datum) -> Result<(i128, Zone)> {
    let instant = micros(epoch(time))?;
    let zone = Zone::of_time(time)?;
    Ok((instant + i128::from(zone.seconds()) * MICROS, zone))
}

/// Returns the microseconds since 1970 of a number of seconds.
pub(super) fn micros(seconds: f64) -> Result<i128> {
    // Far beyond every year of the calendar, and small enough for the sums below.
    const LIMIT: f64 = 1e20;
    if seconds.abs() > LIMIT {
        return Err(year_out_of_range());
    }
    let whole = seconds.trunc();
    let fraction = seconds * 1e6 - whole * 1e6 + 0.5_f64.copysign(seconds);
    Ok(whole as i128 * MICROS + fraction as i128)
}

/// Returns microseconds from 1970 to the start of a day.
pub(super) fn midnight(date: NaiveDate) -> i128 {
    i128::from(date.and_time(NaiveTime::MIN).and_utc().timestamp()) * MICROS
}

/// Returns the date and time of a number of microseconds since 1970.
pub(super) fn from_micros(micros: i128) -> Result<NaiveDateTime> {
    i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .map(|at| at.naive_utc())
        .filter(|at| YEARS.contains(&at.year()))
        .ok_or_else(year_out_of_range)
}

/// Returns the date and time in the zone of a time, and that zone. Fails unless the calendar knows both this
/// moment and its UTC.
pub(super) fn local_and_utc(time: &Datum) -> Result<(NaiveDateTime, Zone)> {
    let (local, zone) = local(time)?;
    from_micros(local - i128::from(zone.seconds()) * MICROS)?;
    Ok((from_micros(local)?, zone))
}

/// Returns a calendar date.
pub(super) fn date_of(year: i32, month: i32, day: i32) -> Result<NaiveDate> {
    check_year(year)?;
    check_month(month)?;
    check_day(day)?;
    NaiveDate::from_ymd_opt(year, month.unsigned_abs(), day.unsigned_abs())
        .ok_or_else(|| time_logic("Day of month is not valid for year"))
}

/// Returns an ordinal date. Day 366 of a common year is the first day of the next one.
pub(super) fn ordinal_date(year: i32, day: u32) -> Result<NaiveDate> {
    check_year(year)?;
    let first = date_of(year, 1, 1)?;
    if !(1..=366).contains(&day) {
        // The one error of Boost's calendar that RethinkDB forgets to catch.
        return Err(Error::internal("Unexpected exception: Day of year value is out of range 1..366\n"));
    }
    first.checked_add_days(Days::new(u64::from(day) - 1)).ok_or_else(year_out_of_range)
}

fn check_year(year: i32) -> Result<()> {
    YEARS.contains(&year).then_some(()).ok_or_else(year_out_of_range)
}

fn check_month(month: i32) -> Result<()> {
    (1..=12).contains(&month).then_some(()).ok_or_else(|| time_logic("Month number is out of range 1..12"))
}

fn check_day(day: i32) -> Result<()> {
    (1..=31)
        .contains(&day)
        .then_some(())
        .ok_or_else(|| time_logic("Day of month value is out of range 1..31"))
}

fn year_out_of_range() -> Error {
    time_logic("Year is out of valid range: 1400..9999")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(epoch: f64, zone: &str) -> Datum {
        make(epoch, zone).unwrap()
    }

    fn parts(time: &Datum) -> [f64; 8] {
        use Portion::*;
        [Year, Month, Day, DayOfWeek, DayOfYear, Hours, Minutes, Seconds]
            .map(|part| portion(time, part).unwrap())
    }

    fn clock(hours: i32, minutes: i32, seconds: f64) -> TimeOfDay {
        TimeOfDay { hours, minutes, seconds }
    }

    #[test]
    fn portions_are_local() {
        let cases = [
            (1375147296.681, "+00:00", [2013.0, 7.0, 30.0, 2.0, 211.0, 1.0, 21.0, 36.681]),
            (1375147296.681, "-07:00", [2013.0, 7.0, 29.0, 1.0, 210.0, 18.0, 21.0, 36.681]),
            (1375147296.681, "+05:45", [2013.0, 7.0, 30.0, 2.0, 211.0, 7.0, 6.0, 36.681]),
            (2375147296.681, "+00:00", [2045.0, 4.0, 7.0, 5.0, 97.0, 3.0, 8.0, 16.681]),
            (259200.0, "+00:00", [1970.0, 1.0, 4.0, 7.0, 4.0, 0.0, 0.0, 0.0]),
            (-0.5, "+00:00", [1969.0, 12.0, 31.0, 3.0, 365.0, 23.0, 59.0, 58.5]),
            (253402300800.0, "-07:00", [9999.0, 12.0, 31.0, 5.0, 365.0, 17.0, 0.0, 0.0]),
            (-17987443200.0, "+00:00", [1400.0, 1.0, 1.0, 3.0, 1.0, 0.0, 0.0, 0.0]),
        ];
        for (epoch, zone, expected) in cases {
            for (found, expected) in parts(&time(epoch, zone)).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-9, "{epoch} {zone}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn dates_and_times_of_day_are_local() {
        let cases = [
            (1375147296.681, "+00:00", 1375142400.0, 4896.681),
            (1375147296.681, "-07:00", 1375081200.0, 66096.681),
            (0.0, "+05:45", -20700.0, 20700.0),
            (-0.001, "+00:00", -86400.0, 86399.999),
            (-17987443200.0, "+05:45", -17987463900.0, 20700.0),
        ];
        for (at, zone, start, seconds) in cases {
            let time = time(at, zone);
            assert_eq!(epoch(&date(&time).unwrap()), start);
            assert_eq!(time_of_day(&time).unwrap(), seconds);
        }
    }

    #[test]
    fn years_outside_the_calendar_have_no_portions() {
        for (epoch, zone) in [
            (253402300800.0, "+00:00"),
            (253430000000.0, "+00:00"),
            (-17990000000.0, "+00:00"),
            (-17987443200.5, "+00:00"),
            (253402300799.0, "+01:00"),
            (1e30, "+00:00"),
            (-1e300, "+00:00"),
        ] {
            let error = portion(&time(epoch, zone), Portion::Year).unwrap_err();
            assert_eq!(error.message(), "Error in time logic: Year is out of valid range: 1400..9999.");
        }
    }

    #[test]
    fn offsets_outside_the_library_have_no_portions() {
        for (zone, reason) in [
            ("+15:00", "Error in time logic: Offset out of range: 15:00:00."),
            ("+99:00", "Hours out of range in `+99:00`."),
            ("-00:00", "`-00:00` is not a valid time offset."),
        ] {
            assert_eq!(portion(&time(0.0, zone), Portion::Year).unwrap_err().message(), reason);
        }
    }

    #[test]
    fn parts_make_times() {
        let cases = [
            ((2013, 7, 29), clock(23, 30, 0.1), "-07:00", 1375165800.1),
            ((2013, 7, 29), TimeOfDay::default(), "-07:00", 1375081200.0),
            ((2000, 2, 29), clock(12, 30, 15.25), "-03:00", 951838215.25),
            ((2013, 7, 29), clock(25, 70, -5.5), "-07:00", 1375175394.5),
            ((2013, 7, 29), clock(-25, -70, 5.0005), "-07:00", 1374987005.001),
            ((9999, 12, 31), clock(23, 59, 59.9999999), "Z", 253402300800.0),
            ((2013, 1, 1), clock(i32::MAX, i32::MAX, 0.0), "Z", 7861147146420.0),
            ((1400, 1, 1), TimeOfDay::default(), "+01", -17987446800.0),
        ];
        for (date, time, zone, expected) in cases {
            assert_eq!(epoch(&from_parts(date, time, zone).unwrap()), expected);
        }
        let again = from_parts((2013, 1, 1), TimeOfDay::default(), "-0030").unwrap();
        assert_eq!(&**crate::datum::pseudo::time::timezone(&again).as_str().unwrap(), "-00:30");
    }

    #[test]
    fn impossible_parts_are_refused() {
        for (date, zone, reason) in [
            ((2013, 13, 1), "Z", "Error in time logic: Month number is out of range 1..12."),
            ((2013, 1, 0), "Z", "Error in time logic: Day of month value is out of range 1..31."),
            ((1399, 13, 32), "Z", "Error in time logic: Day of month value is out of range 1..31."),
            ((2013, 2, 30), "bad", "Error in time logic: Day of month is not valid for year."),
            ((1399, 1, 1), "Z", "Error in time logic: Year is out of valid range: 1400..9999."),
            ((i32::MIN, 1, 1), "Z", "Error in time logic: Year is out of valid range: 1400..9999."),
            ((2013, 1, 1), "X", "Timezone `X` does not start with `-` or `+`."),
            ((2013, 1, 1), "+99", "Error in time logic: Offset out of range: 99:00:00."),
        ] {
            assert_eq!(from_parts(date, TimeOfDay::default(), zone).unwrap_err().message(), reason);
        }
    }
}
