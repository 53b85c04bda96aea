//! Databases, tables, ranges of tables and single rows, as values of a query.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use uuid::Uuid;

use super::env::Env;
use super::func::Func;
use super::stream::{Pairs, Source, Stream};
use super::system::{self, Identifiers, SystemTable};
use super::watch::{Rows, Watched};
use crate::accounts::{Permission, SYSTEM_DATABASE, Scope};
use crate::datum::{Datum, key};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::storage::{self, Direction, IndexStatus, KeyRange};

/// A database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: Arc<str>,
}

impl Database {
    /// The database of this name.
    pub fn find(env: &Env, name: &str) -> Result<Database> {
        if name == system::DATABASE {
            return Ok(Database::system());
        }
        let storage::Database { id, name } = env.store()?.database(name)?;
        Ok(Database { id, name })
    }

    /// The database that holds the system tables.
    fn system() -> Database {
        Database { id: SYSTEM_DATABASE, name: system::DATABASE.into() }
    }

    /// Whether it holds the system tables.
    pub fn is_system(&self) -> bool {
        self.id == SYSTEM_DATABASE
    }

    /// Fails if it is the one that holds the system tables, and says what that can't be used for.
    pub fn refuse_system(&self, why: &str) -> Result<()> {
        if self.is_system() {
            return Err(Error::op_failed(format!("Database `{}` is special; {why}", self.name)));
        }
        Ok(())
    }

    /// Its scope for permissions.
    pub fn scope(&self) -> Scope {
        Scope::Database(self.id)
    }
}

/// A table. Cloning shares it.
#[derive(Clone)]
pub struct TableRef {
    /// The database it is in.
    pub db: Database,
    backing: Backing,
    name: Arc<str>,
    primary_key: Arc<str>,
}

/// Where a table's rows are.
#[derive(Clone)]
pub enum Backing {
    /// In the store.
    Stored(storage::Table),
    /// In the server's own state.
    System(SystemTable),
}

impl TableRef {
    /// A table of the store.
    pub fn new(db: Database, stored: storage::Table) -> Self {
        let name = Arc::from(&*stored.config().name);
        let primary_key = Arc::from(stored.primary_key());
        TableRef { db, backing: Backing::Stored(stored), name, primary_key }
    }

    /// A system table.
    pub fn system(table: SystemTable) -> Self {
        let name = table.name().into();
        TableRef { db: Database::system(), backing: Backing::System(table), name, primary_key: "id".into() }
    }

    /// The table of this name.
    pub fn find(env: &Env, db: Database, name: &str, identifiers: Identifiers) -> Result<Self> {
        if !db.is_system() {
            let stored = env.store()?.table(&db.name, name)?;
            return Ok(TableRef::new(db, stored));
        }
        let found = SystemTable::find(name, identifiers).map(TableRef::system);
        found.ok_or_else(|| Error::op_failed(format!("Table `{}.{name}` does not exist.", db.name)))
    }

    /// Where its rows are.
    pub fn backing(&self) -> &Backing {
        &self.backing
    }

    /// The table in the store, unless it is a system table.
    pub fn stored(&self) -> Option<&storage::Table> {
        match &self.backing {
            Backing::Stored(stored) => Some(stored),
            Backing::System(_) => None,
        }
    }

    /// The table in the store; a system table is refused, with the reason why.
    pub fn ordinary(&self, why: &str) -> Result<&storage::Table> {
        self.db.refuse_system(why)?;
        self.stored().ok_or_else(|| Error::internal("A table is neither stored nor a system table."))
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        match &self.backing {
            Backing::Stored(stored) => stored.id(),
            Backing::System(table) => table.id(),
        }
    }

    /// Its scope for permissions.
    pub fn scope(&self) -> Scope {
        Scope::Table { database: self.db.id, table: self.id() }
    }

    /// Its indexes, in the order of their names.
    pub fn indexes(&self) -> Result<Vec<IndexStatus>> {
        self.stored().map_or_else(|| Ok(Vec::new()), storage::Table::indexes)
    }

    /// One of its indexes.
    pub fn index(&self, name: &str) -> Result<IndexStatus> {
        match &self.backing {
            Backing::Stored(stored) => stored.index_status(name),
            Backing::System(_) => Err(Error::op_failed(format!(
                "Index `{name}` was not found on table `{}`.",
                self.display_name()
            ))),
        }
    }

