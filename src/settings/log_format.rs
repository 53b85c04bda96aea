//! The format of log lines.

use std::fmt;
use std::str::FromStr;

use super::ParseError;

/// The format of log lines.
///
/// ```
/// use warp_reql::settings::LogFormat;
///
/// assert_eq!("json".parse(), Ok(LogFormat::Json));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people, with colours on a terminal.
    #[default]
    Pretty,
    /// One JSON object per line, with a field for each value.
    Json,
    /// The fields of [`LogFormat::Json`] as `name=value`.
    Logfmt,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Pretty => "pretty",
            LogFormat::Json => "json",
            LogFormat::Logfmt => "logfmt",
        })
    }
}

impl FromStr for LogFormat {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            "logfmt" => Ok(LogFormat::Logfmt),
            _ => Err(ParseError("\"pretty\", \"json\" or \"logfmt\"")),
        }
    }
}
