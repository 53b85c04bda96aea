//! Threads for work that takes long or waits, shared fairly among connections.
//!
//! Each connection has a *lane*. A lane with nothing running goes first: as long as there are threads, every
//! lane gets one. Further threads, of which there are few, go to the lanes that have more to do, one after
//! the other, and no lane gets more than half of them. So other connections go on beside any one of them,
//! however much it asks for and however long that takes. Of the work that takes long, as much computes at
//! once as there are processors, and lanes take [turns](turns). A lane whose results nobody takes waits.

mod backlog;
mod lane;
mod turns;

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::Duration;

use tokio::runtime::Handle;

use self::backlog::Backlog;
pub(crate) use self::backlog::Held;
pub(crate) use self::lane::Lane;
use self::turns::Turn;
pub(crate) use self::turns::checkpoint;
#[cfg(test)]
pub(crate) use self::turns::comes_to_a_checkpoint;

/// The most threads: each holds a query that computes or waits.
const MAX_THREADS: usize = 512;

/// The threads for each processor that are for lanes which have one already.
const SHARED_BY_PROCESSOR: usize = 8;
/// The least number of threads for lanes that have one already. Most work that a connection asks for side by
/// side are writes, which wait for the disk together.
const MIN_SHARED: usize = 32;

/// The turns without need after which no more are given.
const QUIET_TURNS: u32 = 100;

/// The time that a thread without work stays.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

/// The threads of a server. They end once this is dropped and the work that was begun is done.
pub(crate) struct Workers(Arc<Pool>);

/// A piece of work until a thread takes it up, or its lane gives it up.
struct Queued(Mutex<Option<Work>>);

struct Pool {
    state: Mutex<State>,
    called: Condvar,
    limits: Limits,
    /// Runtime that the threads belong to, so that work can use its timers and sockets.
    runtime: Handle,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    threads: usize,
    /// Pieces of work that may run beyond the first one of each lane.
    shared: usize,
    /// Pieces of work that may compute at once after they have taken long.
    processors: usize,
}

#[derive(Default)]
struct State {
    lanes: HashMap<u64, LaneState>,
    next_lane: u64,
    /// The lanes that have work and no thread, in the order of their turns.
    without: VecDeque<u64>,
    /// The lanes that have more work than threads, in the order of their turns.
    with: VecDeque<u64>,
    running: usize,
    /// Running pieces of work beyond the first one of their lane.
    shared: usize,
    threads: usize,
    /// Threads that wait to be called.
    idle: usize,
    /// Threads that have been called and have not yet come.
    calls: usize,
    is_closed: bool,
    turns: Vec<Arc<Turn>>,
    /// The number of the current turn.
    turn: u64,
    /// True while turns are given.
    takes_turns: bool,
}

struct LaneState {
    queue: VecDeque<Arc<Queued>>,
    running: usize,
    /// Pieces of work of the lane that may run at once.
    share: usize,
    backlog: Arc<Backlog>,
    is_in_without: bool,
    is_in_with: bool,
    is_gone: bool,
}

impl Workers {
    /// Creates a pool whose threads start as they are needed, and belong to the current runtime.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let shared = (SHARED_BY_PROCESSOR * processors).clamp(MIN_SHARED, MAX_THREADS / 2);
        Self::with_limits(Limits { threads: MAX_THREADS, shared, processors })
    }

    fn with_limits(limits: Limits) -> Self {
        let pool =
            Pool { state: Mutex::default(), called: Condvar::new(), limits, runtime: Handle::current() };
        Self(Arc::new(pool))
    }

    /// Returns a new lane.
    pub(crate) fn lane(&self) -> Lane {
        self.lane_with(1 + self.0.limits.shared / 2)
    }

    /// Returns a new lane that runs at most `share` pieces of work at once.
    pub(crate) fn lane_with(&self, share: usize) -> Lane {
        let mut state = self.0.lock();
        let id = state.next_lane;
        state.next_lane += 1;
        let backlog = Arc::new(Backlog::default());
        state.lanes.insert(id, LaneState::new(share, backlog.clone()));
        Lane::new(self.0.clone(), id, backlog)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.called.notify_all();
    }
}

impl Queued {
    fn take(&self) -> Option<Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl LaneState {
    fn new(share: usize, backlog: Arc<Backlog>) -> Self {
        let (queue, running) = (VecDeque::new(), 0);
        let (is_in_without, is_in_with, is_gone) = (false, false, false);
        LaneState { queue, running, share, backlog, is_in_without, is_in_with, is_gone }
    }

    /// Returns the pieces of work that threads could take up now.
    fn startable(&self) -> usize {
        self.queue.len().min(self.share.saturating_sub(self.running))
    }

    /// Returns true if the lane has to wait, until some of its own work is done or its results are taken.
    fn has_to_wait(&self) -> bool {
        self.running >= self.share || self.backlog.is_full()
    }
}

impl State {
    /// Adds a lane to the queue that its next turn comes from.
    fn enlist(&mut self, id: u64) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.queue.is_empty() || lane.has_to_wait() {
            return;
        }
        if lane.running == 0 && !lane.is_in_without {
            lane.is_in_without = true;
            self.without.push_back(id);
        } else if lane.running > 0 && !lane.is_in_with {
            lane.is_in_with = true;
            self.with.push_back(id);
        }
    }

