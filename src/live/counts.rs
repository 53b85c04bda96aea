//! What has happened to live queries, for the metrics.

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

/// The state of live queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Distinct live queries that are followed.
    pub(crate) hubs: u64,
    /// Clients that follow them.
    pub(crate) followers: u64,
    /// Events that were made, each of them once for all followers.
    pub(crate) events: u64,
    /// Clients that went on where they had been.
    pub(crate) resumed: u64,
    /// Events that these had missed.
    pub(crate) replayed: u64,
    /// Clients that had to begin anew.
    pub(crate) resets: u64,
    /// Times that a client had fallen too far behind.
    pub(crate) gaps: u64,
    /// Bytes of events that are kept.
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
