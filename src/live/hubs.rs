//! All hubs, by what they follow.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;
use warp::hyper::body::Bytes;

use super::bounds::Bounds;
use super::counts::{Counts, Figures};
use super::follower::{Stalled, Wish, events};
use super::hub::Hub;
use super::log::Total;
use super::place::End;
use super::presence::{Held, Presence};
use super::source::Source;
use super::task;
use crate::error::Error;
use crate::shares::Share;

/// All live queries that are followed.
pub(crate) struct Hubs {
    bounds: Mutex<Bounds>,
    all: Mutex<All>,
    total: Total,
    counts: Arc<Counts>,
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
        Hubs {
            bounds: Mutex::new(bounds),
            all: Mutex::default(),
            total: Total::default(),
            counts: Arc::default(),
        }
    }

    /// Has live queries that are followed from now on have other bounds.
    pub(crate) fn bound(&self, bounds: Bounds) {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner) = bounds;
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a follower to the hub of this key, and makes one if there is none. `held` is dropped when the
    /// follower isn't served any more, and what `share` returns when the hub has ended.
    ///
    /// # Errors
    ///
    /// Those of `share`.
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
        let hub = Arc::new(Hub::new(source(), bounds, self.total.clone(), Arc::clone(&self.counts)));
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

    /// Ends all of them, and those that come.
    pub(crate) fn stop(&self) {
        let mut all = self.all();
        all.stopped = true;
        let hubs: Vec<_> = all.hubs.values().cloned().collect();
        drop(all);
        hubs.into_iter().for_each(|hub| hub.end(End::Stopped));
    }

    /// Ends those that there are, whose clients come again.
    pub(crate) fn renew(&self) {
        let hubs: Vec<_> = self.all().hubs.drain().map(|(_, hub)| hub).collect();
        hubs.into_iter().for_each(|hub| hub.end(End::Renewed));
    }

    /// Returns what has happened so far, and what there is now.
    pub(crate) fn figures(&self) -> Figures {
        let all = self.all();
        let followers = all.hubs.values().map(|hub| hub.followers()).sum();
        self.counts.figures(all.hubs.len() as u64, followers, self.total.bytes())
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
                // The hub is held, so there is news one day; the database has to answer within its time.
                None => drop(news.changed().await),
            }
        }
    }

    /// Returns what the client is sent.
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
