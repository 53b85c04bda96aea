//! The report of a write on its rows, in the order in which they came.

use super::env::{Env, Limits};
use super::stats::Stats;
use super::write::ReturnChanges;
use crate::budget::memory::{self, Reservation};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::{self, Failed, Outcome, Settled};

/// The bytes of a change that is shown, besides those of its documents.
const CHANGE: usize = 128;

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
    /// Memory of the changes, if the answer shows any.
    held: Option<Reservation>,
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
            held: (shown != ReturnChanges::No).then(|| env.reserve()),
            ended: None,
        }
    }

    /// Adds a row that was found wrong without reading the table. Its error comes before those of other rows,
    /// and is shown even where other failures are not.
    pub(super) fn refused(&mut self, error: &Error) {
        self.stats.failed();
        self.stats.explain(error);
        if self.shown != ReturnChanges::No && self.ended.is_none() {
            let shown = self.show(self.rows, failure(error, Datum::Null), error.message().len());
            self.end_if_failed(shown);
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
            let counted = self.count(tried, outcome);
            self.end_if_failed(counted);
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
        let Report { limits, shown, mut stats, tried, settled, failed, mut changes, held, ended, .. } = self;
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
        }
        if shown != ReturnChanges::No {
            changes.sort_unstable_by_key(|(row, _)| *row);
            stats.show(changes.into_iter().map(|(_, change)| change), limits);
        }
        stats.hold(held);
        Ok(stats)
    }

    fn count(&mut self, tried: Tried, outcome: Settled) -> Result<()> {
        let Tried { row, hides_failure } = tried;
        match outcome {
            Ok(Outcome { old, new, changed }) => {
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                self.stats.row(&old, &new, changed);
                if self.shown == ReturnChanges::Always || changed && self.shown == ReturnChanges::Yes {
                    let bytes = old.footprint() + if changed { new.footprint() } else { 0 };
                    self.show(row, Datum::object([("old_val", old), ("new_val", new)]), bytes)?;
                }
            }
            Err(Failed { error, .. }) if error.ends_query() => return Err(error),
            // What is shown takes the memory, so all further rows would fail.
            Err(Failed { error, .. }) if self.held.is_some() && memory::is_shortage(&error) => {
                return Err(error);
            }
            Err(Failed { old, error }) => {
                self.stats.failed();
                if self.shown == ReturnChanges::Always && !hides_failure {
                    let old = old.unwrap_or_default();
                    let bytes = old.footprint() + error.message().len();
                    self.show(row, failure(&error, old), bytes)?;
                }
                if self.failed.as_ref().is_none_or(|(first, _)| row < *first) {
                    self.failed = Some((row, error));
                }
            }
        }
        Ok(())
    }

    /// Adds a change whose documents and texts have `bytes` bytes.
    fn show(&mut self, row: usize, change: Datum, bytes: usize) -> Result<()> {
        if let Some(held) = &mut self.held {
            held.add_bytes(CHANGE + bytes)?;
        }
        self.changes.push((row, change));
        Ok(())
    }

    /// Lets go of everything after an error. The rest is written nevertheless.
    fn end_if_failed(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.ended.get_or_insert(error);
            self.changes.clear();
            self.held = None;
        }
    }
}

/// Returns the change that shows a row that could not be written.
fn failure(error: &Error, old: Datum) -> Datum {
    Datum::object([("old_val", old.clone()), ("new_val", old), ("error", Datum::str(error.message()))])
}
