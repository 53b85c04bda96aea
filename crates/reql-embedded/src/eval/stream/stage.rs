//! Stages: the steps that a stream's rows go through.

use super::Stream;
use crate::datum::Datum;
use crate::error::Result;
use crate::eval::env::Env;

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
    Morsel(Box<Stream>),
}

impl Expansion {
    /// Returns the next row.
    pub(super) fn next(&mut self, env: &Env) -> Result<Option<Row>> {
        match self {
            Expansion::Rows(rows) => Ok(rows.next()),
            Expansion::Stream(stream, group) => {
                Ok(stream.next(env)?.map(|value| Row { group: group.clone(), value }))
            }
            Expansion::Morsel(rows) => rows.next_row(env),
        }
    }
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

    /// Returns true if rows may take more memory after the stage than before it.
    fn may_grow(&self) -> bool {
        !self.is_filter()
    }
}
