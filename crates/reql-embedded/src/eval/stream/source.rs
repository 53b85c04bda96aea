//! Sources of rows: what a stream asks of them, and what they tell of themselves.

use super::FeedTraits;
use crate::datum::{Datum, PackedRows};
use crate::error::{Bt, Error, Result};
use crate::eval::env::Env;
use crate::eval::profile::Work;
use crate::eval::watch::Watched;

/// A source of rows.
pub trait Source: Send {
    /// Returns the next row; `None` at the end, and from then on.
    fn next(&mut self, env: &Env) -> Result<Option<Datum>>;

    /// Releases snapshots of the store, which shouldn't be held while the client thinks.
    fn suspend(&mut self) {}

    /// Returns true if the rows are all in memory, so that results are arrays rather than streams.
    fn is_array(&self) -> bool {
        false
    }

    /// Returns true if it is sure before anything is read that there are no rows, or no more.
    fn is_exhausted(&self) -> bool {
        false
    }

    /// Returns true if each row is worked on where it is stored, before the rows are combined (RethinkDB's
    /// lazy streams). Errors from there that have no place blame the whole query.
    fn is_lazy(&self) -> bool {
        false
    }

    /// Notes that no more rows than these will be read, so that none need be made ready beyond them.
    fn expect_at_most(&mut self, _: u64) {}

    /// Notes that no row will be kept beyond the next one, so that rows may share memory.
    fn expect_none_kept(&mut self) {}

    /// Returns true if the rows can be read as they are stored, which takes less time than any work on them.
    fn is_table(&self) -> bool {
        false
    }

    /// Returns the work that a profile records for reading these rows, if they are those of a table.
    fn work(&self) -> Option<Work> {
        None
    }

    /// Reads rows as they are stored, until the chunk is full; false at the end. Only for sources whose
    /// [`is_table`](Self::is_table) is true.
    fn read_raw(&mut self, _: &Env, _: &mut PackedRows) -> Result<bool> {
        Err(Error::internal("These rows aren't read off a table."))
    }

    /// Sets the term to blame from now on for errors of the source itself. It is the term of the last stage.
    fn blame(&mut self, _: Bt) {}

    /// Returns the term to blame, if it isn't that of the stream's last stage.
    fn place(&self) -> Option<Bt> {
        None
    }

    /// Returns true if there is no end: such a stream can't be an array.
    fn is_infinite(&self) -> bool {
        false
    }

    /// Returns the traits of the changefeed, if the source is one.
    fn feed(&self) -> Option<FeedTraits> {
        None
    }

    /// Returns true if the next rows are made in microseconds and without waiting.
    fn is_light(&self) -> bool {
        false
    }

    /// Returns the rows of the store that these are, for `changes` to follow.
    fn watch(&self) -> Result<Vec<Watched>> {
        Err(Error::logic("Cannot call `changes` on an eager stream."))
    }

    /// Fails if `changes` can't follow these rows through a stage that is no filter.
    fn check_transformable(&self) -> Result<()> {
        Ok(())
    }

    /// Fails if the rows can't all be read because they have no end.
    fn check_finite(&self) -> Result<()> {
        if !self.is_infinite() {
            return Ok(());
        }
        Err(Error::logic(
            "Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce \
             it to an array.",
        ))
    }
}
