//! The presence of a follower, until it leaves or stalls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A follower, as its hub knows it.
pub(crate) struct Presence {
    since: Instant,
    /// The time at which it last asked for more, in milliseconds since `since`.
    asked: AtomicU64,
    stalled: AtomicBool,
    held: Mutex<Option<Held>>,
    /// Notifies the hub that the follower has left. May be called more than once.
    left: Box<dyn Fn() + Send + Sync>,
}

/// Shares that a follower holds as long as it is served.
pub(crate) type Held = Box<dyn std::any::Any + Send>;

impl Presence {
    /// Starts to serve a follower.
    pub(super) fn new(held: Option<Held>, left: impl Fn() + Send + Sync + 'static) -> Self {
        let (asked, stalled) = (AtomicU64::new(0), AtomicBool::new(false));
        Presence { since: Instant::now(), asked, stalled, held: Mutex::new(held), left: Box::new(left) }
    }

    /// Notes that the follower asks for more. Returns `false` if it has been dropped as stalled.
    pub(crate) fn asks(&self) -> bool {
        self.asked.store(self.since.elapsed().as_millis() as u64, Ordering::Relaxed);
        !self.stalled.load(Ordering::Relaxed)
    }

    pub(super) fn is_idle_for(&self, time: Duration) -> bool {
        let asked = Duration::from_millis(self.asked.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(asked) > time
    }

    /// Drops a stalled follower, and the shares that it holds.
    pub(super) fn give_up(&self) {
        if !self.stalled.swap(true, Ordering::Relaxed) {
            log::debug!("A client has not read a part of its answer; it gets no more.");
            self.leave();
        }
    }

    fn leave(&self) {
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
        (self.left)();
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.leave();
    }
}
