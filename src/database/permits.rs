//! The permits to have a connection: `max_connections`, of which one client may hold a part.
//!
//! Whoever has its part waits for its own connections, and isn't among those that wait for a free one. So the
//! next that is free goes to somebody who has less.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Database;
use super::counters::GaugeGuard;
use crate::error::{Code, Error};
use crate::portions::Portions;
use crate::shares::{Client, Taken, percentage};

/// All permits.
pub(super) struct Permits {
    all: Arc<Semaphore>,
    most: usize,
    portions: Portions,
}

/// A permit, until it is dropped.
pub(super) struct Permit {
    // In this order, so that a client that waits for its own doesn't find all others taken.
    _all: OwnedSemaphorePermit,
    _own: Option<OwnedSemaphorePermit>,
}

/// A client, and the percentage of all connections that it may hold, though always one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    client: Client,
    percent: u8,
}

/// The semaphore of a claim, and the number of its permits.
struct Portion {
    own: Arc<Semaphore>,
    most: usize,
}

impl Claim {
    /// Returns the claim of a client; `None` if it may hold all connections.
    pub(crate) fn of(client: Option<Client>, percent: u8) -> Option<Self> {
        client.filter(|_| percent < 100).map(|client| Claim { client, percent })
    }
}

impl Database {
    /// Returns the permit of a request, which waits for it for `acquire_timeout`.
    pub(super) async fn permit(&self, claim: Option<Claim>) -> Result<Permit, Error> {
        let permits = &self.shared.permits;
        if let Some(permit) = permits.try_take(claim) {
            return Ok(permit);
        }
        let _waiting = GaugeGuard::new(&self.shared.counters, |counters| &counters.waiting);
        let patience = self.shared.settings.acquire_timeout;
        Box::pin(permits.take(claim, patience)).await.map_err(|taken| {
            self.shared.counters.refused();
            match taken {
                Taken::All(_) => Error::after(Code::ConnectionsExhausted, patience),
                Taken::Share(most) => {
                    let time = humantime::format_duration(patience);
                    let detail =
                        format!("All {most} database connections of one client stayed in use for {time}.");
                    Error::new(Code::ConnectionsExhausted, detail)
                }
            }
        })
    }

    /// Returns whether a request that comes now with this claim has to wait for a connection.
    pub(crate) fn is_used_up(&self, claim: Option<Claim>) -> bool {
        self.shared.permits.are_used_up(claim)
    }
}

impl Permits {
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Permits { all: Arc::new(Semaphore::new(most)), most, portions: Portions::default() }
    }

    /// Returns the number of connections that are free.
    pub(super) fn free(&self) -> usize {
        self.all.available_permits()
    }

    /// Returns whether a request with this claim has to wait.
    pub(super) fn are_used_up(&self, claim: Option<Claim>) -> bool {
        self.free() == 0 || self.portion(claim).is_some_and(|portion| portion.own.available_permits() == 0)
    }

    /// Takes a permit if one is free.
    pub(super) fn try_take(&self, claim: Option<Claim>) -> Option<Permit> {
        let own = match self.portion(claim) {
            Some(portion) => Some(portion.own.try_acquire_owned().ok()?),
            None => None,
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Permit { _all: all, _own: own })
    }

    /// Waits for a permit, or returns why there is none within this time.
    pub(super) async fn take(&self, claim: Option<Claim>, patience: Duration) -> Result<Permit, Taken> {
        let portion = self.portion(claim);
        let mut lacking = portion.as_ref().map_or(Taken::All(self.most), |own| Taken::Share(own.most));
        // Semaphores that are never closed.
        let waiting = async {
            let own = match portion {
                Some(portion) => Some(portion.own.acquire_owned().await.ok()?),
                None => None,
            };
            lacking = Taken::All(self.most);
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Permit { _all: all, _own: own })
        };
        let permit = timeout(patience, waiting).await.ok().flatten();
        permit.ok_or(lacking)
    }

    fn portion(&self, claim: Option<Claim>) -> Option<Portion> {
        let Claim { client, percent } = claim?;
        let most = percentage(self.most, percent);
        Some(Portion { own: self.portions.of(Some(client), most), most })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn claim(address: &str) -> Option<Claim> {
        Claim::of(Some(address.parse::<IpAddr>().unwrap().into()), 50)
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_leaves_others_their_connections() {
        let permits = Permits::new(4);
        let (one, other) = (claim("10.0.0.1"), claim("10.0.0.2"));
        let mut held = Vec::from([(); 2].map(|()| permits.try_take(one).unwrap()));
        assert!(permits.are_used_up(one) && !permits.are_used_up(other));
        assert!(permits.try_take(one).is_none());
        assert_eq!(permits.take(one, PATIENCE).await.err(), Some(Taken::Share(2)));
        let mut waiting = Box::pin(permits.take(one, PATIENCE));
        assert!(waiting.as_mut().now_or_never().is_none());
        let others = [(); 2].map(|()| permits.try_take(other).unwrap());
        assert_eq!(permits.take(None, PATIENCE).await.err(), Some(Taken::All(4)));
        let mut last = Box::pin(permits.take(None, PATIENCE));
        assert!(last.as_mut().now_or_never().is_none());
        // Whoever waits for its own comes after those that wait for any.
        held.pop();
        let last = last.await.unwrap();
        assert_eq!(waiting.await.err(), Some(Taken::All(4)));
        drop((held, others, last));
        assert_eq!(permits.free(), 4);
        assert!(permits.try_take(one).is_some());
    }

    #[test]
    fn whoever_may_have_all_is_not_counted() {
        let client = Some(Client::from(IpAddr::from([10, 0, 0, 1])));
        assert!(Claim::of(client, 100).is_none() && Claim::of(None, 1).is_none());
        let permits = Permits::new(1);
        let held = permits.try_take(Claim::of(client, 1));
        assert!(held.is_some(), "everybody may have one");
        assert!(permits.try_take(Claim::of(client, 100)).is_none());
    }
}
