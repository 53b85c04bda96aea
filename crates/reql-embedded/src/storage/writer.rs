//! The writer thread: takes what is queued, applies it in one transaction, commits once, answers everybody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::batch::{Batch, Effects};
use super::catalog::Catalog;
use super::core::Core;
use super::feed::EndReason;
use crate::error::{Error, ErrorKind, Result};

/// A failure of the file, which fails every job of the batch.
pub(super) struct Fatal(redb::Error);

impl<E: Into<redb::Error>> From<E> for Fatal {
    fn from(error: E) -> Self {
        Fatal(error.into())
    }
}

/// What applying a job to a transaction comes to.
pub(super) type Applied<T = ()> = std::result::Result<T, Fatal>;

/// What a job asks of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// No transaction at all.
    Nothing,
    /// Visible when answered.
    Soft,
    /// On the disk when answered, with all that was visible before.
    Hard,
    /// The same, with a record of which pages are free, without which opening has to read the whole file after a crash. Slow, so
    /// the writer itself asks for it when it has nothing else to do.
    Recorded,
}

/// Something the writer does.
pub(super) trait Job: Send {
    /// What it asks of the commit.
    fn need(&self) -> Need;

    /// About how many documents it writes.
    fn weight(&self) -> usize {
        1
    }

    /// Does it, inside the transaction.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Applied;

    /// Tells whoever asked, after the commit.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// What the writer is sent.
pub(super) enum Message {
    Job(Box<dyn Job>),
    /// The file failed under a reader.
    Wake,
    Close,
}

/// Jobs of about this many documents share a transaction at most.
const BATCH: usize = 4096;
/// Pages stay in use until the next durable commit, so there is one at least this often,
const SOFT_COMMITS: u32 = 100;
/// and this long after the first soft one.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// How long nothing must have been written before the free pages are recorded. (Tests don't wait.)
const RECORD_AFTER: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 200 });
/// How long to wait between attempts to open a failed file.
const REOPEN_EVERY: Duration = Duration::from_millis(500);

/// The writer thread's own state.
pub(super) struct Writer {
    core: Arc<Core>,
    queue: Receiver<Message>,
    /// How many soft commits are not on the disk yet,
    unsynced: u32,
    /// and when the first of them was.
    unsynced_since: Instant,
    /// When the last commit was, if it recorded no free pages.
    unrecorded_since: Option<Instant>,
    last_attempt: Option<Instant>,
    /// Why writes are refused without trying, and until when.
    refusal: Option<(Instant, Error)>,
}

/// Why the loop goes on.
enum Next {
    Jobs(Vec<Box<dyn Job>>),
    Idle,
    Close(Vec<Box<dyn Job>>),
}

impl Writer {
    pub(super) fn new(core: Arc<Core>, queue: Receiver<Message>) -> Self {
        Writer {
            core,
            queue,
            unsynced: 0,
            unsynced_since: Instant::now(),
            unrecorded_since: None,
            last_attempt: None,
            refusal: None,
        }
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        loop {
            let next = self.receive();
            if self.core.file.has_failed() {
                self.recover();
            }
            match next {
                Next::Jobs(jobs) => self.process(jobs),
                Next::Idle => self.flush(Need::Recorded),
                Next::Close(jobs) => {
                    self.process(jobs);
                    if self.unsynced > 0 {
                        self.flush(Need::Hard);
                    }
                    break;
                }
            }
        }
        for table in self.core.catalog().tables.values() {
            table.listeners.end(EndReason::Closed);
        }
    }

    /// Waits for a first job and takes along what is queued behind it.
    fn receive(&mut self) -> Next {
        let flush = (self.unsynced > 0).then(|| self.unsynced_since + FLUSH_AFTER);
        let record = self.unrecorded_since.map(|since| since + RECORD_AFTER);
        let first = match flush.into_iter().chain(record).min() {
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => self.queue.recv_timeout(until.saturating_duration_since(Instant::now())),
        };
        let mut jobs = Vec::new();
        let mut weight = 0;
        let mut next = match first {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => return Next::Idle,
            Err(RecvTimeoutError::Disconnected) => return Next::Close(jobs),
        };
        while let Some(message) = next {
            match message {
                Message::Job(job) => {
                    weight += job.weight();
                    jobs.push(job);
                }
                Message::Wake => {}
                Message::Close => return Next::Close(jobs),
            }
            next = if weight < BATCH { self.queue.try_recv().ok() } else { None };
        }
        Next::Jobs(jobs)
    }

    fn process(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let Some(need) = jobs.iter().map(|job| job.need()).max() else { return };
        let result = if need == Need::Nothing {
            Ok(())
        } else {
            catch_unwind(AssertUnwindSafe(|| self.commit(&mut jobs, need))).unwrap_or_else(|_| {
                self.core.file.mark_failed();
                Err(Error::internal("The storage failed unexpectedly; its log says where."))
            })
        };
        if let Err(error) = &result
            && self.core.file.has_failed()
        {
            self.recover();
            self.refuse(error.clone());
        }
        for job in jobs {
            let answered = catch_unwind(AssertUnwindSafe(|| job.answer(result.clone())));
            if answered.is_err() {
                self.core.file.mark_failed();
            }
        }
    }

