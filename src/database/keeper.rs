//! The tasks that keep connections standing by, and close the ones that have grown too old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use log::{debug, warn};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::sync::{Notify, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Link, Shared};
use crate::error::Error;

/// How many dial at once. One alone would keep up with half of what can be served, and no more; a handful would fall upon
/// a database that comes back.
const KEEPERS: usize = 2;
/// How much keepers give way, on the scale of `nice(1)`: to a tenth of a busy processor, not to nothing, since the permit
/// they hold meanwhile may be one that a request waits for.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
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
            let aside = aside();
            for _ in 0..KEEPERS {
                aside.spawn(keep(Arc::downgrade(shared), Arc::clone(&self.wake)));
            }
        }
    }

    /// Something was taken, given back or dropped, so that there may be something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

async fn keep(shared: Weak<Shared>, wake: Arc<Notify>) {
    let mut pause = FIRST_PAUSE;
    while let Some(database) = shared.upgrade() {
        let filled = database.fill().await;
        let next = database.plan_look();
        drop(database);
        match filled {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // Woken or not, there is a look to take.
                let _ = timeout_at(next, wake.notified()).await;
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
            let link = self.dial().await;
            expected.arrives(link?);
        }
        Ok(())
    }

    /// When to look again.
    fn plan_look(&self) -> Instant {
        let mut ready = self.ready();
        let next = ready.next_expiry(self.settings.max_age).unwrap_or_else(|| Instant::now() + IDLE);
        ready.next_look = Some(next);
        next
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

/// Where keepers run: on threads of their own, which give way to all others. A handshake hashes the password in one go,
/// for a millisecond or two, and a request must wait for it neither in the queue of a thread nor for a processor.
///
/// A runtime with one thread, as of a test whose clock stands still, keeps its tasks to itself.
fn aside() -> Handle {
    static ASIDE: LazyLock<Option<Runtime>> = LazyLock::new(|| {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(KEEPERS).thread_name("standby").on_thread_start(give_way).enable_time();
        runtime.build().inspect_err(|error| warn!("No threads could be started to dial aside: {error}")).ok()
    });
    let here = Handle::current();
    match here.runtime_flavor() {
        RuntimeFlavor::MultiThread => ASIDE.as_ref().map_or(here, |runtime| runtime.handle().clone()),
        _ => here,
    }
}

/// Lets the others have the processors first. Only Linux has a priority for each thread; where it can't be had, all are
/// alike, which is no more than slower.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
