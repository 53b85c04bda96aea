//! The listeners to a table's changes: the interface of changefeeds.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backlog::{Backlog, Share};
use super::proposal::Document;
use crate::datum::Datum;

/// One committed change of one document.
#[derive(Debug)]
pub struct ChangeEvent {
    /// The document's key, encoded.
    pub key: Arc<[u8]>,
    /// The document before, unless it was inserted.
    pub old: Option<Datum>,
    /// The document after, unless it was deleted.
    pub new: Option<Datum>,
    /// Number that grows from change to change of a store.
    pub number: u64,
    share: Share,
}

impl ChangeEvent {
    pub(super) fn new(
        backlog: &Arc<Backlog>,
        key: &[u8],
        old: Option<&Document>,
        new: Option<&Document>,
    ) -> Self {
        let size = |document: Option<&Document>| document.map_or(0, |document| document.bytes.len());
        let datum = |document: &Document| document.datum.clone();
        ChangeEvent {
            key: Arc::from(key),
            number: backlog.number(),
            share: backlog.reserve(key.len() + size(old) + size(new)),
            old: old.map(datum),
            new: new.map(datum),
        }
    }

    /// Returns the bytes that the key and the documents take, as they are stored. While the event lives, they
    /// count as a part of the store's backlog.
    pub fn size(&self) -> usize {
        self.share.bytes()
    }
}

/// The reason why no more changes will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The table was dropped.
    Dropped,
    /// The file failed and was opened anew: changes that were reported but not yet durable may be undone.
    Failed,
    /// The store was closed.
    Closed,
}

/// A listener to the changes of a table.
///
/// The thread that commits calls it, after the commit and before the writes are answered, in the order
/// of the commits. Its methods have to be quick and must not write or subscribe from inside the call.
pub trait Listener: Send + Sync {
    /// Returns the keys of the documents to listen to; `None` for all. Called once.
    fn keys(&self) -> Option<Vec<Vec<u8>>> {
        None
    }
    /// Takes the change of a document. A listener that keeps the event should report it in
    /// [`behind_since`](Self::behind_since).
    fn changed(&self, event: &Arc<ChangeEvent>);
    /// Notes that all changes of a commit have been reported: the moment to wake readers that wait for them.
    fn settled(&self) {}
    /// Returns the number of the oldest change that the listener keeps.
    fn behind_since(&self) -> Option<u64> {
        None
    }
    /// Drops the changes that the listener keeps, because all listeners together keep too many.
    fn let_go(&self) {}
    /// Notes the table's last event. No call follows this one.
    fn ended(&self, reason: EndReason);
}

/// Listeners in the order in which they came.
type Group = BTreeMap<u64, Arc<dyn Listener>>;

/// The listeners of one table.
#[derive(Default)]
pub(super) struct Listeners {
    groups: Mutex<Groups>,
    next: AtomicU64,
    /// True if there is any listener. It saves the writer a search.
    any: AtomicBool,
}

/// Listeners by the documents that they listen to. A group is shared with the thread that is telling it
/// something, and copied only if it has to be changed meanwhile.
#[derive(Default)]
struct Groups {
    all: Group,
    /// Listeners to all documents.
    everywhere: Arc<Group>,
    /// Listeners to certain documents, by the documents' keys.
    at: HashMap<Vec<u8>, Arc<Group>>,
}

impl Groups {
    fn add(&mut self, id: u64, listener: &Arc<dyn Listener>, keys: Option<&[Vec<u8>]>) {
        self.all.insert(id, listener.clone());
        let Some(keys) = keys else {
            Arc::make_mut(&mut self.everywhere).insert(id, listener.clone());
            return;
        };
        for key in keys {
            let group = self.at.entry(key.clone()).or_default();
            Arc::make_mut(group).insert(id, listener.clone());
        }
    }

