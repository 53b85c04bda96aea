//! The set of all hubs, by their live queries.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;
use tokio::sync::Semaphore;
use warp::hyper::body::Bytes;

use super::alive::Stalled;
use super::bounds::Bounds;
use super::counts::{Counts, Figures};
use super::follower::{Wish, events};
use super::hub::{Common, Hub};
use super::log::Total;
use super::place::End;
use super::presence::{Held, Presence};
use super::source::Source;
use super::task;
use crate::error::Error;
use crate::shares::Share;

/// The most followers that open feeds of their own at the same time.
const JOINS: usize = 32;

/// All hubs.
pub(crate) struct Hubs {
    bounds: Mutex<Bounds>,
    all: Mutex<All>,
    common: Common,
}

#[derive(Default)]
struct All {
    hubs: HashMap<String, Arc<Hub>>,
    stopped: bool,
}

/// A client that is about to follow a live query.
pub(crate) struct Arrival {
    hub: Arc<Hub>,
    presence: Arc<Presence>,
}

impl Hubs {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let joins = Arc::new(Semaphore::new(JOINS));
        let common = Common { total: Total::default(), counts: Arc::<Counts>::default(), joins };
        Hubs { bounds: Mutex::new(bounds), all: Mutex::default(), common }
    }

    /// Sets the limits of new hubs.
    pub(crate) fn bound(&self, bounds: Bounds) {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner) = bounds;
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a follower to the hub with this key, which is created if there is none. `held` is dropped when
    /// the follower leaves, the result of `share` when the hub has ended.
    ///
    /// # Errors
    ///
    /// The errors of `share`.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        key: &str,
        held: Held,
        share: impl FnOnce() -> Result<Share, Error>,
        source: impl FnOnce() -> Box<dyn Source>,
    ) -> Result<Arrival, Error> {
        let mut held = Some(held);
        let mut all = self.all();
        if let Some(hub) = all.hubs.get(key)
            && let Some(presence) = hub.enter(&mut held)
        {
            return Ok(Arrival { hub: Arc::clone(hub), presence });
        }
        let share = share()?;
        let bounds = *self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let hub = Arc::new(Hub::new(source(), bounds, self.common.clone()));
        let presence = hub.enter(&mut held).ok_or_else(|| Error::internal("a new hub has ended"))?;
        if all.stopped {
            hub.end(End::Stopped);
        }
        all.hubs.insert(key.to_owned(), Arc::clone(&hub));
        drop(all);
        let (hubs, key, running) = (Arc::downgrade(self), key.to_owned(), Arc::clone(&hub));
        tokio::spawn(async move {
            task::run(Arc::clone(&running)).await;
            drop(share);
            let Some(hubs) = hubs.upgrade() else { return };
            let mut all = hubs.all();
            if all.hubs.get(&key).is_some_and(|hub| Arc::ptr_eq(hub, &running)) {
                all.hubs.remove(&key);
            }
        });
        Ok(Arrival { hub, presence })
    }

    /// Ends all hubs, present and future ones.
    pub(crate) fn stop(&self) {
        let mut all = self.all();
        all.stopped = true;
        let hubs: Vec<_> = all.hubs.values().cloned().collect();
        drop(all);
        hubs.into_iter().for_each(|hub| hub.end(End::Stopped));
    }

    /// Ends all present hubs, whose clients will reconnect.
    pub(crate) fn renew(&self) {
        let hubs: Vec<_> = self.all().hubs.drain().map(|(_, hub)| hub).collect();
        hubs.into_iter().for_each(|hub| hub.end(End::Renewed));
    }

    #[cfg(test)]
    pub(super) fn joinings(&self) -> usize {
        self.all().hubs.values().map(|hub| hub.joinings()).sum()
    }

    /// Returns the values of counters and gauges.
    pub(crate) fn figures(&self) -> Figures {
        let all = self.all();
        let followers = all.hubs.values().map(|hub| hub.followers()).sum();
        let Common { total, counts, .. } = &self.common;
        counts.figures(all.hubs.len() as u64, followers, total.bytes())
    }
}

impl Arrival {
    /// Waits until the list is followed.
    ///
    /// # Errors
    ///
    /// The reason why it can't be followed.
    pub(crate) async fn is_live(&self) -> Result<(), Error> {
        let mut news = self.hub.news();
        loop {
            news.mark_unchanged();
            match self.hub.is_live() {
                Some(outcome) => return outcome,
                // The hub is kept alive, and its query has a timeout, so there will be news.
                None => drop(news.changed().await),
            }
        }
    }

    /// Returns the event stream of the client.
    pub(crate) fn events(
        self,
        wish: Wish,
    ) -> impl Stream<Item = Result<Bytes, Stalled>> + Send + Sync + 'static {
        events(self.hub, self.presence, wish)
    }
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("figures", &self.figures()).finish_non_exhaustive()
    }
}
