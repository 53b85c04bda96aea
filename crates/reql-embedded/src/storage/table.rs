//! A handle on a table: reads, writes, indexes, changes.

use std::sync::Arc;

use uuid::Uuid;

use super::attempts::{self, Started};
use super::backlog::Share;
use super::batch::Batch;
use super::catalog::{Durability, TableConfig, TableEntry, TableMeta};
use super::core::Core;
use super::feed::{Listener, Subscription};
use super::index::{Index, IndexEntries, IndexSpec, IndexStatus};
use super::range::{Direction, KeyRange};
use super::scan::{IndexScan, Scan};
use super::snapshot::{Snapshot, View};
use super::write::{Mutation, Results, Settled};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// A table. Cheap to clone; works while a [`Store`](super::Store) that it came from is open.
#[derive(Clone)]
pub struct Table {
    core: Arc<Core>,
    entry: Arc<TableEntry>,
}

impl Table {
    pub(super) fn new(core: Arc<Core>, entry: Arc<TableEntry>) -> Self {
        Table { core, entry }
    }

    /// Returns the id, which never changes.
    pub fn id(&self) -> Uuid {
        self.entry.id
    }

    /// Returns the field that is the key of its documents.
    pub fn primary_key(&self) -> &str {
        &self.entry.config.primary_key
    }

    /// Returns the settings at the time the handle was made.
    pub fn config(&self) -> &TableConfig {
        &self.entry.config
    }

    /// Returns the names and settings at the time the handle was made.
    pub fn meta(&self) -> TableMeta {
        self.entry.meta()
    }

    /// Returns `db.table`, as error messages name the table.
    pub fn display_name(&self) -> String {
        self.entry.display_name()
    }

