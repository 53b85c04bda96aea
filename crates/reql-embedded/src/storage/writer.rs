//! The writer thread: takes what is queued and has it committed together.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};

use super::batch::Batch;
use super::core::Core;
use super::feed::EndReason;
use crate::error::Result;

/// A failure of the file, which fails every job of the batch.
pub(super) struct Fatal(pub(super) redb::Error);

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
    /// The same, with a record of which pages are free, without which opening has to read the whole file
    /// after a crash. Slow, so the writer itself asks for it when it has nothing else to do.
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
    /// The file failed under a reader, or there is something to flush.
    Wake,
    Close,
}

/// Jobs of about this many documents share a transaction at most.
const BATCH: usize = 4096;

/// The writer thread: waits for jobs, and for the moment to flush.
pub(super) struct Writer {
    core: Arc<Core>,
    queue: Receiver<Message>,
}

/// Why the loop goes on.
enum Next {
    Jobs(Vec<Box<dyn Job>>),
    Close(Vec<Box<dyn Job>>),
}

impl Writer {
    pub(super) fn new(core: Arc<Core>, queue: Receiver<Message>) -> Self {
        Writer { core, queue }
    }

    /// Works until it is told to close.
    pub(super) fn run(self) {
        loop {
            let next = self.receive();
            let mut committer = self.core.committer();
            committer.recover_if_failed(&self.core);
            match next {
                Next::Jobs(jobs) => {
                    committer.process(&self.core, jobs);
                    committer.flush_if_due(&self.core);
                }
                Next::Close(jobs) => {
                    committer.process(&self.core, jobs);
                    committer.flush(&self.core);
                    break;
                }
            }
        }
        for table in self.core.catalog().tables.values() {
            table.listeners.end(EndReason::Closed);
        }
    }

    /// Waits for a first job, or until there is something to flush, and takes along what is queued behind it.
    fn receive(&self) -> Next {
        let due_in = self.core.committer().due_in();
        let first = match due_in {
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => self.queue.recv_timeout(wait),
        };
        let mut jobs = Vec::new();
        let mut weight = 0;
        let mut next = match first {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => return Next::Jobs(jobs),
            Err(RecvTimeoutError::Disconnected) => return Next::Close(jobs),
        };
        while let Some(message) = next {
            match message {
                Message::Job(job) => {
                    self.core.taken();
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
