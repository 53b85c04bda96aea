//! Counters of a database's connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What has happened to the connections of a [`Database`](super::Database) since it was made, and what is
/// open now.
///
/// `opened - closed` is what is open: in use, standing by, shared, or about to be one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Connections opened so far, handshake included.
    pub opened: u64,
    /// Connections closed so far.
    pub closed: u64,
    /// Connections that requests hold now.
    pub in_use: u64,
    /// Connections that are open and that no request holds.
    pub standing_by: u64,
    /// Connections that live queries share, see [`Database::follow`](super::Database::follow).
    pub shared: u64,
    /// Requests that wait for a connection now, because all are in use.
    pub waiting: u64,
    /// Requests that waited for one in vain and were turned away.
    pub refused: u64,
    /// What took too long.
    pub timed_out: Timeouts,
}

/// How often something took too long, by what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// Connecting, the handshake included.
    pub connect: u64,
    /// Waiting for the answer to a query.
    pub query: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    pub(super) in_use: AtomicU64,
    pub(super) shared: AtomicU64,
    pub(super) waiting: AtomicU64,
    refused: AtomicU64,
    connect_timeouts: AtomicU64,
    query_timeouts: AtomicU64,
}

impl Counters {
    pub(super) fn opened(&self) {
        count(&self.opened);
    }

    pub(super) fn closed(&self) {
        count(&self.closed);
    }

    pub(super) fn refused(&self) {
        count(&self.refused);
    }

    pub(super) fn connect_timed_out(&self) {
        count(&self.connect_timeouts);
    }

    pub(super) fn query_timed_out(&self) {
        count(&self.query_timeouts);
    }

    pub(super) fn stats(&self, standing_by: usize) -> Stats {
        Stats {
            // Read in this order, `closed` is never ahead of `opened`.
            closed: read(&self.closed),
            opened: read(&self.opened),
            in_use: read(&self.in_use),
            standing_by: standing_by as u64,
            shared: read(&self.shared),
            waiting: read(&self.waiting),
            refused: read(&self.refused),
            timed_out: Timeouts { connect: read(&self.connect_timeouts), query: read(&self.query_timeouts) },
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::AcqRel);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Acquire)
}

/// One more in a counter of what is going on, until it is dropped, however that comes about.
pub(super) struct Held {
    counters: Arc<Counters>,
    counter: fn(&Counters) -> &AtomicU64,
}

impl Held {
    pub(super) fn new(counters: &Arc<Counters>, counter: fn(&Counters) -> &AtomicU64) -> Self {
        count(counter(counters));
        Held { counters: Arc::clone(counters), counter }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.counter)(&self.counters).fetch_sub(1, Ordering::AcqRel);
    }
}