    /// Takes the next piece of work, with the number of its lane.
    fn take(&mut self, limits: Limits) -> Option<(u64, Work)> {
        while self.running < limits.threads
            && let Some(id) = self.without.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.is_in_without = false;
            if lane.running == 0
                && let Some(work) = self.begin(id)
            {
                return Some((id, work));
            }
        }
        while self.shared < limits.shared
            && self.running < limits.threads
            && let Some(id) = self.with.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.is_in_with = false;
            if (1..lane.share).contains(&lane.running)
                && let Some(work) = self.begin(id)
            {
                return Some((id, work));
            }
        }
        None
    }

    fn begin(&mut self, id: u64) -> Option<Work> {
        let lane = self.lanes.get_mut(&id).filter(|lane| !lane.backlog.is_full())?;
        let work = std::iter::from_fn(|| lane.queue.pop_front()).find_map(|queued| queued.take())?;
        self.running += 1;
        self.shared += usize::from(lane.running > 0);
        lane.running += 1;
        self.enlist(id);
        Some(work)
    }

    fn end(&mut self, id: u64) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.running -= 1;
        self.running -= 1;
        self.shared -= usize::from(lane.running > 0);
        if lane.is_gone && lane.running == 0 {
            self.lanes.remove(&id);
        } else {
            self.enlist(id);
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, id: u64, queued: Arc<Queued>) {
        let mut state = self.lock();
        let Some(lane) = state.lanes.get_mut(&id) else { return };
        lane.queue.push_back(queued);
        if lane.running + lane.queue.len() > lane.share || lane.has_to_wait() {
            // It is taken up when something of its own lane is done, or taken.
            return;
        }
        state.enlist(id);
        self.call(state);
    }

    /// Has a thread come for the work of a lane that was enlisted.
    fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.idle > 0 {
            state.idle -= 1;
            state.calls += 1;
            self.called.notify_one();
        } else if state.threads < self.limits.threads {
            state.threads += 1;
            drop(state);
            self.start_thread();
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let pool = self.clone();
        let started = thread::Builder::new().name("reql-worker".into()).spawn(move || {
            let runtime = pool.runtime.clone();
            let _inside = runtime.enter();
            pool.work();
        });
        let Err(error) = started else { return };
        log::error!("No thread could be started for a query: {error}");
        let mut state = self.lock();
        state.threads -= 1;
        // No thread is left that would take the work up, so its caller is told that it is lost.
        let lost = if state.threads == 0 { state.take(self.limits) } else { None };
        if let Some((id, work)) = lost {
            state.end(id);
            drop(state);
            drop(work);
        }
    }

    /// Works until there is nothing to do for a while.
    fn work(self: &Arc<Self>) {
        let turn = Turn::of_this_thread();
        let mut state = self.lock();
        state.turns.push(turn.clone());
        loop {
            while let Some((id, work)) = state.take(self.limits) {
                turn.begin(id, state.turn);
                let begins_turns = state.running > self.limits.processors && !state.takes_turns;
                state.takes_turns |= begins_turns;
                drop(state);
                if begins_turns {
                    self.start_turns();
                }
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    log::error!("A piece of work panicked.");
                }
                turn.end();
                state = self.lock();
                state.end(id);
            }
            if state.is_closed {
                break;
            }
            state.idle += 1;
            let waiting = |state: &mut State| state.calls == 0 && !state.is_closed;
            let waited = self.called.wait_timeout_while(state, KEEP_ALIVE, waiting);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.calls > 0 {
                state.calls -= 1;
            } else {
                state.idle -= 1;
                break;
            }
        }
        state.threads -= 1;
        state.turns.retain(|other| !Arc::ptr_eq(other, &turn));
    }

    fn start_turns(self: &Arc<Self>) {
        let pool = self.clone();
        let started = thread::Builder::new().name("reql-turns".into()).spawn(move || pool.give_turns());
        if let Err(error) = started {
            log::warn!("Queries that take long don't take turns: {error}");
            self.lock().takes_turns = false;
        }
    }

    /// Gives turns as long as there is more to do than there are processors.
    fn give_turns(&self) {
        let mut quiet = 0;
        while quiet < QUIET_TURNS {
            thread::sleep(turns::TURN);
            let mut state = self.lock();
            state.turn += 1;
            if state.running > self.limits.processors {
                quiet = 0;
                turns::give(&state.turns, state.turn, self.limits.processors);
            } else {
                quiet += 1;
                turns::release_all(&state.turns);
            }
            // Under the lock, so that no other thread relies on turns that are not given.
            state.takes_turns = quiet < QUIET_TURNS;
        }
    }
}

#[cfg(test)]
mod tests;
