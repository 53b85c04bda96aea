//! The task that keeps connections standing by, and closes the ones that have grown too old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use log::debug;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Shared;
use crate::error::Error;

/// The first pause after a failed dial; each one after it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause, which bounds how long after an outage connections stand by again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the keeper sleeps when nothing is going to expire.
const IDLE: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Keeper {
    started: AtomicBool,
    wake: Arc<Notify>,
}

impl Keeper {
    /// Starts the task, once. It waits for the first request so that making a database opens nothing.
    pub(super) fn start(&self, shared: &Arc<Shared>) {
        let settings = &shared.settings;
        let idle = settings.standby == 0 && settings.max_age.is_zero();
        if !idle && !self.started.swap(true, Ordering::AcqRel) {
            tokio::spawn(keep(Arc::downgrade(shared), Arc::clone(&self.wake)));
        }
    }

    /// Something was taken, given back or dropped: there may be something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

async fn keep(shared: Weak<Shared>, wake: Arc<Notify>) {
    let mut pause = FIRST_PAUSE;
    while let Some(database) = shared.upgrade() {
        let filled = database.fill().await;
        let next = database.ready().next_expiry(database.settings.max_age).unwrap_or(IDLE);
        drop(database);
        match filled {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // Woken or not, there is a look to take.
                let _ = timeout(next, wake.notified()).await;
            }
            Err(error) => {
                debug!("No connection could be opened to stand by: {error}");
                // Being woken doesn't shorten this pause, or every request would dial once more during an outage.
                sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl Shared {
    async fn fill(&self) -> Result<(), Error> {
        self.ready().expire(self.settings.max_age);
        while self.lacks_standby() {
            let Ok(_permit) = self.permits.try_acquire() else { break };
            let link = self.dial().await?;
            self.ready().standby.push_back(link);
        }
        Ok(())
    }

    /// Whether one more may stand by: fewer do than shall, and a request that comes now would still find a permit.
    fn lacks_standby(&self) -> bool {
        let ready = self.ready();
        ready.standby.len() < self.settings.standby && ready.len() < self.permits.available_permits()
    }
}