    /// How many rows there are, without counting where that is possible.
    pub fn len(&self, env: &Env) -> Result<u64> {
        env.require(Permission::Read, self.scope())?;
        match &self.backing {
            Backing::Stored(stored) => stored.len(),
            Backing::System(table) => Ok(table.rows(env)?.len() as u64),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `db.table`, as error messages name it.
    pub fn display_name(&self) -> String {
        format!("{}.{}", self.db.name, self.name)
    }

    /// The field that is the key of its rows.
    pub fn primary_key(&self) -> &Arc<str> {
        &self.primary_key
    }

    /// The row with this key, or `null`.
    pub fn get(&self, env: &Env, key: &Datum) -> Result<Datum> {
        let row = match &self.backing {
            Backing::Stored(stored) => {
                let key = key::primary(key)?;
                env.require(Permission::Read, self.scope())?;
                stored.get(&key)
            }
            Backing::System(table) => {
                env.require(Permission::Read, self.scope())?;
                table.row(env, key)
            }
        };
        Ok(row?.unwrap_or_default())
    }

    /// The rows with these keys, through an index or the primary key: each as often as its key is asked for.
    pub fn get_all(&self, env: &Env, keys: Vec<Datum>, index: Option<&str>) -> Result<Stream> {
        let asked = keys.clone();
        let mut ranges = Vec::with_capacity(keys.len());
        for value in keys {
            let bounds = Bounds { left: value.clone(), left_open: false, right: value, right_open: false };
            if self.is_primary(index) && self.stored().is_some() {
                // Unlike a bound, a key has to be one that a row can have.
                key::primary(&bounds.left)?;
            }
            ranges.push(bounds);
        }
        let scans = ranges
            .into_iter()
            .map(|bounds| Ok(Stream::new(self.scan(env, index, &bounds, Sorting::Unordered)?)))
            .collect::<Result<_>>()?;
        let rows = super::stream::Chain::new(scans);
        let watched = Rows::Keys { table: self.clone(), index: index.map(Arc::from), keys: asked };
        Ok(Stream::new(Watchable { rows, watched }))
    }

    /// Whether an index's name, or none, means the primary key.
    pub fn is_primary(&self, index: Option<&str>) -> bool {
        index.is_none_or(|name| *name == *self.primary_key)
    }

    /// The rows of a range of an index, or of the primary key.
    pub fn scan(
        &self,
        env: &Env,
        index: Option<&str>,
        bounds: &Bounds,
        sorting: Sorting,
    ) -> Result<TableSource> {
        env.require(Permission::Read, self.scope())?;
        if bounds.is_empty() {
            return Ok(TableSource::empty());
        }
        let direction = match sorting {
            Sorting::Descending => Direction::Backward,
            Sorting::Ascending | Sorting::Unordered => Direction::Forward,
        };
        let index = index.filter(|_| !self.is_primary(index));
        let scan = match (&self.backing, index) {
            (Backing::Stored(stored), None) => Scan::Primary(stored.scan(bounds.primary_range()?, direction)),
            (Backing::Stored(stored), Some(name)) => {
                self.check_ordered(name)?;
                Scan::Index(stored.index_scan(name, bounds.index_range()?, direction)?)
            }
            (Backing::System(table), None) => {
                let mut rows = table.rows(env)?;
                let key = |row: &Datum| row.get(&self.primary_key).unwrap_or_default();
                rows.retain(|row| bounds.contain(&key(row)));
                rows.sort_by_cached_key(key);
                if direction == Direction::Backward {
                    rows.reverse();
                }
                Scan::Rows(rows.into_iter())
            }
            (Backing::System(_), Some(name)) => return self.index(name).map(|_| TableSource::empty()),
        };
        Ok(TableSource { scan })
    }

    /// The function that has the last word on writes, if there is one.
    pub fn write_hook(&self) -> Result<Option<Func>> {
        let hook = self.stored().and_then(|stored| stored.config().write_hook.as_deref());
        hook.map(super::stored::function).transpose()
    }

    /// Fails unless there is such an index, and it orders the rows.
    pub fn check_ordered(&self, name: &str) -> Result<()> {
        if self.index(name)?.spec.geo {
            return Err(Error::logic(format!(
                "Index `{name}` is a geospatial index.  Only get_nearest and get_intersecting can use a geospatial index."
            )));
        }
        Ok(())
    }
}

/// The rows of a range of a table, read as they are asked for.
pub struct TableSource {
    scan: Scan,
}

enum Scan {
    Primary(storage::Scan),
    Index(storage::IndexScan),
    Rows(std::vec::IntoIter<Datum>),
}

impl TableSource {
    fn empty() -> Self {
        TableSource { scan: Scan::Rows(Vec::new().into_iter()) }
    }
}

impl Source for TableSource {
    fn next(&mut self, _: &Env) -> Result<Option<Datum>> {
        match &mut self.scan {
            Scan::Primary(scan) => scan.next(),
            Scan::Index(scan) => scan.next(),
            Scan::Rows(rows) => Ok(rows.next()),
        }
    }

    fn suspend(&mut self) {
        match &mut self.scan {
            Scan::Primary(scan) => scan.suspend(),
            Scan::Index(scan) => scan.suspend(),
            Scan::Rows(_) => {}
        }
    }
}

/// Rows of a table, and which these are.
struct Watchable<S> {
    rows: S,
    watched: Rows,
}

impl<S: Source> Source for Watchable<S> {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        self.rows.next(env)
    }

    fn suspend(&mut self) {
        self.rows.suspend();
    }

    fn watch(&self) -> Result<Vec<Watched>> {
        Ok(vec![Watched::new(self.watched.clone())])
    }
}

/// The ends of a range of values.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The lower end.
    pub left: Datum,
    /// Whether the lower end itself is outside.
    pub left_open: bool,
    /// The upper end.
    pub right: Datum,
    /// Whether the upper end itself is outside.
    pub right_open: bool,
}

