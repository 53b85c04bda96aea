//! The state that the handles, the writer and the builders share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use uuid::Uuid;

use super::backlog::Backlog;
use super::batch::{AdminJob, Batch};
use super::build::Build;
use super::build_queue::BuildQueue;
use super::catalog::{Catalog, Durability, Stamp, TableEntry};
use super::commit::Committer;
use super::file::{self, File};
use super::index::{Index, IndexCompiler};
use super::reserved::Reservations;
use super::writer::{BetweenJob, Job, Message, Need};
use crate::budget::Budget;
use crate::error::{Error, Result};

/// The jobs that may wait for the writer before further callers have to wait too.
const QUEUE: usize = 1024;

/// The shared heart of a store.
pub(super) struct Core {
    pub(super) file: File,
    pub(super) compiler: Arc<dyn IndexCompiler>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) reservations: Arc<Reservations>,
    catalog: RwLock<Arc<Catalog>>,
    /// Number of the catalogs so far.
    catalogs: AtomicU64,
    /// Guards nothing: the condition is a new catalog.
    changed: (Mutex<()>, Condvar),
    committer: Mutex<Committer>,
    /// True if there may be a soft write that isn't on the disk yet.
    unsynced: AtomicBool,
    /// Number of jobs that have been submitted and not yet been taken up.
    queued: AtomicUsize,
    writer: SyncSender<Message>,
    pub(super) builds: BuildQueue,
    /// True if builds are to end, also in the middle of a document.
    is_stopping: AtomicBool,
}

impl Core {
    /// Makes the core, with the end of the channel that the writer reads. Changes that wait for listeners may
    /// take `backlog_bytes` of memory.
    pub(super) fn new(
        file: File,
        compiler: Arc<dyn IndexCompiler>,
        backlog_bytes: usize,
    ) -> Result<(Core, Receiver<Message>)> {
        let catalog = Catalog::load(&file.begin_read()?, &*compiler)?;
        let (writer, receiver) = mpsc::sync_channel(QUEUE);
        let core = Core {
            file,
            compiler,
            backlog: Arc::new(Backlog::new(backlog_bytes)),
            reservations: Arc::default(),
            catalog: RwLock::new(Arc::new(catalog)),
            catalogs: AtomicU64::new(0),
            changed: Default::default(),
            committer: Mutex::new(Committer::new()),
            unsynced: AtomicBool::new(false),
            queued: AtomicUsize::new(0),
            writer,
            builds: BuildQueue::new(),
            is_stopping: AtomicBool::new(false),
        };
        Ok((core, receiver))
    }

    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the table as it is now.
    pub(super) fn table(&self, entry: &TableEntry) -> Result<Arc<TableEntry>> {
        let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
        catalog.tables.get(&entry.id).cloned().ok_or_else(|| entry.gone())
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp(self.catalogs.load(Ordering::Acquire))
    }

