//! Streams: sequences that are computed as they are read.
//!
//! A stream has a source, which yields rows, and stages, which change, drop, multiply or group them one by
//! one. Rows are computed only as they are read: `table.filter(f).limit(10)` stops reading at the tenth
//! match.

mod feed;
mod fold;
mod heap;
mod indexed;
mod join;
mod merge;
mod parallel;
mod source;
mod sources;
mod stage;
mod stages;
mod whole;
mod work_queue;

pub use feed::{Changes, FeedTraits, UnionStates};
pub use fold::Fold;
pub use indexed::{DistinctValues, Pairs, SortedRuns};
pub use join::EqJoin;
pub use merge::Merge;
pub use parallel::ParallelScan;
pub use source::Source;
pub use sources::{ArraySource, Chain, HeldRows, Offsets, Range, Slice, ZipWith};
pub use stage::{Expansion, Flow, Row, Stage};
pub use stages::{ConcatMap, Filter, GroupBy, Map, Predicate, Zip};
pub(super) use stages::{check_deterministic, is_pure, too_many_groups};
pub use work_queue::helped;

use std::sync::Arc;

use super::env::Env;
use super::watch::Watched;
use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{At, Bt, Error, Result};
use crate::eval::profile::Work;

/// Rows on their way that haven't been read yet.
struct Waiting {
    rows: Expansion,
    /// The stage that takes them next.
    stage: usize,
}

/// A sequence, read from front to back once.
pub struct Stream {
    source: Box<dyn Source>,
    stages: Vec<Arc<dyn Stage>>,
    /// Waiting rows, innermost last: the rows of an expanded row are finished before the next row.
    waiting: Vec<Waiting>,
    grouped: bool,
    /// Term to blame for errors while the stream is read: that of the last stage.
    bt: Bt,
}

impl Stream {
    /// Makes a stream of a source; `bt` is the term that made it.
    pub fn new(source: impl Source + 'static, bt: Bt) -> Self {
        Stream { source: Box::new(source), stages: Vec::new(), waiting: Vec::new(), grouped: false, bt }
    }

    /// Makes a stream of the elements of an array.
    pub fn of_array(items: impl Into<crate::datum::Array>, bt: Bt) -> Self {
        Stream::new(ArraySource::new(items.into()), bt)
    }

