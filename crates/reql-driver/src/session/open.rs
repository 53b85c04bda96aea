//! A query that a session waits for.

use crate::term::Term;

/// A query whose answer isn't complete.
pub(super) struct Open {
    pub(super) token: u64,
    pub(super) term: Option<Term>,
    /// The number of answers that are still to come: one for each request.
    pub(super) due: u32,
    /// Rows are left that have to be asked for.
    pub(super) more: bool,
    /// The end of the query's first frame in the bytes to be written, until all of that frame has been
    /// written.
    pub(super) first_end: Option<usize>,
    /// The query has been told to end.
    pub(super) stopping: bool,
}

impl Open {
    pub(super) fn new(token: u64, term: Option<Term>, due: u32, first_end: usize) -> Self {
        Open { token, term, due, more: false, first_end: Some(first_end), stopping: false }
    }

    /// Tells if the server can have got the query, after so many bytes have been written.
    pub(super) fn is_sent(&self, written: usize) -> bool {
        self.first_end.is_none_or(|end| written >= end)
    }

    /// Tells if nothing of the query has left, after so many bytes have been written.
    pub(super) fn is_untold(&self, written: usize) -> bool {
        self.first_end.is_some() && written == 0
    }
}
