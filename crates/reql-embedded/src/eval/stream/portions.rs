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

use std::any::Any;
use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Expansion, Source, Stage, Stream, Waiting};
use crate::budget::fuel;
use crate::datum::{Chunk, Datum};
use crate::error::{Bt, Error, Result};
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
/// The bytes that the results of any portion may take.
const ROOM: usize = 512 << 10;
/// The further bytes that the results may take for each byte of the portion.
const GROWTH: usize = 4;

/// A function from a portion's rows, which come as a stream of their own, to their results; `None` if these
/// take more bytes than there is room for.
type Work<T> = Arc<dyn Fn(Stream, usize, &Env) -> Option<T> + Send + Sync>;

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

/// The portions and their results, until they are taken.
struct Exchange<T> {
    state: Mutex<State<T>>,
    /// Signal that there are rows to work on, or that there will be no more.
    opened: Condvar,
    /// Signal that a portion is done.
    done: Condvar,
}

struct State<T> {
    /// Portions in the order of the rows.
    portions: VecDeque<Portion<T>>,
    /// Number of the first portion.
    first: usize,
    is_closed: bool,
}

struct Portion<T> {
    part: Part,
    progress: Progress<T>,
}

enum Progress<T> {
    Open,
    Taken,
    Done(Outcome<T>),
}

/// The results of a portion, or its panic; `None` if the results would be too large.
type Outcome<T> = std::result::Result<Result<Option<T>>, Box<dyn Any + Send>>;

/// Rows that have been read, the error after them, and the stages that they are to go through.
#[derive(Clone)]
struct Part {
    chunk: Arc<Chunk>,
    failure: Option<Error>,
    stages: Vec<Arc<dyn Stage>>,
    is_grouped: bool,
    bt: Bt,
}

impl Part {
    fn stream(&self) -> Stream {
        let source = Fetched { chunk: self.chunk.clone(), at: 0, failure: self.failure.clone() };
        Stream {
            source: Box::new(source),
            stages: self.stages.clone(),
            waiting: Vec::new(),
            grouped: self.is_grouped,
            bt: self.bt,
        }
    }

    fn work<T>(&self, work: &Work<T>, env: &Env) -> Result<Option<T>> {
        env.within(|| Ok(work(self.stream(), ROOM + GROWTH * self.chunk.bytes(), env)))
    }
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

impl<T> Default for Exchange<T> {
    fn default() -> Self {
        let state = State { portions: VecDeque::new(), first: 0, is_closed: false };
        Exchange { state: Mutex::new(state), opened: Condvar::new(), done: Condvar::new() }
    }
}

impl<T> Exchange<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, part: Part) {
        self.lock().portions.push_back(Portion { part, progress: Progress::Open });
        self.opened.notify_one();
    }

    /// Lets helpers finish their current portions and end. Returns the portions that haven't been taken.
    fn close(&self) -> VecDeque<Portion<T>> {
        let mut state = self.lock();
        state.is_closed = true;
        self.opened.notify_all();
        std::mem::take(&mut state.portions)
    }

    /// Works on portions until there will be no more.
    fn help(&self, work: &Work<T>, env: &Env) {
        let mut state = self.lock();
        while !state.is_closed {
            let Some((number, part)) = state.take() else {
                state = self.opened.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let done = catch_unwind(AssertUnwindSafe(|| part.work(work, env)));
            HELPED.fetch_add(1, Ordering::Relaxed);
            state = self.lock();
            state.put(number, done);
            self.done.notify_one();
        }
    }
}

impl<T> State<T> {
    /// Returns the first portion that no thread works on, with its number. Portions after one with too large
    /// results are left alone.
    fn take(&mut self) -> Option<(usize, Part)> {
        let is_too_much = |portion: &Portion<T>| matches!(portion.progress, Progress::Done(Ok(Ok(None))));
        let at = self
            .portions
            .iter()
            .position(|portion| is_too_much(portion) || matches!(portion.progress, Progress::Open))?;
        let portion = self.portions.get_mut(at).filter(|portion| !is_too_much(portion))?;
        portion.progress = Progress::Taken;
        Some((self.first + at, portion.part.clone()))
    }

    fn put(&mut self, number: usize, done: Outcome<T>) {
        // The portion isn't there any more if the reader has gone.
        if let Some(portion) = number.checked_sub(self.first).and_then(|at| self.portions.get_mut(at)) {
            portion.progress = Progress::Done(done);
        }
    }

    /// Returns the number of portions that no thread works on yet.
    fn ready(&self) -> usize {
        self.portions.iter().filter(|portion| matches!(portion.progress, Progress::Open)).count()
    }

    /// Returns the results of the first portion, once they are known. A portion with too large results stays.
    fn next_done(&mut self) -> Option<Outcome<T>> {
        let first = self.portions.front()?;
        match &first.progress {
            Progress::Done(Ok(Ok(None))) => Some(Ok(Ok(None))),
            Progress::Done(_) => {
                self.first += 1;
                match self.portions.pop_front()?.progress {
                    Progress::Done(done) => Some(done),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Returns the number of portions that helpers have worked on since the process began.
pub fn helped() -> u64 {
    HELPED.load(Ordering::Relaxed)
}

static HELPED: AtomicU64 = AtomicU64::new(0);

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

/// The rows of a part.
struct Fetched {
    chunk: Arc<Chunk>,
    at: usize,
    failure: Option<Error>,
}

impl Source for Fetched {
    fn next(&mut self, _: &Env) -> Result<Option<Datum>> {
        let row = self.chunk.get(self.at);
        self.at += 1;
        match row {
            Some(row) => Ok(Some(row)),
            None => self.failure.take().map_or(Ok(None), Err),
        }
    }

    fn is_lazy(&self) -> bool {
        true
    }
}
