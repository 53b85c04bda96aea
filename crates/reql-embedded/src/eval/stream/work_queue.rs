//! The queue between the reader of a stream and its workers: morsels of rows, and their results.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Source, Stage, Stream};
use crate::datum::{Datum, PackedRows};
use crate::error::{Bt, Error, Result};
use crate::eval::env::Env;

/// The bytes that the results of any morsel may take.
const ROOM: usize = 512 << 10;
/// The further bytes that the results may take for each byte of the morsel.
const GROWTH: usize = 4;

/// A function from a morsel's rows, which come as a stream of their own, to their results; `None` if these
/// take more bytes than there is room for.
pub(super) type Work<T> = Arc<dyn Fn(Stream, usize, &Env) -> Option<T> + Send + Sync>;

/// The morsels and their results, until they are taken.
pub(super) struct WorkQueue<T> {
    state: Mutex<State<T>>,
    /// Signal that there are rows to work on, or that there will be no more.
    opened: Condvar,
    /// Signal that a morsel is done.
    pub(super) done: Condvar,
}

/// The state of an queue.
pub(super) struct State<T> {
    /// Morsels in the order of the rows.
    pub(super) morsels: VecDeque<Morsel<T>>,
    /// Number of the first morsel.
    first: usize,
    is_closed: bool,
}

/// A morsel and its progress.
pub(super) struct Morsel<T> {
    pub(super) part: Part,
    progress: Progress<T>,
}

enum Progress<T> {
    Open,
    Taken,
    Done(MorselResult<T>),
}

/// The results of a morsel, or its panic; `None` if the results would be too large.
pub(super) type MorselResult<T> = std::result::Result<Result<Option<T>>, Box<dyn Any + Send>>;

/// Rows that have been read, the error after them, and the stages that they are to go through.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) chunk: Arc<PackedRows>,
    pub(super) failure: Option<Error>,
    pub(super) stages: Vec<Arc<dyn Stage>>,
    pub(super) is_grouped: bool,
    pub(super) bt: Bt,
}

impl Part {
    /// Returns the rows as a stream of their own.
    pub(super) fn stream(&self) -> Stream {
        let source =
            Fetched { chunk: self.chunk.clone(), buffer: None, at: 0, failure: self.failure.clone() };
        Stream {
            source: Box::new(source),
            stages: self.stages.clone(),
            waiting: Vec::new(),
            grouped: self.is_grouped,
            bt: self.bt,
        }
    }

    /// Works on the rows.
    pub(super) fn work<T>(&self, work: &Work<T>, env: &Env) -> Result<Option<T>> {
        env.within(|| Ok(work(self.stream(), ROOM + GROWTH * self.chunk.bytes(), env)))
    }
}

impl<T> Default for WorkQueue<T> {
    fn default() -> Self {
        let state = State { morsels: VecDeque::new(), first: 0, is_closed: false };
        WorkQueue { state: Mutex::new(state), opened: Condvar::new(), done: Condvar::new() }
    }
}

impl<T> WorkQueue<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a morsel.
    pub(super) fn open(&self, part: Part) {
        self.lock().morsels.push_back(Morsel { part, progress: Progress::Open });
        self.opened.notify_one();
    }

    /// Lets workers finish their current morsels and end. Returns the morsels that haven't been taken.
    pub(super) fn close(&self) -> VecDeque<Morsel<T>> {
        let mut state = self.lock();
        state.is_closed = true;
        self.opened.notify_all();
        std::mem::take(&mut state.morsels)
    }

    /// Works on morsels until there will be no more.
    pub(super) fn help(&self, work: &Work<T>, env: &Env) {
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
    /// Returns the first morsel that no thread works on, with its number. Morsels after one with too large
    /// results are left alone.
    pub(super) fn take(&mut self) -> Option<(usize, Part)> {
        let is_too_much = |morsel: &Morsel<T>| matches!(morsel.progress, Progress::Done(Ok(Ok(None))));
        let at = self
            .morsels
            .iter()
            .position(|morsel| is_too_much(morsel) || matches!(morsel.progress, Progress::Open))?;
        let morsel = self.morsels.get_mut(at).filter(|morsel| !is_too_much(morsel))?;
        morsel.progress = Progress::Taken;
        Some((self.first + at, morsel.part.clone()))
    }

    /// Notes the results of a morsel.
    pub(super) fn put(&mut self, number: usize, done: MorselResult<T>) {
        // The morsel isn't there any more if the reader has gone.
        if let Some(morsel) = number.checked_sub(self.first).and_then(|at| self.morsels.get_mut(at)) {
            morsel.progress = Progress::Done(done);
        }
    }

    /// Returns the number of morsels that no thread works on yet.
    pub(super) fn ready(&self) -> usize {
        self.morsels.iter().filter(|morsel| matches!(morsel.progress, Progress::Open)).count()
    }

    /// Returns the results of the first morsel, once they are known. A morsel with too large results stays.
    pub(super) fn next_done(&mut self) -> Option<MorselResult<T>> {
        let first = self.morsels.front()?;
        match &first.progress {
            Progress::Done(Ok(Ok(None))) => Some(Ok(Ok(None))),
            Progress::Done(_) => {
                self.first += 1;
                match self.morsels.pop_front()?.progress {
                    Progress::Done(done) => Some(done),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Returns the number of morsels that workers have worked on since the process began.
pub fn helped() -> u64 {
    HELPED.load(Ordering::Relaxed)
}

static HELPED: AtomicU64 = AtomicU64::new(0);

/// The rows of a part.
struct Fetched {
    chunk: Arc<PackedRows>,
    /// The rows in one piece, if nobody keeps any of them.
    buffer: Option<Arc<[u8]>>,
    at: usize,
    failure: Option<Error>,
}

impl Source for Fetched {
    fn next(&mut self, _: &Env) -> Result<Option<Datum>> {
        let row = match &self.buffer {
            Some(buffer) => self.chunk.part(buffer, self.at),
            None => self.chunk.get(self.at),
        };
        self.at += 1;
        match row {
            Some(row) => Ok(Some(row)),
            None => self.failure.take().map_or(Ok(None), Err),
        }
    }

    fn expect_none_kept(&mut self) {
        self.buffer = Some(self.chunk.buffer());
    }

    fn is_lazy(&self) -> bool {
        true
    }
}
