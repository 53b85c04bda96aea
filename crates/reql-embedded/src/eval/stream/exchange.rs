//! The exchange between the reader of a stream and its helpers: portions of rows, and their results.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Source, Stage, Stream};
use crate::datum::{Chunk, Datum};
use crate::error::{Bt, Error, Result};
use crate::eval::env::Env;

/// The bytes that the results of any portion may take.
const ROOM: usize = 512 << 10;
/// The further bytes that the results may take for each byte of the portion.
const GROWTH: usize = 4;

/// A function from a portion's rows, which come as a stream of their own, to their results; `None` if these
/// take more bytes than there is room for.
pub(super) type Work<T> = Arc<dyn Fn(Stream, usize, &Env) -> Option<T> + Send + Sync>;

/// The portions and their results, until they are taken.
pub(super) struct Exchange<T> {
    state: Mutex<State<T>>,
    /// Signal that there are rows to work on, or that there will be no more.
    opened: Condvar,
    /// Signal that a portion is done.
    pub(super) done: Condvar,
}

/// The state of an exchange.
pub(super) struct State<T> {
    /// Portions in the order of the rows.
    pub(super) portions: VecDeque<Portion<T>>,
    /// Number of the first portion.
    first: usize,
    is_closed: bool,
}

/// A portion and its progress.
pub(super) struct Portion<T> {
    pub(super) part: Part,
    progress: Progress<T>,
}

enum Progress<T> {
    Open,
    Taken,
    Done(Outcome<T>),
}

/// The results of a portion, or its panic; `None` if the results would be too large.
pub(super) type Outcome<T> = std::result::Result<Result<Option<T>>, Box<dyn Any + Send>>;

/// Rows that have been read, the error after them, and the stages that they are to go through.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) chunk: Arc<Chunk>,
    pub(super) failure: Option<Error>,
    pub(super) stages: Vec<Arc<dyn Stage>>,
    pub(super) is_grouped: bool,
    pub(super) bt: Bt,
}

impl Part {
    /// Returns the rows as a stream of their own.
    pub(super) fn stream(&self) -> Stream {
        let source = Fetched { chunk: self.chunk.clone(), at: 0, failure: self.failure.clone() };
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

impl<T> Default for Exchange<T> {
    fn default() -> Self {
        let state = State { portions: VecDeque::new(), first: 0, is_closed: false };
        Exchange { state: Mutex::new(state), opened: Condvar::new(), done: Condvar::new() }
    }
}

impl<T> Exchange<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a portion.
    pub(super) fn open(&self, part: Part) {
        self.lock().portions.push_back(Portion { part, progress: Progress::Open });
        self.opened.notify_one();
    }

    /// Lets helpers finish their current portions and end. Returns the portions that haven't been taken.
    pub(super) fn close(&self) -> VecDeque<Portion<T>> {
        let mut state = self.lock();
        state.is_closed = true;
        self.opened.notify_all();
        std::mem::take(&mut state.portions)
    }

    /// Works on portions until there will be no more.
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
    /// Returns the first portion that no thread works on, with its number. Portions after one with too large
    /// results are left alone.
    pub(super) fn take(&mut self) -> Option<(usize, Part)> {
        let is_too_much = |portion: &Portion<T>| matches!(portion.progress, Progress::Done(Ok(Ok(None))));
        let at = self
            .portions
            .iter()
            .position(|portion| is_too_much(portion) || matches!(portion.progress, Progress::Open))?;
        let portion = self.portions.get_mut(at).filter(|portion| !is_too_much(portion))?;
        portion.progress = Progress::Taken;
        Some((self.first + at, portion.part.clone()))
    }

    /// Notes the results of a portion.
    pub(super) fn put(&mut self, number: usize, done: Outcome<T>) {
        // The portion isn't there any more if the reader has gone.
        if let Some(portion) = number.checked_sub(self.first).and_then(|at| self.portions.get_mut(at)) {
            portion.progress = Progress::Done(done);
        }
    }

    /// Returns the number of portions that no thread works on yet.
    pub(super) fn ready(&self) -> usize {
        self.portions.iter().filter(|portion| matches!(portion.progress, Progress::Open)).count()
    }

    /// Returns the results of the first portion, once they are known. A portion with too large results stays.
    pub(super) fn next_done(&mut self) -> Option<Outcome<T>> {
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