impl Default for Bounds {
    /// Everything.
    fn default() -> Self {
        Bounds { left: Datum::MinVal, left_open: false, right: Datum::MaxVal, right_open: false }
    }
}

impl Bounds {
    /// Whether nothing can be between the ends, whatever their types.
    fn is_empty(&self) -> bool {
        match self.left.cmp(&self.right) {
            Ordering::Less => false,
            Ordering::Equal => self.left_open || self.right_open,
            Ordering::Greater => true,
        }
    }

    fn contain(&self, value: &Datum) -> bool {
        let above = if self.left_open { *value > self.left } else { *value >= self.left };
        above && if self.right_open { *value < self.right } else { *value <= self.right }
    }

    /// The range of primary keys.
    pub fn primary_range(&self) -> Result<KeyRange> {
        self.range(key::primary_bound)
    }

    /// The range of values of an index.
    pub fn index_range(&self) -> Result<KeyRange> {
        self.range(key::secondary_bound)
    }

    fn range(&self, encode: impl Fn(&Datum) -> Result<Vec<u8>>) -> Result<KeyRange> {
        let bound = |key, open| if open { Bound::Excluded(key) } else { Bound::Included(key) };
        Ok(KeyRange::new(
            bound(encode(&self.left)?, self.left_open),
            bound(encode(&self.right)?, self.right_open),
        ))
    }
}

/// The order in which a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorting {
    /// Whatever comes first.
    Unordered,
    /// From the lowest value up.
    Ascending,
    /// From the highest value down.
    Descending,
}

/// A range of a table in the order of an index.
#[derive(Clone)]
pub struct TableSlice {
    /// The table.
    pub table: TableRef,
    /// The index whose values the range is of; the primary key when there is none.
    pub index: Option<Arc<str>>,
    /// The range; everything when there is none.
    pub bounds: Option<Bounds>,
    /// The order.
    pub sorting: Sorting,
}

impl TableSlice {
    /// All of a table, in no order.
    pub fn whole(table: TableRef) -> Self {
        TableSlice { table, index: None, bounds: None, sorting: Sorting::Unordered }
    }

    /// The same range in the order of an index.
    pub fn with_sorting(self, index: Arc<str>, sorting: Sorting) -> Result<Self> {
        if self.sorting != Sorting::Unordered {
            return Err(Error::logic("Cannot perform multiple indexed ORDER_BYs on the same table."));
        }
        if let Some(other) = self.index.as_ref().filter(|other| **other != index) {
            return Err(Error::logic(format!(
                "Cannot order by index `{index}` after calling BETWEEN on index `{other}`."
            )));
        }
        Ok(TableSlice { index: Some(index), sorting, ..self })
    }

