//! Reading a stream with the help of idle processors.
//!
//! The rows of a table come off the file one after the other, and are read from the stream one after the
//! other. The work on each row in between doesn't depend on the others, and is most of the work. So the
//! reader leaves portions of rows, as they are stored, to idle threads, works on others itself, and takes the
//! results in order. Neither an answer nor an error shows how many processors took part.
//!
//! A row can become many, or a large one. Work on a portion is given up when its results take too many bytes.
//! Then the rows go back to the stream, which is read on row by row, so that never more rows are held than
//! the reader asks for.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::exchange::{Exchange, Part, Work};
use super::{Expansion, Stream, Waiting};
use crate::budget::fuel;
use crate::datum::Chunk;
use crate::error::Result;
use crate::eval::env::Env;

/// The rows in the first portion of a stream. The reader works on it itself: most streams aren't worth the
/// help of another thread.
const FIRST_PORTION: usize = 32;
/// The rows in the largest portion.
const LARGEST_PORTION: usize = 256;
/// The bytes of the largest portion, roughly: a few portions are in memory at once.
const PORTION_BYTES: usize = 128 << 10;
/// The time that work on a portion should take. Portions grow up to it, and shrink beyond it: rows may be
/// slow to work on, and a batch has a deadline.
const PORTION_TIME: Duration = Duration::from_millis(2);
/// The portions that are kept ready for each helper.
const READY: usize = 4;
/// The most portions, including those that are done while one before them still isn't.
const AHEAD: usize = 16;
/// The results for a stream's rows, portion by portion. Rows that aren't read stay in the stream.
pub struct Portions<'a, T> {
    stream: &'a mut Stream,
    env: &'a Env,
    work: Work<T>,
    exchange: Arc<Exchange<T>>,
    helpers: usize,
    size: usize,
    /// Bytes of a row of the last portion, on average.
    row_size: usize,
    /// True if the stream has no more rows.
    has_ended: bool,
    /// True if the reader wants no more rows.
    is_stopped: bool,
    _reader: Tally,
}

impl<'a, T: Send + 'static> Portions<'a, T> {
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
        is_pure.then(|| Portions {
            stream,
            env,
            work: Arc::new(work),
            exchange: Arc::default(),
            helpers: 0,
            size: FIRST_PORTION,
            row_size: 0,
            has_ended: false,
            is_stopped: false,
            _reader: Tally::of(&READERS),
        })
    }

    /// Reads no further. The portions that have been read are still to be taken.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Returns the number of portions that have been read, but not taken yet.
    pub fn ahead(&self) -> usize {
        self.exchange.lock().portions.len()
    }

    /// Returns true if the stream has no rows left.
    pub fn has_ended(&self) -> bool {
        self.has_ended && self.stream.waiting.is_empty()
    }

    /// Returns true if rows were put back, so that the stream is to be read row by row.
    pub fn has_given_up(&self) -> bool {
        !self.stream.waiting.is_empty()
    }

    /// Reads a portion.
    fn fetch(&mut self) -> Part {
        // Rows are mostly as long as those before them.
        let mut chunk = Chunk::with_capacity(self.size, (self.row_size * self.size).min(PORTION_BYTES));
        let mut failure = None;
        while chunk.count() < self.size && chunk.bytes() < PORTION_BYTES {
            match fuel::spend(1).and_then(|()| self.stream.source.read_raw(self.env, &mut chunk)) {
                Ok(true) => {}
                end => {
                    failure = end.err();
                    self.has_ended = true;
                    break;
                }
            }
        }
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
        self.exchange.lock().put(number, Ok(done));
        self.size = match began.elapsed() {
            quick if quick < PORTION_TIME => (self.size * 2).min(LARGEST_PORTION),
            slow if slow > 2 * PORTION_TIME => (self.size / 2).max(1),
            _ => self.size,
        };
        if is_helpful {
            self.call_for_help();
        }
    }

    /// Starts a helper for the rest of the portions, if a processor is idle. Without a runtime there is none.
    fn call_for_help(&mut self) {
        if self.has_ended || self.is_stopped || !is_idle() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (exchange, work, env, tally) =
            (self.exchange.clone(), self.work.clone(), self.env.clone(), Tally::of(&HELPERS));
        drop(runtime.spawn_blocking(move || {
            let _tally = tally;
            // A failure is that of the portion during which it occurred.
            let _ = env.within(|| {
                exchange.help(&work, &env);
                Ok(())
            });
        }));
        self.helpers += 1;
    }

    /// Puts the rows of all portions that haven't been taken back into the stream.
    fn give_up(&mut self) {
        for portion in self.exchange.close().into_iter().rev() {
            let rows = Expansion::Portion(Box::new(portion.part.stream()));
            self.stream.waiting.push(Waiting { rows, stage: self.stream.stages.len() });
        }
    }
}

/// Yields the results of each portion.
impl<T: Send + 'static> Iterator for Portions<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            let mut state = self.exchange.lock();
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
            let lacks_work = state.ready() < (READY * self.helpers).max(1);
            let has_room = state.portions.len() < AHEAD * self.helpers.max(1);
            if wants_more && lacks_work && has_room {
                drop(state);
                let part = self.fetch();
                self.exchange.open(part);
            } else if let Some((number, part)) = state.take() {
                drop(state);
                self.work_on(number, &part);
            } else if state.portions.is_empty() {
                return None;
            } else {
                drop(self.exchange.done.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// Closes the exchange, so that helpers don't begin portions which nobody waits for.
impl<T> Drop for Portions<'_, T> {
    fn drop(&mut self) {
        self.exchange.close();
    }
}

/// The streams that are being read in portions.
static READERS: AtomicUsize = AtomicUsize::new(0);
static HELPERS: AtomicUsize = AtomicUsize::new(0);

/// Returns true if a processor is idle, as far as the reading of streams is concerned.
fn is_idle() -> bool {
    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    READERS.load(Ordering::Relaxed) + HELPERS.load(Ordering::Relaxed) < *PROCESSORS
}

/// Counts one more until it is dropped.
struct Tally(&'static AtomicUsize);

impl Tally {
    fn of(counter: &'static AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Tally(counter)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
