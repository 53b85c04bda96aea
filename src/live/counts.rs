//! Counters of live queries, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of live queries.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    events: AtomicU64,
    resumed: AtomicU64,
    replayed: AtomicU64,
    resets: AtomicU64,
    gaps: AtomicU64,
}

/// The values of the counters and gauges of live queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Distinct live queries that are followed.
    pub(crate) hubs: u64,
    /// Clients that follow them.
    pub(crate) followers: u64,
    /// Events that were made. An event counts once, however many followers it has.
    pub(crate) events: u64,
    /// Clients that reconnected and resumed after their last event.
    pub(crate) resumed: u64,
    /// Missed events that were sent to clients that resumed.
    pub(crate) replayed: u64,
    /// Clients that had to start over.
    pub(crate) resets: u64,
    /// Times that a client was so far behind that it missed events.
    pub(crate) gaps: u64,
    /// Bytes of stored events.
    pub(crate) bytes: u64,
}

impl Counts {
    pub(super) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn replayed(&self, events: u64) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
        self.replayed.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self, hubs: u64, followers: u64, bytes: u64) -> Figures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            hubs,
            followers,
            bytes,
            events: count(&self.events),
            resumed: count(&self.resumed),
            replayed: count(&self.replayed),
            resets: count(&self.resets),
            gaps: count(&self.gaps),
        }
    }
}
