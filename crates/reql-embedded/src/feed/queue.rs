//! The changes of a table that wait for a feed to be read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Extent, Wake, aborted};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::{ChangeEvent, EndReason, Listener, Share, Snapshot};

/// The limits of changes that wait for a slow reader. A change that exceeds them makes all waiting changes be
/// skipped.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// The number of changes. Default 100,000, as in RethinkDB.
    pub changes: usize,
    /// The bytes of the changes' documents, as they are stored, and of the queue's own structures. Default 64
    /// MiB.
    pub bytes: usize,
}

impl Capacity {
    /// The largest number of changes that a client may ask for.
    pub const MOST_CHANGES: usize = 1_000_000;

    /// Any number of changes.
    pub const ALL: Capacity = Capacity { changes: usize::MAX, bytes: usize::MAX };
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { changes: 100_000, bytes: 64 << 20 }
    }
}

/// The memory that a waiting change takes besides its documents, in bytes: two references, and its places in
/// two maps.
const PLACE: usize = 96;

/// The size in bytes up to which changes are sent on the connection's task.
const LITTLE: usize = 64 << 10;

/// The change of a document that a reader has taken. Unlike the events, it doesn't count as a part of the
/// store's backlog: nobody could make a reader let go of it, so others would lose their changes instead.
#[derive(Debug, Clone)]
pub struct Change {
    key: Arc<[u8]>,
    before: Option<Datum>,
    after: Option<Datum>,
    size: usize,
}

impl Change {
    /// Returns the document's key, encoded.
    pub fn key(&self) -> &Arc<[u8]> {
        &self.key
    }

    /// Returns the document before, unless it was inserted.
    pub fn before(&self) -> Option<&Datum> {
        self.before.as_ref()
    }

    /// Returns the document after, unless it was deleted.
    pub fn after(&self) -> Option<&Datum> {
        self.after.as_ref()
    }

    /// Returns about the number of bytes of memory that the change holds.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl From<Waiting> for Change {
    fn from(waiting: Waiting) -> Self {
        let Waiting { first, last } = &waiting;
        let (before, after) = (first.old.clone(), last.new.clone());
        Change { key: first.key.clone(), before, after, size: waiting.size() }
    }
}

/// The change of a document that waits: one event, or the first and the last of several that are sent as one.
struct Waiting {
    first: Arc<ChangeEvent>,
    last: Arc<ChangeEvent>,
}

impl Waiting {
    fn of(event: Arc<ChangeEvent>) -> Self {
        Waiting { first: event.clone(), last: event }
    }

    /// Returns true if nothing has changed in the end.
    fn is_void(&self) -> bool {
        self.first.old == self.last.new
    }

    /// Returns the bytes of memory that the change holds. Feeds share the events themselves.
    fn size(&self) -> usize {
        let last = if Arc::ptr_eq(&self.first, &self.last) { 0 } else { self.last.size() };
        PLACE + self.first.size() + last
    }
}

/// A listener to a table. However many changes come, it keeps no more than its capacity.
pub struct Queue {
    extent: Arc<Extent>,
    wake: Arc<Wake>,
    squash: Option<Duration>,
    capacity: Capacity,
    state: Mutex<State>,
}

struct State {
    waiting: BTreeMap<u64, Waiting>,
    /// Numbers of the waiting changes by the documents' keys, for feeds that squash.
    by_key: HashMap<Arc<[u8]>, u64>,
    next: u64,
    /// Size of all waiting changes.
    bytes: usize,
    /// Share of the store's backlog for the memory that isn't in the events.
    share: Share,
    skipped: usize,
    has_ended: bool,
    /// True if the reader knows that there is something to read.
    is_told: bool,
    /// True if the queue is so full that its changes can't wait any longer.
    is_urgent: bool,
}

/// The changes that a reader takes from a queue.
#[derive(Default)]
pub struct Taken {
    /// Number of changes that were lost before these.
    pub skipped: usize,
    /// The changes, in their order.
    pub changes: Vec<Change>,
}

