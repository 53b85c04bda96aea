//! The joinings of a hub's followers: those that are being decided, and those that still matter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::log::Log;
use super::splice::Splice;

/// A joining that its follower and its hub share.
pub(super) type Shared = Arc<Mutex<Splice>>;

/// The joinings of a hub's followers, by their numbers.
#[derive(Default)]
pub(super) struct Joinings {
    /// The joining followers, with the time at which their feeds have become `ready`.
    open: HashMap<u64, (Shared, Option<Instant>)>,
    /// The joined followers whose decisions are still needed if their client reconnects.
    settled: HashMap<u64, Shared>,
    last: u64,
}

/// A follower that joins. If it is dropped before it is ready, its hub forgets the joining.
pub(super) struct Joining {
    pub(super) number: u64,
    /// Notifies the hub that the follower doesn't join any more.
    left: Box<dyn Fn() + Send + Sync>,
}

impl Joining {
    pub(super) fn new(number: u64, left: impl Fn() + Send + Sync + 'static) -> Self {
        Joining { number, left: Box::new(left) }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        (self.left)();
    }
}

impl Joinings {
    /// Returns whether nobody joins.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.settled.len()
    }

    /// Starts a joining after the event with this number. Returns it with its own number.
    pub(super) fn begin(&mut self, last_event: u64) -> (u64, Shared) {
        self.last += 1;
        let splice = Arc::new(Mutex::new(Splice::new(last_event)));
        self.open.insert(self.last, (Arc::clone(&splice), None));
        (self.last, splice)
    }

    /// Notes that the feed of a joining follower has become `ready`.
    pub(super) fn ready(&mut self, number: u64) {
        if let Some((splice, ready)) = self.open.get_mut(&number) {
            lock(splice).ready();
            *ready = Some(Instant::now());
        }
    }

    /// Forgets a follower that has given up before it was ready.
    pub(super) fn leave(&mut self, number: u64) {
        if self.open.get(&number).is_some_and(|(_, ready)| ready.is_none()) {
            self.open.remove(&number);
        }
    }

    /// Returns a joining, if it still matters.
    pub(super) fn find(&self, number: u64) -> Option<Shared> {
        let open = self.open.get(&number).map(|(splice, _)| splice);
        open.or_else(|| self.settled.get(&number)).cloned()
    }

    /// Returns the number of the first event that a joining follower still needs.
    pub(super) fn first_needed(&self) -> Option<u64> {
        self.open.values().map(|(splice, _)| lock(splice).next()).min()
    }

    /// Decides about all events so far for the followers whose feeds were ready this long before a query was
    /// `asked`. Returns whether one of them has to start over.
    pub(super) fn settle(&mut self, log: &Log, settle: Duration, asked: Instant) -> bool {
        let first = log.first();
        self.settled.retain(|_, splice| !lock(splice).is_over(first));
        let mut is_broken = false;
        let is_due = |ready: &Option<Instant>| ready.is_some_and(|ready| ready + settle <= asked);
        for (number, (splice, _)) in self.open.extract_if(|_, (_, ready)| is_due(ready)) {
            let mut decided = lock(&splice);
            decided.settle_at(log);
            is_broken |= decided.is_broken();
            let matters = !decided.is_over(first);
            drop(decided);
            if matters {
                self.settled.insert(number, splice);
            }
        }
        is_broken
    }

    /// Forgets all of them, since their followers have to start over.
    pub(super) fn clear(&mut self) {
        self.open.drain().for_each(|(_, (splice, _))| lock(&splice).give_up());
        self.settled.clear();
    }
}

pub(super) fn lock(splice: &Mutex<Splice>) -> MutexGuard<'_, Splice> {
    splice.lock().unwrap_or_else(PoisonError::into_inner)
}
