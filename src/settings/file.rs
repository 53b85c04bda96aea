//! The settings file: where it is, and its tables, one for each profile.

use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};

use super::{Origin, SettingsError, bounded};

/// The name that is looked for in the working directory and its parents.
///
/// ```
/// assert_eq!(warp_reql::settings::FILE_NAME, "Settings.toml");
/// ```
pub const FILE_NAME: &str = "Settings.toml";

/// A settings file that was read: a table for each profile, `default` and `global` among them.
#[derive(Clone)]
pub(super) struct SettingsFile {
    path: PathBuf,
    tables: Map<Profile, Dict>,
}

impl SettingsFile {
    /// Reads the file that was asked for, which must exist, or the nearest one of the usual name, if there is
    /// any.
    pub(super) fn find(asked_for: Option<&Path>) -> Result<Option<SettingsFile>, SettingsError> {
        match asked_for {
            Some(path) => SettingsFile::read(path).map(Some),
            None => nearest().as_deref().map(SettingsFile::read).transpose(),
        }
    }

    /// Returns the names of the profiles that have a table of their own.
    pub(super) fn profiles(&self) -> impl Iterator<Item = String> {
        self.tables
            .keys()
            .filter(|profile| profile.is_custom())
            .map(|p| p.as_str().as_str().to_ascii_lowercase())
    }

    /// Returns each table, with where it stands.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Origin, &Dict)> {
        let metadata = self.metadata();
        self.tables.iter().map(move |(profile, table)| {
            (Origin::from_metadata(Some(&metadata), profile.as_str().as_str()), table)
        })
    }

    fn read(path: &Path) -> Result<SettingsFile, SettingsError> {
        let wrong = |reason| SettingsError::File { path: Source::from(path).to_string(), reason };
        let text = bounded::read_text(path).map_err(|error| wrong(error.to_string()))?;
        let entries = Toml::from_str::<Dict>(&text).map_err(|error| {
            let at = error.span().map(|span| position(&text, span.start)).unwrap_or_default();
            wrong(format!("{at}{}", error.message().lines().next().unwrap_or("not TOML")))
        })?;
        let mut tables = Map::new();
        for (name, value) in entries {
            let Value::Dict(_, table) = value else {
                return Err(wrong(format!(
                    "`{name}` stands outside of a profile: expected a table such as [default]"
                )));
            };
            if tables.insert(Profile::new(&name), table).is_some() {
                return Err(wrong(format!("[{name}] is there twice: the names of profiles ignore case")));
            }
        }
        Ok(SettingsFile { path: path.to_owned(), tables })
    }
}

impl Provider for SettingsFile {
    fn metadata(&self) -> Metadata {
        Metadata::from("settings file", self.path.as_path())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(self.tables.clone())
    }
}

fn nearest() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: ")
}
