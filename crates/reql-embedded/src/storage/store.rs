//! A store: one file with databases, tables and small records.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use redb::{ReadableTable, TableDefinition};
use uuid::Uuid;

use super::backlog::BACKLOG_BYTES;
use super::build;
use super::catalog::{Database, Durability, Stamp, TableConfig, TableEntry, TableMeta};
use super::codec;
use super::core::Core;
use super::file::{File, cache_bytes};
use super::index::IndexCompiler;
use super::snapshot::View;
use super::table::Table;
use super::writer::{SyncJob, Writer};
use crate::datum::{Datum, pack};
use crate::error::{Error, Result};
use crate::memory;

/// Small records by key: users, permissions, the server's id and name.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// The settings of a store.
#[derive(Clone)]
pub struct Options {
    /// The directory of the file, made if missing. `None` keeps the data in memory. Default `None`.
    pub path: Option<PathBuf>,
    /// Compiler of index functions.
    pub compiler: Arc<dyn IndexCompiler>,
    /// Memory for pages, in bytes. Default 64 MiB, but no more than an eighth of the memory that the process
    /// may use.
    pub cache_bytes: usize,
    /// Memory for changes that wait for listeners, in bytes. Beyond it, the listeners that have fallen behind
    /// furthest lose their changes. Default 64 MiB, but no more than an eighth of the memory that the
    /// process may use.
    pub backlog_bytes: usize,
}

impl Options {
    /// Makes the settings of a store in memory, with the defaults.
    pub fn new(compiler: Arc<dyn IndexCompiler>) -> Self {
        let (cache_bytes, backlog_bytes) = (cache_bytes(), memory::eighth(BACKLOG_BYTES));
        Options { path: None, compiler, cache_bytes, backlog_bytes }
    }

    /// Keeps the data in this directory.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets the memory for pages, in bytes.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets the memory for changes that wait for listeners, in bytes.
    pub fn backlog_bytes(mut self, bytes: usize) -> Self {
        self.backlog_bytes = bytes;
        self
    }
}

/// The settings of a new table.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Id. Default: made up.
    pub id: Option<Uuid>,
    /// The field that is the key of its documents. Default `id`.
    pub primary_key: String,
    /// The durability of writes that don't ask for one. Default hard.
    pub durability: Durability,
    /// Other settings, which the layers above keep. Default null.
    pub extra: Datum,
}

impl Default for TableOptions {
    fn default() -> Self {
        TableOptions { id: None, primary_key: "id".into(), durability: Durability::Hard, extra: Datum::Null }
    }
}

/// An open store. Cheap to clone; the file is closed with [`close`](Store::close) or the last clone.
#[derive(Clone)]
pub struct Store {
    core: Arc<Core>,
    threads: Arc<Threads>,
    is_new: bool,
}

impl Store {
    /// Opens the file, or creates it. A file that isn't a database of this server, or was written by a newer
    /// version, is left unchanged.
    pub fn open(options: Options) -> Result<Store> {
        let (file, is_new) = File::open(options.path.as_deref(), options.cache_bytes)?;
        Store::start(file, is_new, options.compiler, options.backlog_bytes)
    }

    pub(super) fn start(
        file: File,
        is_new: bool,
        compiler: Arc<dyn IndexCompiler>,
        backlog_bytes: usize,
    ) -> Result<Store> {
        let (core, receiver) = Core::new(file, compiler, backlog_bytes)?;
        let core = Arc::new(core);
        let writer = Writer::new(core.clone(), receiver);
        let building = core.clone();
        let threads = Threads {
            core: core.clone(),
            running: Mutex::new(vec![
                spawn("reql-builder", move || build::run(&building))?,
                spawn("reql-writer", move || writer.run())?,
            ]),
        };
        let store = Store { core, threads: Arc::new(threads), is_new };
        store.note_broken_indexes()?;
        for (table, index) in store.core.catalog().unbuilt() {
            store.core.build(table, index);
        }
        Ok(store)
    }

    /// Notes indexes whose function doesn't compile now. Their entries fall behind, which has to be known
    /// when the function compiles again.
    fn note_broken_indexes(&self) -> Result<()> {
        let is_broken = |table: &TableEntry| table.indexes.values().any(|index| index.failure().is_some());
        for table in self.core.catalog().tables.values().filter(|table| is_broken(table)).cloned() {
            log::error!(
                "An index of table `{}` can't be used: its function does not compile.",
                table.display_name()
            );
            self.core.admin(move |batch| batch.put_table((*table).clone()))?;
        }
        Ok(())
    }

