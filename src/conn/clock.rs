//! What a request's response tells of its connection: where it came from, and how long the request waited.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::database::Source;

/// Two sums of durations and the source of the first session, which outlive the connection they belong to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Clock(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    conn_us: AtomicU64,
    db_us: AtomicU64,
    source: OnceLock<Source>,
}

impl Clock {
    pub(super) fn connecting(&self, took: Duration) {
        add(&self.0.conn_us, took);
    }

    pub(super) fn querying(&self, took: Duration) {
        add(&self.0.db_us, took);
    }

    pub(super) fn connected(&self, source: Source) {
        // A request that had to open another session began with this one all the same.
        let _ = self.0.source.set(source);
    }

    /// As the value of a `Server-Timing` header, in milliseconds.
    pub(crate) fn server_timing(&self) -> String {
        format!("conn;dur={:.3}, db;dur={:.3}", milliseconds(&self.0.conn_us), milliseconds(&self.0.db_us))
    }

    /// As the value of a `Db-Connection` header.
    pub(crate) fn source(&self) -> &'static str {
        match self.0.source.get() {
            None => "none",
            Some(Source::Standby) => "standby",
            Some(Source::Dialled | Source::Personal) => "dialled",
            Some(Source::Reused) => "reused",
        }
    }
}

fn add(sum: &AtomicU64, took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    sum.fetch_add(us, Ordering::Relaxed);
}

fn milliseconds(sum: &AtomicU64) -> f64 {
    sum.load(Ordering::Relaxed) as f64 / 1000.0
}
