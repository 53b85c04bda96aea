//! The signal by which the reader of a query's feeds learns that one of them has news.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A signal that the feeds of one query share.
#[derive(Default)]
pub struct Wake {
    notify: Notify,
    timing: Mutex<Timing>,
}

#[derive(Default)]
struct Timing {
    /// Time at which the client asked for the batch that it waits for. `None` for the first batch, which is
    /// answered at once.
    asked: Option<Instant>,
    /// Time at which a feed that collects changes is going to return them.
    due: Option<Instant>,
}

impl Timing {
    /// Notes that a feed returns changes at this time.
    fn expect(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
    }
}

impl Wake {
    fn timing(&self) -> MutexGuard<'_, Timing> {
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a feed has news.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// Returns true if the client has waited for this interval. If not, [`wait`](Self::wait) ends when it
    /// has.
    pub fn has_waited(&self, interval: Duration) -> bool {
        let mut timing = self.timing();
        let Some(asked) = timing.asked else { return true };
        let due = asked + interval;
        if due <= Instant::now() {
            return true;
        }
        timing.expect(due);
        false
    }

    /// Notes that there may be news after this time, without a further call of `wake`.
    pub fn wake_in(&self, interval: Duration) {
        self.timing().expect(Instant::now() + interval);
    }

    /// Waits until it is worth reading again. May be dropped and called again.
    pub async fn wait(&self) {
        let due = {
            let mut timing = self.timing();
            timing.asked.get_or_insert_with(Instant::now);
            timing.due
        };
        tokio::select! {
            () = self.notify.notified() => {}
            () = sleep_until(due) => {}
        }
    }

    /// Notes that the feeds are about to be read.
    pub fn reading(&self) {
        self.timing().due = None;
    }

    /// Notes that the client got rows.
    pub fn answered(&self) {
        self.timing().asked = None;
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
