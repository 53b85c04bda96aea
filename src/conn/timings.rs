//! Timings of a request's connection: its source, and the time spent waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::database::Source;

/// Two total durations, and the source of the first session. They outlive the connection.
#[derive(Debug, Default, Clone)]
pub(crate) struct Timings(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    conn_us: AtomicU64,
    db_us: AtomicU64,
    source: OnceLock<Source>,
}

impl Timings {
    pub(super) fn connecting(&self, took: Duration) {
        add(&self.0.conn_us, took);
    }

    pub(super) fn querying(&self, took: Duration) {
        add(&self.0.db_us, took);
    }

    pub(super) fn connected(&self, source: Source) {
        // If the request has to open another session, the first source is the one that is reported.
        let _ = self.0.source.set(source);
    }

    /// Returns the time that the request waited for its connection, and that for answers to its queries.
    pub(crate) fn waited(&self) -> [Duration; 2] {
        [&self.0.conn_us, &self.0.db_us].map(|sum| Duration::from_micros(sum.load(Ordering::Relaxed)))
    }

    /// Returns the source of the connection, if the request had one.
    pub(crate) fn source(&self) -> Option<Source> {
        self.0.source.get().copied()
    }
}

fn add(sum: &AtomicU64, took: Duration) {
    sum.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}
