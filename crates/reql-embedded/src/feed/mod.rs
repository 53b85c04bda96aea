//! Changefeeds: from the changes of a table's documents to the rows that a client reads.
//!
//! A [`Queue`] listens to a table and keeps what its reader hasn't taken yet. A feed knows which documents
//! it shows (its [`Extent`]) and in which form (a [`Transform`], which the evaluator makes of the terms
//! before `changes`):
//!
//! | file | what it holds |
//! |---|---|
//! | `queue`, `wake` | changes that wait for their reader, and how it learns of them |
//! | `followed` | what is common to feeds of the rows of a table |
//! | `extent` | which documents belong to a feed, and where they stand in its order |
//! | `flat` | tables, ranges and single documents: each change by itself |
//! | `polled` | rows of the server's own state, which are read again and compared |
//! | `window` | the first documents of an order: who enters, who leaves, who moves up |
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
pub use polled::{Bell, Polled, Rows};
pub use queue::{Capacity, Change, Queue};
pub use row::Form;
pub use wake::Wake;
pub use window::Window;

use std::time::Duration;

use crate::datum::Datum;
use crate::error::{Bt, Error, Result};

/// The rows of a feed.
pub trait Feed: Send {
    /// The next row; `None` when there is nothing to say now.
    fn next(&mut self) -> Result<Option<Datum>>;

    /// Returns whether the next rows are made in microseconds and without waiting: they show a few changes as
    /// these are.
    fn is_light(&self) -> bool {
        false
    }
}

/// What a feed shows of a document.
pub trait Transform: Send + Sync {
    /// The document in the form that the feed shows; `None` if it leaves it out.
    fn apply(&self, document: &Datum) -> Result<Option<Datum>>;

    /// Returns whether it leaves documents as they are.
    fn is_identity(&self) -> bool {
        false
    }
}

/// What `changes` may be told.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether changes of the same document become one while they wait, and for how long they are made to.
    pub squash: Option<Duration>,
    /// Whether the feed starts with what is there.
    pub include_initial: bool,
    /// What its rows look like.
    pub form: Form,
    /// What may wait for a slow reader.
    pub queue: Capacity,
}

/// What a feed is, as the notes of its batches say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes of a table or a range.
    Sequence,
    /// Changes of one document.
    Point,
    /// Changes of the first documents of an order.
    Window,
    /// Several of different kinds.
    Union,
}

impl Kind {
    /// The kind of two feeds in one.
    pub fn join(self, other: Kind) -> Kind {
        if self == other { self } else { Kind::Union }
    }
}

/// The error of a feed whose table is gone.
fn aborted() -> Error {
    Error::op_failed("Changefeed aborted (unavailable).").at(Bt::default())
}
