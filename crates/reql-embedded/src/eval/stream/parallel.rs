//! Reading a stream with the help of idle processors.
//!
//! The rows of a table come off the file one after the other, and are read from the stream one after the
//! other. The work on each row in between doesn't depend on the others, and is most of the work. So the
//! reader leaves morsels of rows, as they are stored, to idle threads, works on others itself, and takes the
//! results in order. Neither an answer nor an error shows how many processors took part.
//!
//! A row can become many, or a large one. Work on a morsel is given up when its results take too many bytes.
//! Then the rows go back to the stream, which is read on row by row, so that never more rows are held than
//! the reader asks for.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::work_queue::{Part, Work, WorkQueue};
use super::{Expansion, Stream, Waiting};
use crate::budget::fuel;
use crate::datum::PackedRows;
use crate::error::Result;
use crate::eval::env::Env;

/// The rows in the first morsel of a stream. The reader works on it itself: most streams aren't worth the
/// help of another thread.
const FIRST_MORSEL: usize = 32;
/// The rows in the largest morsel.
const LARGEST_MORSEL: usize = 256;
/// The bytes of the largest morsel, roughly: a few morsels are in memory at once.
const MORSEL_BYTES: usize = 128 << 10;
/// The time that work on a morsel should take. Morsels grow up to it, and shrink beyond it: rows may be
/// slow to work on, and a batch has a deadline.
const MORSEL_TIME: Duration = Duration::from_millis(2);
/// The morsels that are kept ready for each worker.
const READY: usize = 4;
/// The most morsels, including those that are done while one before them still isn't.
const AHEAD: usize = 16;

/// The results for a stream's rows, morsel by morsel. Rows that aren't read stay in the stream.
pub struct ParallelScan<'a, T> {
    stream: &'a mut Stream,
    env: &'a Env,
    work: Work<T>,
    queue: Arc<WorkQueue<T>>,
    workers: usize,
    size: usize,
    /// Bytes of a row of the last morsel, on average.
    row_size: usize,
    /// True if the stream has no more rows.
    has_ended: bool,
    /// True if the reader wants no more rows.
    is_stopped: bool,
    _reader: Gauge,
}

impl<'a, T: Send + 'static> ParallelScan<'a, T> {
    /// Begins to read; `None` if the stream has to be read row by row.
    pub fn read(
        stream: &'a mut Stream,
        env: &'a Env,
        work: impl Fn(Stream, usize, &Env) -> Option<T> + Send + Sync + 'static,
    ) -> Option<Self> {
        let is_open = env.may_wait() && stream.waiting.is_empty() && stream.source.is_table();
        // A profile records the work of one thread.
        let is_open = is_open && env.trace().is_none();
        let is_pure = is_open && stream.stages.iter().all(|stage| stage.is_pure());
        is_pure.then(|| ParallelScan {
            stream,
            env,
            work: Arc::new(work),
            queue: Arc::default(),
            workers: 0,
            size: FIRST_MORSEL,
            row_size: 0,
            has_ended: false,
            is_stopped: false,
            _reader: Gauge::of(&READERS),
        })
    }

    /// Reads no further. The morsels that have been read are still to be taken.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Returns the number of morsels that have been read, but not taken yet.
    pub fn ahead(&self) -> usize {
        self.queue.lock().morsels.len()
    }

    /// Returns true if the stream has no rows left.
    pub fn has_ended(&self) -> bool {
        self.has_ended && self.stream.waiting.is_empty()
    }

    /// Returns true if rows were put back, so that the stream is to be read row by row.
    pub fn has_given_up(&self) -> bool {
        !self.stream.waiting.is_empty()
    }

    /// Reads a morsel.
    fn fetch(&mut self) -> Part {
        // Rows are mostly as long as those before them.
        let mut chunk = PackedRows::new(self.size, MORSEL_BYTES, self.row_size * self.size);
        let read = fuel::spend(self.size).and_then(|()| self.stream.source.read_raw(self.env, &mut chunk));
        self.has_ended = !matches!(read, Ok(true));
        let failure = read.err();
        self.row_size = chunk.bytes().div_ceil(chunk.count().max(1));
        Part {
            chunk: Arc::new(chunk),
            failure,
            stages: self.stream.stages.clone(),
            is_grouped: self.stream.grouped,
            bt: self.stream.bt,
        }
    }

    fn work_on(&mut self, number: usize, part: &Part) {
        let began = Instant::now();
        let done = part.work(&self.work, self.env);
        let is_helpful = matches!(done, Ok(Some(_)));
        self.queue.lock().put(number, Ok(done));
        self.size = match began.elapsed() {
            quick if quick < MORSEL_TIME => (self.size * 2).min(LARGEST_MORSEL),
            slow if slow > 2 * MORSEL_TIME => (self.size / 2).max(1),
            _ => self.size,
        };
        if is_helpful {
            self.spawn_worker();
        }
    }

    /// Starts a worker for the rest of the morsels, if a processor is idle. Without a runtime there is none.
    fn spawn_worker(&mut self) {
        if self.has_ended || self.is_stopped || !is_idle() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (queue, work, env, gauge) =
            (self.queue.clone(), self.work.clone(), self.env.clone(), Gauge::of(&WORKERS));
        drop(runtime.spawn_blocking(move || {
            let _tally = gauge;
            // A failure is that of the morsel during which it occurred.
            let _ = env.within(|| {
                queue.help(&work, &env);
                Ok(())
            });
        }));
        self.workers += 1;
    }

    /// Puts the rows of all morsels that haven't been taken back into the stream.
    fn give_up(&mut self) {
        for morsel in self.queue.close().into_iter().rev() {
            let rows = Expansion::Morsel(Box::new(morsel.part.stream()));
            self.stream.waiting.push(Waiting { rows, stage: self.stream.stages.len() });
        }
    }
}

/// Yields the results of each morsel.
impl<T: Send + 'static> Iterator for ParallelScan<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            let mut state = self.queue.lock();
            match state.next_done() {
                Some(Ok(done)) => match done.transpose() {
                    Some(made) => return Some(made),
                    None => {
                        drop(state);
                        self.give_up();
                        return None;
                    }
                },
                Some(Err(panic)) => resume_unwind(panic),
                None => {}
            }
            let wants_more = !self.has_ended && !self.is_stopped;
            let lacks_work = state.ready() < (READY * self.workers).max(1);
            let has_room = state.morsels.len() < AHEAD * self.workers.max(1);
            if wants_more && lacks_work && has_room {
                drop(state);
                let part = self.fetch();
                self.queue.open(part);
            } else if let Some((number, part)) = state.take() {
                drop(state);
                self.work_on(number, &part);
            } else if state.morsels.is_empty() {
                return None;
            } else {
                drop(self.queue.done.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// Closes the queue, so that workers don't begin morsels which nobody waits for.
impl<T> Drop for ParallelScan<'_, T> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The streams that are being read in morsels.
static READERS: AtomicUsize = AtomicUsize::new(0);
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// Returns true if a processor is idle, as far as the reading of streams is concerned.
fn is_idle() -> bool {
    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    READERS.load(Ordering::Relaxed) + WORKERS.load(Ordering::Relaxed) < *PROCESSORS
}

/// Counts one more until it is dropped.
struct Gauge(&'static AtomicUsize);

impl Gauge {
    fn of(counter: &'static AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Gauge(counter)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
