//! A connection's open queries, by token: running, waiting for CONTINUE, and the requests that wait behind
//! them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::noreply::Ticket;
use super::watchdog::{self, Mark, Watchdog};
use crate::engine::{Cursor, Error, ErrorType, Interrupt, Reason};

/// The streams and feeds that a connection may hold open.
const MAX_OPEN: usize = 16 << 10;

/// The length of the texts of all queries of a connection, in bytes, including those of open streams and
/// feeds.
const MAX_SIZE: usize = 256 << 20;

/// A client's request to a query that it has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowUp {
    Continue,
    Stop,
}

/// A query that is not yet at its end.
pub(super) struct OpenQuery {
    pub(super) interrupt: Interrupt,
    /// The length of the query's text, about the memory that it takes.
    size: usize,
    /// The beginning of the query's text.
    excerpt: Box<[u8]>,
    /// Mark of a feed's task, for the watchdog.
    mark: Option<Arc<Mark>>,
    /// The rest of the query's stream; away while the query is being evaluated.
    cursor: Option<Box<dyn Cursor>>,
    /// Requests that came in meanwhile: a query does one thing at a time.
    queue: VecDeque<(FollowUp, Ticket)>,
}

/// The open queries of a connection.
#[derive(Default)]
pub(super) struct Queries {
    open: HashMap<i64, OpenQuery>,
    /// Length of the queries' texts together.
    size: usize,
}

impl Queries {
    pub(super) fn contains(&self, token: i64) -> bool {
        self.open.contains_key(&token)
    }

    /// Fails if there is no room for one more.
    pub(super) fn check_limits(&self) -> Result<(), Error> {
        let message = if self.open.len() >= MAX_OPEN {
            format!("This connection has reached its limit of {MAX_OPEN} open queries.")
        } else if self.size > MAX_SIZE {
            format!("The open queries of this connection are over the size limit `{MAX_SIZE}`.")
        } else {
            return Ok(());
        };
        Err(Error::runtime(ErrorType::ResourceLimit, message))
    }

    /// Adds a query that is being evaluated (without a cursor) or has more rows (with one).
    pub(super) fn insert(
        &mut self,
        token: i64,
        text: &[u8],
        interrupt: Interrupt,
        cursor: Option<Box<dyn Cursor>>,
    ) {
        self.size += text.len();
        let (size, excerpt) = (text.len(), watchdog::excerpt(text).into());
        let (mark, queue) = (None, VecDeque::new());
        self.open.insert(token, OpenQuery { interrupt, size, excerpt, mark, cursor, queue });
    }

    pub(super) fn get_mut(&mut self, token: i64) -> Option<&mut OpenQuery> {
        self.open.get_mut(&token)
    }

    pub(super) fn remove(&mut self, token: i64) -> Option<OpenQuery> {
        let query = self.open.remove(&token)?;
        self.size -= query.size;
        Some(query)
    }

    /// Ends all queries.
    pub(super) fn interrupt_all(&self, reason: Reason) {
        for query in self.open.values() {
            query.interrupt.raise(reason);
        }
    }
}

impl OpenQuery {
    /// Returns the mark of the query's task on the threads of sessions.
    pub(super) fn mark(&mut self, watchdog: &Watchdog) -> Arc<Mark> {
        self.mark.get_or_insert_with(|| watchdog.mark(&self.excerpt)).clone()
    }

    /// Takes the cursor for evaluation, unless it is away already.
    pub(super) fn take_cursor(&mut self) -> Option<Box<dyn Cursor>> {
        self.cursor.take()
    }

    pub(super) fn put_back(&mut self, cursor: Box<dyn Cursor>) {
        self.cursor = Some(cursor);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.cursor.is_some()
    }

    pub(super) fn enqueue(&mut self, what: FollowUp, ticket: Ticket) {
        self.queue.push_back((what, ticket));
    }

    /// Returns the next request, if the query is free to do it.
    pub(super) fn next_follow_up(&mut self) -> Option<(FollowUp, Ticket)> {
        if self.is_idle() { self.queue.pop_front() } else { None }
    }

    /// Returns the requests that wait behind a query that is over.
    pub(super) fn into_queue(self) -> VecDeque<(FollowUp, Ticket)> {
        self.queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_open_queries_have_a_limit() {
        let mut queries = Queries::default();
        let text = vec![b' '; MAX_SIZE / 2];
        for token in 0..2 {
            queries.insert(token, &text, Interrupt::default(), None);
            assert_eq!(queries.check_limits(), Ok(()));
        }
        queries.insert(2, b"[1,2]", Interrupt::default(), None);
        assert!(queries.check_limits().is_err_and(|error| error.message.contains("size limit")));
        queries.remove(0);
        assert_eq!(queries.check_limits(), Ok(()));
    }
}
