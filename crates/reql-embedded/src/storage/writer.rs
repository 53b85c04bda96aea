//! The writer thread: takes all queued jobs and commits them together.

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

/// The result of applying a job to a transaction.
pub(super) type Applied<T = ()> = std::result::Result<T, Fatal>;

/// The commit that a job needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// No transaction at all.
    Nothing,
    /// A commit that is visible when the job is answered.
    Soft,
    /// A commit that is on the disk when the job is answered, with all that was visible before.
    Hard,
    /// A commit on the disk, with a record of the free pages. Without that record, opening has to read the
    /// whole file after a crash. It is slow, so the writer asks for it itself when it has nothing else to do.
    Recorded,
}

/// A piece of work for the writer.
pub(super) trait Job: Send {
    /// Returns the commit that the job needs.
    fn need(&self) -> Need;

    /// Returns about the number of documents that the job writes.
    fn weight(&self) -> usize {
        1
    }

    /// Does the job, inside the transaction.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Applied;

    /// Answers the caller, after the commit.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// A message to the writer.
pub(super) enum Message {
    Job(Box<dyn Job>),
    /// A request to check for work: the file failed under a reader, or there is something to flush.
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

/// The reason why the loop goes on.
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

    /// Waits for a first job, or until there is something to flush, and takes along the jobs that are queued
    /// behind it.
    fn receive(&self) -> Next {
        let due_in = self.core.committer().due_in(&self.core);
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
        // The caller may be gone.
        let _ = self.0.send(committed);
    }
}

/// Work that has to happen between two commits, with no write transaction open.
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
        // The caller may be gone.
        let _ = self.answer.send((self.run)());
    }
}
