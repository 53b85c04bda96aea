//! Rows one by one, in the order of keys or of an index.
//!
//! A scan opens its read transaction with the first row. An idle scan, like that of a cursor between two
//! batches, is suspended: it then pins no pages, and goes on after the last row on the table as it is by
//! then. A scan that is busy for long, over a large table or with a slow function, suspends itself now and
//! then: the pages that it pins can't be used again, and the file would grow with every write meanwhile. A
//! scan that keeps to a view does neither.

use std::sync::Arc;

use super::catalog::TableEntry;
use super::codec;
use super::core::Core;
use super::index::{Index, IndexEntry};
use super::range::{Direction, KeyRange};
use super::read_view::Documents;
use super::snapshot::{Snapshot, View};
use super::walk::Walk;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The result of reading a document that may be too large.
pub enum Within {
    /// The document.
    Document(Datum),
    /// The next document is too large. It is still the next one.
    TooLarge,
    /// There is none.
    End,
}

/// Documents in the order of their keys.
pub struct Scan {
    core: Arc<Core>,
    table: Arc<TableEntry>,
    view: Option<View>,
    walk: Walk<&'static [u8]>,
}

impl Scan {
    pub(super) fn new(
        core: &Arc<Core>,
        table: &Arc<TableEntry>,
        range: KeyRange,
        direction: Direction,
    ) -> Self {
        Scan { core: core.clone(), table: table.clone(), view: None, walk: Walk::new(range, direction) }
    }

    pub(super) fn at(snapshot: &Snapshot, range: KeyRange, direction: Direction) -> Result<Self> {
        let mut scan = Scan::new(&snapshot.core, &snapshot.table, range, direction);
        scan.open(snapshot)?;
        Ok(scan)
    }

    /// Goes on in a snapshot, after the scan was suspended.
    pub fn resume(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.open(snapshot)
    }

    /// Reads all further rows as a view shows them. Does nothing if the scan keeps to a view already.
    pub fn keep_to(&mut self, view: &View) {
        if self.view.is_none() {
            self.suspend();
            self.view = Some(view.clone());
        }
    }

    fn open(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.walk.open(&snapshot.documents).map_err(|error| self.core.read_failure(error))
    }

    /// Returns the next document; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator's item could not be `Result<Option<_>>`")]
    pub fn next(&mut self) -> Result<Option<Datum>> {
        self.next_with(codec::datum)
    }

    /// Returns the next document, unless it has more than `room` bytes as it is stored. The scan is suspended
    /// then.
    pub fn next_within(&mut self, room: usize) -> Result<Within> {
        let read = self.next_with(|stored| fitting(stored, room))?;
        Ok(within(read, || self.walk.step_back()))
    }

    /// Returns the result of `take` on the next document as it is stored; `None` at the end.
    pub fn next_with<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        if self.walk.is_overdue() {
            self.suspend();
        }
        if !self.walk.is_open() {
            if self.walk.is_done() {
                return Ok(None);
            }
            let snapshot = snapshot(&self.core, &self.table, self.view.as_ref())?;
            self.open(&snapshot)?;
            self.walk.watch(self.view.is_none());
        }
        let row = self.walk.next().map_err(|error| self.core.read_failure(error))?;
        Ok(row.map(|(_, value)| take(value.value())))
    }

    /// Calls `take` on one document after the other as it is stored, until that returns true. Returns false
    /// at the end.
    pub fn read_until(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> Result<bool> {
        until(|| self.next_with(&mut take))
    }

    /// Returns the encoded key of the last document.
    pub fn key(&self) -> &[u8] {
        self.walk.last()
    }

    /// Ends the read transaction until the next row is read.
    pub fn suspend(&mut self) {
        if self.view.is_none() {
            self.walk.suspend();
        }
    }
}

/// Documents in the order of an index. A document with several values in the index comes several times.
pub struct IndexScan {
    core: Arc<Core>,
    table: Arc<TableEntry>,
    index: Index,
    view: Option<View>,
    walk: Walk<u32>,
    documents: Option<Arc<Documents>>,
    value_length: usize,
}

impl IndexScan {
    pub(super) fn new(
        core: &Arc<Core>,
        table: &Arc<TableEntry>,
        index: &str,
        range: KeyRange,
        direction: Direction,
    ) -> Result<Self> {
        // The handle may be older than the index.
        IndexScan::over(core, core.table(table)?, index, range, direction)
    }

    fn over(
        core: &Arc<Core>,
        table: Arc<TableEntry>,
        index: &str,
        range: KeyRange,
        direction: Direction,
    ) -> Result<Self> {
        let index = table.index(index)?.clone();
        if !index.ready {
            return Err(not_ready(&index, &table));
        }
        let walk = Walk::new(if range.is_empty() { range } else { range.of_entries() }, direction);
        Ok(IndexScan { core: core.clone(), table, index, view: None, walk, documents: None, value_length: 0 })
    }

    pub(super) fn at(
        snapshot: &Snapshot,
        index: &str,
        range: KeyRange,
        direction: Direction,
    ) -> Result<Self> {
        let mut scan = IndexScan::over(&snapshot.core, snapshot.table.clone(), index, range, direction)?;
        scan.open(snapshot)?;
        Ok(scan)
    }

    /// Goes on in a snapshot, after the scan was suspended.
    pub fn resume(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.open(snapshot)
    }

