//! Rates: a number of requests per unit of time.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::ParseError;

/// A number of requests in a time, such as `100/s`.
///
/// ```
/// use std::time::Duration;
/// use warp_reql::settings::Rate;
///
/// let rate: Rate = "6000/min".parse().unwrap();
/// assert_eq!((rate.count.get(), rate.period), (6000, Duration::from_secs(60)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of requests.
    pub count: NonZeroU32,
    /// The time in which they may come: a second, a minute or an hour.
    pub period: Duration,
}

/// The units of time, and their length in seconds. Of each length the first one is shown.
const UNITS: [(&str, u64); 6] = [("s", 1), ("sec", 1), ("min", 60), ("m", 60), ("h", 3600), ("hour", 3600)];
const EXPECTED: ParseError =
    ParseError("a rate such as \"100/s\", \"6000/min\" or \"1000/h\", of at most a million a second");

impl FromStr for Rate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (count, unit) = text.trim().split_once('/').ok_or(EXPECTED)?;
        let count: NonZeroU32 = count.trim().parse().map_err(|_| EXPECTED)?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or(EXPECTED)?;
        let rate = Rate { count, period: Duration::from_secs(*seconds) };
        // What comes more often has no time between that could be told.
        if rate.each() < Duration::from_micros(1) { Err(EXPECTED) } else { Ok(rate) }
    }
}

impl Rate {
    /// Returns the time after which one more request may come.
    pub(crate) fn each(self) -> Duration {
        self.period / self.count.get()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| self.period.as_secs() == *seconds);
        write!(f, "{}/{}", self.count, unit.map_or("s", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["1/s", "100/s", "6000/min", "1000/h", "1000000/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!(" 5 / m ".parse::<Rate>().unwrap().to_string(), "5/min");
        for wrong in ["", "100", "0/s", "-1/s", "1/d", "1.5/s", "2000000/s", "5000000000/h", "1/s/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
