//! The tasks that keep connections standing by, and close the ones that have grown too old.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use log::debug;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, SemaphorePermit};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use super::{Link, Shared};
use crate::error::Error;

/// How many dial at once. One alone would keep up with half of what can be served, and no more; a handful would fall upon
/// a database that comes back.
const KEEPERS: usize = 2;
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
    /// Starts the tasks, once. They wait for the first request so that making a database opens nothing.
    pub(super) fn start(&self, shared: &Arc<Shared>) {
        let settings = &shared.settings;
        let idle = settings.standby == 0 && settings.max_age.is_zero();
        if !idle && !self.started.swap(true, Ordering::AcqRel) {
            for _ in 0..KEEPERS {
                tokio::spawn(keep(Arc::downgrade(shared), Arc::clone(&self.wake)));
            }
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
    // Being woken by the end of the database wakes one; it tells the next.
    wake.notify_one();
}

impl Shared {
    async fn fill(&self) -> Result<(), Error> {
        self.ready().expire(self.settings.max_age);
        while let Some(expected) = self.expect_one() {
            let link = if self.settings.password.expose().is_empty() {
                self.dial().await
            } else {
                aside(self.dial()).await
            };
            expected.arrives(link?);
        }
        Ok(())
    }

    /// One more that is to stand by, if fewer do than shall, and a request that comes now would still find a permit.
    fn expect_one(&self) -> Option<Expected<'_>> {
        let mut ready = self.ready();
        if ready.standby.len() + ready.expected >= self.settings.standby
            || ready.len() >= self.permits.available_permits()
        {
            return None;
        }
        let permit = self.permits.try_acquire().ok()?;
        ready.expected += 1;
        Some(Expected { shared: self, _permit: permit })
    }
}

/// A session that is being dialled to stand by.
struct Expected<'a> {
    shared: &'a Shared,
    _permit: SemaphorePermit<'a>,
}

impl Expected<'_> {
    fn arrives(self, link: Link) {
        self.shared.ready().standby.push_back(link);
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.shared.ready().expected -= 1;
    }
}

/// Polls where blocking is allowed. A handshake hashes the password in one go, for a millisecond or two; requests must
/// not queue behind that on the same thread.
async fn aside<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    let has_threads = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    poll_fn(|cx| match has_threads {
        true => block_in_place(|| work.as_mut().poll(cx)),
        false => work.as_mut().poll(cx),
    })
    .await
}
