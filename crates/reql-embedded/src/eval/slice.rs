//! Ranges of tables in the order of an index.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::env::Env;
use super::scan::{Known, TableSource};
use super::stream::{Pairs, Source, Stream};
use super::table::TableRef;
use super::watch::{Rows, Watched};
use crate::datum::{Datum, PackedRows, key};
use crate::error::{At, Bt, Error, Result};
use crate::eval::profile::Work;
use crate::storage::{self, Direction, IndexSpec, KeyRange};

/// Rows of a table with the description that lets `changes` follow them.
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

    fn read_raw(&mut self, env: &Env, chunk: &mut PackedRows) -> Result<bool> {
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
    /// True if the lower end itself is outside.
    pub left_open: bool,
    /// The upper end.
    pub right: Datum,
    /// True if the upper end itself is outside.
    pub right_open: bool,
}

impl Default for Bounds {
    /// Returns the bounds of everything.
    fn default() -> Self {
        Bounds { left: Datum::MinVal, left_open: false, right: Datum::MaxVal, right_open: false }
    }
}

impl Bounds {
    /// Returns the bounds of one value.
    pub(super) fn point(value: Datum) -> Self {
        Bounds { left: value.clone(), left_open: false, right: value, right_open: false }
    }

    pub(super) fn contain(&self, value: &Datum) -> bool {
        let above = if self.left_open { *value > self.left } else { *value >= self.left };
        above && if self.right_open { *value < self.right } else { *value <= self.right }
    }

    /// Returns true if nothing can be between the ends, whatever their types.
    pub(super) fn is_empty(&self) -> bool {
        match self.left.cmp(&self.right) {
            Ordering::Less => false,
            Ordering::Equal => self.left_open || self.right_open,
            Ordering::Greater => true,
        }
    }

    /// Returns the range of primary keys.
    pub fn primary_range(&self) -> Result<KeyRange> {
        self.range(key::primary_bound)
    }

    /// Returns the range of values of an index.
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
    /// Any order.
    Unordered,
    /// Ascending order, from the lowest value up.
    Ascending,
    /// Descending order, from the highest value down.
    Descending,
}

impl Sorting {
    pub(super) fn direction(self) -> Direction {
        match self {
            Sorting::Descending => Direction::Backward,
            Sorting::Ascending | Sorting::Unordered => Direction::Forward,
        }
    }
}

/// A range of a table in the order of an index.
#[derive(Clone)]
pub struct TableSlice {
    /// The table.
    pub table: TableRef,
    /// Index whose values the range is of; the primary key if there is none.
    pub index: Option<Arc<str>>,
    /// Range; everything if there is none.
    pub bounds: Option<Bounds>,
    /// The order.
    pub sorting: Sorting,
    /// Term that named the table. It is to blame for operations that a part of the table doesn't allow.
    bt: Bt,
}

impl TableSlice {
    /// Makes the slice of a whole table that the term `bt` named, in no order.
    pub fn whole(table: TableRef, bt: Bt) -> Self {
        TableSlice { table, index: None, bounds: None, sorting: Sorting::Unordered, bt }
    }

    /// Orders the slice by an index.
    pub fn with_sorting(self, index: Arc<str>, sorting: Sorting) -> Result<Self> {
        if self.sorting != Sorting::Unordered {
            let message = "Cannot perform multiple indexed ORDER_BYs on the same table.";
            return Err(Error::logic(message).at(self.bt));
        }
        if let Some(other) = self.index.as_ref().filter(|other| **other != index) {
            return Err(Error::logic(format!(
                "Cannot order by index `{index}` after calling BETWEEN on index `{other}`."
            ))
            .at(self.bt));
        }
        Ok(TableSlice { index: Some(index), sorting, ..self })
    }

    /// Narrows the slice to a range of an index's values.
    pub fn with_bounds(self, index: Arc<str>, bounds: Bounds) -> Result<Self> {
        if self.bounds.is_some() {
            return Err(Error::logic("Cannot perform multiple BETWEENs on the same table.").at(self.bt));
        }
        if let Some(other) = self.index.as_ref().filter(|other| **other != index) {
            return Err(Error::logic(format!(
                "Cannot call BETWEEN on index `{index}` after ordering on index `{other}`."
            ))
            .at(self.bt));
        }
        Ok(TableSlice { index: Some(index), bounds: Some(bounds), ..self })
    }

    /// Returns true if the slice can't have any rows, whatever is in the table.
    fn is_empty(&self) -> bool {
        self.bounds.as_ref().is_some_and(Bounds::is_empty)
    }

    /// Returns the rows. `bt` is the term to blame for errors while they are read.
    pub fn into_stream(self, env: &Env, bt: Bt) -> Result<Stream> {
        Ok(match self.table.path(self.index.as_deref()) {
            _ if self.table.stored().is_some() && self.is_empty() => {
                Stream::new(Watchable { rows: Known::new(Vec::new()), watched: Rows::Slice(self) }, bt)
            }
            Some(path) => {
                let rows = TableSource::new(path, &self);
                Stream::new(Watchable { rows, watched: Rows::Slice(self) }, bt)
            }
            None => {
                let rows = Known::new(self.system_rows(env)?);
                Stream::new(Watchable { rows, watched: Rows::Slice(self) }, bt)
            }
        })
    }

    /// Returns the rows in [`Pairs`] with their values in the index, which is not the primary key. `bt` is as
    /// for [`into_stream`](Self::into_stream).
    pub fn into_pairs(self, env: &Env, bt: Bt) -> Result<Stream> {
        if self.table.stored().is_none() {
            return Ok(Stream::new(Known::new(self.system_rows(env)?), bt));
        }
        if self.is_empty() {
            return Ok(Stream::new(Known::new(Vec::new()), bt));
        }
        Ok(Stream::new(Pairs::new(self), bt))
    }

    /// Begins to read the rows as entries of the index.
    pub(super) fn read_index(&self, env: &Env) -> Result<(storage::IndexScan, Arc<IndexSpec>)> {
        let index = self.index.as_deref().unwrap_or_default();
        let bounds = self.bounds.clone().unwrap_or_default();
        let (spec, range) = self.table.open_index(env, index, || bounds.index_range())?;
        let stored = self.table.ordinary("it has no indexes.")?;
        Ok((stored.index_scan(index, range, self.sorting.direction()).at(Bt::default())?, spec))
    }

    /// Returns the rows of a system table, which are read at once.
    fn system_rows(&self, env: &Env) -> Result<Vec<Datum>> {
        let bounds = self.bounds.clone().unwrap_or_default();
        let mut rows = self.table.system_rows(env, self.index.as_deref(), |key| bounds.contain(key))?;
        if self.sorting == Sorting::Descending {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Counts the rows, without reading them if that is possible.
    pub fn count(self, env: &Env) -> Result<u64> {
        if self.table.stored().is_some() && self.is_empty() {
            return Ok(0);
        }
        let is_primary = self.table.is_primary(self.index.as_deref());
        if is_primary && self.bounds.is_none() {
            return self.table.len(env);
        }
        if !is_primary && self.table.stored().is_some() {
            let mut entries = self.read_index(env)?.0;
            env.view().map_or(Ok(()), |view| entries.keep_to(view)).at(Bt::default())?;
            return entries.count().at(Bt::default());
        }
        let mut rows = self.into_stream(env, Bt::default())?;
        let mut count = 0;
        while rows.pull(env)?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}
