//! The origin of a setting, and the way it is shown.

use std::fmt;

use figment::value::Value;
use figment::{Figment, Metadata, Source};
use serde_json::Value as Json;

use super::Loaded;

/// The origin of a setting's value.
///
/// ```
/// use warp_reql::settings::Origin;
///
/// assert_eq!(Origin::CommandLine("--profile").to_string(), "--profile");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The built-in default.
    BuiltIn,
    /// A settings file, in the table of a profile, `default` or `global`.
    File {
        /// The file's path, relative to the working directory where that is shorter.
        path: String,
        /// The name of the table.
        profile: Box<str>,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    CommandLine(&'static str),
}

impl Origin {
    /// Returns the origin of a value in a figment.
    pub(super) fn of(figment: &Figment, value: &Value) -> Origin {
        let tag = value.tag();
        let profile = tag.profile().unwrap_or_else(|| figment.profile().clone());
        Origin::from_metadata(figment.get_metadata(tag), profile.as_str().as_str())
    }

    pub(super) fn from_metadata(metadata: Option<&Metadata>, profile: &str) -> Origin {
        match metadata.and_then(|metadata| metadata.source.as_ref()) {
            Some(source @ Source::File(_)) => {
                Origin::File { path: source.to_string(), profile: profile.to_ascii_lowercase().into() }
            }
            Some(Source::Custom(variable)) => Origin::Environment(variable.clone()),
            _ => Origin::BuiltIn,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("built-in"),
            Origin::File { path, profile } => write!(f, "{path}, profile {profile}"),
            Origin::Environment(variable) => write!(f, "environment variable {variable}"),
            Origin::CommandLine(flag) => f.write_str(flag),
        }
    }
}

/// The effective settings as TOML, one line each, with the origin as a comment.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        let settings = serde_json::to_value(&self.settings).map_err(|_| fmt::Error)?;
        flatten("", &settings, &mut lines);
        let lines: Vec<_> = lines.into_iter().map(|(key, value)| (format!("{key} = {value}"), key)).collect();
        // One long line must not push every comment out of sight.
        let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 48).max();
        for (line, key) in &lines {
            writeln!(f, "{line:width$}  # {}", self.origin(key), width = width.unwrap_or_default())?;
        }
        Ok(())
    }
}

fn flatten(prefix: &str, value: &Json, lines: &mut Vec<(String, String)>) {
    match value {
        Json::Object(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, lines);
            }
        }
        _ => lines.push((prefix.to_owned(), inline(value))),
    }
}

/// Writes a value as TOML does on one line: as JSON, but for tables.
fn inline(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Json::Object(table) => {
            let entries: Vec<_> =
                table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
