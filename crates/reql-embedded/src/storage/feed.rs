//! Who is told about a table's changes: the hook that changefeeds hang on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::datum::Datum;

/// One committed change of one document.
#[derive(Debug, Clone)]
pub struct ChangeEvent {
    /// The document's key, encoded.
    pub key: Arc<[u8]>,
    /// The document before, unless it was inserted.
    pub old: Option<Datum>,
    /// The document after, unless it was deleted.
    pub new: Option<Datum>,
}

/// Why no more changes will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The table was dropped.
    Dropped,
    /// The file failed and was opened anew: changes that were told but not yet durable may be undone.
    Failed,
    /// The store was closed.
    Closed,
}

/// Someone who wants to know what changes in a table.
///
/// The writer thread calls it, after the commit and before the writes are answered, in the order of the commits. It has to be quick
/// and must not write or subscribe from inside the call.
pub trait Listener: Send + Sync {
    /// A document changed.
    fn changed(&self, event: &ChangeEvent);
    /// All changes of a commit have been told: the moment to wake whoever waits for them.
    fn settled(&self) {}
    /// The table's last event. Nothing follows it.
    fn ended(&self, reason: EndReason);
}

/// The listeners of one table.
#[derive(Default)]
pub(super) struct Listeners {
    list: Mutex<Vec<(u64, Arc<dyn Listener>)>>,
    next: AtomicU64,
    /// Saves the writer from making events that nobody hears.
    any: AtomicBool,
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Arc<dyn Listener>)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn add(self: &Arc<Self>, listener: Arc<dyn Listener>) -> Subscription {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut list = self.lock();
        list.push((id, listener));
        self.any.store(true, Ordering::Release);
        Subscription { listeners: self.clone(), id }
    }

    fn remove(&self, id: u64) {
        let mut list = self.lock();
        list.retain(|(other, _)| *other != id);
        self.any.store(!list.is_empty(), Ordering::Release);
    }

    pub(super) fn tell(&self, event: &ChangeEvent) {
        // Called outside the lock, so that a listener may end its own subscription.
        let list = self.lock().clone();
        for (_, listener) in list {
            guarded(|| listener.changed(event));
        }
    }

    pub(super) fn settle(&self) {
        let list = self.lock().clone();
        for (_, listener) in list {
            guarded(|| listener.settled());
        }
    }

    pub(super) fn end(&self, reason: EndReason) {
        let list = std::mem::take(&mut *self.lock());
        self.any.store(false, Ordering::Release);
        for (_, listener) in list {
            guarded(|| listener.ended(reason));
        }
    }
}

/// One listener's panic concerns neither the writer nor the others.
fn guarded(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        log::error!("A listener of a table's changes panicked.");
    }
}

/// Keeps a listener informed until it is dropped. A call that is under way when it is dropped still ends normally.
pub struct Subscription {
    listeners: Arc<Listeners>,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.listeners.remove(self.id);
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscription({})", self.id)
    }
}