/// A point in the sequence of a queue's changes.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

impl Mark {
    /// The mark behind all changes that ever come.
    const NONE: Mark = Mark(u64::MAX);
}

/// Changes as they leave a queue, with the number of those that were lost before. They are made [`Taken`]
/// outside of the lock.
type Part = (usize, Vec<Waiting>);

impl From<Part> for Taken {
    fn from((skipped, waiting): Part) -> Self {
        Taken { skipped, changes: waiting.into_iter().map(Change::from).collect() }
    }
}

impl State {
    fn new(share: Share) -> Self {
        State {
            waiting: BTreeMap::new(),
            by_key: HashMap::new(),
            next: 0,
            bytes: 0,
            share,
            skipped: 0,
            has_ended: false,
            is_told: false,
            is_urgent: false,
        }
    }

    fn push(&mut self, event: Arc<ChangeEvent>) {
        let change = Waiting::of(event);
        self.bytes += change.size();
        self.waiting.insert(self.next, change);
        self.next += 1;
    }

    /// Joins an event to the waiting change of its document. Both vanish if nothing has changed in the end.
    fn squash(&mut self, event: Arc<ChangeEvent>) {
        let earlier = self.by_key.get(&event.key).copied();
        let Some((place, merged)) = earlier.and_then(|place| Some((place, self.waiting.get_mut(&place)?)))
        else {
            self.by_key.insert(event.key.clone(), self.next);
            return self.push(event);
        };
        self.bytes -= merged.size();
        merged.last = event;
        if merged.is_void() {
            self.by_key.remove(&merged.first.key);
            self.waiting.remove(&place);
        } else {
            self.bytes += merged.size();
        }
    }

    fn has_news(&self) -> bool {
        !self.waiting.is_empty() || self.skipped > 0 || self.has_ended
    }

    /// Takes the first changes: at least one, and no more once they are `most`, or at the mark.
    fn take(&mut self, most: Capacity, mark: Mark) -> Part {
        self.is_told = false;
        let skipped = std::mem::take(&mut self.skipped);
        if self.waiting.len() <= most.changes && self.bytes <= most.bytes && self.next <= mark.0 {
            return (skipped, self.clear().into_values().collect());
        }
        let (mut first, mut bytes) = (Vec::new(), 0);
        while first.len() < most.changes
            && bytes < most.bytes
            && let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() < mark.0)
        {
            let (place, change) = entry.remove_entry();
            bytes += change.size();
            if self.by_key.get(&change.first.key) == Some(&place) {
                self.by_key.remove(&change.first.key);
            }
            first.push(change);
        }
        self.bytes -= bytes;
        self.is_urgent &= !self.waiting.is_empty();
        self.reserve();
        (skipped, first)
    }

    /// Returns the end of the changes so far. No later change is joined to one of them.
    fn mark(&mut self) -> Mark {
        self.by_key = HashMap::new();
        Mark(self.next)
    }

    fn clear(&mut self) -> BTreeMap<u64, Waiting> {
        self.is_urgent = false;
        self.bytes = 0;
        self.by_key = HashMap::new();
        let waiting = std::mem::take(&mut self.waiting);
        self.reserve();
        waiting
    }

    /// Drops all waiting changes. The reader gets their number.
    fn skip(&mut self) -> BTreeMap<u64, Waiting> {
        let waiting = self.clear();
        self.skipped += waiting.len();
        waiting
    }

    fn reserve(&mut self) {
        self.share.resize(self.waiting.len() * PLACE);
    }

    /// Returns true if the waiting changes exceed the capacity. A single change may be of any size.
    fn exceeds(&self, capacity: Capacity) -> bool {
        self.waiting.len() > capacity.changes || self.bytes > capacity.bytes && self.waiting.len() > 1
    }
}