    /// On a full disk every write fails and makes the file unusable. What the reads need is that it isn't opened anew, which may
    /// take long, for each of them.
    fn refuse(&mut self, error: Error) {
        let took = self.last_attempt.map_or(Duration::ZERO, |attempt| attempt.elapsed());
        self.refusal = Some((Instant::now() + REOPEN_EVERY.max(took * 10), error));
    }

    fn commit(&mut self, jobs: &mut [Box<dyn Job>], need: Need) -> Result<()> {
        match &self.refusal {
            Some((until, error)) if Instant::now() < *until => return Err(error.clone()),
            _ => self.refusal = None,
        }
        self.core.file.check_in_place()?;
        let mut txn = self.core.file.begin_write()?;
        let mut batch = Batch::new(&txn, self.core.catalog());
        for job in jobs {
            job.apply(&mut batch).map_err(|Fatal(error)| self.core.file.failure(error))?;
        }
        let effects = batch.finish();
        let is_hard = match need {
            Need::Recorded => true,
            Need::Hard => effects.dirty || self.unsynced > 0,
            _ => effects.dirty && self.is_flush_due(),
        };
        if !effects.dirty && !is_hard {
            return txn.abort().map_err(|error| self.core.file.failure(error));
        }
        let durability = if is_hard { redb::Durability::Immediate } else { redb::Durability::None };
        txn.set_durability(durability).map_err(|error| self.core.file.failure(error))?;
        txn.set_quick_repair(need == Need::Recorded);
        txn.commit().map_err(|error| {
            // Whatever it was, redb takes no more writes; and those of this one may be in the file.
            self.core.file.mark_failed();
            self.core.file.failure(error).with_kind(ErrorKind::OpIndeterminate)
        })?;
        self.count(is_hard);
        self.unrecorded_since = (need != Need::Recorded).then(Instant::now);
        Effects::carry_out(effects, &self.core);
        Ok(())
    }

    fn is_flush_due(&self) -> bool {
        self.unsynced >= SOFT_COMMITS || self.unsynced > 0 && self.unsynced_since.elapsed() >= FLUSH_AFTER
    }

    fn count(&mut self, is_hard: bool) {
        if self.unsynced == 0 {
            self.unsynced_since = Instant::now();
        }
        self.unsynced = if is_hard { 0 } else { self.unsynced + 1 };
    }

    /// Makes soft commits durable.
    fn flush(&mut self, need: Need) {
        let flushed = catch_unwind(AssertUnwindSafe(|| self.commit(&mut [], need)));
        match flushed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => log::error!("Writes could not be made durable: {error}"),
            Err(_) => self.core.file.mark_failed(),
        }
        // It is tried again after a while, or with the next write.
        self.unsynced_since = Instant::now();
        self.unrecorded_since = None;
    }

    /// Opens the file anew. What was told about changes that were not durable no longer holds, so the feeds end.
    fn recover(&mut self) {
        if self.last_attempt.is_some_and(|attempt| attempt.elapsed() < REOPEN_EVERY) {
            return;
        }
        self.last_attempt = Some(Instant::now());
        let before = self.core.catalog();
        let reloaded = self.core.file.reopen().and_then(|()| {
            let txn = self.core.file.begin_read()?;
            Catalog::load(&txn, &*self.core.compiler)
        });
        match reloaded {
            Ok(catalog) => self.resume(&before, catalog),
            Err(error) => {
                self.core.file.mark_failed();
                log::error!("The database file failed and can't be opened again yet: {error}");
            }
        }
    }

    fn resume(&mut self, before: &Catalog, catalog: Catalog) {
        self.unsynced = 0;
        self.unrecorded_since = None;
        log::warn!("The database file failed and was opened again.");
        for table in before.tables.values() {
            table.listeners.end(EndReason::Failed);
        }
        let unbuilt: Vec<_> = catalog.unbuilt().collect();
        self.core.publish(Arc::new(catalog));
        for (table, index) in unbuilt {
            self.core.build(table, index);
        }
    }
}

/// Makes all soft writes durable.
pub(super) struct SyncJob(pub(super) SyncSender<Result<()>>);

impl Job for SyncJob {
    fn need(&self) -> Need {
        Need::Hard
    }

    fn apply(&mut self, _: &mut Batch<'_>) -> Applied {
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        // Whoever asked may be gone.
        let _ = self.0.send(committed);
    }
}

/// Something that has to happen between two commits, with no write transaction open.
pub(super) struct BetweenJob<T, F> {
    run: F,
    answer: SyncSender<Result<T>>,
}

impl<T, F> BetweenJob<T, F> {
    pub(super) fn new(run: F) -> (Self, Receiver<Result<T>>) {
        let (answer, receiver) = mpsc::sync_channel(1);
        (BetweenJob { run, answer }, receiver)
    }
}

impl<T, F> Job for BetweenJob<T, F>
where
    T: Send,
    F: FnOnce() -> Result<T> + Send,
{
    fn need(&self) -> Need {
        Need::Nothing
    }

    fn apply(&mut self, _: &mut Batch<'_>) -> Applied {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Result<()>) {
        // Whoever asked may be gone.
        let _ = self.answer.send((self.run)());
    }
}
