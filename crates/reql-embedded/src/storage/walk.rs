//! The rows of a range in a tree of the file, of which a part has been read.

use std::time::{Duration, Instant};

use super::range::{Direction, KeyRange};

/// The time for which a scan pins pages at a stretch, unless it keeps to a snapshot or a view.
const HOLD: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };

/// The result of reading from the file.
pub(super) type Read<T = ()> = std::result::Result<T, redb::StorageError>;

type Rows<V> = redb::Range<'static, &'static [u8], V>;
type Row<V> = (redb::AccessGuard<'static, &'static [u8]>, redb::AccessGuard<'static, V>);

/// The rest of a range: the open iterator, if any, and the key of the last row.
pub(super) struct Walk<V: redb::Value + 'static> {
    range: KeyRange,
    direction: Direction,
    rows: Option<Rows<V>>,
    /// Key of the last row; meaningful once there was one since the iterator was opened.
    last: Vec<u8>,
    has_moved: bool,
    /// Values of `last` and `has_moved` before the last row.
    before: (Vec<u8>, bool),
    is_done: bool,
    /// Time at which the transaction was opened, if it is the scan's own.
    since: Option<Instant>,
}

impl<V: redb::Value + 'static> Walk<V> {
    /// Returns the way through a range that nothing has been read of.
    pub(super) fn new(range: KeyRange, direction: Direction) -> Self {
        let is_done = range.is_empty();
        Walk {
            range,
            direction,
            rows: None,
            last: Vec::new(),
            has_moved: false,
            before: (Vec::new(), false),
            is_done,
            since: None,
        }
    }

    /// Goes on in a tree as it is now.
    pub(super) fn open(&mut self, tree: &redb::ReadOnlyTable<&'static [u8], V>) -> Read {
        // redb takes bounds in the wrong order for a mistake.
        if !self.is_done {
            self.rows = Some(tree.range::<&[u8]>(self.range.as_bounds())?);
        }
        Ok(())
    }

    /// Returns true if it goes on in a tree now.
    pub(super) fn is_open(&self) -> bool {
        self.rows.is_some()
    }

    /// Returns true if no rows are left.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns the key of the last row, if there was one since the walk was opened.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    /// Begins to watch the time for which it pins the pages of a tree, if it is the only one that does.
    pub(super) fn watch(&mut self, is_alone: bool) {
        self.since = is_alone.then(Instant::now);
    }

    /// Returns the next row; `None` at the end, or if it isn't open.
    pub(super) fn next(&mut self) -> Read<Option<Row<V>>> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let row = match self.direction {
            Direction::Forward => rows.next(),
            Direction::Backward => rows.next_back(),
        };
        match row.transpose()? {
            Some(row) => {
                std::mem::swap(&mut self.last, &mut self.before.0);
                self.before.1 = self.has_moved;
                self.last.clear();
                self.last.extend_from_slice(row.0.value());
                self.has_moved = true;
                Ok(Some(row))
            }
            None => {
                self.is_done = true;
                self.rows = None;
                Ok(None)
            }
        }
    }

    /// Returns true if it is time to release the pinned pages. To be asked before each row: nobody knows how
    /// long the last one took.
    pub(super) fn is_overdue(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= HOLD)
    }

    /// Suspends the walk before the last row, which is the next one again. Works once for each row.
    pub(super) fn step_back(&mut self) {
        std::mem::swap(&mut self.last, &mut self.before.0);
        self.has_moved = self.before.1;
        self.suspend();
    }

    /// Ends the use of the tree. What is read next follows the last row.
    pub(super) fn suspend(&mut self) {
        self.rows = None;
        self.since = None;
        if std::mem::take(&mut self.has_moved) {
            self.range.skip_to(&self.last, self.direction);
            self.is_done |= self.range.is_empty();
        }
    }
}
