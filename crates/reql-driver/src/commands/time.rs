//! Times.

use super::{During, methods};
use crate::term::{Argument, Term};

methods! {
    /// Returns the time as text: `r.now().to_iso8601()`.
    to_iso8601() -> Term = ToIso8601 with;
    /// Returns the seconds since 1970: `r.now().to_epoch_time()`.
    to_epoch_time() -> Term = ToEpochTime with;
    /// Tells if a time lies between two others: `r.row().g("at").during(start, end)`.
    during<L, U>(start: Argument<L>, end: Argument<U>) -> During = During with;
    /// Returns the same time in another timezone: `r.now().in_timezone("+02:00")`.
    in_timezone<K>(timezone: Argument<K>) -> Term = InTimezone with;
    /// Returns the timezone: `r.now().timezone()`.
    timezone() -> Term = Timezone with;
    /// Returns the midnight before: `r.now().date()`.
    date() -> Term = Date with;
    /// Returns the seconds since midnight: `r.now().time_of_day()`.
    time_of_day() -> Term = TimeOfDay with;
    /// Returns the year: `r.now().year()`.
    year() -> Term = Year with;
    /// Returns the month, from 1: `r.now().month()`.
    month() -> Term = Month with;
    /// Returns the day of the month, from 1: `r.now().day()`.
    day() -> Term = Day with;
    /// Returns the day of the week, from 1 for Monday: `r.now().day_of_week()`.
    day_of_week() -> Term = DayOfWeek with;
    /// Returns the day of the year, from 1: `r.now().day_of_year()`.
    day_of_year() -> Term = DayOfYear with;
    /// Returns the hour: `r.now().hours()`.
    hours() -> Term = Hours with;
    /// Returns the minute: `r.now().minutes()`.
    minutes() -> Term = Minutes with;
    /// Returns the seconds with their fraction: `r.now().seconds()`.
    seconds() -> Term = Seconds with;
}
