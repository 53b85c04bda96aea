//! The changes of a table that wait for a feed to be read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Extent, Wake, aborted};
use crate::error::{Error, Result};
use crate::storage::{ChangeEvent, EndReason, Listener, Snapshot};

/// Listens to a table. However many changes come, it keeps no more than it may.
pub struct Queue {
    extent: Arc<Extent>,
    wake: Arc<Wake>,
    squash: Option<Duration>,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, ChangeEvent>,
    /// Where the change of a document waits, for those that squash.
    by_key: HashMap<Arc<[u8]>, u64>,
    next: u64,
    skipped: usize,
    has_ended: bool,
    /// Whether the reader knows that there is something.
    is_told: bool,
    /// Whether so much waits that it can't be made to wait longer.
    is_urgent: bool,
}

/// What a reader takes from a queue.
#[derive(Default)]
pub struct Taken {
    /// How many changes were lost before these.
    pub skipped: usize,
    /// The changes, in their order.
    pub events: Vec<ChangeEvent>,
}

impl State {
    fn push(&mut self, event: ChangeEvent) {
        self.waiting.insert(self.next, event);
        self.next += 1;
    }

    /// Makes one change of all that happened to a document, or none if that comes to nothing.
    fn squash(&mut self, event: ChangeEvent) {
        let earlier = self.by_key.get(&event.key).copied();
        let Some(merged) = earlier.and_then(|place| self.waiting.get_mut(&place)) else {
            self.by_key.insert(event.key.clone(), self.next);
            return self.push(event);
        };
        merged.new = event.new;
        if merged.old == merged.new
            && let Some(place) = self.by_key.remove(&event.key)
        {
            self.waiting.remove(&place);
        }
    }

    fn has_news(&self) -> bool {
        !self.waiting.is_empty() || self.skipped > 0 || self.has_ended
    }

    fn take(&mut self) -> Taken {
        self.is_told = false;
        self.is_urgent = false;
        self.by_key.clear();
        Taken {
            skipped: std::mem::take(&mut self.skipped),
            events: std::mem::take(&mut self.waiting).into_values().collect(),
        }
    }
}

impl Queue {
    /// For a reader whom `wake` tells; `capacity` is how many changes may wait.
    pub fn new(extent: Arc<Extent>, wake: Arc<Wake>, squash: Option<Duration>, capacity: usize) -> Self {
        Queue { extent, wake, squash, capacity, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of a read: once the table is gone, that is what the feed says.
    fn explain(&self, error: Error) -> Error {
        if self.state().has_ended { aborted() } else { error }
    }

    /// The table at one moment, and what has been heard up to it: the snapshot shows all of that, and
    /// nothing that comes later.
    pub fn snapshot(self: &Arc<Self>) -> Result<(Snapshot, Taken)> {
        let taken = Arc::new(Mutex::new(Taken::default()));
        let (mark, queue) = (taken.clone(), self.clone());
        let snapshot = self.extent.table.snapshot_at(move || {
            *mark.lock().unwrap_or_else(PoisonError::into_inner) = queue.state().take();
        });
        let snapshot = snapshot.map_err(|error| self.explain(error))?;
        let taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((snapshot, taken))
    }

    /// Takes the changes that are to be told now; `None` if there are none. A squashing feed lets changes
    /// wait until its interval is over or the queue is more than half full. Fails when the table is gone.
    pub fn poll(&self) -> Result<Option<Taken>> {
        let mut state = self.state();
        if state.has_ended {
            return Err(aborted());
        }
        let interval = self.squash.filter(|interval| !interval.is_zero());
        let is_due = interval.is_none_or(|interval| state.is_urgent || self.wake.has_waited(interval));
        if !is_due || !state.has_news() {
            state.is_told = state.has_news();
            return Ok(None);
        }
        Ok(Some(state.take()))
    }
}

impl Listener for Queue {
    fn changed(&self, event: &ChangeEvent) {
        if !self.extent.concerns(&event.key) {
            return;
        }
        let mut state = self.state();
        match self.squash {
            Some(_) => state.squash(event.clone()),
            None => state.push(event.clone()),
        }
        let waiting = state.waiting.len();
        if waiting > self.capacity {
            state.skipped += waiting;
            state.waiting.clear();
            state.by_key.clear();
        } else if waiting > self.capacity / 2 && !state.is_urgent {
            state.is_urgent = true;
            state.is_told = false;
        }
    }

    fn settled(&self) {
        let mut state = self.state();
        if state.has_news() && !std::mem::replace(&mut state.is_told, true) {
            self.wake.wake();
        }
    }

    fn ended(&self, _: EndReason) {
        self.state().has_ended = true;
        self.wake.wake();
    }
}