    /// Returns true if opening the store created it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Returns all databases, in the order of their names.
    pub fn databases(&self) -> Vec<Database> {
        self.core.catalog().databases.values().map(|entry| entry.database.clone()).collect()
    }

    /// Returns the database of this name.
    pub fn database(&self, name: &str) -> Result<Database> {
        Ok(self.core.catalog().database(name)?.database.clone())
    }

    /// Creates a database.
    pub fn create_database(&self, name: &str) -> Result<Database> {
        self.create_database_as(Uuid::new_v4(), name)
    }

    /// Creates a database with this id.
    pub fn create_database_as(&self, id: Uuid, name: &str) -> Result<Database> {
        let database = Database { id, name: name.into() };
        self.core.admin(move |batch| {
            if batch.catalog().database(&database.name).is_ok() {
                return Err(Error::op_failed(format!("Database `{}` already exists.", database.name)));
            }
            batch.put_database(database.clone())?;
            Ok(database)
        })
    }

    /// Drops a database with its tables, and returns both.
    pub fn drop_database(&self, name: &str) -> Result<(Database, Vec<TableMeta>)> {
        let name = name.to_owned();
        self.core.admin(move |batch| {
            let database = batch.catalog().database(&name)?.database.clone();
            let tables = batch.remove_database(&name)?;
            Ok((database, tables.iter().map(|table| table.meta()).collect()))
        })
    }

