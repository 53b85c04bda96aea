//! Counters of a database's connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Counters of a [`Database`](super::Database)'s connections since it was created, and gauges of its current
/// ones.
///
/// `opened - closed` is the number of open connections: in use, standing by, shared, or about to be.
///
/// ```
/// # fn main() -> Result<(), warp_reql::Error> {
/// use warp_reql::Database;
/// use warp_reql::settings::Rdb;
///
/// let stats = Database::new(Rdb::default())?.stats();
/// assert_eq!((stats.opened - stats.closed, stats.in_use), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Connections opened so far, handshake included.
    pub opened: u64,
    /// Connections closed so far.
    pub closed: u64,
    /// Connections that requests hold now.
    pub in_use: u64,
    /// Open connections that no request holds.
    pub standing_by: u64,
    /// Connections that live queries share, see [`Database::follow`](super::Database::follow).
    pub shared: u64,
    /// Requests that currently wait for a connection, because all are in use.
    pub waiting: u64,
    /// Requests that failed because they got no connection within `acquire_timeout`.
    pub refused: u64,
    /// Timeouts.
    pub timed_out: Timeouts,
}

/// Timeouts by their cause.
///
/// ```no_run
/// # fn run(db: &warp_reql::Database) {
/// let timed_out = db.stats().timed_out;
/// println!("{} connections and {} queries timed out", timed_out.connect, timed_out.query);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
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

/// A guard that has incremented a gauge, and decrements it on drop.
pub(super) struct GaugeGuard {
    counters: Arc<Counters>,
    counter: fn(&Counters) -> &AtomicU64,
}

impl GaugeGuard {
    pub(super) fn new(counters: &Arc<Counters>, counter: fn(&Counters) -> &AtomicU64) -> Self {
        count(counter(counters));
        GaugeGuard { counters: Arc::clone(counters), counter }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        (self.counter)(&self.counters).fetch_sub(1, Ordering::AcqRel);
    }
}
