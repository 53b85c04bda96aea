//! The catalog's records as datums, which are stored packed.

use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use super::catalog::{Database, Durability, TableConfig, TableEntry};
use super::index::{Index, IndexCompiler, IndexSpec};
use crate::datum::{Datum, is_well_formed, pack, packed};
use crate::error::{Error, Result};

/// Returns a stored value as a datum: one copy out of the page.
pub(super) fn datum(bytes: &[u8]) -> Datum {
    packed::from_bytes(Arc::from(bytes))
}

/// Returns a database's record.
pub(super) fn write_database(database: &Database) -> Result<Vec<u8>> {
    pack::value(&Datum::object([("name", Datum::str(&*database.name))]))
}

/// Reads a database's record.
pub(super) fn read_database(key: &[u8], bytes: &[u8]) -> Result<Database> {
    Ok(Database { id: read_id(key)?, name: Arc::from(text(&datum(bytes), "name")?) })
}

/// Returns a table's record, its indexes included.
pub(super) fn write_table(entry: &TableEntry) -> Result<Vec<u8>> {
    let config = &entry.config;
    let indexes = entry.indexes.values().map(write_index).collect();
    let hook = config.write_hook.as_deref().map_or(Datum::Null, Datum::str);
    pack::value(&Datum::object([
        ("config", config.extra.clone()),
        ("db", Datum::str(config.db.to_string())),
        ("durability", Datum::str(config.durability.name())),
        ("indexes", Datum::array(indexes)),
        ("name", Datum::str(&config.name)),
        ("primary_key", Datum::str(&config.primary_key)),
        ("write_hook", hook),
    ]))
}

fn write_index(index: &Index) -> Datum {
    Datum::object([
        ("geo", Datum::Bool(index.spec.geo)),
        ("id", Datum::str(index.id.to_string())),
        ("multi", Datum::Bool(index.spec.multi)),
        ("name", Datum::str(&index.spec.name)),
        ("ready", Datum::Bool(index.ready)),
        ("source", Datum::str(&index.spec.source)),
    ])
}

/// Reads a table's record and compiles its indexes.
pub(super) fn read_table(
    key: &[u8],
    bytes: &[u8],
    compiler: &dyn IndexCompiler,
) -> Result<(Uuid, TableConfig, Vec<Index>)> {
    // A damaged hook must not be taken for none.
    if !is_well_formed(bytes) {
        return Err(damaged());
    }
    let record = datum(bytes);
    let config = TableConfig {
        db: parse_id(&text(&record, "db")?)?,
        name: text(&record, "name")?,
        primary_key: text(&record, "primary_key")?,
        durability: if text(&record, "durability")? == Durability::Soft.name() {
            Durability::Soft
        } else {
            Durability::Hard
        },
        write_hook: match record.get("write_hook") {
            Some(Datum::Str(source)) => Some(source.to_string()),
            _ => None,
        },
        extra: record.get("config").unwrap_or_default(),
    };
    let Some(Datum::Array(indexes)) = record.get("indexes") else { return Err(damaged()) };
    let indexes = indexes.iter().map(|index| read_index(&index, compiler));
    Ok((read_id(key)?, config, indexes.collect::<Result<_>>()?))
}

fn read_index(record: &Datum, compiler: &dyn IndexCompiler) -> Result<Index> {
    let spec = IndexSpec {
        name: text(record, "name")?,
        source: text(record, "source")?,
        multi: flag(record, "multi")?,
        geo: flag(record, "geo")?,
    };
    let ready = flag(record, "ready")?;
    Ok(Index::new(parse_id(&text(record, "id")?)?, spec, ready, compiler))
}

fn text(record: &Datum, field: &str) -> Result<String> {
    match record.get(field) {
        Some(Datum::Str(text)) => Ok(text.to_string()),
        _ => Err(damaged()),
    }
}

fn flag(record: &Datum, field: &str) -> Result<bool> {
    record.get(field).map(|value| value.is_truthy()).ok_or_else(damaged)
}

fn read_id(key: &[u8]) -> Result<Uuid> {
    Uuid::from_slice(key).map_err(|_| damaged())
}

fn parse_id(text: &str) -> Result<Uuid> {
    Uuid::from_str(text).map_err(|_| damaged())
}

fn damaged() -> Error {
    Error::internal("The catalog in the database file is damaged.")
}
