//! Portions: the part of a resource that one client may hold at a time. Whoever wants more waits for its own,
//! and keeps nobody else waiting. [`Shares`](crate::shares::Shares) refuse more instead.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::shares::Client;

/// The clients that are forgotten together: the map is looked through once it holds twice as many as were
/// left the last time, but no fewer than this.
const FEW: usize = 64;

/// The portions of all clients.
#[derive(Debug, Default)]
pub(crate) struct Portions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by: HashMap<Option<IpAddr>, Weak<Semaphore>>,
    /// The number of clients that were left when those without anything were last forgotten.
    left: usize,
}

impl Portions {
    /// Returns the portion of a client, whose size is `most`, or that of all whose address is unknown. It
    /// keeps its size for as long as somebody has it, or waits for a part of it.
    pub(crate) fn of(&self, client: Option<Client>, most: usize) -> Arc<Semaphore> {
        let client = client.map(Client::network);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = known.by.get(&client).and_then(Weak::upgrade) {
            return own;
        }
        let own = Arc::new(Semaphore::new(most));
        known.by.insert(client, Arc::downgrade(&own));
        known.forget();
        own
    }

    /// Returns the number of clients that are known.
    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by.len()
    }
}

impl Known {
    /// Forgets clients that hold nothing, once there may be many of them.
    fn forget(&mut self) {
        if self.by.len() >= self.left.max(FEW / 2) * 2 {
            self.by.retain(|_, own| own.strong_count() > 0);
            self.left = self.by.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_hold_nothing_are_forgotten() {
        let portions = Portions::default();
        let client = |number: u32| Some(Client::from(IpAddr::from(number.to_be_bytes())));
        let held: Vec<_> = (0..100).map(|number| portions.of(client(number), 1)).collect();
        assert_eq!(portions.known(), 100);
        assert!(Arc::ptr_eq(&held[7], &portions.of(client(7), 1)));
        for number in 100..10_000 {
            drop(portions.of(client(number), 1));
        }
        assert!(portions.known() < 300, "{}", portions.known());
        drop(held);
        for number in 0..10_000 {
            drop(portions.of(client(number), 1));
        }
        assert!(portions.known() < 100, "{}", portions.known());
    }
}
