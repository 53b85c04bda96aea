//! The rows that a write works on.
//!
//! A write must not see its own effects. Otherwise a row that it moves along the index by which it finds rows
//! would come again, and rows that it adds would never end. So all its rows are read, at one moment, before
//! the first one is written. For rows that are only to be changed, just the keys are kept. Rows beyond one
//! batch, which is bounded in rows and in bytes, are put [aside](super::aside), so that the use of memory
//! stays bounded. A snapshot keeps pages of the file from being used again, so the snapshot of that moment is
//! released when the writing begins.
//!
//! Rows that can't come from a table that is written are read as the write goes on.

use super::aside::{Aside, Taken};
use super::env::Env;
use super::stream::{Flow, Row, Stage, Stream};
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The rows that are written at a time.
pub const BATCH: usize = 200;
/// The bytes of rows after which no more are written at the same time.
const BATCH_BYTES: usize = 4 << 20;

/// The size of a batch that is being collected.
#[derive(Default)]
struct Size {
    rows: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, row: &Datum) {
        self.rows += 1;
        self.bytes += row.size();
    }

    fn is_enough(&self) -> bool {
        self.rows >= BATCH || self.bytes >= BATCH_BYTES
    }
}

/// Rows for a write.
pub enum Rows {
    /// Rows that are read as the write goes on.
    Apart(Stream),
    /// Rows that are read before the write.
    Ahead {
        /// First rows.
        first: std::vec::IntoIter<Datum>,
        /// Other rows, if there are any.
        rest: Option<Taken>,
        /// Memory of the first rows.
        held: Reservation,
    },
}

impl Rows {
    /// Reads all rows, as they are at the moment of the environment. If it may not wait, they must fit into
    /// one batch.
    pub fn ahead(mut rows: Stream, env: &Env) -> Result<Rows> {
        rows.check_ungrouped()?;
        let (mut first, mut size, mut held) = (Vec::new(), Size::default(), env.reserve());
        let mut aside: Option<Aside> = None;
        let put_aside = |row: Datum| {
            if !size.is_enough() {
                held.add(&row)?;
                size.add(&row);
                first.push(row);
                return Ok(());
            }
            if !env.may_wait() {
                return Err(Error::would_block());
            }
            match &mut aside {
                Some(aside) => aside.put(&row),
                none => none.insert(Aside::new(env.store()?.directory())).put(&row),
            }
        };
        let read = rows.for_each(env, true, |_, row| Ok(Some(row.value)), put_aside);
        read.map_err(|error| error.at(rows.place()))?;
        let rest = aside.map(Aside::take).transpose()?;
        Ok(Rows::Ahead { first: first.into_iter(), rest, held })
    }

    /// Returns the next row.
    pub fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        match self {
            Rows::Apart(rows) => rows.next(env),
            Rows::Ahead { first, rest, .. } => match (first.next(), rest) {
                (Some(row), _) => Ok(Some(row)),
                (None, Some(rest)) => {
                    env.check_interrupt()?;
                    rest.next()
                }
                (None, None) => Ok(None),
            },
        }
    }

    /// Releases snapshots until the next row is read. A write must not wait for a snapshot that its own query
    /// holds.
    pub fn suspend(&mut self) {
        if let Rows::Apart(rows) = self {
            rows.suspend();
        }
    }

    /// Takes the rows in batches, each row changed by `prepare`, and passes each batch to `write`. If the
    /// environment may not wait, it fails before the first `write` if there is more than one batch.
    pub fn in_batches<T>(
        mut self,
        env: &Env,
        mut prepare: impl FnMut(Datum) -> T,
        mut write: impl FnMut(Vec<T>) -> Result<()>,
    ) -> Result<()> {
        let mut next = self.next(env)?;
        while next.is_some() {
            let (mut batch, mut size, mut held) = (Vec::new(), Size::default(), env.reserve());
            while !size.is_enough()
                && let Some(row) = next
            {
                held.add(&row)?;
                size.add(&row);
                batch.push(prepare(row));
                next = self.next(env)?;
            }
            if next.is_some() && !env.may_wait() {
                return Err(Error::would_block());
            }
            self.suspend();
            write(batch)?;
        }
        Ok(())
    }
}

/// Replaces each row by its key.
pub struct Keys(pub std::sync::Arc<str>);

impl Stage for Keys {
    fn apply(&self, _: &Env, row: Row) -> Result<Flow> {
        let value = row.value.get(&self.0).unwrap_or_default();
        Ok(Flow::Keep(Row { value, ..row }))
    }

    fn check_watchable(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Bt;

    fn batches(rows: Rows) -> Vec<usize> {
        let mut batches = Vec::new();
        let write = |batch: Vec<Datum>| {
            batches.push(batch.len());
            Ok(())
        };
        rows.in_batches(&Env::detached(), |row| row, write).expect("batches");
        batches
    }

    #[test]
    fn batches_are_bounded_in_rows_and_in_bytes() {
        let text = |bytes: usize| Datum::str("x".repeat(bytes));
        for (bytes, count, expected) in [
            (10, 450, vec![200, 200, 50]),
            (1 << 20, 10, vec![4, 4, 2]),
            (BATCH_BYTES * 2, 3, vec![1, 1, 1]),
            (BATCH_BYTES / 300, 301, vec![200, 101]),
        ] {
            let rows = || Stream::of_array(vec![text(bytes); count], Bt::default());
            assert_eq!(batches(Rows::Apart(rows())), expected, "{count} rows of {bytes} bytes");
        }
    }
}
