//! Streams: sequences that are computed as they are read.
//!
//! A stream has a source, which yields rows, and stages, which change, drop, multiply or group them one by one. Only
//! what is asked for is computed: `table.filter(f).limit(10)` stops reading at the tenth match.

mod sources;
mod stages;

use std::collections::VecDeque;

pub use sources::{ArraySource, Chain, Slice};
pub use stages::{ConcatMap, Filter, Map};

use super::env::Env;
use crate::datum::Datum;
use crate::error::Result;

/// Where rows come from.
pub trait Source: Send {
    /// The next row; `None` at the end, and from then on.
    fn next(&mut self, env: &Env) -> Result<Option<Datum>>;

    /// Lets go of whatever shouldn't be held while the client thinks: snapshots of the store.
    fn suspend(&mut self) {}

    /// Whether the rows are all in memory, so that results are arrays rather than streams.
    fn is_array(&self) -> bool {
        false
    }

    /// Whether there is no end: such a stream can't be an array.
    fn is_infinite(&self) -> bool {
        false
    }
}

/// A row on its way, with its group once there is one.
#[derive(Debug, Clone)]
pub struct Row {
    /// The group it belongs to.
    pub group: Option<Datum>,
    /// The row itself.
    pub value: Datum,
}

/// What becomes of a row in a stage.
pub enum Flow {
    /// It goes on, perhaps changed.
    Keep(Row),
    /// It is dropped.
    Drop,
    /// It becomes several.
    Expand(Vec<Row>),
}

/// One step of a stream's work.
pub trait Stage: Send {
    /// Takes a row.
    fn apply(&mut self, env: &Env, row: Row) -> Result<Flow>;
}

/// A sequence, read from front to back once.
pub struct Stream {
    source: Box<dyn Source>,
    stages: Vec<Box<dyn Stage>>,
    ready: VecDeque<Row>,
    grouped: bool,
}

impl Stream {
    /// The rows of a source.
    pub fn new(source: impl Source + 'static) -> Self {
        Stream { source: Box::new(source), stages: Vec::new(), ready: VecDeque::new(), grouped: false }
    }

    /// The elements of an array.
    pub fn of_array(items: impl Into<crate::datum::Array>) -> Self {
        Stream::new(ArraySource::new(items.into()))
    }

    /// With a further stage.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// With a stage that gives rows their groups.
    #[must_use]
    pub fn grouped_by(mut self, stage: impl Stage + 'static) -> Self {
        self.grouped = true;
        self.then(stage)
    }

    /// Whether rows have groups.
    pub fn is_grouped(&self) -> bool {
        self.grouped
    }

    /// Whether it is an array in disguise.
    pub fn is_array(&self) -> bool {
        self.source.is_array() && !self.grouped
    }

    /// Whether it has no end.
    pub fn is_infinite(&self) -> bool {
        self.source.is_infinite()
    }

    /// The next row with its group.
    pub fn next_row(&mut self, env: &Env) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Ok(Some(row));
            }
            env.check_interrupt()?;
            let Some(value) = self.source.next(env)? else { return Ok(None) };
            if let Some(row) = self.advance(env, 0, Row { group: None, value })? {
                return Ok(Some(row));
            }
        }
    }

    /// Takes a row through the stages from the one at `from` on. Of several results the first is returned and the
    /// others wait.
    fn advance(&mut self, env: &Env, from: usize, mut row: Row) -> Result<Option<Row>> {
        for at in from..self.stages.len() {
            match self.stages[at].apply(env, row)? {
                Flow::Keep(kept) => row = kept,
                Flow::Drop => return Ok(None),
                Flow::Expand(rows) => {
                    for row in rows {
                        if let Some(done) = self.advance(env, at + 1, row)? {
                            self.ready.push_back(done);
                        }
                    }
                    return Ok(self.ready.pop_front());
                }
            }
        }
        Ok(Some(row))
    }

    /// The next row of a stream without groups.
    pub fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        Ok(self.next_row(env)?.map(|row| row.value))
    }

    /// Lets go of snapshots until the next row is asked for.
    pub fn suspend(&mut self) {
        self.source.suspend();
    }

    /// All rows as an array, within the array limit.
    pub fn collect(mut self, env: &Env) -> Result<Datum> {
        let mut items = Vec::new();
        while let Some(item) = self.next(env)? {
            items.push(item);
            env.limits.check_array(items.len())?;
        }
        Ok(Datum::array(items))
    }
}

/// A stream can be the source of another, so that its rows can be cut, ordered or joined.
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

    fn is_infinite(&self) -> bool {
        Stream::is_infinite(self)
    }
}
