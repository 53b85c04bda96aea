//! Tables and indexes that the service makes at start-up if they are missing.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::Schema;

/// A table to make at start-up if it is missing; an existing one is never altered or dropped.
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
}

/// A secondary index; in the settings either its name alone, which is then its field too, or a table.
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
        TableSpec { name: name.into(), primary_key: default_primary_key(), indexes: Vec::new(), schema: None }
    }
}

fn default_primary_key() -> String {
    "id".to_owned()
}

impl IndexSpec {
    /// A plain index over the field of the same name.
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
