//! Putting the layers together: built-in values, the settings file, the environment.

use std::fmt;
use std::path::PathBuf;

use figment::error::Kind;
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider, providers::Serialized};

use super::file::SettingsFile;
use super::limits::Chosen;
use super::{Auth, DEVELOPMENT, Origin, PRODUCTION, Rdb, Settings, SettingsError, env, rules};

/// The options of the command line about settings.
///
/// ```no_run
/// use warp_reql::settings::{LoadOptions, Settings, SettingsError};
///
/// let options = LoadOptions { profile: Some("staging".into()), file: Some("/etc/heroes.toml".into()) };
/// let settings = Settings::load(&options)?.settings;
/// # let _ = settings;
/// # Ok::<(), SettingsError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The profile. Overrides `APP_PROFILE`.
    pub profile: Option<String>,
    /// The settings file, which must exist. Default: the nearest `Settings.toml`, if there is one.
    pub file: Option<PathBuf>,
}

/// Settings with the origin of each. `Display` writes what `warp-reql config` prints.
///
/// ```no_run
/// use warp_reql::settings::{Loaded, Settings, SettingsError};
///
/// let loaded: Loaded = Settings::load(&Default::default())?;
/// println!("rdb.host is {} ({})", loaded.settings.rdb.host, loaded.origin("rdb.host"));
/// print!("{loaded}");
/// # Ok::<(), SettingsError>(())
/// ```
#[derive(Clone)]
pub struct Loaded {
    /// The settings themselves.
    pub settings: Settings,
    /// The names of environment variables that have a prefix of settings, but are none.
    pub foreign: Vec<String>,
    figment: Figment,
    profile_origin: Origin,
}

impl Settings {
    /// Reads the settings from all their layers.
    ///
    /// # Errors
    ///
    /// Fails on an unknown profile or key, on an invalid value, and on a settings file that can't be read.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use warp_reql::settings::{LoadOptions, Settings};
    ///
    /// let options = LoadOptions { profile: Some("production".into()), ..Default::default() };
    /// let loaded = Settings::load(&options)?;
    /// println!("port {} from {}", loaded.settings.port, loaded.origin("port"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn load(options: &LoadOptions) -> Result<Loaded, SettingsError> {
        let file = SettingsFile::find(options.file.as_deref())?;
        let (profile, profile_origin) = profile(options, file.as_ref())?;
        let defaults = defaults(&profile)?;
        if let Some(error) = file
            .iter()
            .flat_map(SettingsFile::tables)
            .find_map(|(origin, table)| rules::unknown_key(table, &defaults, origin))
        {
            return Err(error);
        }

        let mut figment = Figment::from(Serialized::defaults(&defaults)).select(Profile::new(&profile));
        if let Some(file) = file {
            figment = figment.merge(file);
        }
        let env::Variables { set, others: foreign } = env::read(&defaults, &["APP_", "RDB_"])?;
        for variable in set {
            figment = figment.merge(variable);
        }
        let settings = figment.extract::<Settings>().map_err(|error| explain(&figment, error))?;

        let mut loaded = Loaded { settings, foreign, figment, profile_origin };
        loaded.settings.profile = profile;
        loaded.follow();
        match rules::broken(&loaded.settings, "") {
            Some((key, expected)) => Err(loaded.invalid(key, expected)),
            None => Ok(loaded),
        }
    }
}

impl Rdb {
    /// Reads the settings of the database alone: built-in values, and variables such as `RDB_HOST`. Settings
    /// of the service and files are left alone.
    ///
    /// # Errors
    ///
    /// Fails on a variable `RDB_*` that is nearly a setting's name, and on an invalid value.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use warp_reql::settings::Rdb;
    ///
    /// let settings = Rdb { standby: 0, ..Rdb::from_env()? };
    /// # let _ = settings;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Self, SettingsError> {
        let defaults = defaults(PRODUCTION)?;
        let mut figment = Figment::from(Serialized::defaults(&defaults)).select(Profile::new(PRODUCTION));
        for variable in env::read(&defaults, &["RDB_"])?.set {
            figment = figment.merge(variable);
        }
        let settings = figment.extract::<Settings>().map_err(|error| explain(&figment, error))?;
        let foreign = Vec::new();
        let mut loaded = Loaded { settings, foreign, figment, profile_origin: Origin::BuiltIn };
        loaded.follow();
        match rules::broken(&loaded.settings, "rdb.") {
            Some((key, expected)) => Err(loaded.invalid(key, expected)),
            None => Ok(loaded.settings.rdb),
        }
    }
}

/// Returns the most memory that the process may use, in bytes.
#[cfg(feature = "embedded")]
fn memory() -> Option<u64> {
    reql_embedded::memory::limit()
}

/// Knows of no limit: nothing here holds much.
#[cfg(not(feature = "embedded"))]
fn memory() -> Option<u64> {
    None
}

impl Loaded {
    /// Returns what to tell about the environment: one line, or none.
    pub fn warning(&self) -> Option<String> {
        let names = self.foreign.join(", ");
        (!names.is_empty()).then(|| format!("These environment variables set nothing: {names}."))
    }

    /// Returns the profiles that the settings file has settings of, besides `default` and `global`, in lower
    /// case.
    pub(crate) fn profiles(&self) -> Vec<String> {
        let tables = self.figment.data().unwrap_or_default();
        let own = tables.into_iter().filter(|(profile, table)| profile.is_custom() && !table.is_empty());
        own.map(|(profile, _)| profile.as_str().as_str().to_ascii_lowercase()).collect()
    }

