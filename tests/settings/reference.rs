//! The settings file of the repository, which lists all settings with their built-in values.

use serde_json::Value;
use warp_reql::settings::Settings;

use super::{careful, file, profile};

/// A line of the file that is commented out and sets something.
struct Line<'a> {
    /// The profile whose built-in values the line shows.
    profile: &'a str,
    /// The key, as in `rdb.max_age`.
    key: String,
    /// The heading and the line, as they are without the comment signs.
    text: String,
    is_example: bool,
}

/// Returns the lines of the file that are commented out, without those below the heading of a list.
fn lines() -> Vec<Line<'static>> {
    let mut heading = "";
    let mut found = Vec::new();
    for line in include_str!("../../Settings.toml").lines() {
        let text = line.strip_prefix("# ").unwrap_or(line);
        if text.starts_with('[') {
            heading = text.split(" #").next().unwrap_or_default().trim_end();
            continue;
        }
        let Some((name, rest)) = text.split_once(" = ") else { continue };
        let is_name = name.bytes().all(|c| c.is_ascii_lowercase() || b"_.".contains(&c));
        if line == text || !is_name || heading.starts_with("[[") {
            continue;
        }
        let table = heading.trim_matches(['[', ']']);
        let (profile, within) = table.split_once('.').unwrap_or((table, ""));
        let key = if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        let profile = if profile == "default" { "production" } else { profile };
        let is_example = rest.contains("# *example*");
        found.push(Line { profile, key, text: format!("{heading}\n{text}\n"), is_example });
    }
    found
}

/// Returns a setting as JSON.
fn value(settings: &Settings, key: &str) -> Value {
    let all = serde_json::to_value(settings).unwrap();
    all.pointer(&format!("/{}", key.replace('.', "/"))).unwrap_or_else(|| panic!("no `{key}`")).clone()
}

#[test]
fn lines_that_are_commented_out_show_built_in_values() {
    let lines = lines();
    assert!(lines.len() > 70, "{}", lines.len());
    for Line { profile: name, key, text, .. } in lines.iter().filter(|line| !line.is_example) {
        careful(|jail| {
            // Either lets Production start.
            match key.as_str() {
                "allow_anonymous" => jail.set_env("APP_ADDRESS", "127.0.0.1"),
                _ => jail.set_env("APP_ALLOW_ANONYMOUS", "true"),
            }
            file(jail, text);
            let set = profile(name).unwrap_or_else(|error| panic!("{text}: {error}")).settings;
            assert_eq!(value(&set, key), value(&Settings::built_in(name), key), "`{key}`");
        });
    }
}

#[test]
fn examples_are_not_what_is_built_in() {
    for Line { profile: name, key, text, .. } in lines().iter().filter(|line| line.is_example) {
        let [_, assigned] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let shown = assigned.split(" = ").nth(1).unwrap_or_default();
        let built_in = value(&Settings::built_in(name), key);
        assert!(!shown.starts_with(&format!("{built_in} ")), "`{key}` = {built_in} is built in");
    }
}

#[test]
fn the_file_has_every_setting_but_secrets() {
    let all = serde_json::to_value(Settings::built_in("production")).unwrap();
    let listed: Vec<_> = lines().into_iter().map(|line| line.key).collect();
    let mut left =
        all.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value)).collect::<Vec<_>>();
    while let Some((key, value)) = left.pop() {
        let is_secret = key.ends_with("password") || key == "token.secret";
        let is_list = ["tables", "relations", "rules"].contains(&key.as_str());
        if key == "profile" || is_secret || is_list || listed.contains(&key) {
            continue;
        }
        let table = value.as_object().unwrap_or_else(|| panic!("`{key}` is not in Settings.toml"));
        left.extend(table.iter().map(|(name, value)| (format!("{key}.{name}"), value)));
    }
}