    /// Renames a database.
    pub fn rename_database(&self, old: &str, new: &str) -> Result<Database> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.core.admin(move |batch| {
            let database = batch.catalog().database(&old)?.database.clone();
            if old != new && batch.catalog().database(&new).is_ok() {
                return Err(Error::op_failed(format!(
                    "Cannot rename database `{old}` to `{new}` because database `{new}` already exists."
                )));
            }
            let renamed = Database { name: new.into(), ..database };
            batch.put_database(renamed.clone())?;
            Ok(renamed)
        })
    }

    /// Returns the tables of a database, in the order of their names.
    pub fn tables(&self, db: &str) -> Result<Vec<TableMeta>> {
        let catalog = self.core.catalog();
        Ok(catalog.database(db)?.tables.values().map(|entry| entry.meta()).collect())
    }

    /// Returns a handle on a table.
    pub fn table(&self, db: &str, name: &str) -> Result<Table> {
        let entry = self.core.catalog().table(db, name)?.clone();
        Ok(Table::new(self.core.clone(), entry))
    }

    /// Returns a stamp of what databases and tables there are now.
    pub fn stamp(&self) -> Stamp {
        self.core.stamp()
    }

    /// Returns true if the databases and tables, and all that is known of them, are those of the stamp.
    pub fn is_current(&self, stamp: Stamp) -> bool {
        self.stamp() == stamp
    }

    /// Returns a handle on the table with this id.
    pub fn table_by_id(&self, id: Uuid) -> Option<Table> {
        let entry = self.core.catalog().tables.get(&id)?.clone();
        Some(Table::new(self.core.clone(), entry))
    }

    /// Creates a table.
    pub fn create_table(&self, db: &str, name: &str, options: TableOptions) -> Result<Table> {
        let (db, name) = (db.to_owned(), name.to_owned());
        let entry = self.core.admin(move |batch| {
            let database = batch.catalog().database(&db)?.database.clone();
            if batch.catalog().table(&db, &name).is_ok() {
                return Err(Error::op_failed(format!("Table `{db}.{name}` already exists.")));
            }
            let TableOptions { id, primary_key, durability, extra } = options;
            let config =
                TableConfig { db: database.id, name, primary_key, durability, write_hook: None, extra };
            let entry = TableEntry::new(id.unwrap_or_else(Uuid::new_v4), database, config, Vec::new());
            batch.put_table(entry.clone())?;
            batch.create_trees(&entry)?;
            Ok(entry)
        })?;
        Ok(Table::new(self.core.clone(), Arc::new(entry)))
    }

    /// Drops a table with all of its data; its feeds end.
    pub fn drop_table(&self, id: Uuid) -> Result<TableMeta> {
        self.core.admin(move |batch| {
            let entry = batch.catalog().tables.get(&id).cloned();
            let entry = entry.ok_or_else(|| Error::op_failed(format!("There is no table `{id}`.")))?;
            batch.remove_table(&entry)?;
            Ok(entry.meta())
        })
    }

    /// Returns a small record.
    pub fn meta_get(&self, key: &str) -> Result<Option<Datum>> {
        let txn = self.core.file.begin_read()?;
        let table = txn.open_table(META).map_err(|error| self.core.read_failure(error))?;
        let found = table.get(key).map_err(|error| self.core.read_failure(error))?;
        Ok(found.map(|value| codec::datum(value.value())))
    }

    /// Returns the small records whose keys start with a prefix, in the order of the keys.
    pub fn meta_scan(&self, prefix: &str) -> Result<Vec<(String, Datum)>> {
        let txn = self.core.file.begin_read()?;
        let table = txn.open_table(META).map_err(|error| self.core.read_failure(error))?;
        let mut found = Vec::new();
        for row in table.range(prefix..).map_err(|error| self.core.read_failure(error))? {
            let (key, value) = row.map_err(|error| self.core.read_failure(error))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), codec::datum(value.value())));
        }
        Ok(found)
    }

    /// Stores a small record, durably.
    pub fn meta_put(&self, key: &str, value: &Datum) -> Result<()> {
        let value = value.clone();
        self.meta_update(key, move |_| Ok(Some(value))).map(drop)
    }

    /// Deletes a small record, durably.
    pub fn meta_delete(&self, key: &str) -> Result<()> {
        self.meta_update(key, |_| Ok(None)).map(drop)
    }

    /// Replaces a small record atomically by the closure's result, and returns it. `None` stands for no
    /// record.
    pub fn meta_update(
        &self,
        key: &str,
        update: impl FnOnce(Option<Datum>) -> Result<Option<Datum>> + Send + 'static,
    ) -> Result<Option<Datum>> {
        let key = key.to_owned();
        self.core.admin(move |batch| {
            let old = batch.with_txn(|txn| {
                let table = txn.open_table(META)?;
                let found = table.get(key.as_str())?;
                Ok(found.map(|value| codec::datum(value.value())))
            })?;
            let new = update(old)?;
            let bytes = new.as_ref().map(pack::value).transpose()?;
            batch.with_txn(|txn| {
                let mut table = txn.open_table(META)?;
                match &bytes {
                    Some(bytes) => table.insert(key.as_str(), bytes.as_slice())?,
                    None => table.remove(key.as_str())?,
                };
                Ok(())
            })?;
            Ok(new)
        })
    }

    /// Returns a view of all tables at this moment, for reads that belong together.
    pub fn view(&self) -> Result<View> {
        View::take(&self.core)
    }

    /// Returns the directory of the file; none in memory.
    pub fn directory(&self) -> Option<&Path> {
        self.core.file.directory()
    }

    /// Makes all writes so far durable.
    pub fn sync(&self) -> Result<()> {
        let (answer, receiver) = mpsc::sync_channel(1);
        self.core.submit(SyncJob(answer))?;
        self.core.answer(&receiver)
    }

    /// Returns the size of the file in bytes; 0 in memory.
    pub fn file_size(&self) -> u64 {
        self.core.file.size()
    }

    /// Writes the queue, flushes, and closes the file, for all clones and handles. Feeds end.
    pub fn close(&self) {
        self.threads.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({} databases)", self.core.catalog().databases.len())
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|error| Error::internal(format!("No thread could be started: {error}")))
}

/// The builders and the writer, which end with the last clone of the store.
struct Threads {
    core: Arc<Core>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    fn close(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_empty() {
            return;
        }
        // The builders first, since they wait for the writer.
        self.core.stop_builders();
        let mut threads = running.drain(..);
        if let Some(builders) = threads.next() {
            join(builders);
        }
        self.core.stop_writer();
        threads.for_each(join);
        self.core.file.close();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for a thread, unless it is the one that waits: a listener may hold the last clone.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != thread::current().id() && thread.join().is_err() {
        log::error!("A thread of the storage panicked.");
    }
}
