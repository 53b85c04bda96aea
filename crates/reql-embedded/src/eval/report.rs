//! The report of a write on its rows, in the order in which they came.

use super::env::{Env, Limits};
use super::stats::Stats;
use super::write::ReturnChanges;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::{self, Failed, Outcome};

/// The data needed to tell the outcome for each row.
pub(super) struct Report {
    env: Env,
    rows: Vec<Reported>,
    shown: ReturnChanges,
}

enum Reported {
    /// The row was not even tried.
    Refused(Error),
    /// The row was tried.
    Tried { hides_failure: bool },
}

impl Report {
    /// Makes an empty report.
    pub(super) fn new(env: &Env, shown: ReturnChanges) -> Self {
        Report { env: env.clone(), rows: Vec::new(), shown }
    }

    /// Adds a row that was found wrong without reading the table.
    pub(super) fn refused(&mut self, error: Error) {
        self.rows.push(Reported::Refused(error));
    }

    /// Adds a row that is being written.
    pub(super) fn tried(&mut self, hides_failure: bool) {
        self.rows.push(Reported::Tried { hides_failure });
    }

    /// Counts the rows by their outcomes. Rows that were refused without being tried are counted first, and
    /// shown even where other failures are not. If no row was tried, only the first refused one is shown.
    pub(super) fn of(self, outcomes: storage::Outcomes) -> Result<Stats> {
        let Report { env, rows, shown } = self;
        let mut stats = Stats::default();
        if shown != ReturnChanges::No {
            stats.show(None, env.limits);
        }
        for row in &rows {
            if let Reported::Refused(error) = row {
                stats.failed(error);
            }
        }
        let shown_at_most = if outcomes.is_empty() { 1 } else { usize::MAX };
        let mut outcomes = outcomes.into_iter();
        for row in rows.into_iter().take(shown_at_most) {
            match row {
                Reported::Refused(error) if shown == ReturnChanges::No => drop(error),
                Reported::Refused(error) => stats.show(Some(failure(&error, Datum::Null)), env.limits),
                Reported::Tried { hides_failure } => {
                    let lost = || Failed { old: None, error: Error::internal("A write was lost.") };
                    let outcome = outcomes.next().unwrap_or_else(|| Err(lost()));
                    let is_failure_shown = shown == ReturnChanges::Always && !hides_failure;
                    count(&mut stats, outcome, shown, is_failure_shown, env.limits)?;
                }
            }
        }
        Ok(stats)
    }
}

fn count(
    stats: &mut Stats,
    outcome: std::result::Result<Outcome, Failed>,
    shown: ReturnChanges,
    is_failure_shown: bool,
    limits: Limits,
) -> Result<()> {
    match outcome {
        Ok(Outcome { old, new, changed }) => {
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            stats.row(&old, &new, changed);
            if shown == ReturnChanges::Always || changed && shown == ReturnChanges::Yes {
                stats.show(Some(Datum::object([("old_val", old), ("new_val", new)])), limits);
            }
        }
        Err(Failed { error, .. }) if error.ends_query() => return Err(error),
        Err(Failed { old, error }) => {
            stats.failed(&error);
            if is_failure_shown {
                stats.show(Some(failure(&error, old.unwrap_or_default())), limits);
            }
        }
    }
    Ok(())
}

/// Returns the change that shows a row that could not be written.
fn failure(error: &Error, old: Datum) -> Datum {
    Datum::object([("old_val", old.clone()), ("new_val", old), ("error", Datum::str(error.message()))])
}
