//! The memory of changes that listeners keep, and the limit of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::catalog::Catalog;

/// The memory limit of a store's backlog, in bytes, unless [`Options`](super::Options) have another one.
pub(super) const BACKLOG_BYTES: usize = 64 << 20;

/// The changes that the listeners of a store keep until they are taken.
pub(super) struct Backlog {
    bytes: AtomicUsize,
    limit: usize,
    next: AtomicU64,
}

impl Backlog {
    pub(super) fn new(limit: usize) -> Self {
        Backlog { bytes: AtomicUsize::new(0), limit, next: AtomicU64::new(0) }
    }

    /// Returns the number of the next change. A change that is made later has a higher one.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Reserves memory until the share is dropped.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Share {
        let mut share = Share { backlog: self.clone(), bytes: 0 };
        share.resize(bytes);
        share
    }

    fn exceeds(&self, limit: usize) -> bool {
        self.bytes.load(Ordering::Relaxed) > limit
    }

    /// Makes listeners drop the changes that they keep if these take more than the limit. The listeners that
    /// have fallen behind furthest are the first. Once a quarter of the limit is free, the others keep their
    /// changes, so that this need not be done again soon.
    pub(super) fn relieve(&self, catalog: &Catalog) {
        if !self.exceeds(self.limit) {
            return;
        }
        let listeners = catalog.tables.values().flat_map(|table| table.listeners.all());
        let mut behind: Vec<_> =
            listeners.filter_map(|listener| Some((listener.behind_since()?, listener))).collect();
        behind.sort_by_key(|(number, _)| *number);
        let enough = self.limit - self.limit / 4;
        for (_, listener) in behind {
            if !self.exceeds(enough) {
                return;
            }
            listener.let_go();
        }
    }
}

/// A reservation in the memory of a store's backlog, until it is dropped.
pub struct Share {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Share {
    /// Returns the size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the size. Never fails: a backlog that is over its limit is relieved after the next commit.
    pub fn resize(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.backlog.bytes.fetch_add(more, Ordering::Relaxed),
            None => self.backlog.bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({} bytes)", self.bytes)
    }
}
