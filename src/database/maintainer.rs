//! The task that keeps connections standing by, and closes those that are too old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use log::{debug, warn};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::permits::Permit;
use crate::error::Error;

/// The number of connections that are dialled at once. After a failure it is one, to avoid a thundering herd
/// when the database comes back.
const AT_ONCE: usize = 8;
/// The pause after the first failed dial. It doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause, which bounds how long after an outage connections stand by again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The time that the maintainer sleeps if no connection is going to expire.
const IDLE: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Maintainer {
    started: AtomicBool,
    wake: Arc<Notify>,
}

impl Maintainer {
    /// Starts the task, once. The first request does that, so that creating a database opens no connection.
    pub(super) fn start(&self, shared: &Arc<Shared>) {
        let settings = &shared.settings;
        let idle = settings.standby == 0 && settings.max_age.is_zero();
        if !idle && !self.started.swap(true, Ordering::AcqRel) {
            tokio::spawn(keep(Arc::downgrade(shared), Arc::clone(&self.wake)));
        }
    }

    /// Wakes the task, after a session was taken, given back or dropped.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

async fn keep(shared: Weak<Shared>, wake: Arc<Notify>) {
    let mut dials = JoinSet::new();
    let mut outage = None::<Outage>;
    while let Some(database) = shared.upgrade() {
        database.expire();
        database.ready().plan_filling();
        let pause_ends = outage.as_ref().and_then(Outage::pause_ends);
        let at_once = match (&outage, pause_ends) {
            (None, _) => AT_ONCE,
            (Some(_), None) => 1,
            (Some(_), Some(_)) => 0,
        };
        while dials.len() < at_once
            && let Some(expected) = database.expect_one()
        {
            dials.spawn(expected.dial());
        }
        let next = pause_ends.unwrap_or_else(|| database.plan_look());
        drop(database);
        tokio::select! {
            Some(dialled) = dials.join_next() => match dialled {
                Ok(Ok(())) => outage = None,
                Ok(Err(error)) => {
                    debug!("No connection could be opened to stand by: {error}");
                    outage = Some(Outage::after(outage));
                }
                Err(error) => warn!("Opening a connection to stand by broke down: {error}"),
            },
            // Being woken doesn't shorten a pause, or every request would dial once more during an outage.
            () = wake.notified(), if pause_ends.is_none() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// A period in which dials fail.
struct Outage {
    pause: Duration,
    until: Instant,
}

impl Outage {
    /// Begins an outage, or continues the one before. Dials that were running when it began count as one
    /// failure.
    fn after(before: Option<Outage>) -> Self {
        let pause = match before {
            None => FIRST_PAUSE,
            Some(outage) if outage.pause_ends().is_some() => return outage,
            Some(outage) => (outage.pause * 2).min(LONGEST_PAUSE),
        };
        Outage { pause, until: Instant::now() + pause.mul_f64(0.5 + fastrand::f64() / 2.0) }
    }

    /// Returns the end of the pause before the next dial; `None` if there is no pause.
    fn pause_ends(&self) -> Option<Instant> {
        (Instant::now() < self.until).then_some(self.until)
    }
}

impl Shared {
    /// Closes connections that are too old or no longer needed.
    fn expire(&self) {
        let expired = self.ready().expire(self.settings.max_age);
        drop(expired);
    }

    /// Sets and returns the time of the maintainer's next check.
    fn plan_look(&self) -> Instant {
        let mut ready = self.ready();
        let next = ready.next_expiry(self.settings.max_age).unwrap_or_else(|| Instant::now() + IDLE);
        ready.next_look = Some(next);
        next
    }

    /// Reserves a connection to be dialled, if too few stand by, and if a permit is left for a request that
    /// comes now.
    fn expect_one(self: &Arc<Self>) -> Option<Dialling> {
        let mut ready = self.ready();
        // Several dials don't take all permits: during an outage, requests would wait for them in vain.
        let free = self.permits.free();
        let is_last = ready.expected > 0 && free == 1;
        if is_last || !ready.is_filling() || ready.missing() == 0 || ready.len() >= free {
            return None;
        }
        let permit = self.permits.try_take(None)?;
        ready.expected += 1;
        Some(Dialling { shared: Arc::clone(self), _permit: permit })
    }
}

/// A session that is being dialled to stand by.
struct Dialling {
    shared: Arc<Shared>,
    _permit: Permit,
}

impl Dialling {
    async fn dial(self) -> Result<(), Error> {
        let link = self.shared.dial().await?;
        self.shared.ready().arrive(link);
        Ok(())
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.shared.ready().expected -= 1;
    }
}
