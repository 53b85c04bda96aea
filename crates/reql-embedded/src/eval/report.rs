//! The report of a write on its rows, in the order in which they came.

use super::env::{Env, Limits};
use super::room::{Items, Room};
use super::stats::{Shown, Stats};
use super::write::ReturnChanges;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::{self, Failed, Outcome, Settled};

/// The outcomes of a write, as they come. Of the documents, only those are kept that the answer shows.
pub(super) struct Report {
    limits: Limits,
    shown: ReturnChanges,
    stats: Stats,
    /// Number of rows so far.
    rows: usize,
    /// The rows that are being written.
    tried: Vec<Tried>,
    /// Number of rows whose outcome has come.
    settled: usize,
    /// First row that failed, and its error.
    failed: Option<(usize, Error)>,
    /// Changes to show, with their rows.
    changes: Vec<(usize, Datum)>,
    /// Room for the changes, if the answer shows any.
    room: Option<Room>,
    /// True if there are more changes than there is room for.
    is_cut: bool,
    /// Error that takes the place of the report.
    ended: Option<Error>,
}

/// A row that is being written.
#[derive(Clone, Copy)]
struct Tried {
    /// Place of the row among all of the write, refused ones included.
    row: usize,
    hides_failure: bool,
}

impl Report {
    /// Makes an empty report.
    pub(super) fn new(env: &Env, shown: ReturnChanges) -> Self {
        Report {
            limits: env.limits,
            shown,
            stats: Stats::default(),
            rows: 0,
            tried: Vec::new(),
            settled: 0,
            failed: None,
            changes: Vec::new(),
            room: (shown != ReturnChanges::No).then(|| Room::new(env)),
            is_cut: false,
            ended: None,
        }
    }

    /// Adds a row that was found wrong without reading the table. Its error comes before those of other rows,
    /// and is shown even where other failures are not.
    pub(super) fn refused(&mut self, error: &Error) {
        self.stats.failed();
        self.stats.explain(error);
        if self.shown != ReturnChanges::No {
            self.show(self.rows, failure(error, Datum::Null));
        }
        self.rows += 1;
    }

    /// Adds a row that is being written. Returns its place among these.
    pub(super) fn tried(&mut self, hides_failure: bool) -> usize {
        self.tried.push(Tried { row: self.rows, hides_failure });
        self.rows += 1;
        self.tried.len() - 1
    }

    /// Takes the outcome of a row that is being written. They may come in any order.
    pub(super) fn settle(&mut self, place: usize, outcome: Settled) {
        self.settled += 1;
        if self.ended.is_none()
            && let Some(tried) = self.tried.get(place).copied()
        {
            self.count(tried, outcome);
        }
    }

    /// Takes the outcomes of all rows that are being written, and returns the sum.
    pub(super) fn of(mut self, outcomes: storage::Outcomes) -> Result<Stats> {
        for (place, outcome) in outcomes.into_iter().enumerate() {
            self.settle(place, outcome);
        }
        self.finish()
    }

    /// Returns the sum. If no row was tried, only the first refused one is shown.
    pub(super) fn finish(self) -> Result<Stats> {
        let Report {
            limits, mut stats, tried, settled, failed, mut changes, room, mut is_cut, ended, ..
        } = self;
        if let Some(error) = ended {
            return Err(error);
        }
        if settled != tried.len() {
            return Err(Error::internal("A write was lost."));
        }
        if let Some((_, error)) = failed {
            stats.explain(&error);
        }
        if tried.is_empty() {
            changes.truncate(1);
            is_cut &= changes.is_empty();
        }
        if let Some(room) = room {
            changes.sort_unstable_by_key(|(row, _)| *row);
            is_cut |= changes.len() > limits.array;
            changes.truncate(limits.array);
            let list = changes.into_iter().map(|(_, change)| change).collect();
            stats.show(Shown { changes: Items { list, is_cut }, room });
        }
        Ok(stats)
    }

    fn count(&mut self, tried: Tried, outcome: Settled) {
        let Tried { row, hides_failure } = tried;
        match outcome {
            Ok(Outcome { old, new, changed }) => {
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                self.stats.row(&old, &new, changed);
                if self.shown == ReturnChanges::Always || changed && self.shown == ReturnChanges::Yes {
                    self.show(row, Datum::object([("old_val", old), ("new_val", new)]));
                }
            }
            // The rest is written nevertheless.
            Err(Failed { error, .. }) if error.ends_query() => self.ended = Some(error),
            Err(Failed { old, error }) => {
                self.stats.failed();
                if self.shown == ReturnChanges::Always && !hides_failure {
                    self.show(row, failure(&error, old.unwrap_or_default()));
                }
                if self.failed.as_ref().is_none_or(|(first, _)| row < *first) {
                    self.failed = Some((row, error));
                }
            }
        }
    }

    /// Adds a change, if there is room for it.
    fn show(&mut self, row: usize, change: Datum) {
        let Some(room) = &mut self.room else { return };
        if !self.is_cut && room.take(&change) {
            self.changes.push((row, change));
        } else {
            self.is_cut = true;
        }
    }
}

/// Returns the change that shows a row that could not be written.
fn failure(error: &Error, old: Datum) -> Datum {
    Datum::object([("old_val", old.clone()), ("new_val", old), ("error", Datum::str(error.message()))])
}
