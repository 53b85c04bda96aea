//! Rules in the settings: the permissions of roles for documents of tables.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// The name that stands for all tables, or for all roles.
pub(crate) const ALL: &str = "*";

/// One rule of `[[default.rules]]`: the permissions of roles for documents of tables. Everything that no
/// rule allows is refused.
///
/// ```
/// use warp_reql::settings::{AccessRule, Allowed};
///
/// let rule = r#"{"table": "notes", "roles": "user", "read": true, "change": "owner=eq.{sub}"}"#;
/// let rule: AccessRule = serde_json::from_str(rule).unwrap();
/// assert_eq!((rule.read, rule.create), (Allowed::Always, Allowed::Never));
/// assert_eq!(rule.change, Allowed::If("owner=eq.{sub}".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// The table, or a list of tables, or `"*"` for all.
    pub table: Names,
    /// The roles that the rule is for; `"*"` is everybody, with a token or without.
    pub roles: Names,
    /// The documents that may be read. Default: none.
    #[serde(default)]
    pub read: Allowed,
    /// The documents that may be created. Default: none.
    #[serde(default)]
    pub create: Allowed,
    /// The documents that may be changed. One rule must allow the document both before and after the change.
    /// Default: none.
    #[serde(default)]
    pub change: Allowed,
    /// The documents that may be deleted. Default: none.
    #[serde(default)]
    pub delete: Allowed,
    /// The fields that are neither shown nor written, and that no request can filter, sort or group by. An
    /// array with objects that have such a field is hidden as a whole. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hide: Vec<String>,
    /// The fields that every written document gets, with their values, instead of those of the client;
    /// `"{claim}"` is the value of a claim of the token. Default: none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
}

/// One name or several.
///
/// ```
/// use warp_reql::settings::Names;
///
/// let one: Names = serde_json::from_str(r#""user""#).unwrap();
/// let two: Names = serde_json::from_str(r#"["user", "editor"]"#).unwrap();
/// assert_eq!((one.0.len(), two.0.len()), (1, 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

/// The documents that a rule allows an action on.
///
/// ```
/// use warp_reql::settings::Allowed;
///
/// let read = |text| serde_json::from_str::<Allowed>(text).unwrap();
/// assert_eq!((read("true"), read("false")), (Allowed::Always, Allowed::Never));
/// assert_eq!(read(r#""public=eq.true""#), Allowed::If("public=eq.true".into()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allowed {
    /// None; `false` in the settings.
    #[default]
    Never,
    /// All; `true` in the settings.
    Always,
    /// The documents that match a filter, written like the parameters of a list:
    /// `"public=eq.true&age=gte.{min_age}"`. `{claim}` is the value of a claim of the token.
    If(String),
}

impl Names {
    /// Returns whether this name is among them, or stands for all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == ALL || own == name)
    }

    /// Returns whether any of these names is among them, or they stand for all, which matches no name, too.
    pub(crate) fn of_any(&self, names: &[String]) -> bool {
        self.has(ALL) || names.iter().any(|name| self.has(name))
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [name] => to.serialize_str(name),
            names => names.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, a list of names, or \"*\"")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Names, E> {
        Ok(Names(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Names, A::Error> {
        let mut read = Vec::new();
        while let Some(name) = names.next_element()? {
            read.push(name);
        }
        Ok(Names(read))
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Allowed::Never => to.serialize_bool(false),
            Allowed::Always => to.serialize_bool(true),
            Allowed::If(filter) => to.serialize_str(filter),
        }
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AllowedVisitor)
    }
}

struct AllowedVisitor;

impl Visitor<'_> for AllowedVisitor {
    type Value = Allowed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a filter such as \"owner=eq.{sub}\"")
    }

    fn visit_bool<E: de::Error>(self, always: bool) -> Result<Allowed, E> {
        Ok(if always { Allowed::Always } else { Allowed::Never })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Allowed, E> {
        match text.trim() {
            "" => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            "true" => Ok(Allowed::Always),
            "false" => Ok(Allowed::Never),
            _ => Ok(Allowed::If(text.to_owned())),
        }
    }
}
