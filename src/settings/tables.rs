//! Tables and indexes that the service makes at start-up if they are missing.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Durability, Schema, units};
use crate::query::{Expiry, Path};

/// The numbers of shards that a table may have.
pub(crate) const SHARDS: RangeInclusive<u32> = 1..=64;
/// The numbers of replicas that a shard may have.
pub(crate) const REPLICAS: RangeInclusive<u32> = 1..=1000;

/// A table to make at start-up if it is missing; an existing one is never altered or dropped.
///
/// ```
/// use warp_reql::settings::{IndexSpec, TableSpec};
///
/// let people = TableSpec {
///     primary_key: "email".into(),
///     indexes: vec![IndexSpec::on("city")],
///     unique: vec!["phone".into()],
///     ..TableSpec::new("people")
/// };
/// # let _ = people;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The table's name: letters, digits, `_` and `-`.
    pub name: String,
    /// The field that identifies a document. Default `"id"`.
    #[serde(default = "default_primary_key")]
    pub primary_key: String,
    /// The secondary indexes to make, in this order. Default: none.
    #[serde(default)]
    pub indexes: Vec<IndexSpec>,
    /// The file of a JSON Schema (2020-12) that each document has to keep to that is written through this
    /// service, relative to the working directory. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// The number of shards that it is made with, from 1 to 64. Default: the database's, which is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// The number of replicas of each shard that it is made with, from 1 to 1000. Default: the database's,
    /// which is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The moment at which its writes are answered, unless they say it: `"hard"` once they are on disk,
    /// `"soft"` before. Default: the database's, which is `"hard"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// The expiry of documents. Expired ones are hidden, and are deleted soon after, through an index
    /// that is made if `indexes` has none over the field. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<Expire>,
    /// The fields whose values no two documents may share, nested ones as `a.b`: a write through this service
    /// that would have them do so is refused. Documents without the field are free. An index over each is
    /// made if `indexes` has none. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<String>,
}

/// The expiry of a table's documents.
///
/// ```
/// use std::time::Duration;
///
/// use warp_reql::settings::{Expire, TableSpec};
///
/// let expire = Expire { field: "seen".into(), after: Duration::from_secs(3600) };
/// let sessions = TableSpec { expire: Some(expire), ..TableSpec::new("sessions") };
/// # let _ = sessions;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// The field with a time, a nested one as `a.b`. A document without a time there doesn't expire.
    pub field: String,
    /// Duration after that time, such as `"30d"`. Default 0.
    #[serde(default, with = "units::duration", skip_serializing_if = "Duration::is_zero")]
    pub after: Duration,
}

/// A secondary index; in the settings either its name alone, which is then its field too, or a table.
///
/// ```
/// use warp_reql::settings::IndexSpec;
///
/// let tags = IndexSpec { multi: true, ..IndexSpec::on("tags") };
/// assert_eq!(tags.fields, ["tags"]);
/// let place: IndexSpec = serde_json::from_str(r#"{"name": "place", "geo": true}"#).unwrap();
/// assert_eq!(place, IndexSpec { geo: true, ..IndexSpec::on("place") });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexSpec {
    /// The index's name: letters, digits, `_` and `-`.
    pub name: String,
    /// The indexed fields, nested ones as `a.b`; several make a compound index. Default: the field named as
    /// the index.
    pub fields: Vec<String>,
    /// `true` gives each member of an indexed array an entry of its own. Default `false`.
    pub multi: bool,
    /// `true` for a field that holds geometry. Default `false`.
    pub geo: bool,
}

impl TableSpec {
    /// Names a table with the primary key `id` and nothing else to it.
    ///
    /// ```
    /// use warp_reql::settings::{IndexSpec, TableSpec};
    ///
    /// let heroes = TableSpec { indexes: vec![IndexSpec::on("name")], ..TableSpec::new("heroes") };
    /// assert_eq!(heroes.primary_key, "id");
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        TableSpec {
            name: name.into(),
            primary_key: default_primary_key(),
            indexes: Vec::new(),
            schema: None,
            shards: None,
            replicas: None,
            durability: None,
            expire: None,
            unique: Vec::new(),
        }
    }

    /// Returns when documents expire, if they do.
    pub(crate) fn expiry(&self) -> Option<Expiry> {
        let Expire { field, after } = self.expire.as_ref()?;
        Path::parse(field, "field").ok().map(|field| Expiry::new(field, *after))
    }

    /// Returns the index by which expired documents are found: one of `indexes`, or one to be made.
    pub(crate) fn expiry_index(&self) -> Option<IndexSpec> {
        Some(self.index_over(&self.expire.as_ref()?.field, "expiry"))
    }

    /// Returns the index by which documents with a value of a unique field are found, likewise.
    pub(crate) fn unique_index(&self, field: &str) -> IndexSpec {
        self.index_over(field, "unique")
    }

    /// Returns the indexes that are to be made besides `indexes`.
    pub(crate) fn further_indexes(&self) -> Vec<IndexSpec> {
        let unique = self.unique.iter().map(|field| self.unique_index(field));
        unique.chain(self.expiry_index()).filter(|index| !self.indexes.contains(index)).collect()
    }

    fn index_over(&self, field: &str, prefix: &str) -> IndexSpec {
        let fits = |index: &&IndexSpec| index.fields == [field] && !index.multi && !index.geo;
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let name = format!("{prefix}_{}", field.chars().take(100).map(plain).collect::<String>());
        let made = IndexSpec { name, fields: vec![field.to_owned()], multi: false, geo: false };
        self.indexes.iter().find(fits).cloned().unwrap_or(made)
    }
}

fn default_primary_key() -> String {
    "id".to_owned()
}

impl IndexSpec {
    /// Names a plain index over the field of the same name.
    pub fn on(name: impl Into<String>) -> Self {
        let name = name.into();
        IndexSpec { fields: vec![name.clone()], name, multi: false, geo: false }
    }
}

/// The long form of an index.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexTable {
    name: String,
    fields: Option<Vec<String>>,
    #[serde(default)]
    multi: bool,
    #[serde(default)]
    geo: bool,
}

impl<'de> Deserialize<'de> for IndexSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IndexVisitor)
    }
}

/// Written by hand because an untagged enum would lose the name of the key that is wrong.
struct IndexVisitor;

impl<'de> Visitor<'de> for IndexVisitor {
    type Value = IndexSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an index, or a table with `name`, `fields`, `multi`, `geo`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<IndexSpec, E> {
        Ok(IndexSpec::on(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<IndexSpec, A::Error> {
        let IndexTable { name, fields, multi, geo } =
            IndexTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(IndexSpec { fields: fields.unwrap_or_else(|| vec![name.clone()]), name, multi, geo })
    }
}
