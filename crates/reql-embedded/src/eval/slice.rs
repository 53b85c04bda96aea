//! Ranges of tables in the order of an index, and reading them.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::env::Env;
use super::stream::{Pairs, Source, Stream};
use super::table::TableRef;
use super::watch::{Rows, Watched};
use crate::accounts::Permission;
use crate::datum::{Chunk, Datum, key};
use crate::error::{Error, Result};
use crate::eval::profile::{Job, Work};
use crate::storage::{self, Direction, KeyRange, View};

/// The rows of a range of a table, read as they are asked for.
pub struct TableSource {
    pub(super) scan: Scan,
}

pub(super) enum Scan {
    Empty,
    Primary(storage::Scan),
    Index(storage::IndexScan),
    Rows(std::vec::IntoIter<Datum>),
}

impl TableSource {
    fn keep_to(&mut self, view: Option<&View>) -> Result<()> {
        match (view, &mut self.scan) {
            (Some(view), Scan::Primary(scan)) => scan.keep_to(view),
            (Some(view), Scan::Index(scan)) => scan.keep_to(view)?,
            _ => {}
        }
        Ok(())
    }
}

impl Source for TableSource {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let told = self.work().and_then(|work| env.work(work));
        self.keep_to(env.view())?;
        let row = match &mut self.scan {
            Scan::Empty => None,
            Scan::Primary(scan) => scan.next()?,
            Scan::Index(scan) => scan.next()?,
            Scan::Rows(rows) => rows.next(),
        };
        if row.is_none() {
            drop(told.map(Job::besides));
        }
        Ok(row)
    }

    fn is_exhausted(&self) -> bool {
        match &self.scan {
            Scan::Empty => true,
            Scan::Rows(rows) => rows.len() == 0,
            Scan::Primary(_) | Scan::Index(_) => false,
        }
    }

    fn is_lazy(&self) -> bool {
        !matches!(self.scan, Scan::Rows(_))
    }

    fn is_table(&self) -> bool {
        matches!(self.scan, Scan::Primary(_) | Scan::Index(_))
    }

    fn work(&self) -> Option<Work> {
        Some(if matches!(self.scan, Scan::Index(_)) { Work::IndexRows } else { Work::Rows })
    }

    fn read_raw(&mut self, env: &Env, chunk: &mut Chunk) -> Result<bool> {
        self.keep_to(env.view())?;
        match &mut self.scan {
            Scan::Primary(scan) => Ok(scan.next_with(|bytes| chunk.push(bytes))?.is_some()),
            Scan::Index(scan) => Ok(scan.next_with(|bytes| chunk.push(bytes))?.is_some()),
            Scan::Empty | Scan::Rows(_) => Err(Error::internal("These rows aren't stored.")),
        }
    }

    fn suspend(&mut self) {
        match &mut self.scan {
            Scan::Empty => {}
            Scan::Primary(scan) => scan.suspend(),
            Scan::Index(scan) => scan.suspend(),
            Scan::Rows(_) => {}
        }
    }
}

/// Rows of a table, and which these are.
pub(super) struct Watchable<S> {
    pub(super) rows: S,
    pub(super) watched: Rows,
}

impl<S: Source> Source for Watchable<S> {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        self.rows.next(env)
    }

    fn suspend(&mut self) {
        self.rows.suspend();
    }

    fn is_exhausted(&self) -> bool {
        self.rows.is_exhausted()
    }

    fn is_lazy(&self) -> bool {
        self.rows.is_lazy()
    }

    fn is_table(&self) -> bool {
        self.rows.is_table()
    }

    fn work(&self) -> Option<Work> {
        self.rows.work()
    }

    fn read_raw(&mut self, env: &Env, chunk: &mut Chunk) -> Result<bool> {
        self.rows.read_raw(env, chunk)
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
    pub(super) fn contain(&self, value: &Datum) -> bool {
        let above = if self.left_open { *value > self.left } else { *value >= self.left };
        above && if self.right_open { *value < self.right } else { *value <= self.right }
    }

    /// Whether nothing can be between the ends, whatever their types.
    pub(super) fn is_empty(&self) -> bool {
        match self.left.cmp(&self.right) {
            Ordering::Less => false,
            Ordering::Equal => self.left_open || self.right_open,
            Ordering::Greater => true,
        }
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
        let (_, spec) = self.table.ordered_index(&index)?;
        match self.table.scan(env, Some(&index), &bounds, self.sorting)?.scan {
            Scan::Index(scan) => {
                let func = super::stored::function(&spec.source)?;
                Ok(Stream::new(Pairs::new(scan, func, spec.multi, env)))
            }
            scan @ Scan::Empty => Ok(Stream::new(TableSource { scan })),
            Scan::Primary(_) | Scan::Rows(_) => {
                Err(Error::internal("The primary key is no index with values of its own."))
            }
        }
    }

    /// How many rows there are, without reading them where that is possible.
    pub fn count(self, env: &Env) -> Result<u64> {
        let index = self.index.as_deref().filter(|_| !self.table.is_primary(self.index.as_deref()));
        match (index, &self.bounds) {
            (None, None) => self.table.len(env),
            (None, Some(_)) => {
                let mut rows = self.into_stream(env)?;
                let mut count = 0;
                while rows.next(env)?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
            (Some(index), bounds) => {
                env.require(Permission::Read, self.table.scope())?;
                let (stored, _) = self.table.ordered_index(index)?;
                let range = bounds.clone().unwrap_or_default().index_range()?;
                let mut entries = stored.index_scan(index, range, Direction::Forward)?;
                env.view().map_or(Ok(()), |view| entries.keep_to(view))?;
                entries.count()
            }
        }
    }
}
