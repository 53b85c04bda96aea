//! The transaction that a group of jobs shares.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use redb::{Table, TableDefinition, WriteTransaction};
use uuid::Uuid;

use super::backlog::Backlog;
use super::catalog::{Catalog, DATABASES, Database, TABLES, TableEntry};
use super::codec;
use super::core::Core;
use super::feed::{ChangeEvent, EndReason, News, Told};
use super::file;
use super::index::Index;
use super::proposal::Document;
use super::reserved::Reservations;
use super::writer::{Applied, Fatal, Job, Need};
use crate::error::Result;

/// The tree of a table's documents in a write transaction.
pub(super) type Documents<'txn> = Table<'txn, &'static [u8], &'static [u8]>;
/// The tree of an index in a write transaction.
pub(super) type Entries<'txn> = Table<'txn, &'static [u8], u32>;

/// The time that a transaction may spend on decisions that were made on former documents.
const PATIENCE: Duration = Duration::from_millis(10);

/// A write transaction in progress: open trees, the new catalog, and the news for listeners after the commit.
pub(super) struct Batch<'txn> {
    txn: &'txn WriteTransaction,
    backlog: Arc<Backlog>,
    reservations: Arc<Reservations>,
    /// Time that the transaction may still spend on decisions, for which all other writes wait.
    patience: Duration,
    catalog: Arc<Catalog>,
    is_catalog_changed: bool,
    documents: HashMap<Uuid, Documents<'txn>>,
    entries: HashMap<Uuid, Entries<'txn>>,
    effects: Effects,
    /// A failure of the file inside a job whose result has another type.
    fatal: Option<redb::Error>,
}

/// The effects of a committed batch.
#[derive(Default)]
pub(super) struct Effects {
    /// True if there is anything to commit.
    pub(super) dirty: bool,
    /// The catalog to publish, if it changed.
    pub(super) catalog: Option<Arc<Catalog>>,
    /// News for the listeners of tables, by the tables' ids.
    news: HashMap<Uuid, News>,
    /// Indexes to build.
    pub(super) builds: Vec<(Uuid, Index)>,
}

impl Effects {
    fn news(&mut self, table: &TableEntry) -> &mut News {
        self.news.entry(table.id).or_insert_with(|| News::of(&table.listeners))
    }

    /// Carries the effects out: publishes the catalog, tells listeners, begins builds.
    pub(super) fn carry_out(self, core: &Core) {
        if let Some(catalog) = self.catalog {
            core.publish(catalog);
        }
        if !self.news.is_empty() {
            let told: Vec<_> = self.news.into_values().map(News::tell).collect();
            core.backlog.relieve(&core.catalog());
            told.iter().for_each(Told::settle);
        }
        for (table, index) in self.builds {
            core.build(table, index);
        }
    }
}

impl<'txn> Batch<'txn> {
    pub(super) fn new(txn: &'txn WriteTransaction, core: &Core) -> Self {
        Batch {
            txn,
            backlog: core.backlog.clone(),
            reservations: core.reservations.clone(),
            patience: PATIENCE,
            catalog: core.catalog(),
            is_catalog_changed: false,
            documents: HashMap::new(),
            entries: HashMap::new(),
            effects: Effects::default(),
            fatal: None,
        }
    }

    /// Closes the trees, so that the transaction can be committed.
    pub(super) fn finish(mut self) -> Effects {
        self.effects.catalog = self.is_catalog_changed.then_some(self.catalog);
        self.effects
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(super) fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// Returns the documents that only certain writes may change.
    pub(super) fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// Makes a decision if there is time for one, and counts the time that it takes.
    pub(super) fn decide<T>(&mut self, decide: impl FnOnce() -> T) -> Option<T> {
        if self.patience.is_zero() {
            return None;
        }
        let began = Instant::now();
        let decided = decide();
        self.patience = self.patience.saturating_sub(began.elapsed());
        Some(decided)
    }

    /// Notes a change of a document for the listeners of its table, if any of them listens to this document.
    pub(super) fn note_change(
        &mut self,
        table: &TableEntry,
        key: &[u8],
        old: Option<&Document>,
        new: Option<&Document>,
    ) {
        if table.listeners.concerns(key) {
            let change = ChangeEvent::new(&self.backlog, key, old, new);
            self.effects.news(table).add(change);
        }
    }

    pub(super) fn documents(&mut self, table: &TableEntry) -> Applied<&mut Documents<'txn>> {
        Ok(match self.documents.entry(table.id) {
            MapEntry::Occupied(tree) => tree.into_mut(),
            MapEntry::Vacant(slot) => slot.insert(self.txn.open_table(TableDefinition::new(&table.tree))?),
        })
    }

