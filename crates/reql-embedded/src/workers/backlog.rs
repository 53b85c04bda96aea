//! Results that are ready and have not been taken.
//!
//! A client that asks for much and reads nothing would otherwise have all of its answers made, and kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::{Lane, LaneState};

/// The bytes of results from which on a lane waits until some are taken.
const FULL: usize = 1 << 20;

/// The length in bytes up to which a result isn't counted.
const SMALL: usize = 4 << 10;

/// The results of a lane that have not been taken.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    taken: Notify,
}

impl Backlog {
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) >= FULL
    }
}

/// A count of a result, until that is taken.
pub(crate) struct Held {
    lane: Arc<Lane>,
    bytes: usize,
}

impl Lane {
    /// Counts a result of this length, in bytes. While too much waits to be taken, the lane's work waits.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        (bytes > SMALL).then(|| {
            self.backlog.bytes.fetch_add(bytes, Ordering::SeqCst);
            Held { lane: self.clone(), bytes }
        })
    }

    /// Waits until results have been taken, if too many wait for that.
    pub(crate) async fn room(&self) {
        loop {
            let taken = self.backlog.taken.notified();
            if !self.backlog.is_full() {
                return;
            }
            taken.await;
        }
    }

    fn release(&self, bytes: usize) {
        let before = self.backlog.bytes.fetch_sub(bytes, Ordering::SeqCst);
        if before < FULL || before - bytes >= FULL {
            return;
        }
        self.backlog.taken.notify_waiters();
        let mut state = self.pool.lock();
        state.enlist(self.id);
        // Nobody was called for what has come in meanwhile, and the first piece of it may have no end.
        let wanted = state.lanes.get(&self.id).map_or(0, LaneState::startable);
        drop(state);
        for _ in 0..wanted {
            self.pool.call(self.pool.lock());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lane.release(self.bytes);
    }
}
