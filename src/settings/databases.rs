//! The databases that are served beside that of `rdb.db`.

use serde::{Deserialize, Serialize};

use crate::names::{NAME_MAX, is_name};
use crate::reserved;

/// The sign in a pattern that stands for any characters, or none.
const ANY: char = '*';
/// The most names and patterns.
const MOST: usize = 1000;

/// The names of the databases that are served at `/db/{name}`, and patterns of them such as `tenant_*`.
///
/// ```
/// use warp_reql::settings::{Databases, Settings};
///
/// let databases = Databases(vec!["archive".into(), "tenant_*".into()]);
/// let settings = Settings { databases, ..Settings::default() };
/// assert!(!settings.databases.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Databases(pub Vec<String>);

impl Databases {
    /// Returns whether no database is served beside that of `rdb.db`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a database is served. Those of the server itself, and those with the services' own
    /// data, never are.
    ///
    /// ```
    /// use warp_reql::settings::Databases;
    ///
    /// let served = Databases(vec!["blog".to_owned(), "tenant_*".to_owned()]);
    /// assert!(served.has("blog") && served.has("tenant_7"));
    /// assert!(!served.has("tenant") && !served.has("tenant_7_warp_reql"));
    /// ```
    pub fn has(&self, name: &str) -> bool {
        !reserved::is_database(name) && is_name(name) && self.0.iter().any(|pattern| fits(name, pattern))
    }

    /// Returns those that are named, and not by a pattern.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|name| !name.contains(ANY))
    }

    /// Returns whether a database may be served that is not named.
    pub(crate) fn has_patterns(&self) -> bool {
        self.0.iter().any(|pattern| pattern.contains(ANY))
    }

    /// Returns whether each is a name or a pattern, and none is that of a database that is never served.
    pub(super) fn are_sound(&self) -> bool {
        let is_sound = |pattern: &String| {
            let plain = pattern.replace(ANY, "");
            let is_whole = !pattern.contains(ANY);
            pattern.len() <= NAME_MAX
                && (is_name(&plain) || plain.is_empty() && !is_whole)
                && !(is_whole && reserved::is_database(pattern))
        };
        self.0.len() <= MOST && self.0.iter().all(is_sound)
    }
}

/// Returns whether a name fits a pattern: its parts between the signs follow each other in the name.
fn fits(name: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once(ANY) else { return name == pattern };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let (between, end) = rest.rsplit_once(ANY).unwrap_or(("", rest));
    for part in between.split(ANY) {
        // The first place is the best one: it leaves the most for the others.
        let Some(at) = left.find(part) else { return false };
        left = left.get(at + part.len()..).unwrap_or_default();
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_names() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "anything", true),
            ("t_*", "t_", true),
            ("t_*", "xt_", false),
            ("*_t", "a_t", true),
            ("*_t", "a_tt", false),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("a**c", "ac", true),
            ("*b*b*", "b", false),
            ("*b*b*", "bb", true),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn own_databases_and_that_of_the_server_are_never_served() {
        let all = Databases(vec!["*".to_owned()]);
        assert!(all.has("test") && all.are_sound());
        for name in ["rethinkdb", "test_warp_reql", "", "a b", "a/b"] {
            assert!(!all.has(name), "{name}");
        }
        for wrong in ["", "rethinkdb", "a_warp_reql", "a b", "a?", &"x".repeat(129)] {
            assert!(!Databases(vec![wrong.to_owned()]).are_sound(), "{wrong}");
        }
        assert!(!Databases(vec!["a".to_owned(); MOST + 1]).are_sound());
    }
}
