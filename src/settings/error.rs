//! Errors in settings, each one line of text.

use std::borrow::Cow;
use std::fmt;

use super::Origin;

/// The most characters of a key or a value that are shown.
const SHOWN_MAX: usize = 200;

/// The reason why settings can't be used. Its text is one line that names the place of the fault, and never
/// contains a secret.
///
/// ```
/// use warp_reql::settings::{LoadOptions, Settings, SettingsError};
///
/// let options = LoadOptions { file: Some("no-such-file.toml".into()), ..LoadOptions::default() };
/// let error = Settings::load(&options).unwrap_err();
/// assert!(matches!(error, SettingsError::File { .. }));
/// assert!(error.to_string().starts_with("settings file no-such-file.toml: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// A value of a wrong type or out of range.
    Invalid {
        /// The setting, as `rdb.port`.
        key: String,
        /// The value as it was written, masked if it is secret.
        value: String,
        /// The place where it was written.
        origin: Origin,
        /// A description of valid values.
        expected: String,
    },
    /// A key that is no setting.
    Unknown {
        /// The key as it was written: `rdb.prot`, or `APP_PROT` for an environment variable.
        key: String,
        /// The value as it was written, masked unless it was surely meant for a setting that isn't secret.
        value: String,
        /// The place where it was written.
        origin: Origin,
        /// The setting that was probably meant.
        suggestion: Option<String>,
    },
    /// A table without a key that it needs.
    Missing {
        /// The setting that is missing, as `tables.0.name`.
        key: String,
        /// The place of the table.
        origin: Origin,
        /// A description of valid values.
        expected: String,
    },
    /// A profile that neither the service nor the settings file knows.
    UnknownProfile {
        /// The name that was asked for.
        profile: String,
        /// The place that asked for it.
        origin: Origin,
        /// The profiles that there are.
        known: Vec<String>,
    },
    /// A settings file that can't be read, or isn't TOML.
    File {
        /// The path of the file.
        path: String,
        /// The fault, and its place.
        reason: String,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::Invalid { key, value, origin, expected } => {
                let (key, value) = (cut(key), cut(value));
                write!(f, "invalid setting `{key}` = {value} ({origin}): expected {expected}")
            }
            SettingsError::Unknown { key, value, origin, suggestion: Some(suggestion) } => {
                let (key, value) = (cut(key), cut(value));
                write!(f, "unknown setting `{key}` = {value} ({origin}): did you mean `{suggestion}`?")
            }
            SettingsError::Unknown { key, value, origin, suggestion: None } => {
                let (key, value) = (cut(key), cut(value));
                write!(f, "unknown setting `{key}` = {value} ({origin}): expected a key that `config` lists")
            }
            SettingsError::Missing { key, origin, expected } => {
                write!(f, "missing setting `{key}` ({origin}): expected {expected}")
            }
            SettingsError::UnknownProfile { profile, origin, known } => {
                let known = known.join(", ");
                write!(f, "unknown profile {profile:?} ({origin}): expected one of {known}")
            }
            SettingsError::File { path, reason } => write!(f, "settings file {path}: {reason}"),
        }
    }
}

impl std::error::Error for SettingsError {}

/// Shortens what somebody has written, so that the line that names it stays one.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

/// The error of a text that isn't a value of a setting. It says what is expected instead.
///
/// ```
/// use warp_reql::settings::{ParseError, Rate};
///
/// let error: ParseError = "often".parse::<Rate>().unwrap_err();
/// assert!(error.to_string().starts_with("expected a rate such as \"100/s\""));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError(pub(super) &'static str);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shown_in_part() {
        let of = |length: usize| SettingsError::Invalid {
            key: "auth".to_owned(),
            value: "é".repeat(length),
            origin: Origin::BuiltIn,
            expected: "a word".to_owned(),
        };
        let shown = |length| of(length).to_string().matches('é').count();
        assert_eq!([shown(200), shown(201), shown(100_000)], [200, 200, 200]);
        assert!(of(201).to_string().contains("é... ("));
    }
}