    fn remove(&mut self, id: u64, keys: Option<&[Vec<u8>]>) {
        self.all.remove(&id);
        let Some(keys) = keys else {
            Arc::make_mut(&mut self.everywhere).remove(&id);
            return;
        };
        for key in keys {
            if let Some(group) = self.at.get_mut(key) {
                Arc::make_mut(group).remove(&id);
                if group.is_empty() {
                    self.at.remove(key);
                }
            }
        }
    }
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if there is a listener to a document.
    pub(super) fn concerns(&self, key: &[u8]) -> bool {
        self.any.load(Ordering::Acquire) && {
            let groups = self.lock();
            !groups.everywhere.is_empty() || groups.at.contains_key(key)
        }
    }

    /// Returns all listeners.
    pub(super) fn all(&self) -> Vec<Arc<dyn Listener>> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.lock().all.values().cloned().collect()
    }

    pub(super) fn add(self: &Arc<Self>, listener: Arc<dyn Listener>) -> Subscription {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let keys = listener.keys();
        self.lock().add(id, &listener, keys.as_deref());
        self.any.store(true, Ordering::Release);
        Subscription { listeners: self.clone(), id, keys }
    }

    fn remove(&self, id: u64, keys: Option<&[Vec<u8>]>) {
        let mut groups = self.lock();
        groups.remove(id, keys);
        self.any.store(!groups.all.is_empty(), Ordering::Release);
    }

    /// Reports the changes of a commit, and returns the listeners that got any. They are called outside the
    /// lock, so that a listener may end its own subscription.
    fn tell(&self, changes: Vec<ChangeEvent>) -> Group {
        let (everywhere, at) = {
            let groups = self.lock();
            let at = |change: &ChangeEvent| groups.at.get(&*change.key).cloned();
            (groups.everywhere.clone(), changes.iter().map(at).collect::<Vec<_>>())
        };
        let mut heard = Group::clone(&everywhere);
        for (change, at) in changes.into_iter().zip(at) {
            let change = Arc::new(change);
            let at = at.as_deref().into_iter().flatten();
            for (_, listener) in everywhere.iter().chain(at.clone()) {
                guarded(|| listener.changed(&change));
            }
            heard.extend(at.map(|(id, listener)| (*id, listener.clone())));
        }
        heard
    }

    /// Tells all listeners that no more changes will come.
    pub(super) fn end(&self, reason: EndReason) {
        let groups = std::mem::take(&mut *self.lock());
        self.any.store(false, Ordering::Release);
        for listener in groups.all.values() {
            guarded(|| listener.ended(reason));
        }
    }
}

/// The news of a commit for the listeners of a table.
pub(super) struct News {
    listeners: Arc<Listeners>,
    changes: Vec<ChangeEvent>,
    end: Option<EndReason>,
}

impl News {
    pub(super) fn of(listeners: &Arc<Listeners>) -> Self {
        News { listeners: listeners.clone(), changes: Vec::new(), end: None }
    }

    pub(super) fn add(&mut self, change: ChangeEvent) {
        self.changes.push(change);
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        self.end = Some(reason);
    }

    /// Tells the news, and returns the listeners that are to learn that this was all.
    pub(super) fn tell(self) -> Told {
        let told = if self.changes.is_empty() { Group::new() } else { self.listeners.tell(self.changes) };
        if let Some(reason) = self.end {
            self.listeners.end(reason);
        }
        Told(told)
    }
}

/// The listeners that got changes of a commit.
pub(super) struct Told(Group);

impl Told {
    /// Tells the listeners that this was all of a commit.
    pub(super) fn settle(&self) {
        for listener in self.0.values() {
            guarded(|| listener.settled());
        }
    }
}

/// Catches a panic: one listener's panic concerns neither the writer nor the others.
fn guarded(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        log::error!("A listener of a table's changes panicked.");
    }
}

/// Keeps a listener informed until it is dropped. The listener may still get the changes of the commit that
/// is under way when it is dropped.
pub struct Subscription {
    listeners: Arc<Listeners>,
    id: u64,
    keys: Option<Vec<Vec<u8>>>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.listeners.remove(self.id, self.keys.as_deref());
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscription({})", self.id)
    }
}
