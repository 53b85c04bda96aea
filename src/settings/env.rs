//! Settings from the environment: `APP_*` for the service, `RDB_*` for its database.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::secret::MASK;
use super::{Origin, SettingsError, bounded, rules};

/// The variable that names the profile.
pub(super) const PROFILE: &str = "APP_PROFILE";
const PASSWORD: &str = "RDB_PASSWORD";
/// The variable that names a file which holds the password, as container engines mount secrets.
const PASSWORD_FILE: &str = "RDB_PASSWORD_FILE";

/// A setting from one environment variable. A provider for each, so that each value knows its variable.
pub(super) struct Variable {
    name: String,
    key: String,
    value: Value,
}

/// The environment variables with one of the service's prefixes.
#[derive(Default)]
pub(super) struct Variables {
    /// The variables that set a setting.
    pub(super) set: Vec<Variable>,
    /// The names of variables that set nothing, and probably belong to another program.
    pub(super) others: Vec<String>,
}

/// Reads the variables with these prefixes. `defaults` holds every setting, and so tells names and types.
///
/// A name that is nearly a setting's is a mistake. Any other one may be somebody else's: `APP_NAME` and
/// `APP_ENV` are everywhere.
pub(super) fn read(defaults: &Dict, prefixes: &[&str]) -> Result<Variables, SettingsError> {
    let keys: Vec<_> = leaves("", defaults);
    let mut variables = Variables::default();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| is_ours(name, prefixes)) else { continue };
        if name == PROFILE {
            continue;
        }
        if is_of_kubernetes(name, &value) {
            variables.others.push(name.to_owned());
            continue;
        }
        let (key, value) = match keys.iter().find(|(key, _)| variable(key) == name) {
            Some((key, default)) => (key.as_str(), parse(text(name, key, value)?, default)),
            None if name == PASSWORD_FILE => ("rdb.password", Value::from(password(value)?)),
            None => match unknown(name, value, &keys) {
                Some(error) => return Err(error),
                None => {
                    variables.others.push(name.to_owned());
                    continue;
                }
            },
        };
        variables.set.push(Variable { name: name.to_owned(), key: key.to_owned(), value });
    }
    Ok(variables)
}

/// Returns the profile that the environment asks for.
pub(super) fn profile() -> Option<String> {
    std::env::var_os(PROFILE).map(|name| name.to_string_lossy().into_owned())
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::from("environment variable", self.name.clone())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let nested = self
            .key
            .rsplit('.')
            .fold(self.value.clone(), |value, key| Value::from(Dict::from([(key.to_owned(), value)])));
        Ok(Profile::Global.collect(nested.into_dict().unwrap_or_default()))
    }
}

fn is_ours(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns whether a variable of ours is in truth one of those that Kubernetes sets for a service of the name
/// `app` or `rdb`, such as `APP_PORT=tcp://10.0.0.1:8000`.
fn is_of_kubernetes(name: &str, value: &OsStr) -> bool {
    let schemes = ["tcp://", "udp://", "sctp://"];
    name.ends_with("_PORT")
        && value.to_str().is_some_and(|value| schemes.iter().any(|s| value.starts_with(s)))
}

/// Returns the variable that sets a key: `rdb.max_age` is `RDB_MAX_AGE`, `limits.body` is `APP_LIMITS_BODY`.
fn variable(key: &str) -> String {
    // The switch of a table goes by the table's own name.
    let name = key.strip_suffix(".on").unwrap_or(key).replace('.', "_").to_ascii_uppercase();
    if key.starts_with("rdb.") { name } else { format!("APP_{name}") }
}

/// Returns every setting that is one value, with its default.
fn leaves(prefix: &str, defaults: &Dict) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    for (key, value) in defaults {
        match value {
            Value::Dict(_, table) => keys.extend(leaves(&format!("{prefix}{key}."), table)),
            Value::Array(..) => {}
            _ => keys.push((format!("{prefix}{key}"), value.clone())),
        }
    }
    keys
}

/// Reads a value of the type of its default. A text stays one even if it looks like a number: a password of
/// digits is no number.
fn parse(text: String, default: &Value) -> Value {
    match default {
        Value::String(..) => Value::from(text),
        _ => text.trim().parse().unwrap_or_else(|_| Value::from(text)),
    }
}

fn text(name: &str, key: &str, value: OsString) -> Result<String, SettingsError> {
    value.into_string().map_err(|value| SettingsError::Invalid {
        key: key.to_owned(),
        value: if rules::is_secret(key) { MASK.to_owned() } else { format!("{value:?}") },
        origin: Origin::Environment(name.to_owned()),
        expected: "text in UTF-8".to_owned(),
    })
}

fn password(path: OsString) -> Result<String, SettingsError> {
    let wrong = |expected: String| SettingsError::Invalid {
        key: "rdb.password".to_owned(),
        value: format!("{path:?}"),
        origin: Origin::Environment(PASSWORD_FILE.to_owned()),
        expected,
    };
    if std::env::var_os(PASSWORD).is_some() {
        return Err(wrong(format!("either {PASSWORD} or {PASSWORD_FILE}, but both are set")));
    }
    let password = bounded::read_text(Path::new(&path))
        .map_err(|error| wrong(format!("a readable file with the password, but: {error}")))?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

/// Returns the error about a variable that nothing knows, if a setting was probably meant.
fn unknown(name: &str, value: OsString, keys: &[(String, Value)]) -> Option<SettingsError> {
    let known = keys.iter().map(|(key, _)| (variable(key), key.as_str()));
    let special = [(PROFILE.to_owned(), "profile"), (PASSWORD_FILE.to_owned(), "rdb.password")];
    let known: Vec<_> = known.chain(special).collect();
    let meant = rules::closest(name, known.iter().map(|(variable, _)| variable.as_str()))?;
    let key = known.iter().find(|(variable, _)| variable == meant).map(|(_, key)| *key);
    Some(SettingsError::Unknown {
        key: name.to_owned(),
        value: rules::shown_for_unknown(key, &Value::from(value.to_string_lossy().into_owned())),
        origin: Origin::Environment(name.to_owned()),
        suggestion: Some(meant.to_owned()),
    })
}
