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
mod portions;
mod sources;
mod stages;

pub use feed::{Changes, Concerted, FeedTraits};
pub use fold::Fold;
pub use indexed::{DistinctValues, Pairs, SortedRuns};
pub use join::EqJoin;
pub use merge::Merge;
pub use portions::{Portions, helped};
pub use sources::{ArraySource, Chain, Offsets, Range, Slice, Together};
pub use stages::{ConcatMap, Filter, GroupBy, Map, Predicate, Zip};
pub(super) use stages::{check_deterministic, is_pure, too_many_groups};

use std::cell::Cell;
use std::sync::Arc;

use super::env::Env;
use super::watch::Watched;
use crate::budget::fuel;
use crate::datum::{Chunk, Datum};
use crate::error::{At, Bt, Error, Result};
use crate::eval::profile::Work;

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

    /// Returns true if the rows can be read as they are stored, which takes less time than any work on them.
    fn is_table(&self) -> bool {
        false
    }

    /// Returns the work that a profile records for reading these rows, if they are those of a table.
    fn work(&self) -> Option<Work> {
        None
    }

    /// Reads a row as it is stored; false at the end. Only for sources whose [`is_table`](Self::is_table) is
    /// true.
    fn read_raw(&mut self, _: &Env, _: &mut Chunk) -> Result<bool> {
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
            "Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
        ))
    }
}

/// A row on its way through the stages, with its group once there is one.
#[derive(Debug, Clone)]
pub struct Row {
    /// The group it belongs to.
    pub group: Option<Datum>,
    /// The row itself.
    pub value: Datum,
}

/// The result of a stage for a row.
pub enum Flow {
    /// The row goes on, possibly changed.
    Keep(Row),
    /// The row is dropped.
    Drop,
    /// The row becomes several.
    Expand(Expansion),
}

/// The rows that one row has become.
pub enum Expansion {
    /// Rows with groups of their own.
    Rows(Box<dyn Iterator<Item = Row> + Send>),
    /// The rows of a stream, in the group of the row that they come from.
    Stream(Box<Stream>, Option<Datum>),
    /// Rows that were read in advance.
    Portion(Box<Stream>),
}

impl Expansion {
    fn next(&mut self, env: &Env) -> Result<Option<Row>> {
        match self {
            Expansion::Rows(rows) => Ok(rows.next()),
            Expansion::Stream(stream, group) => {
                Ok(stream.next(env)?.map(|value| Row { group: group.clone(), value }))
            }
            Expansion::Portion(rows) => rows.next_row(env),
        }
    }
}

/// Rows on their way that haven't been read yet.
struct Waiting {
    rows: Expansion,
    /// The stage that takes them next.
    stage: usize,
}

/// One step of a stream's work.
pub trait Stage: Send + Sync {
    /// Takes a row.
    fn apply(&self, env: &Env, row: Row) -> Result<Flow>;

    /// Fails unless `changes` can follow rows through the stage.
    fn check_watchable(&self) -> Result<()>;

    /// Returns true if the result for a row depends on nothing but the row, so that rows can be taken in any
    /// order. It has to for `changes`, which some stages refuse for other reasons.
    fn is_pure(&self) -> bool {
        self.check_watchable().is_ok()
    }

    /// Returns true if the stage leaves the rows that it keeps unchanged.
    fn is_filter(&self) -> bool {
        false
    }
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

    /// Reads all rows, and takes the results of `make` in order. Several threads share the work if
    /// `may_share` is true and the stages allow it. An error may have no place, as from
    /// [`next_row`](Self::next_row).
    pub fn for_each<T: Send + 'static>(
        &mut self,
        env: &Env,
        may_share: bool,
        make: impl Fn(&Env, Row) -> Result<Option<T>> + Send + Sync + 'static,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let make = Arc::new(make);
        if may_share {
            let of_portion = {
                let make = make.clone();
                move |mut part: Stream, room: usize, env: &Env| part.make_of_all(env, room, &*make)
            };
            for portion in Portions::read(self, env, of_portion).into_iter().flatten() {
                let (made, end) = portion?;
                made.into_iter().try_for_each(&mut take)?;
                end?;
            }
        }
        while let Some(item) = self.make_of_next(env, &*make)? {
            take(item)?;
        }
        Ok(())
    }

    /// Returns the next result of `make`, for the next row that has one; `None` at the end.
    fn make_of_next<T>(
        &mut self,
        env: &Env,
        make: impl Fn(&Env, Row) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        while let Some(row) = self.next_row(env)? {
            match make(env, row) {
                Ok(None) => {}
                Ok(made) => return Ok(made),
                Err(error) => return Err(self.error_of_work(error)),
            }
        }
        Ok(None)
    }

    /// Returns the results of `make` for all rows, and the error after them, if there is one; `None` if the
    /// rows take more bytes than there is room for.
    fn make_of_all<T>(
        &mut self,
        env: &Env,
        room: usize,
        make: impl Fn(&Env, Row) -> Result<Option<T>>,
    ) -> Option<(Vec<T>, Result<()>)> {
        let taken = Cell::new(0);
        let measured = |env: &Env, row: Row| {
            taken.set(taken.get() + size_of::<Row>() + row.value.size());
            make(env, row)
        };
        let mut made = Vec::new();
        let end = loop {
            match self.make_of_next(env, measured) {
                Ok(Some(item)) => made.push(item),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if taken.get() > room {
                return None;
            }
        };
        Some((made, end))
    }

    /// Releases snapshots until the next row is read.
    pub fn suspend(&mut self) {
        self.source.suspend();
        for waiting in &mut self.waiting {
            if let Expansion::Stream(stream, _) | Expansion::Portion(stream) = &mut waiting.rows {
                stream.suspend();
            }
        }
    }

    /// Returns all rows as an array. The term `bt` is to blame if they are more than the array limit.
    pub fn collect(self, env: &Env, bt: Bt) -> Result<Datum> {
        self.rows(env, bt).map(Datum::array)
    }

    /// Returns all rows. The term `bt` is to blame if they are more than the array limit.
    pub fn rows(mut self, env: &Env, bt: Bt) -> Result<Vec<Datum>> {
        self.read_all(env, bt).map_err(|error| error.at(self.place()))
    }

    /// Aggregates all rows to an array. An error may have no place, as from [`next_row`](Self::next_row).
    pub fn to_array(mut self, env: &Env) -> Result<Datum> {
        self.read_all(env, Bt::default()).map(Datum::array)
    }

    fn read_all(&mut self, env: &Env, bt: Bt) -> Result<Vec<Datum>> {
        self.check_finite()?;
        self.check_ungrouped()?;
        let (mut rows, mut held) = (Vec::new(), env.reserve());
        // Rows without any stages are faster taken here than handed to other threads.
        let is_worked_on = !self.stages.is_empty();
        self.for_each(
            env,
            is_worked_on,
            |_, row| Ok(Some(row.value)),
            |row| {
                held.add(&row)?;
                rows.push(row);
                env.limits.check_array(rows.len()).at(bt)
            },
        )?;
        Ok(rows)
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
