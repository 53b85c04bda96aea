//! Changefeeds: from the changes of a table's documents to the rows that a client reads.
//!
//! A [`Queue`] listens to a table and keeps the changes that its reader hasn't taken yet. A feed has the
//! documents that it shows (its [`Extent`]) and their form (a [`Transform`], which the evaluator makes of the
//! terms before `changes`):
//!
//! | file | contents |
//! |---|---|
//! | `queue`, `wake` | changes that wait for their reader, and the signal that tells it |
//! | `followed` | the state that is common to feeds of the rows of a table |
//! | `extent` | the documents that belong to a feed, and their places in its order |
//! | `flat` | tables, ranges and single documents: each change by itself |
//! | `polled` | rows of the server's own state, which are read again and compared |
//! | `window` | the first documents of an order: those that enter, leave, or move up |
//! | `row` | changes, states and errors as the rows of a feed |

mod extent;
mod flat;
mod followed;
mod polled;
mod queue;
mod row;
mod wake;
mod window;

pub use extent::{Extent, Multiplicity, Ranges};
pub use flat::Flat;
pub use polled::{ChangeSignal, Polled, Rows};
pub use queue::{Capacity, Change, Queue};
pub use row::Form;
pub use wake::Wake;
pub use window::Window;

use std::time::Duration;

use crate::datum::Datum;
use crate::error::{Bt, Error, Result};

/// The rows of a feed.
pub trait Feed: Send {
    /// Returns the next row; `None` if there is none now.
    fn next(&mut self) -> Result<Option<Datum>>;

    /// Returns true if the next rows are made in microseconds and without waiting: they show a few changes as
    /// they are.
    fn is_light(&self) -> bool {
        false
    }
}

/// The form in which a feed shows documents.
pub trait Transform: Send + Sync {
    /// Returns the document in the form that the feed shows; `None` if the feed leaves it out.
    fn apply(&self, document: &Datum) -> Result<Option<Datum>>;

    /// Returns true if the form leaves documents unchanged.
    fn is_identity(&self) -> bool {
        false
    }
}

/// The options of `changes`.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Interval for which changes of the same document are collected and become one, if they are squashed.
    pub squash: Option<Duration>,
    /// True if the feed starts with the existing documents.
    pub include_initial: bool,
    /// Form of the rows.
    pub form: Form,
    /// Changes that may wait for a slow reader.
    pub queue: Capacity,
}

/// The kind of a feed, as the notes of its batches name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes of a table or a range.
    Sequence,
    /// Changes of one document.
    Point,
    /// Changes of the first documents of an order.
    Window,
    /// Several feeds of different kinds.
    Union,
}

impl Kind {
    /// Returns the kind of two feeds in one.
    pub fn join(self, other: Kind) -> Kind {
        if self == other { self } else { Kind::Union }
    }
}

/// Returns the error of a feed whose table is gone.
fn aborted() -> Error {
    Error::op_failed("Changefeed aborted (unavailable).").at(Bt::default())
}