impl Queue {
    /// Makes a queue for a reader that waits on `wake`. With `squash`, changes of one document are collected
    /// for that time.
    pub fn new(extent: Arc<Extent>, wake: Arc<Wake>, squash: Option<Duration>, capacity: Capacity) -> Self {
        let state = Mutex::new(State::new(extent.table.reserve_backlog(0)));
        Queue { extent, wake, squash, capacity, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the error of a read. If the table is gone, it is that of the feed's end.
    fn explain(&self, error: Error) -> Error {
        if self.state().has_ended { aborted() } else { error }
    }

    /// Returns the table at one moment, and the changes up to it: the snapshot shows all of them, and no
    /// later ones.
    pub fn snapshot(self: &Arc<Self>) -> Result<(Snapshot, Taken)> {
        let taken = Arc::new(Mutex::new(Part::default()));
        let (mark, queue) = (taken.clone(), self.clone());
        let snapshot = self.extent.table.snapshot_at(move || {
            *mark.lock().unwrap_or_else(PoisonError::into_inner) =
                queue.state().take(Capacity::ALL, Mark::NONE);
        });
        let snapshot = snapshot.map_err(|error| self.explain(error))?;
        let taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((snapshot, taken.into()))
    }

    /// Returns the table at one moment, and the end of the changes that the snapshot shows.
    pub fn marked_snapshot(self: &Arc<Self>) -> Result<(Snapshot, Mark)> {
        let marked = Arc::new(Mutex::new(Mark::NONE));
        let (mark, queue) = (marked.clone(), self.clone());
        let snapshot = self.extent.table.snapshot_at(move || {
            *mark.lock().unwrap_or_else(PoisonError::into_inner) = queue.state().mark();
        });
        let snapshot = snapshot.map_err(|error| self.explain(error))?;
        let mark = *marked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((snapshot, mark))
    }

    /// Takes the first changes before a mark: at least one, and no more once they are `most`; none if there
    /// are no more. Fails if the table is gone.
    pub fn take_before(&self, mark: Mark, most: Capacity) -> Result<Taken> {
        let mut state = self.state();
        if state.has_ended {
            return Err(aborted());
        }
        let part = state.take(most, mark);
        drop(state);
        Ok(part.into())
    }

    /// Returns true if the waiting changes are few enough for the connection's task.
    pub fn holds_little(&self) -> bool {
        self.state().bytes <= LITTLE
    }

    /// Takes the first changes that are due: at least one, and no more once they are `most`; `None` if there
    /// are none. A squashing feed lets changes wait until its interval is over or the queue is more than half
    /// full. Fails if the table is gone.
    pub fn poll(&self, most: Capacity) -> Result<Option<Taken>> {
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
        let part = state.take(most, Mark::NONE);
        drop(state);
        Ok(Some(part.into()))
    }
}

impl Listener for Queue {
    fn keys(&self) -> Option<Vec<Vec<u8>>> {
        self.extent.keys()
    }

    fn changed(&self, event: &Arc<ChangeEvent>) {
        if !self.extent.concerns(&event.key) {
            return;
        }
        let mut state = self.state();
        match self.squash {
            Some(_) => state.squash(event.clone()),
            None => state.push(event.clone()),
        }
        state.reserve();
        let Capacity { changes, bytes } = self.capacity;
        if state.exceeds(self.capacity) {
            let skipped = state.skip();
            drop(state);
            drop(skipped);
        } else if !state.is_urgent && state.exceeds(Capacity { changes: changes / 2, bytes: bytes / 2 }) {
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

    fn behind_since(&self) -> Option<u64> {
        self.state().waiting.first_key_value().map(|(_, change)| change.first.number)
    }

    fn let_go(&self) {
        // Documents are freed outside the lock.
        let skipped = self.state().skip();
        drop(skipped);
    }

    fn ended(&self, _: EndReason) {
        self.state().has_ended = true;
        self.wake.wake();
    }
}