    pub(super) fn publish(&self, catalog: Arc<Catalog>) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
        // Only now, so that nobody takes what the former catalog says for something of this one.
        self.catalogs.fetch_add(1, Ordering::Release);
        let _guard = self.changed.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.1.notify_all();
    }

    /// Waits until the catalog satisfies a condition. `check` is called now and then, and its error ends the
    /// wait.
    pub(super) fn wait<T>(
        &self,
        check: &dyn Fn() -> Result<()>,
        condition: impl Fn(&Catalog) -> Result<Option<T>>,
    ) -> Result<T> {
        const CHECK_EVERY: Duration = Duration::from_millis(50);
        loop {
            let guard = self.changed.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Checked under the lock, so that no notification falls between the check and the wait.
            if let Some(found) = condition(&self.catalog())? {
                return Ok(found);
            }
            let waited = self.changed.1.wait_timeout(guard, CHECK_EVERY);
            drop(waited);
            check()?;
        }
    }

    /// Hands a job to the writer.
    pub(super) fn submit(&self, job: impl Job + 'static) -> Result<()> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.writer.send(Message::Job(Box::new(job))).map_err(|_| {
            self.taken();
            file::closed()
        })
    }

    /// Notes that the writer has taken up a job.
    pub(super) fn taken(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Hands a job to the writer, unless the queue is full.
    pub(super) fn try_submit(&self, job: impl Job + 'static) -> Result<()> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.writer.try_send(Message::Job(Box::new(job))).map_err(|error| {
            self.taken();
            match error {
                TrySendError::Full(_) => Error::would_block(),
                TrySendError::Disconnected(_) => file::closed(),
            }
        })
    }

    /// Commits a job that needs no disk, in the caller's thread and before this returns. Gives the job back
    /// if the writer is at work or has work to do.
    pub(super) fn commit_at_once<J: Job + 'static>(&self, job: J) -> std::result::Result<(), J> {
        if job.need() == Need::Hard || self.queued.load(Ordering::Relaxed) > 0 || self.file.has_failed() {
            return Err(job);
        }
        let mut committer = match self.committer.try_lock() {
            Ok(committer) => committer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(job),
        };
        if committer.is_flush_due() || committer.is_unproven() {
            return Err(job);
        }
        let is_writer_waiting_for_jobs = committer.due_in(self).is_none();
        committer.process_at_once(self, vec![Box::new(job)]);
        let is_flush_due = committer.is_flush_due();
        drop(committer);
        if is_writer_waiting_for_jobs || is_flush_due || self.file.has_failed() {
            self.wake_writer();
        }
        Ok(())
    }

    pub(super) fn set_unsynced(&self, is_unsynced: bool) {
        self.unsynced.store(is_unsynced, Ordering::Release);
    }

    /// Returns true if all that can be seen is on the disk, as far as the durability asks for that.
    pub(super) fn is_as_durable_as(&self, durability: Durability) -> bool {
        durability == Durability::Soft || !self.unsynced.load(Ordering::Acquire)
    }

    /// Returns the state of commits, once no other thread holds it.
    pub(super) fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the writer check for work.
    fn wake_writer(&self) {
        // A full queue wakes the writer as well.
        let _ = self.writer.try_send(Message::Wake);
    }

    /// Waits for the writer's answer.
    pub(super) fn answer<T>(&self, answer: &Receiver<Result<T>>) -> Result<T> {
        answer.recv().unwrap_or_else(|_| Err(file::closed()))
    }

    /// Runs a change of the catalog or the records in the writer, durably.
    pub(super) fn admin<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = AdminJob::new(run);
        self.submit(job)?;
        self.answer(&answer)
    }

    /// Runs work in the writer between two commits.
    pub(super) fn between<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = BetweenJob::new(run);
        self.submit(job)?;
        self.answer(&answer)
    }

    /// Queues an index for building.
    pub(super) fn build(&self, table: Uuid, index: Index) {
        self.builds.add(Build::new(table, index));
    }

    /// Returns the budget for building an index, which ends with the index and with the store.
    pub(super) fn build_budget(self: &Arc<Self>, table: Uuid, index: &Index) -> Budget {
        let (core, index, progress) = (Arc::downgrade(self), index.id, index.progress.clone());
        Budget::until(move || {
            let Some(core) = core.upgrade() else { return true };
            let catalog = core.catalog();
            let found = catalog.tables.get(&table).and_then(|table| table.index_by_id(index));
            core.is_stopping.load(Ordering::Relaxed)
                || !found.is_some_and(|index| Arc::ptr_eq(&index.progress, &progress))
        })
    }

    /// Returns the error of a failed read. Makes the writer open the file anew if that is necessary.
    pub(super) fn read_failure(&self, error: impl Into<redb::Error>) -> Error {
        let error = self.file.failure(error);
        if self.file.has_failed() {
            self.wake_writer();
        }
        error
    }

    /// Ends the building of indexes.
    pub(super) fn stop_builders(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.builds.close();
    }

    /// Tells the writer to end, after the writes that it has been sent.
    pub(super) fn stop_writer(&self) {
        let _ = self.writer.send(Message::Close);
    }
}
