//! The catalog of databases, tables and indexes: an immutable snapshot, replaced as a whole by each change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, TableDefinition};
use uuid::Uuid;

use super::codec;
use super::feed::Listeners;
use super::file;
use super::index::{Index, IndexCompiler};
use crate::datum::Datum;
use crate::datum::text::until_nul;
use crate::error::{Error, Result};

/// Databases: id to record.
pub(super) const DATABASES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("databases");
/// Tables: id to record.
pub(super) const TABLES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("tables");

/// A database's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Id, which never changes.
    pub id: Uuid,
    /// Name at the time of the query.
    pub name: Arc<str>,
}

/// The number of a catalog, by which a later one is told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub(super) u64);

/// The point at which a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// Once all readers see the write; it reaches the disk a little later.
    Soft,
    /// Once the write is on the disk. The default.
    #[default]
    Hard,
}

impl Durability {
    /// Returns `soft` or `hard`.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Soft => "soft",
            Durability::Hard => "hard",
        }
    }
}

/// The settings of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableConfig {
    /// The id of the database it is in.
    pub db: Uuid,
    /// Name, unique in the database.
    pub name: String,
    /// The field that is the key of its documents; can't be changed later.
    pub primary_key: String,
    /// The durability of writes that don't ask for one.
    pub durability: Durability,
    /// The text of the write hook, opaque here.
    pub write_hook: Option<String>,
    /// Other settings, which the layers above keep.
    pub extra: Datum,
}

/// A table at the time of the query.
#[derive(Debug, Clone, PartialEq)]
pub struct TableMeta {
    /// Id, which never changes.
    pub id: Uuid,
    /// The database it is in.
    pub database: Database,
    /// Settings.
    pub config: TableConfig,
}

/// A table in the catalog.
#[derive(Clone)]
pub(super) struct TableEntry {
    pub(super) id: Uuid,
    pub(super) database: Database,
    pub(super) config: TableConfig,
    pub(super) indexes: BTreeMap<String, Index>,
    /// The name of its tree in the file.
    pub(super) tree: Arc<str>,
    pub(super) listeners: Arc<Listeners>,
}

impl TableEntry {
    pub(super) fn new(id: Uuid, database: Database, config: TableConfig, indexes: Vec<Index>) -> Self {
        TableEntry {
            id,
            database,
            config,
            indexes: indexes.into_iter().map(|index| (index.spec.name.clone(), index)).collect(),
            tree: Arc::from(format!("t:{}", id.simple())),
            listeners: Arc::default(),
        }
    }

    pub(super) fn meta(&self) -> TableMeta {
        TableMeta { id: self.id, database: self.database.clone(), config: self.config.clone() }
    }

    /// Returns `db.table`, as error messages name the table.
    pub(super) fn display_name(&self) -> String {
        format!("{}.{}", self.database.name, self.config.name)
    }

    pub(super) fn gone(&self) -> Error {
        Error::op_failed(format!("Table `{}` does not exist.", self.display_name()))
    }

    pub(super) fn index(&self, name: &str) -> Result<&Index> {
        self.indexes.get(name).ok_or_else(|| self.index_not_found(name))
    }

    pub(super) fn index_not_found(&self, name: &str) -> Error {
        Error::op_failed(format!(
            "Index `{}` was not found on table `{}`.",
            until_nul(name),
            self.display_name()
        ))
    }

    pub(super) fn index_by_id(&self, id: Uuid) -> Option<&Index> {
        self.indexes.values().find(|index| index.id == id)
    }
}

/// A database with its tables by name.
#[derive(Clone)]
pub(super) struct DatabaseEntry {
    pub(super) database: Database,
    pub(super) tables: BTreeMap<String, Arc<TableEntry>>,
}

/// All databases and tables at one moment.
#[derive(Clone, Default)]
pub(super) struct Catalog {
    pub(super) databases: BTreeMap<String, DatabaseEntry>,
    pub(super) tables: HashMap<Uuid, Arc<TableEntry>>,
}

impl Catalog {
    /// Reads the catalog out of the file.
    pub(super) fn load(txn: &ReadTransaction, compiler: &dyn IndexCompiler) -> Result<Catalog> {
        let mut catalog = Catalog::default();
        let databases = txn.open_table(DATABASES).map_err(file::failure)?;
        for row in databases.iter().map_err(file::failure)? {
            let (key, value) = row.map_err(file::failure)?;
            catalog.put_database(codec::read_database(key.value(), value.value())?);
        }
        let tables = txn.open_table(TABLES).map_err(file::failure)?;
        for row in tables.iter().map_err(file::failure)? {
            let (key, value) = row.map_err(file::failure)?;
            let (id, config, indexes) = codec::read_table(key.value(), value.value(), compiler)?;
            let Some(database) = catalog.database_by_id(config.db).cloned() else {
                return Err(Error::internal(format!("Table `{}` is in no database.", config.name)));
            };
            catalog.put_table(TableEntry::new(id, database, config, indexes));
        }
        Ok(catalog)
    }

    pub(super) fn database(&self, name: &str) -> Result<&DatabaseEntry> {
        self.databases.get(name).ok_or_else(|| Error::op_failed(format!("Database `{name}` does not exist.")))
    }

    pub(super) fn database_by_id(&self, id: Uuid) -> Option<&Database> {
        self.databases.values().map(|entry| &entry.database).find(|database| database.id == id)
    }

    pub(super) fn table(&self, db: &str, name: &str) -> Result<&Arc<TableEntry>> {
        self.database(db)?
            .tables
            .get(name)
            .ok_or_else(|| Error::op_failed(format!("Table `{db}.{name}` does not exist.")))
    }

    /// Adds a database, or renames it, in the names of its tables too.
    pub(super) fn put_database(&mut self, database: Database) {
        let known = self.database_by_id(database.id).map(|known| known.name.to_string());
        let old = known.and_then(|name| self.databases.remove(&name));
        let name = database.name.to_string();
        self.databases.insert(name, DatabaseEntry { database: database.clone(), tables: BTreeMap::new() });
        for entry in old.into_iter().flat_map(|old| old.tables.into_values()) {
            self.put_table(TableEntry { database: database.clone(), ..(*entry).clone() });
        }
    }

    /// Removes a database, which has no tables any more.
    pub(super) fn remove_database(&mut self, name: &str) {
        self.databases.remove(name);
    }

    /// Adds or replaces a table.
    pub(super) fn put_table(&mut self, entry: TableEntry) {
        self.remove_table(entry.id);
        let entry = Arc::new(entry);
        if let Some(database) = self.databases.get_mut(&*entry.database.name) {
            database.tables.insert(entry.config.name.clone(), entry.clone());
            self.tables.insert(entry.id, entry);
        }
    }

    /// Removes a table.
    pub(super) fn remove_table(&mut self, id: Uuid) {
        let Some(old) = self.tables.remove(&id) else { return };
        if let Some(database) = self.databases.get_mut(&*old.database.name)
            && database.tables.get(&old.config.name).is_some_and(|entry| entry.id == id)
        {
            database.tables.remove(&old.config.name);
        }
    }

    /// Returns every index that is still to be built, with its table.
    pub(super) fn unbuilt(&self) -> impl Iterator<Item = (Uuid, Index)> {
        self.tables.values().flat_map(|table| {
            let unbuilt = table.indexes.values().filter(|index| !index.ready && index.failure().is_none());
            unbuilt.map(|index| (table.id, index.clone()))
        })
    }
}
