//! Timings of a request's connection, for response headers: its source, and the time spent waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::database::Source;

/// Two total durations, and the source of the first session. They outlive the connection.
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
        // If the request has to open another session, the first source is the one that is reported.
        let _ = self.0.source.set(source);
    }

    /// Returns the value of the header `Server-Timing`, in milliseconds. `total` is the request's duration.
    pub(crate) fn server_timing(&self, total: Duration) -> String {
        let [conn, db] = [&self.0.conn_us, &self.0.db_us].map(|sum| sum.load(Ordering::Relaxed));
        let mut timing = String::with_capacity(64);
        for (name, us) in [("conn", conn), (", db", db), (", total", micros(total))] {
            timing.push_str(name);
            timing.push_str(";dur=");
            timing.push_str(&(us / 1000).to_string());
            timing.push('.');
            timing.extend([100, 10, 1].map(|unit| char::from(b'0' + (us / unit % 10) as u8)));
        }
        timing
    }

    /// Returns whether the request had a connection.
    pub(crate) fn has_connection(&self) -> bool {
        self.0.source.get().is_some()
    }

    /// Returns the value of the header `Db-Connection`.
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
    sum.fetch_add(micros(took), Ordering::Relaxed);
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
