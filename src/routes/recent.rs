//! What was found out about tables a short while ago, so that not every request has to ask the database for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many tables are remembered.
const TABLES: usize = 1024;

/// Something about each of some tables, taken for granted for a while.
#[derive(Debug)]
pub(super) struct Recent<T> {
    lasts: Duration,
    known: Mutex<HashMap<String, (T, Instant)>>,
}

impl<T: Clone> Recent<T> {
    pub(super) fn new(lasts: Duration) -> Self {
        Recent { lasts, known: Mutex::default() }
    }

    pub(super) fn get(&self, table: &str) -> Option<T> {
        let known = self.known();
        let (value, since) = known.get(table)?;
        (since.elapsed() < self.lasts).then(|| value.clone())
    }

    pub(super) fn put(&self, table: &str, value: T) {
        let mut known = self.known();
        if known.len() >= TABLES {
            known.clear();
        }
        known.insert(table.to_owned(), (value, Instant::now()));
    }

    pub(super) fn forget(&self, table: &str) {
        self.known().remove(table);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (T, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