    pub(super) fn entries(&mut self, index: &Index) -> Applied<&mut Entries<'txn>> {
        Ok(match self.entries.entry(index.id) {
            MapEntry::Occupied(tree) => tree.into_mut(),
            MapEntry::Vacant(slot) => slot.insert(self.txn.open_table(TableDefinition::new(&index.tree))?),
        })
    }

    /// Removes all entries of an index.
    pub(super) fn clear_entries(&mut self, index: &Index) -> Applied {
        self.entries.remove(&index.id);
        self.effects.dirty = true;
        self.txn.delete_table(TableDefinition::<&[u8], u32>::new(&index.tree))?;
        // Readers expect the tree to exist.
        self.entries(index).map(drop)
    }

    fn put_record(&mut self, table: TableDefinition<&[u8], &[u8]>, key: Uuid, value: &[u8]) -> Result<()> {
        self.with_txn(|txn| {
            txn.open_table(table)?.insert(key.as_bytes().as_slice(), value)?;
            Ok(())
        })
    }

    fn remove_record(&mut self, table: TableDefinition<&[u8], &[u8]>, key: Uuid) -> Result<()> {
        self.with_txn(|txn| {
            txn.open_table(table)?.remove(key.as_bytes().as_slice())?;
            Ok(())
        })
    }

    /// Runs an operation on the transaction. If it fails, the whole batch fails.
    pub(super) fn with_txn<T>(
        &mut self,
        run: impl FnOnce(&WriteTransaction) -> std::result::Result<T, redb::Error>,
    ) -> Result<T> {
        self.effects.dirty = true;
        run(self.txn).or_else(|error| self.fail(error))
    }

    fn fail<T>(&mut self, error: redb::Error) -> Result<T> {
        let shown = file::describe(&error);
        self.fatal = Some(error);
        Err(shown)
    }

    /// Returns the failure of the file, if there was one whose error a job has been given.
    pub(super) fn failure(&mut self) -> Applied {
        self.fatal.take().map_or(Ok(()), |error| Err(Fatal::from(error)))
    }

    fn change_catalog(&mut self, change: impl FnOnce(&mut Catalog)) {
        self.is_catalog_changed = true;
        change(Arc::make_mut(&mut self.catalog));
    }

    /// Adds or renames a database.
    pub(super) fn put_database(&mut self, database: Database) -> Result<()> {
        self.put_record(DATABASES, database.id, &codec::write_database(&database)?)?;
        self.change_catalog(|catalog| catalog.put_database(database));
        Ok(())
    }

    /// Removes a database and its tables.
    pub(super) fn remove_database(&mut self, name: &str) -> Result<Vec<Arc<TableEntry>>> {
        let entry = self.catalog.database(name)?.clone();
        let tables: Vec<_> = entry.tables.into_values().collect();
        for table in &tables {
            self.remove_table(table)?;
        }
        self.remove_record(DATABASES, entry.database.id)?;
        self.change_catalog(|catalog| catalog.remove_database(name));
        Ok(tables)
    }

    /// Adds a table or replaces its record.
    pub(super) fn put_table(&mut self, entry: TableEntry) -> Result<()> {
        self.put_record(TABLES, entry.id, &codec::write_table(&entry)?)?;
        self.change_catalog(|catalog| catalog.put_table(entry));
        Ok(())
    }

    /// Makes the trees of a new table.
    pub(super) fn create_trees(&mut self, entry: &TableEntry) -> Result<()> {
        let tree = entry.tree.clone();
        self.with_txn(|txn| {
            txn.open_table(TableDefinition::<&[u8], &[u8]>::new(&tree))?;
            Ok(())
        })
    }

    /// Removes a table with all of its data, and ends its feeds.
    pub(super) fn remove_table(&mut self, entry: &TableEntry) -> Result<()> {
        self.documents.remove(&entry.id);
        for index in entry.indexes.values() {
            self.drop_entries(index)?;
        }
        let tree = entry.tree.clone();
        self.with_txn(|txn| Ok(txn.delete_table(TableDefinition::<&[u8], &[u8]>::new(&tree))?))?;
        self.remove_record(TABLES, entry.id)?;
        self.change_catalog(|catalog| catalog.remove_table(entry.id));
        self.effects.news(entry).end(EndReason::Dropped);
        Ok(())
    }

    /// Removes the tree of an index.
    pub(super) fn drop_entries(&mut self, index: &Index) -> Result<()> {
        self.entries.remove(&index.id);
        let tree = index.tree.clone();
        self.with_txn(|txn| Ok(txn.delete_table(TableDefinition::<&[u8], u32>::new(&tree))?))?;
        Ok(())
    }

    /// Makes the empty tree of a new index.
    pub(super) fn create_entries(&mut self, index: &Index) -> Result<()> {
        let tree = index.tree.clone();
        self.with_txn(|txn| {
            txn.open_table(TableDefinition::<&[u8], u32>::new(&tree))?;
            Ok(())
        })
    }
}

/// A change of the catalog or of the small records: always durable, since the catalog in memory must not be
/// ahead of the file.
pub(super) struct AdminJob<T, F> {
    run: Option<F>,
    result: Option<Result<T>>,
    answer: SyncSender<Result<T>>,
}

impl<T, F> AdminJob<T, F> {
    pub(super) fn new(run: F) -> (Self, Receiver<Result<T>>) {
        let (answer, receiver) = mpsc::sync_channel(1);
        (AdminJob { run: Some(run), result: None, answer }, receiver)
    }
}

impl<T, F> Job for AdminJob<T, F>
where
    T: Send,
    F: FnOnce(&mut Batch<'_>) -> Result<T> + Send,
{
    fn need(&self) -> Need {
        Need::Hard
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Applied {
        self.result = self.run.take().map(|run| run(batch));
        batch.failure()
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => return,
            (Err(error), _) => Err(error),
        };
        // The caller may be gone.
        let _ = self.answer.send(result);
    }
}
