//! A connection's open queries, by token: which run, which wait for CONTINUE, what is queued behind them.

use std::collections::{HashMap, VecDeque};

use super::noreply::Ticket;
use crate::engine::{Cursor, Interrupt, Reason};

/// What a client asks of a query that it has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowUp {
    Continue,
    Stop,
}

/// A query that is not yet at its end.
pub(super) struct OpenQuery {
    pub(super) interrupt: Interrupt,
    /// The length of its text, and about what it takes.
    size: usize,
    /// The rest of its stream; away while the query is being evaluated.
    cursor: Option<Box<dyn Cursor>>,
    /// What came in meanwhile: a query does one thing at a time.
    queue: VecDeque<(FollowUp, Ticket)>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Queries {
    open: HashMap<i64, OpenQuery>,
    /// How long their texts are together.
    size: usize,
}

impl Queries {
    pub(super) fn contains(&self, token: i64) -> bool {
        self.open.contains_key(&token)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Returns how long the texts of all of them are, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Enters a query that is being evaluated (without a cursor) or has more to give (with one).
    pub(super) fn insert(
        &mut self,
        token: i64,
        size: usize,
        interrupt: Interrupt,
        cursor: Option<Box<dyn Cursor>>,
    ) {
        self.size += size;
        self.open.insert(token, OpenQuery { interrupt, size, cursor, queue: VecDeque::new() });
    }

    pub(super) fn get_mut(&mut self, token: i64) -> Option<&mut OpenQuery> {
        self.open.get_mut(&token)
    }

    pub(super) fn remove(&mut self, token: i64) -> Option<OpenQuery> {
        let query = self.open.remove(&token)?;
        self.size -= query.size;
        Some(query)
    }

    /// Ends everything.
    pub(super) fn interrupt_all(&self, reason: Reason) {
        for query in self.open.values() {
            query.interrupt.raise(reason);
        }
    }
}

impl OpenQuery {
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

    /// What is to be done next, if the query is free to do it.
    pub(super) fn next_follow_up(&mut self) -> Option<(FollowUp, Ticket)> {
        if self.is_idle() { self.queue.pop_front() } else { None }
    }

    /// What was queued behind a query that is over.
    pub(super) fn into_queue(self) -> VecDeque<(FollowUp, Ticket)> {
        self.queue
    }
}
