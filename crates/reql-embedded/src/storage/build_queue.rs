//! The indexes that are being built, and whose turn it is.
//!
//! Steps are done one after the other, so that building takes about one processor. A step that takes long
//! loses this right: while it goes on, the other indexes have steps on further threads. There is a bound to
//! these, and only as many slow functions hold up the others.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::build::Build;

/// The time for which no other step begins beside one.
const ALONE: Duration = Duration::from_millis(200);

/// The most threads that build.
const THREADS: usize = 8;

/// The wait before a failed build starts over.
const RETRY: Duration = Duration::from_secs(1);

/// The builds of a store, until it is closed.
pub(super) struct BuildQueue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The builds without a thread, in the order of their turns.
    waiting: VecDeque<Build>,
    /// The time from which the next step may begin, if not at once.
    next: Option<Instant>,
    /// Number of the steps so far.
    steps: u64,
    threads: usize,
    /// Threads that are in the middle of a step.
    busy: usize,
    is_closed: bool,
}

/// The turn of a build.
pub(super) struct Turn {
    /// The build that is to do a step.
    pub(super) build: Build,
    /// True if the caller has to start another thread first, so that one watches what waits. It is counted
    /// already.
    pub(super) needs_thread: bool,
    /// The number of the step.
    pub(super) number: u64,
}

impl BuildQueue {
    /// Makes an empty queue, for one thread to begin with.
    pub(super) fn new() -> Self {
        let state =
            State { waiting: VecDeque::new(), next: None, steps: 0, threads: 1, busy: 0, is_closed: false };
        BuildQueue { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a build. Once the queue is closed, it is left to the next start.
    pub(super) fn add(&self, build: Build) {
        let mut state = self.lock();
        if !state.is_closed {
            state.waiting.push_back(build);
            self.changed.notify_one();
        }
    }

    /// Waits for the turn of a build, and takes it; `None` once the queue is closed.
    pub(super) fn take(&self) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let early =
                state.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()));
            if state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if !early.is_zero() {
                let waited = self.changed.wait_timeout(state, early);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else if let Some(build) = state.waiting.pop_front() {
                return Some(self.begin(state, build));
            }
        }
    }

    fn begin(&self, mut state: MutexGuard<'_, State>, build: Build) -> Turn {
        state.steps += 1;
        state.next = Some(Instant::now() + ALONE);
        state.busy += 1;
        let needs_thread = state.busy == state.threads && state.threads < THREADS;
        state.threads += usize::from(needs_thread);
        if !state.waiting.is_empty() {
            // Another thread has to watch the time: this one may be away for long.
            self.changed.notify_one();
        }
        Turn { build, needs_thread, number: state.steps }
    }

    /// Ends the step of this number. The caller, who takes the next turn, needs no notice of the `rest`.
    pub(super) fn end(&self, number: u64, rest: Option<Build>, has_failed: bool) {
        let mut state = self.lock();
        state.busy -= 1;
        if has_failed {
            state.next = Some(Instant::now() + RETRY);
        } else if state.steps == number {
            state.next = None;
        }
        if !state.is_closed {
            state.waiting.extend(rest);
        }
    }

    /// Closes the queue, and tells the threads to end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        // They refer to the core, and with it to this queue.
        drop(waiting);
        self.changed.notify_all();
    }
}
