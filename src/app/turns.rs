//! Turns: how many large answers are made at the same time.
//!
//! While an answer is made, the database has its next rows, the driver has a frame of them, and the service
//! has a copy. An answer that waits for its turn holds a row, and one that is made holds what it counts.
//!
//! Turns spread what is counted anyway, so nobody is refused for want of one, and nobody keeps others waiting
//! by a query whose rows come slowly.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::portions::Portions;
use crate::shares::{Client, percentage};

/// The most large answers that are made at the same time.
const ALL: usize = 8;
/// The longest time that an answer has its turn for.
const LONGEST: Duration = Duration::from_millis(250);
/// The longest time that an answer waits for its turn, and is made without one then.
const PATIENCE: Duration = Duration::from_secs(1);

/// The turns of all clients. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Left>);

/// The turns that are left: of all, and of each client.
#[derive(Debug)]
struct Left {
    all: Arc<Semaphore>,
    portions: Portions,
}

/// The way of one request to a turn.
#[derive(Debug)]
pub(crate) struct Queue {
    turns: Turns,
    client: Option<Client>,
    /// The most turns of the client.
    most: usize,
}

/// A turn, until it is dropped or has been had for the longest time.
#[derive(Debug)]
pub(crate) struct Turn(
    #[expect(dead_code, reason = "its end is told by the drop")] oneshot::Sender<Infallible>,
);

impl Turns {
    pub(crate) fn new() -> Self {
        Turns(Arc::new(Left { all: Arc::new(Semaphore::new(ALL)), portions: Portions::default() }))
    }

    /// Returns the way to a turn of a client, which has at most `percent` of them at a time, but at least
    /// one: whoever has many requests keeps nobody else waiting for all of them.
    pub(crate) fn queue(&self, client: Option<Client>, percent: u8) -> Queue {
        Queue { turns: self.clone(), client, most: percentage(ALL, percent) }
    }
}

impl Queue {
    /// Waits for a turn. Returns `None` if it doesn't come within a second.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        timeout(PATIENCE, self.next()).await.ok().flatten()
    }

    async fn next(&self) -> Option<Turn> {
        // Semaphores that are never closed.
        let own = self.turns.0.portions.of(self.client, self.most).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.turns.0.all).acquire_owned().await.ok()?;
        Some(Turn::had([all, own]))
    }
}

impl Turn {
    fn had(permits: [OwnedSemaphorePermit; 2]) -> Self {
        let (turn, end) = oneshot::channel();
        tokio::spawn(async move {
            let _permits = permits;
            // The end is the error of a sender that was dropped.
            let _ = timeout(LONGEST, end).await;
        });
        Turn(turn)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    fn client(address: &str) -> Option<Client> {
        Some(Client::from(address.parse::<IpAddr>().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_leaves_others_their_turns() {
        let (turns, began) = (Turns::new(), Instant::now());
        let one = turns.queue(client("10.0.0.1"), 50);
        let mut held = Vec::new();
        for _ in 0..ALL / 2 {
            held.push(one.turn().await.unwrap());
        }
        assert!(one.turn().now_or_never().is_none(), "it has its share");
        for other in ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
            held.push(turns.queue(client(other), 1).turn().await.unwrap());
        }
        let last = turns.queue(None, 100);
        let mut waiting = Box::pin(last.turn());
        assert!(waiting.as_mut().now_or_never().is_none(), "all are taken");
        held.pop();
        assert!(waiting.await.is_some());
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(held);
        while turns.0.all.available_permits() < ALL {
            tokio::task::yield_now().await;
        }
        assert!(one.turn().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_those_who_are_slow() {
        let (turns, began) = (Turns::new(), Instant::now());
        let slow = turns.queue(client("10.0.0.1"), 100);
        let mut held = Vec::new();
        for _ in 0..ALL {
            held.push(slow.turn().await.unwrap());
        }
        assert!(turns.queue(client("10.0.0.2"), 100).turn().await.is_some());
        assert_eq!(began.elapsed(), LONGEST);
        // Whoever has as many requests as that waits for as long as anybody does.
        let all = futures_util::future::join_all((0..100).map(|_| slow.turn())).await;
        let without = all.iter().filter(|turn| turn.is_none()).count();
        assert!((50..100).contains(&without), "{without}");
        assert_eq!(began.elapsed(), LONGEST + PATIENCE);
    }
}