    /// Returns the stream that a source makes of these rows. The same term as before is to blame.
    #[must_use]
    pub fn through<S: Source + 'static>(self, source: impl FnOnce(Stream) -> S) -> Self {
        let bt = self.place();
        Stream::new(source(self), bt)
    }

    /// Adds a stage, of the term `bt`.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static, bt: Bt) -> Self {
        self.stages.push(Arc::new(stage));
        self.blame(bt);
        self
    }

    /// Adds a stage that gives rows their groups.
    #[must_use]
    pub fn grouped_by(mut self, stage: impl Stage + 'static, bt: Bt) -> Self {
        self.grouped = true;
        self.then(stage, bt)
    }

    /// Sets the term to blame for errors from now on.
    pub fn blame(&mut self, bt: Bt) {
        self.bt = bt;
        self.source.blame(bt);
    }

    /// Returns the term to blame for errors while the stream is read, rather than the one that reads it.
    pub fn place(&self) -> Bt {
        self.source.place().unwrap_or(self.bt)
    }

    /// Returns true if rows have groups.
    pub fn is_grouped(&self) -> bool {
        self.grouped
    }

    /// Returns true if the stream is an array whose elements are read one by one.
    pub fn is_array(&self) -> bool {
        self.source.is_array() && !self.grouped
    }

    /// Returns true if it is sure before anything is read that there are no rows, or no more.
    pub fn is_exhausted(&self) -> bool {
        self.waiting.is_empty() && self.source.is_exhausted()
    }

    /// Returns true if each row is worked on where it is stored.
    pub fn is_lazy(&self) -> bool {
        self.source.is_lazy()
    }

    /// Notes that no more rows than these will be read.
    pub fn expect_at_most(&mut self, rows: u64) {
        self.source.expect_at_most(rows);
    }

    /// Notes that no row will be kept beyond the next one, nor any part of it.
    pub fn expect_none_kept(&mut self) {
        self.source.expect_none_kept();
    }

    /// Returns true if the stream has no end.
    pub fn is_infinite(&self) -> bool {
        self.source.is_infinite()
    }

    /// Fails if the stream can't be read to its end because there is none.
    pub fn check_finite(&self) -> Result<()> {
        self.source.check_finite().at(self.place())
    }

    /// Returns the traits of the changefeed, if the stream is one.
    pub fn feed(&self) -> Option<FeedTraits> {
        self.source.feed()
    }

    /// Returns true if the next rows are made in microseconds and without waiting.
    pub fn is_light(&self) -> bool {
        self.stages.is_empty() && self.waiting.is_empty() && self.source.is_light()
    }

    /// Returns the rows of the store that these are, for `changes` to follow.
    pub fn watch(&self) -> Result<Vec<Watched>> {
        if !self.stages.iter().all(|stage| stage.is_filter()) {
            self.check_transformable()?;
        }
        let watched = self.source.watch().at(self.bt)?;
        Ok(watched.into_iter().map(|watched| watched.then(&self.stages)).collect())
    }

    fn check_transformable(&self) -> Result<()> {
        self.source.check_transformable().at(self.bt)
    }

    /// Returns the next row with its group. An error may be returned without a place. A term that reads a
    /// stream to aggregate it is then to blame itself.
    pub fn next_row(&mut self, env: &Env) -> Result<Option<Row>> {
        if let Some(trace) = env.trace() {
            trace.flow();
        }
        loop {
            fuel::spend(1)?;
            let (row, stage) = match self.waiting.last_mut() {
                None => match self.source.next(env)? {
                    Some(value) => (Row { group: None, value }, 0),
                    None => return Ok(None),
                },
                Some(waiting) => match waiting.rows.next(env)? {
                    Some(row) => (row, waiting.stage),
                    None => {
                        self.waiting.pop();
                        continue;
                    }
                },
            };
            if let Some(row) = self.advance(env, row, stage)? {
                return Ok(Some(row));
            }
        }
    }

    /// Takes a row through the stages from `from` on. Rows that it expands to wait.
    fn advance(&mut self, env: &Env, mut row: Row, from: usize) -> Result<Option<Row>> {
        // Tables record this where they read the rows.
        let is_told = !self.stages.is_empty() && self.source.work().is_none();
        let _told = if is_told { env.work(Work::Stream) } else { None };
        for (at, stage) in self.stages.iter().enumerate().skip(from) {
            match stage.apply(env, row) {
                Ok(Flow::Keep(kept)) => row = kept,
                Ok(Flow::Drop) => return Ok(None),
                Err(error) => return Err(self.error_of_work(error)),
                Ok(Flow::Expand(rows)) => {
                    self.waiting.push(Waiting { rows, stage: at + 1 });
                    return Ok(None);
                }
            }
        }
        Ok(Some(row))
    }

    /// Sets the place of an error of the work on a row.
    #[cold]
    fn error_of_work(&self, error: Error) -> Error {
        if self.source.is_lazy() { error.at(Bt::default()) } else { error }
    }

    /// Returns the next row of a stream without groups.
    pub fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        match self.pull(env) {
            Ok(row) => Ok(row),
            Err(error) => Err(error.at(self.place())),
        }
    }

    /// Returns the next row of a stream without groups. An error may have no place, as from
    /// [`next_row`](Self::next_row).
    pub fn pull(&mut self, env: &Env) -> Result<Option<Datum>> {
        self.check_ungrouped()?;
        Ok(self.next_row(env)?.map(|row| row.value))
    }

    /// Fails if rows have groups.
    pub(super) fn check_ungrouped(&self) -> Result<()> {
        if !self.grouped {
            return Ok(());
        }
        let message = "Cannot treat the output of `group` as a stream (did you mean to `ungroup`?).";
        Err(Error::logic(message).at(self.bt))
    }

    /// Releases snapshots until the next row is read.
    pub fn suspend(&mut self) {
        self.source.suspend();
        for waiting in &mut self.waiting {
            if let Expansion::Stream(stream, _) | Expansion::Morsel(stream) = &mut waiting.rows {
                stream.suspend();
            }
        }
    }
}

/// A stream as the source of another, so that its rows can be cut, ordered or joined.
impl Source for Stream {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        Stream::next(self, env)
    }

    fn suspend(&mut self) {
        Stream::suspend(self);
    }

    fn is_array(&self) -> bool {
        Stream::is_array(self)
    }

    fn is_exhausted(&self) -> bool {
        Stream::is_exhausted(self)
    }

    fn is_lazy(&self) -> bool {
        Stream::is_lazy(self)
    }

    fn expect_at_most(&mut self, rows: u64) {
        Stream::expect_at_most(self, rows);
    }

    fn is_infinite(&self) -> bool {
        Stream::is_infinite(self)
    }

    fn check_finite(&self) -> Result<()> {
        Stream::check_finite(self)
    }

    fn feed(&self) -> Option<FeedTraits> {
        Stream::feed(self)
    }
}