    /// Returns the origin of a setting. `key` is written as in the settings file, without the profile:
    /// `rdb.max_age`.
    pub fn origin(&self, key: &str) -> Origin {
        match key {
            "profile" => self.profile_origin.clone(),
            _ => find(&self.figment, key).map_or(Origin::BuiltIn, |value| Origin::of(&self.figment, &value)),
        }
    }

    /// Adapts built-in values to related settings that somebody chose, and to what the machine has.
    fn follow(&mut self) {
        let built_in = |key| self.origin(key) == Origin::BuiltIn;
        let (level, page, standby) =
            (built_in("log_level"), built_in("limits.page"), built_in("rdb.standby"));
        let (feeds, streams) = (built_in("limits.feeds"), built_in("limits.streams"));
        let chosen = Chosen {
            answer: !built_in("limits.answer"),
            answers: !built_in("limits.answers"),
            bodies: !built_in("limits.bodies"),
            replay_bytes: !built_in("limits.replay_bytes"),
        };
        let settings = &mut self.settings;
        if level {
            settings.log_level = Settings::level_for(settings.debug);
        }
        if page {
            settings.limits.page = settings.limits.page.min(settings.limits.page_max);
        }
        if standby {
            // What stands by is the service's own, which users' requests have no use for.
            let use_for_it = if settings.auth == Auth::Database { 0 } else { settings.rdb.standby };
            settings.rdb.standby = use_for_it.min(settings.rdb.max_connections);
        }
        if feeds {
            settings.limits.feeds = settings.limits.connections / 2;
        }
        if streams {
            settings.limits.streams = settings.rdb.max_connections / 4;
        }
        settings.limits.fit(memory().unwrap_or(u64::MAX), chosen);
    }

    fn invalid(&self, key: String, expected: String) -> SettingsError {
        let value = find(&self.figment, &key);
        SettingsError::Invalid {
            value: value.as_ref().map_or_else(|| "nothing".to_owned(), |value| rules::shown(&key, value)),
            origin: value.map_or(Origin::BuiltIn, |value| Origin::of(&self.figment, &value)),
            key,
            expected,
        }
    }
}

/// By hand: the layers hold the password as it was written.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Chooses the profile, and makes sure that somebody knows it.
fn profile(options: &LoadOptions, file: Option<&SettingsFile>) -> Result<(String, Origin), SettingsError> {
    let (profile, origin) = match (&options.profile, env::profile()) {
        (Some(profile), _) => (profile.clone(), Origin::CommandLine("--profile")),
        (None, Some(profile)) => (profile, Origin::Environment(env::PROFILE.to_owned())),
        (None, None) => (DEVELOPMENT.to_owned(), Origin::BuiltIn),
    };
    let mut known = vec![DEVELOPMENT.to_owned(), PRODUCTION.to_owned()];
    known.extend(file.iter().flat_map(|file| file.profiles()));
    known.sort();
    known.dedup();
    let profile = profile.to_ascii_lowercase();
    if known.contains(&profile) {
        Ok((profile, origin))
    } else {
        Err(SettingsError::UnknownProfile { profile, origin, known })
    }
}

/// Returns the lowest layer, which is also the list of all settings there are.
fn defaults(profile: &str) -> Result<Dict, SettingsError> {
    let built_in = Value::serialize(Settings::built_in(profile));
    let mut defaults = built_in.ok().and_then(Value::into_dict).unwrap_or_default();
    // The profile chooses the layers; no layer can choose the profile.
    defaults.remove("profile");
    Ok(defaults)
}

/// Turns figment's error into one of ours, in the words of the rules.
fn explain(figment: &Figment, error: figment::Error) -> SettingsError {
    let key = error.path.join(".");
    let profile = error.profile.as_ref().map_or("default", |profile| profile.as_str().as_str());
    let origin = Origin::from_metadata(error.metadata.as_ref(), profile);
    let value =
        || find(figment, &key).map_or_else(|| "nothing".to_owned(), |value| rules::shown(&key, &value));
    match &error.kind {
        Kind::MissingField(field) => {
            let key = format!("{key}.{field}");
            let expected = rules::expected(&key).unwrap_or("a value").to_owned();
            SettingsError::Missing { key, origin, expected }
        }
        Kind::UnknownField(field, known) => {
            let parent = key.strip_suffix(field.as_str()).unwrap_or_default();
            let meant = rules::closest(field, known.iter().copied()).map(|meant| format!("{parent}{meant}"));
            let value = find(figment, &key).map_or_else(
                || "nothing".to_owned(),
                |value| rules::shown_for_unknown(meant.as_deref(), &value),
            );
            SettingsError::Unknown { value, origin, suggestion: meant, key }
        }
        kind => {
            let expected = match (rules::expected(&key), kind) {
                // What is wrong with a schema only its file tells.
                (Some(_), Kind::Message(reason)) if key.ends_with(".schema") => reason.clone(),
                (Some(expected), _) => expected.to_owned(),
                (None, kind) => expectation(kind),
            };
            SettingsError::Invalid { value: value(), origin, expected, key }
        }
    }
}

fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(_, expected)
        | Kind::InvalidValue(_, expected)
        | Kind::InvalidLength(_, expected) => expected.clone(),
        Kind::Message(expected) => expected.clone(),
        _ => "another value".to_owned(),
    }
}

/// Finds a value by its key; unlike figment's own function, also in lists.
fn find(figment: &Figment, key: &str) -> Option<Value> {
    let mut parts = key.split('.');
    let mut value = figment.find_value(parts.next()?).ok()?;
    for part in parts {
        value = match value {
            Value::Dict(_, mut table) => table.remove(part)?,
            Value::Array(_, mut items) => {
                let i = part.parse().ok().filter(|i| *i < items.len())?;
                items.swap_remove(i)
            }
            _ => return None,
        };
    }
    Some(value)
}