    /// Reads all further rows as a view shows them. Does nothing if the scan keeps to a view already.
    pub fn keep_to(&mut self, view: &View) -> Result<()> {
        if self.view.is_none() {
            let table = view.table(&self.table)?;
            match table.index_by_id(self.index.id) {
                Some(index) if index.ready => {}
                Some(index) => return Err(not_ready(index, table)),
                None => return Err(table.index_not_found(&self.index.spec.name)),
            }
            self.suspend();
            self.view = Some(view.clone());
        }
        Ok(())
    }

    /// Returns the last entry.
    pub fn entry(&self) -> IndexEntry {
        IndexEntry { bytes: self.walk.last().to_vec(), value_length: self.value_length }
    }

    fn open(&mut self, snapshot: &Snapshot) -> Result<()> {
        let entries = snapshot.open_entries(&self.index)?;
        self.walk.open(&entries).map_err(|error| self.core.read_failure(error))?;
        self.documents = Some(snapshot.documents.clone());
        Ok(())
    }

    /// Moves to the next entry without fetching its document; false at the end.
    pub fn advance(&mut self) -> Result<bool> {
        if self.walk.is_overdue() {
            self.suspend();
        }
        if !self.walk.is_open() {
            if self.walk.is_done() {
                return Ok(false);
            }
            let snapshot = snapshot(&self.core, &self.table, self.view.as_ref())?;
            self.open(&snapshot)?;
            self.walk.watch(self.view.is_none());
        }
        let row = self.walk.next().map_err(|error| self.core.read_failure(error))?;
        let Some((_, length)) = row else { return Ok(false) };
        self.value_length = length.value() as usize;
        Ok(true)
    }

    /// Returns the document of the next entry; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator's item could not be `Result<Option<_>>`")]
    pub fn next(&mut self) -> Result<Option<Datum>> {
        self.next_with(codec::datum)
    }

    /// Returns the document of the next entry, unless it has more than `room` bytes as it is stored. The scan
    /// is suspended then.
    pub fn next_within(&mut self, room: usize) -> Result<Within> {
        let read = self.next_with(|stored| fitting(stored, room))?;
        Ok(within(read, || self.walk.step_back()))
    }

    /// Returns the result of `take` on the document of the next entry as it is stored; `None` at the end.
    pub fn next_with<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        if self.advance()? { self.document_with(take).map(Some) } else { Ok(None) }
    }

    /// Calls `take` on the document of one entry after the other as it is stored, until that returns true.
    /// Returns false at the end.
    pub fn read_until(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> Result<bool> {
        until(|| self.next_with(&mut take))
    }

    /// Returns the encoded index value of the last entry.
    pub fn value(&self) -> &[u8] {
        self.walk.last().get(..self.value_length).unwrap_or_default()
    }

    /// Returns the encoded key of the last document.
    pub fn key(&self) -> &[u8] {
        self.index.primary_key(self.walk.last(), self.value_length)
    }

    /// Returns the document of the last entry. Works only until the scan is suspended.
    pub fn document(&self) -> Result<Datum> {
        self.document_with(codec::datum)
    }

    fn document_with<T>(&self, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let documents = self.documents.as_ref().ok_or_else(|| self.lost())?;
        let found = documents.get(self.key()).map_err(|error| self.core.read_failure(error))?;
        found.map(|value| take(value.value())).ok_or_else(|| self.lost())
    }

    fn lost(&self) -> Error {
        Error::internal(format!("A document of index `{}` is missing.", self.index.spec.name))
    }

    /// Ends the read transaction until the next row is read.
    pub fn suspend(&mut self) {
        if self.view.is_none() {
            self.walk.suspend();
            self.documents = None;
        }
    }

    /// Counts the entries that are left, without fetching documents.
    pub fn count(mut self) -> Result<u64> {
        let mut count = 0;
        while self.advance()? {
            count += 1;
        }
        Ok(count)
    }
}

/// Returns a stored document, if it has at most `room` bytes.
fn fitting(stored: &[u8], room: usize) -> Option<Datum> {
    (stored.len() <= room).then(|| codec::datum(stored))
}

/// Returns what was read, and calls `go_back` if it was too large.
fn within(read: Option<Option<Datum>>, go_back: impl FnOnce()) -> Within {
    match read {
        None => Within::End,
        Some(Some(document)) => Within::Document(document),
        Some(None) => {
            go_back();
            Within::TooLarge
        }
    }
}

/// Calls `next` until that returns true. Returns false at the end.
fn until(mut next: impl FnMut() -> Result<Option<bool>>) -> Result<bool> {
    while let Some(is_enough) = next()? {
        if is_enough {
            return Ok(true);
        }
    }
    Ok(false)
}

fn snapshot(core: &Arc<Core>, table: &Arc<TableEntry>, view: Option<&View>) -> Result<Snapshot> {
    view.map_or_else(|| Snapshot::take(core, table), |view| view.snapshot(core, table))
}

fn not_ready(index: &Index, table: &TableEntry) -> Error {
    let (name, table) = (&index.spec.name, table.display_name());
    match index.failure() {
        None => Error::op_failed(format!(
            "Index `{name}` on table `{table}` was accessed before its construction was finished."
        )),
        Some(failure) => Error::op_failed(format!(
            "Index `{name}` on table `{table}` can't be used: {}",
            failure.message()
        )),
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scan({})", self.table.display_name())
    }
}

impl std::fmt::Debug for IndexScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IndexScan({}, {})", self.table.display_name(), self.index.spec.name)
    }
}