    /// A part of the table by the values of an index.
    pub fn with_bounds(self, index: Arc<str>, bounds: Bounds) -> Result<Self> {
        if self.bounds.is_some() {
            return Err(Error::logic("Cannot perform multiple BETWEENs on the same table."));
        }
        if let Some(other) = self.index.as_ref().filter(|other| **other != index) {
            return Err(Error::logic(format!(
                "Cannot call BETWEEN on index `{index}` after ordering on index `{other}`."
            )));
        }
        Ok(TableSlice { index: Some(index), bounds: Some(bounds), ..self })
    }

    /// Its rows.
    pub fn into_stream(self, env: &Env) -> Result<Stream> {
        let bounds = self.bounds.clone().unwrap_or_default();
        let rows = self.table.scan(env, self.index.as_deref(), &bounds, self.sorting)?;
        Ok(Stream::new(Watchable { rows, watched: Rows::Slice(self) }))
    }

    /// Its rows in [`Pairs`] with their values in its index, which is not the primary key.
    pub fn into_pairs(self, env: &Env) -> Result<Stream> {
        let bounds = self.bounds.unwrap_or_default();
        let index = self.index.unwrap_or_default();
        let spec = self.table.index(&index)?.spec;
        match self.table.scan(env, Some(&index), &bounds, self.sorting)?.scan {
            Scan::Index(scan) => {
                Ok(Stream::new(Pairs::new(scan, super::stored::function(&spec.source)?, spec.multi)))
            }
            scan @ Scan::Rows(_) => Ok(Stream::new(TableSource { scan })),
            Scan::Primary(_) => Err(Error::internal("The primary key is no index with values of its own.")),
        }
    }

    /// How many rows there are, without reading them where that is possible.
    pub fn count(self, env: &Env) -> Result<u64> {
        env.require(Permission::Read, self.table.scope())?;
        let index = self.index.as_deref().filter(|_| !self.table.is_primary(self.index.as_deref()));
        match (self.table.stored(), index, &self.bounds) {
            (Some(stored), None, None) => stored.len(),
            (Some(stored), Some(index), bounds) => {
                self.table.check_ordered(index)?;
                stored.index_count(index, bounds.clone().unwrap_or_default().index_range()?)
            }
            _ => {
                let mut rows = self.into_stream(env)?;
                let mut count = 0;
                while rows.next(env)?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
        }
    }
}

/// One row of a table, which can be changed.
#[derive(Clone)]
pub enum SingleSelection {
    /// The row with this primary key.
    Key {
        /// The table.
        table: TableRef,
        /// The primary key.
        key: Datum,
        /// The query that reads it.
        env: Env,
    },
    /// A row that has been read already.
    Row {
        /// The table.
        table: TableRef,
        /// The row.
        row: Datum,
    },
    /// The first row of a range, as `min` and `max` by an index find it.
    First {
        /// The range, in order.
        slice: TableSlice,
        /// The query that reads it.
        env: Env,
        /// What to say when there is none, and of which term.
        empty: (String, Bt),
    },
}

impl SingleSelection {
    /// A row that has been read from its table.
    pub fn of_row(table: TableRef, row: Datum) -> Result<SingleSelection> {
        row.field(table.primary_key())?;
        Ok(SingleSelection::Row { table, row })
    }

    /// The table.
    pub fn table(&self) -> &TableRef {
        match self {
            SingleSelection::Key { table, .. } | SingleSelection::Row { table, .. } => table,
            SingleSelection::First { slice, .. } => &slice.table,
        }
    }

    /// The row, or `null`.
    pub fn get(&self) -> Result<Datum> {
        match self {
            SingleSelection::Key { table, key, env } => table.get(env, key),
            SingleSelection::Row { row, .. } => Ok(row.clone()),
            SingleSelection::First { slice, env, empty: (message, bt) } => slice
                .clone()
                .into_stream(env)?
                .next(env)?
                .ok_or_else(|| Error::new(ErrorKind::QueryLogic, message.as_str()))
                .at(*bt),
        }
    }

    /// The row's primary key.
    pub fn key(&self) -> Result<Datum> {
        match self {
            SingleSelection::Key { key, .. } => Ok(key.clone()),
            _ => self.get()?.field(self.table().primary_key()),
        }
    }
}
