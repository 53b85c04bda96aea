//! Reading the rows of tables.
//!
//! As in RethinkDB, the permission to read, the index and the bounds are checked when the first row is read.
//! A sequence that isn't read is not checked.

use std::sync::Arc;

use super::env::Env;
use super::slice::{Bounds, TableSlice};
use super::stream::Source;
use super::table::TableRef;
use crate::accounts::Permission;
use crate::datum::{Datum, PackedRows};
use crate::error::{At, Bt, Result};
use crate::eval::profile::{Job, Work};
use crate::storage::{self, Direction, KeyRange, View};

/// Rows that are being read.
enum Scan {
    Primary(storage::Scan),
    Index(storage::IndexScan),
}

impl Scan {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        self.keep_to(env.view())?;
        match self {
            Scan::Primary(scan) => scan.next(),
            Scan::Index(scan) => scan.next(),
        }
    }

    fn read_raw(&mut self, env: &Env, chunk: &mut PackedRows) -> Result<bool> {
        self.keep_to(env.view())?;
        match self {
            Scan::Primary(scan) => scan.read_until(|bytes| chunk.push(bytes)),
            Scan::Index(scan) => scan.read_until(|bytes| chunk.push(bytes)),
        }
    }

    fn keep_to(&mut self, view: Option<&View>) -> Result<()> {
        match (view, self) {
            (Some(view), Scan::Primary(scan)) => scan.keep_to(view),
            (Some(view), Scan::Index(scan)) => scan.keep_to(view)?,
            (None, _) => {}
        }
        Ok(())
    }

    fn suspend(&mut self) {
        match self {
            Scan::Primary(scan) => scan.suspend(),
            Scan::Index(scan) => scan.suspend(),
        }
    }
}

/// The way to the rows of a table in the store: its primary key, or an index that hasn't been looked up yet.
pub(super) struct Path {
    pub(super) table: TableRef,
    pub(super) stored: storage::Table,
    /// The index, unless it is the primary key.
    pub(super) index: Option<Arc<str>>,
}

impl Path {
    fn work(&self) -> Work {
        if self.index.is_some() { Work::IndexRows } else { Work::Rows }
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan> {
        Ok(match &self.index {
            Some(index) => Scan::Index(self.stored.index_scan(index, range, direction).at(Bt::default())?),
            None => Scan::Primary(self.stored.scan(range, direction)),
        })
    }
}

/// The permission to read a table, which is looked at again for each batch of a cursor.
#[derive(Default)]
pub(super) struct Permitted {
    has_paused: bool,
}

impl Permitted {
    /// Notes the end of a batch.
    pub(super) fn pause(&mut self) {
        self.has_paused = true;
    }

    /// Fails if the permission was taken between two batches.
    pub(super) fn check(&mut self, env: &Env, table: &TableRef) -> Result<()> {
        if std::mem::take(&mut self.has_paused) {
            env.require(Permission::Read, table.scope())?;
        }
        Ok(())
    }
}

/// The rows of a range of a table.
pub struct TableSource {
    path: Path,
    bounds: Bounds,
    direction: Direction,
    scan: Option<Scan>,
    permitted: Permitted,
}

impl TableSource {
    /// Makes the source of a slice's rows, by the path of the slice.
    pub(super) fn new(path: Path, slice: &TableSlice) -> Self {
        let bounds = slice.bounds.clone().unwrap_or_default();
        let (direction, permitted) = (slice.sorting.direction(), Permitted::default());
        TableSource { path, bounds, direction, scan: None, permitted }
    }

    fn begin(&mut self, env: &Env) -> Result<&mut Scan> {
        let TableSource { path, bounds, direction, scan, .. } = self;
        let range = match &path.index {
            Some(index) => path.table.open_index(env, index, || bounds.index_range())?.1,
            None => {
                let range = bounds.primary_range()?;
                env.require(Permission::Read, path.table.scope())?;
                range
            }
        };
        Ok(scan.insert(path.scan(range, *direction)?))
    }
}

impl Source for TableSource {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let told = env.work(self.path.work());
        self.permitted.check(env, &self.path.table)?;
        let row = match &mut self.scan {
            Some(scan) => scan.next(env)?,
            None => self.begin(env)?.next(env)?,
        };
        if row.is_none() {
            drop(told.map(Job::besides));
        }
        Ok(row)
    }

    fn work(&self) -> Option<Work> {
        Some(self.path.work())
    }

    fn is_table(&self) -> bool {
        true
    }

    fn is_lazy(&self) -> bool {
        true
    }

    fn read_raw(&mut self, env: &Env, chunk: &mut PackedRows) -> Result<bool> {
        self.permitted.check(env, &self.path.table)?;
        match &mut self.scan {
            Some(scan) => scan.read_raw(env, chunk),
            None => self.begin(env)?.read_raw(env, chunk),
        }
    }

    fn suspend(&mut self) {
        self.permitted.pause();
        if let Some(scan) = &mut self.scan {
            scan.suspend();
        }
    }
}

/// The rows with some keys, each as often as its key is given.
pub(super) struct KeySource {
    path: Path,
    keys: Vec<Datum>,
    /// The places of the keys that are still to be read, once the keys have been checked.
    rest: Option<std::vec::IntoIter<KeyRange>>,
    scan: Option<Scan>,
    permitted: Permitted,
}

impl KeySource {
    pub(super) fn new(path: Path, keys: Vec<Datum>) -> Self {
        KeySource { path, keys, rest: None, scan: None, permitted: Permitted::default() }
    }

    fn ranges(&self, env: &Env) -> Result<Vec<KeyRange>> {
        let encode = |range: fn(&Bounds) -> Result<KeyRange>| {
            self.keys.iter().map(|key| range(&Bounds::point(key.clone()))).collect::<Result<Vec<_>>>()
        };
        let table = &self.path.table;
        match &self.path.index {
            Some(index) => Ok(table.open_index(env, index, || encode(Bounds::index_range))?.1),
            None => {
                env.require(Permission::Read, table.scope())?;
                encode(Bounds::primary_range)
            }
        }
    }
}

impl Source for KeySource {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        self.permitted.check(env, &self.path.table)?;
        if self.rest.is_none() {
            self.rest = Some(self.ranges(env)?.into_iter());
        }
        let told = env.work(self.path.work());
        loop {
            if let Some(scan) = &mut self.scan
                && let Some(row) = scan.next(env)?
            {
                return Ok(Some(row));
            }
            let Some(range) = self.rest.as_mut().and_then(Iterator::next) else {
                drop(told.map(Job::besides));
                return Ok(None);
            };
            self.scan = Some(self.path.scan(range, Direction::Forward)?);
        }
    }

    fn work(&self) -> Option<Work> {
        Some(self.path.work())
    }

    fn is_lazy(&self) -> bool {
        true
    }

    fn suspend(&mut self) {
        self.permitted.pause();
        if let Some(scan) = &mut self.scan {
            scan.suspend();
        }
    }
}

/// Rows that are known already: none, or those of a system table.
pub(super) struct Known(std::vec::IntoIter<Datum>);

impl Known {
    pub(super) fn new(rows: Vec<Datum>) -> Self {
        Known(rows.into_iter())
    }
}

impl Source for Known {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let told = env.work(Work::Rows);
        let row = self.0.next();
        if row.is_none() {
            drop(told.map(Job::besides));
        }
        Ok(row)
    }

    fn work(&self) -> Option<Work> {
        Some(Work::Rows)
    }

    fn is_exhausted(&self) -> bool {
        self.0.len() == 0
    }
}
