//! Turns: how many large answers are made at the same time.
//!
//! While an answer is made, the database has its next rows, the driver has a frame of them, and the service
//! has a copy. An answer that waits for its turn holds a row, and one that is made holds what it counts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Code, Error};
use crate::shares::Client;

/// The most large answers that are made at the same time.
const ALL: usize = 8;

/// The turns of all clients. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Left>);

/// The turns that are left: of all, and of each client.
#[derive(Debug)]
struct Left {
    all: Arc<Semaphore>,
    of: Mutex<HashMap<Option<IpAddr>, Weak<Semaphore>>>,
}

/// The way of one request to a turn.
#[derive(Debug)]
pub(crate) struct Queue {
    turns: Turns,
    client: Option<IpAddr>,
    /// The most turns of the client.
    most: usize,
    patience: Duration,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // Fields are dropped in this order: others come before the client's next.
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Turns(Arc::new(Left { all: Arc::new(Semaphore::new(ALL)), of: Mutex::default() }))
    }

    /// Returns the way to a turn of a client, which has at most `percent` of them at a time, but at least
    /// one: whoever has many requests keeps nobody else waiting for all of them.
    pub(crate) fn queue(&self, client: Option<Client>, percent: u8, patience: Duration) -> Queue {
        let most = (ALL * usize::from(percent) / 100).max(1);
        Queue { turns: self.clone(), client: client.map(Client::network), most, patience }
    }

    /// Returns the turns of a client. They are kept for as long as somebody has, or waits for, one of them.
    fn of(&self, client: Option<IpAddr>, most: usize) -> Arc<Semaphore> {
        let mut of = self.0.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of.get(&client).and_then(Weak::upgrade) {
            return own;
        }
        of.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(most));
        of.insert(client, Arc::downgrade(&own));
        own
    }
}

impl Queue {
    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// [`Code::AnswersExhausted`] if it takes longer than the queue's patience.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        let (own, all) = (self.turns.of(self.client, self.most), Arc::clone(&self.turns.0.all));
        let taken = async {
            let own = own.acquire_owned().await.ok()?;
            Some(Turn { _all: all.acquire_owned().await.ok()?, _own: own })
        };
        let detail = "The service makes as many large answers as it may at the same time.";
        let exhausted = || Error::new(Code::AnswersExhausted, detail);
        timeout(self.patience, taken).await.ok().flatten().ok_or_else(exhausted)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    fn client(address: &str) -> Option<Client> {
        Some(Client::from(address.parse::<IpAddr>().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_leaves_others_their_turns() {
        let turns = Turns::new();
        let one = turns.queue(client("10.0.0.1"), 50, SOON);
        let mut held = Vec::new();
        for _ in 0..ALL / 2 {
            held.push(one.turn().await.unwrap());
        }
        let refused = one.turn().await.unwrap_err();
        assert_eq!(refused.code(), Code::AnswersExhausted);
        for other in ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
            held.push(turns.queue(client(other), 1, SOON).turn().await.unwrap());
        }
        let last = turns.queue(None, 100, SOON);
        let mut waiting = Box::pin(last.turn());
        assert!(waiting.as_mut().now_or_never().is_none(), "all are taken");
        held.pop();
        assert!(waiting.await.is_ok());
        drop(held);
        assert!(one.turn().await.is_ok());
        assert_eq!(turns.0.of.lock().unwrap().len(), 1, "clients that are done are forgotten");
    }
}
