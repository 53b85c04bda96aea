//! Folding with `emit`: a sequence of the rows that each step emits.

use super::{ArraySource, FeedTraits, Source, Stream};
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::Result;
use crate::eval::env::Env;
use crate::eval::func::Func;

/// Carries a value from row to row and yields the rows that `emit` returns for each step.
pub struct Fold {
    /// The rows.
    pub rows: Stream,
    /// Value so far.
    pub state: Datum,
    /// Function from the value so far and a row to the next value.
    pub step: Func,
    /// Function from the value before, the row and the value after to an array of rows.
    pub emit: Func,
    /// Function from the last value to an array of rows.
    pub final_emit: Option<Func>,
    emitted: Option<ArraySource>,
    /// Memory of the value.
    held: Option<Reservation>,
}

impl Fold {
    /// Makes a fold that has not yet started.
    pub fn new(rows: Stream, state: Datum, step: Func, emit: Func, final_emit: Option<Func>) -> Self {
        Fold { rows, state, step, emit, final_emit, emitted: None, held: None }
    }

    fn advance(&mut self, env: &Env, row: Datum) -> Result<Datum> {
        let next = self.step.call(env, &[self.state.clone(), row.clone()])?;
        self.held.get_or_insert_with(|| env.reserve()).hold(&next)?;
        let before = std::mem::replace(&mut self.state, next.clone());
        self.emit.call(env, &[before, row, next])
    }
}

impl Source for Fold {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        loop {
            if let Some(emitted) = &mut self.emitted
                && let Some(item) = emitted.next(env)?
            {
                return Ok(Some(item));
            }
            self.emitted = None;
            let items = if let Some(row) = self.rows.next(env)? {
                self.advance(env, row)?
            } else if let Some(last) = self.final_emit.take() {
                last.call(env, std::slice::from_ref(&self.state))?
            } else {
                return Ok(None);
            };
            self.emitted = Some(ArraySource::returned(&items, env)?);
        }
    }

    fn feed(&self) -> Option<FeedTraits> {
        self.rows.feed().map(FeedTraits::remade)
    }

    fn suspend(&mut self) {
        self.rows.suspend();
    }

    fn is_array(&self) -> bool {
        self.rows.is_array()
    }

    fn is_exhausted(&self) -> bool {
        self.emitted.as_ref().is_none_or(Source::is_exhausted) && self.rows.is_exhausted()
    }

    fn is_infinite(&self) -> bool {
        self.rows.is_infinite()
    }
}
