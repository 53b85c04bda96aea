//! Settings: one test for each edge of precedence, and for each way in which a setting can be wrong.

// Helpers of tests may unwrap as tests do; the size of figment's error is figment's.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

mod access;
mod layers;
mod reference;
mod wrong;

use figment::Jail;
use warp_reql::settings::{LoadOptions, Loaded, Settings, SettingsError};

/// Runs a test in an empty directory, with none of the variables that the service reads but the one that lets
/// Production start without more ado.
fn jailed(test: impl FnOnce(&mut Jail)) {
    careful(|jail| {
        jail.set_env("APP_ALLOW_ANONYMOUS", "true");
        test(jail);
    });
}

/// Runs a test in an empty directory, with none of the variables that the service reads.
fn careful(test: impl FnOnce(&mut Jail)) {
    Jail::expect_with(|jail| {
        jail.clear_env();
        test(jail);
        Ok(())
    });
}

fn load() -> Result<Loaded, SettingsError> {
    Settings::load(&LoadOptions::default())
}

fn settings() -> Settings {
    load().unwrap().settings
}

fn profile(name: &str) -> Result<Loaded, SettingsError> {
    Settings::load(&LoadOptions { profile: Some(name.to_owned()), file: None })
}

fn file(jail: &Jail, text: &str) {
    jail.create_file("Settings.toml", text).unwrap();
}
