//! How long a request has waited for its connection and for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Two sums of durations that outlive the connection they belong to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Clock(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    conn_us: AtomicU64,
    db_us: AtomicU64,
}

impl Clock {
    pub(super) fn connecting(&self, took: Duration) {
        add(&self.0.conn_us, took);
    }

    pub(super) fn querying(&self, took: Duration) {
        add(&self.0.db_us, took);
    }

    /// As the value of a `Server-Timing` header, in milliseconds.
    pub(crate) fn server_timing(&self) -> String {
        format!("conn;dur={:.3}, db;dur={:.3}", milliseconds(&self.0.conn_us), milliseconds(&self.0.db_us))
    }
}

fn add(sum: &AtomicU64, took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    sum.fetch_add(us, Ordering::Relaxed);
}

fn milliseconds(sum: &AtomicU64) -> f64 {
    sum.load(Ordering::Relaxed) as f64 / 1000.0
}