    /// Returns the document with this key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Datum>> {
        self.now()?.get(key)
    }

    /// Returns the number of documents, without counting.
    pub fn len(&self) -> Result<u64> {
        self.now()?.len()
    }

    /// Returns true if there are no documents.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns a snapshot of the table at this moment, for reads that belong together.
    pub fn snapshot(&self) -> Result<Snapshot> {
        // The catalog has to be read before the transaction begins: an index that was ready then is complete
        // in it.
        Snapshot::take(&self.core, &self.core.table(&self.entry)?)
    }

    /// Returns a snapshot of the table as a view shows it, or without one as it is at this moment.
    pub fn at(&self, view: Option<&View>) -> Result<Snapshot> {
        view.map_or_else(|| self.now(), |view| view.snapshot(&self.core, &self.entry))
    }

    /// Returns a snapshot for reading documents only.
    fn now(&self) -> Result<Snapshot> {
        Snapshot::take(&self.core, &self.entry)
    }

    /// Returns the documents of a range in the order of their keys. Nothing is read before the first call for
    /// a row.
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Scan {
        Scan::new(&self.core, &self.entry, range, direction)
    }

    /// Returns the documents whose value in an index is in a range, in the order of the values.
    pub fn index_scan(&self, index: &str, range: KeyRange, direction: Direction) -> Result<IndexScan> {
        IndexScan::new(&self.core, &self.entry, index, range, direction)
    }

    /// Returns the number of an index's entries in a range, without fetching documents.
    pub fn index_count(&self, index: &str, range: KeyRange) -> Result<u64> {
        self.index_scan(index, range, Direction::Forward)?.count()
    }

    /// Writes documents, each atomically and in the order given. The outcomes are in the same order.
    ///
    /// A mutation that fails does not keep the others from happening. An error of the whole means that the
    /// table is gone or the file failed; some of the mutations may have happened then.
    pub fn write(&self, mutations: Vec<Mutation>, durability: Durability) -> Results {
        let mut outcomes = Vec::with_capacity(mutations.len());
        self.write_each(mutations, durability, &mut |place, outcome| outcomes.push((place, outcome)))?;
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Writes documents as [`write`](Self::write) does. Passes each outcome to `settle` as soon as it is
    /// known, with the place of its mutation: so only a part of large documents are in memory at a time.
    pub fn write_each(
        &self,
        mutations: Vec<Mutation>,
        durability: Durability,
        settle: &mut dyn FnMut(usize, Settled),
    ) -> Result<()> {
        attempts::write(&self.core, &self.entry, mutations, durability, settle)
    }

    /// Begins to write a document without blocking: at once if that is possible, else with the results to
    /// come. Fails with [`WouldBlock`](crate::error::ErrorKind::WouldBlock), also in those results, if there
    /// are too many documents, if too many writes are waiting already, or if the document changed and to
    /// decide anew takes long. Nothing has been written then.
    pub fn start_write(&self, mutation: Mutation, durability: Durability) -> Result<Started> {
        attempts::start(&self.core, &self.entry, mutation, durability)
    }

    /// Tells a listener of every change from here on, and returns a snapshot of the table at exactly this
    /// moment: the snapshot and the changes leave no gap and don't overlap.
    pub fn subscribe(&self, listener: Arc<dyn Listener>) -> Result<(Subscription, Snapshot)> {
        let (core, entry) = (self.core.clone(), self.entry.clone());
        self.core.between(move || {
            let table = core.table(&entry)?;
            let snapshot = Snapshot::take(&core, &table)?;
            Ok((table.listeners.add(listener), snapshot))
        })
    }

    /// Returns a snapshot of the table at one moment between two commits, at which `mark` runs. The listeners
    /// have been told of every change that the snapshot shows, and of no other.
    pub fn snapshot_at(&self, mark: impl FnOnce() + Send + 'static) -> Result<Snapshot> {
        let (core, entry) = (self.core.clone(), self.entry.clone());
        self.core.between(move || {
            let snapshot = Snapshot::take(&core, &core.table(&entry)?)?;
            mark();
            Ok(snapshot)
        })
    }

    /// Reserves memory in the store's backlog for a listener's own structures that keep changes, besides the
    /// changes themselves.
    pub fn reserve_backlog(&self, bytes: usize) -> Share {
        self.core.backlog.reserve(bytes)
    }

    /// Returns a function of documents to their entries in an index.
    pub fn index_entries(&self, name: &str) -> Result<IndexEntries> {
        Ok(IndexEntries::of(self.core.table(&self.entry)?.index(name)?))
    }

    /// Changes settings, the name and the database included. The closure gets the current ones. The primary
    /// key stays.
    pub fn alter(
        &self,
        change: impl FnOnce(&mut TableConfig) -> Result<()> + Send + 'static,
    ) -> Result<Table> {
        let core = self.core.clone();
        let entry = self.admin(move |batch, table| {
            let mut config = table.config.clone();
            change(&mut config)?;
            alter(batch, table, config)
        })?;
        Ok(Table { core, entry })
    }

    /// Returns the states of all indexes, in the order of their names.
    pub fn indexes(&self) -> Result<Vec<IndexStatus>> {
        Ok(self.core.table(&self.entry)?.indexes.values().map(Index::status).collect())
    }

    /// Returns the state of one index.
    pub fn index_status(&self, name: &str) -> Result<IndexStatus> {
        Ok(self.core.table(&self.entry)?.index(name)?.status())
    }

    /// Creates an index and starts to build it; from here on, writes maintain it. It replaces an index of the
    /// same name only with `overwrite`.
    pub fn create_index(&self, spec: IndexSpec, overwrite: bool) -> Result<()> {
        self.check_index_name(&spec.name)?;
        let index = Index::new(Uuid::new_v4(), spec, false, &*self.core.compiler);
        if let Some(failure) = index.failure() {
            return Err(failure.clone());
        }
        self.admin(move |batch, mut table| {
            let name = &index.spec.name;
            if let Some(old) = table.indexes.remove(name) {
                if !overwrite {
                    return Err(Error::op_failed(format!(
                        "Index `{name}` already exists on table `{}`.",
                        table.display_name()
                    )));
                }
                batch.drop_entries(&old)?;
            }
            batch.create_entries(&index)?;
            table.indexes.insert(name.clone(), index.clone());
            batch.effects().builds.push((table.id, index));
            batch.put_table(table)
        })
    }

    /// Drops an index.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.admin(move |batch, mut table| {
            let index = table.indexes.remove(&name).ok_or_else(|| no_index(&name, &table))?;
            batch.drop_entries(&index)?;
            batch.put_table(table)
        })
    }

    /// Renames an index, which stays usable. It replaces an index of the new name only with `overwrite`.
    pub fn rename_index(&self, old: &str, new: &str, overwrite: bool) -> Result<()> {
        self.check_index_name(old)?;
        self.check_index_name(new)?;
        let (old, new) = (old.to_owned(), new.to_owned());
        self.admin(move |batch, table| rename_index(batch, table, &old, new, overwrite))
    }

    /// Waits until these indexes, or all if none are named, are ready. `check` is called now and then; its
    /// error ends the wait.
    pub fn wait_indexes(
        &self,
        names: &[impl AsRef<str>],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Vec<IndexStatus>> {
        self.core.wait(check, |catalog| {
            let table = catalog.tables.get(&self.entry.id).ok_or_else(|| self.entry.gone())?;
            for name in names {
                table.index(name.as_ref())?;
            }
            let wanted: Vec<_> = table
                .indexes
                .values()
                .filter(|index| names.is_empty() || names.iter().any(|name| name.as_ref() == index.spec.name))
                .map(Index::status)
                .collect();
            Ok(wanted.iter().all(|status| status.ready || status.failure.is_some()).then_some(wanted))
        })
    }

    fn check_index_name(&self, name: &str) -> Result<()> {
        if name == self.primary_key() {
            return Err(Error::logic(format!(
                "Index name conflict: `{name}` is the name of the primary key."
            )));
        }
        Ok(())
    }

    /// Runs a change of the table as it is at that time.
    fn admin<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Batch<'_>, TableEntry) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let entry = self.entry.clone();
        self.core.admin(move |batch| {
            let current = batch.catalog().tables.get(&entry.id).map(|table| (**table).clone());
            run(batch, current.ok_or_else(|| entry.gone())?)
        })
    }
}

