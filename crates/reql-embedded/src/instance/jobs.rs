//! The running queries, for the table `jobs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::engine::{Client, QueryContext};
use crate::interrupt::{Interrupt, Reason};
use crate::term::Query;

/// A query that runs, or whose stream has not been read to its end.
#[derive(Clone)]
pub struct Job {
    /// Id of the job.
    pub id: Uuid,
    /// Client that sent the query.
    pub client: Arc<Client>,
    /// The query.
    pub query: Arc<Query>,
    /// Time at which the query began.
    pub started: Instant,
    interrupt: Interrupt,
}

impl Job {
    /// Ends the query.
    pub fn kill(&self) {
        self.interrupt.raise(Reason::Killed);
    }
}

/// The running queries. Cloning shares them.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: BTreeMap<Uuid, Job>,
    begun: Rate,
}

impl Jobs {
    /// Counts a query that begins.
    pub fn count(&self) {
        self.state().begun.count(Instant::now());
    }

    /// Lists a query until the returned value is dropped.
    pub fn list(&self, query: Arc<Query>, context: &QueryContext) -> Running {
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let job = Job {
            id,
            client: context.client.clone(),
            query,
            started: Instant::now(),
            interrupt: context.interrupt.clone(),
        };
        self.state().running.insert(id, job);
        Running { jobs: self.clone(), id }
    }

    /// Returns the queries that run now and haven't been told to end.
    pub fn all(&self) -> Vec<Job> {
        self.state().running.values().filter(|job| !job.interrupt.is_raised()).cloned().collect()
    }

    /// Returns the number of queries that run now.
    pub fn running(&self) -> usize {
        self.state().running.len()
    }

    /// Returns the number of connections that have a running query.
    pub fn active_clients(&self) -> usize {
        let state = self.state();
        state.running.values().map(|job| job.client.peer).collect::<BTreeSet<_>>().len()
    }

    /// Returns the number of queries that began, ever and in the second before this one.
    pub fn begun(&self) -> (u64, u64) {
        let rate = &mut self.state().begun;
        rate.turn(Instant::now());
        (rate.total, rate.last_second)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a query on the list.
pub struct Running {
    jobs: Jobs,
    id: Uuid,
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.jobs.state().running.remove(&self.id);
        // Drop outside of the lock: the last reference may free a large query.
        drop(ended);
    }
}

/// Counts events, all of them and those of each second.
#[derive(Default)]
struct Rate {
    total: u64,
    second: Option<Instant>,
    this_second: u64,
    last_second: u64,
}

impl Rate {
    fn count(&mut self, now: Instant) {
        self.turn(now);
        self.total += 1;
        self.this_second += 1;
    }

    /// Begins a new second if the current one is over.
    fn turn(&mut self, now: Instant) {
        const SECOND: Duration = Duration::from_secs(1);
        let begin = *self.second.get_or_insert(now);
        let age = now.saturating_duration_since(begin);
        if age >= SECOND {
            self.last_second = if age < 2 * SECOND { self.this_second } else { 0 };
            self.this_second = 0;
            self.second = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_second_before() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for _ in 0..3 {
            rate.count(start);
        }
        assert_eq!((rate.total, rate.last_second), (3, 0));
        rate.turn(start + Duration::from_millis(1500));
        assert_eq!((rate.total, rate.last_second), (3, 3));
        rate.turn(start + Duration::from_secs(60));
        assert_eq!((rate.total, rate.last_second), (3, 0));
    }
}
