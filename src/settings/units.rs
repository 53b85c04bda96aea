//! Durations, sizes and levels as settings write them.

use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};

/// Durations as `"5s"`, `"1m 30s"`, `"250ms"`.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    /// The form of a duration, for error messages.
    pub(in crate::settings) const EXPECTED: &str = "a duration such as \"5s\" or \"250ms\"";

    pub(in crate::settings) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::parse(from, EXPECTED, |text| humantime::parse_duration(text).ok())
    }
}

/// Log levels by their names, in lower case.
pub(super) mod level {
    use log::LevelFilter;
    use serde::{Deserializer, Serializer};

    /// The form of a level, for error messages.
    const EXPECTED: &str = "one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\"";

    pub(in crate::settings) fn serialize<S: Serializer>(
        value: &LevelFilter,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.as_str().to_ascii_lowercase())
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<LevelFilter, D::Error> {
        super::parse(from, EXPECTED, |text| text.parse().ok())
    }
}

/// Types with a text form, whose parse error describes what is expected.
pub(super) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::settings::ParseError;

    pub(in crate::settings) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(in crate::settings) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err = ParseError>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        text.parse()
            .map_err(|ParseError(expected)| de::Error::invalid_value(de::Unexpected::Str(&text), &expected))
    }
}

/// Values as [`text`], or an empty text for none.
pub(super) mod optional {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::settings::ParseError;

    pub(in crate::settings) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_str(""),
        }
    }

    pub(in crate::settings) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err = ParseError>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let wrong = |ParseError(expected)| de::Error::invalid_value(de::Unexpected::Str(&text), &expected);
        text.parse().map(Some).map_err(wrong)
    }
}

/// Sizes as a number of bytes, or as `"512KiB"`, `"64MiB"`, `"1GiB"`.
pub(super) mod size {
    use serde::de::{self, Deserializer, Unexpected, Visitor};
    use serde::{Serialize, Serializer};

    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];

    /// Uses the largest binary unit that divides the size, so that the output is exact and can be read back.
    pub(in crate::settings) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        let unit = UNITS[..3].iter().rev().find(|(_, unit)| *value != 0 && value.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => to.collect_str(&format_args!("{}{name}", value / unit)),
            None => value.serialize(to),
        }
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        from.deserialize_any(SizeVisitor)
    }

    /// Reads a size; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<u64> {
        let (number, unit) =
            match UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit))) {
                Some((number, unit)) => (number.trim_end(), *unit),
                None => (text, 1),
            };
        number.parse::<u64>().ok()?.checked_mul(unit)
    }

    struct SizeVisitor;

    impl Visitor<'_> for SizeVisitor {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number of bytes or a size such as \"1MiB\"")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
            u64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
}

/// Parses a string with `read`, and turns its error into a description of what was expected.
fn parse<'de, T, D: Deserializer<'de>>(
    from: D,
    expected: &'static str,
    read: fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<T>(&'static str, fn(&str) -> Option<T>, PhantomData<T>);

    impl<T> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            self.1(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    from.deserialize_str(Text(expected, read, PhantomData))
}