fn alter(batch: &mut Batch<'_>, table: TableEntry, config: TableConfig) -> Result<Arc<TableEntry>> {
    if config.primary_key != table.config.primary_key {
        return Err(Error::op_failed("It's illegal to change a table's primary key"));
    }
    let Some(database) = batch.catalog().database_by_id(config.db).cloned() else {
        return Err(Error::op_failed(format!("Database `{}` does not exist.", config.db)));
    };
    let is_moved = (config.db, &config.name) != (table.config.db, &table.config.name);
    if is_moved && batch.catalog().table(&database.name, &config.name).is_ok() {
        let (db, name) = (&database.name, &config.name);
        return Err(Error::op_failed(format!(
            "Can't rename table `{}` to `{db}.{name}` because table `{db}.{name}` already exists.",
            table.display_name()
        )));
    }
    let entry = TableEntry { database, config, ..table };
    batch.put_table(entry.clone())?;
    Ok(Arc::new(entry))
}

fn rename_index(
    batch: &mut Batch<'_>,
    mut table: TableEntry,
    old: &str,
    new: String,
    overwrite: bool,
) -> Result<()> {
    if !table.indexes.contains_key(old) || !overwrite && new != old && table.indexes.contains_key(&new) {
        if overwrite {
            return Err(no_index(old, &table));
        }
        return Err(Error::op_failed(format!(
            "Index `{old}` does not exist or index `{new}` already exists on table `{}`.",
            table.display_name()
        )));
    }
    let Some(mut index) = table.indexes.remove(old) else { return Err(no_index(old, &table)) };
    Arc::make_mut(&mut index.spec).name.clone_from(&new);
    if let Some(replaced) = table.indexes.insert(new, index) {
        batch.drop_entries(&replaced)?;
    }
    batch.put_table(table)
}

fn no_index(name: &str, table: &TableEntry) -> Error {
    Error::op_failed(format!("Index `{name}` does not exist on table `{}`.", table.display_name()))
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.display_name())
    }
}
