//! Documents that are reserved for a write, because its decision on them takes too long for the writer's
//! thread. Others' writes of such a document wait until it is written, in the order in which they came;
//! those of all other documents go on. (RethinkDB holds the document, too, while it evaluates a write.)

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::error::Result;

/// The interval at which a write that waits checks if its query goes on.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// The reserved documents of a store.
#[derive(Default)]
pub(super) struct Reservations {
    /// Number of the queues, for who only wants to know if there are any.
    count: AtomicUsize,
    queues: Mutex<Queues>,
    changed: Condvar,
    writes: AtomicU64,
}

/// The writes that want a document, by tables and keys. It is reserved for the first one.
type Queues = HashMap<Uuid, HashMap<Vec<u8>, VecDeque<WriteId>>>;

/// The identity of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteId(u64);

impl Reservations {
    /// Returns the identity of a new write.
    pub(super) fn write_id(&self) -> WriteId {
        WriteId(self.writes.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns true if a document is reserved for another write than this one.
    pub(super) fn excludes(&self, write: WriteId, table: Uuid, key: &[u8]) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        first(&self.lock(), table, key).is_some_and(|first| first != write)
    }

    /// Queues up for documents of a table.
    pub(super) fn reserve(&self, write: WriteId, table: Uuid, keys: HashSet<Vec<u8>>) -> Reserved<'_> {
        let mut queues = self.lock();
        let of_table = queues.entry(table).or_default();
        for key in &keys {
            of_table.entry(key.clone()).or_default().push_back(write);
        }
        self.recount(&queues);
        drop(queues);
        Reserved { reservations: self, write, table, keys }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recount(&self, queues: &Queues) {
        self.count.store(queues.values().map(HashMap::len).sum(), Ordering::Release);
    }
}

fn first(queues: &Queues, table: Uuid, key: &[u8]) -> Option<WriteId> {
    queues.get(&table)?.get(key)?.front().copied()
}

/// The places of a write in the queues for some documents, which it leaves when this is dropped.
pub(super) struct Reserved<'a> {
    reservations: &'a Reservations,
    write: WriteId,
    table: Uuid,
    keys: HashSet<Vec<u8>>,
}

impl Reserved<'_> {
    /// Waits until some of the documents are reserved for this write, and returns their keys. `check` is
    /// called now and then, and its error ends the wait.
    ///
    /// A write that has documents doesn't wait for more of them: two that want the same ones in another order
    /// would wait for each other.
    pub(super) fn wait(&self, check: impl Fn() -> Result<()>) -> Result<HashSet<Vec<u8>>> {
        let mut queues = self.reservations.lock();
        loop {
            let is_own = |key: &&Vec<u8>| first(&queues, self.table, key) == Some(self.write);
            let own: HashSet<_> = self.keys.iter().filter(is_own).cloned().collect();
            if !own.is_empty() {
                return Ok(own);
            }
            let waited = self.reservations.changed.wait_timeout(queues, CHECK_EVERY);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            check()?;
            queues = self.reservations.lock();
        }
    }

    /// Leaves the queues for documents that are written.
    pub(super) fn release(&mut self, keys: &HashSet<Vec<u8>>) {
        let mut queues = self.reservations.lock();
        let Some(of_table) = queues.get_mut(&self.table) else { return };
        for key in keys.iter().filter(|key| self.keys.remove(*key)) {
            if let Some(queue) = of_table.get_mut(key) {
                queue.retain(|write| *write != self.write);
                if queue.is_empty() {
                    of_table.remove(key);
                }
            }
        }
        if of_table.is_empty() {
            queues.remove(&self.table);
        }
        self.reservations.recount(&queues);
        drop(queues);
        self.reservations.changed.notify_all();
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let keys = self.keys.clone();
        self.release(&keys);
    }
}
