//! The turns of a client's HTTP/2 streams: a few begin at a time.
//!
//! A client may open thousands of streams at once, on many connections. Each worker of the runtime has a
//! queue for 256 tasks. What doesn't fit there goes into the runtime's own queue, in which everybody's new
//! connections wait as well, first in, first out. So streams that exceed a client's turns wait here instead.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::poll;
use tokio::task::yield_now;

use crate::shares::Client;

/// The streams of a client that may begin at once.
const AT_ONCE: usize = 16;
/// The waiting streams of a client from which on each lets other tasks run before the next one begins. A
/// single connection has no more than these, so that it never pays for that.
const CROWD: usize = super::http::STREAMS as usize;
/// The most waiting streams of a client, on all its connections. Each has up to 16 KiB of headers.
const WAITING: usize = 2048;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The turns of all clients. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Option<Client>, Queue>>>);

/// The turns of a client, and the streams that wait for one. Kept only while a turn is taken.
#[derive(Default)]
struct Queue {
    /// The number of turns that are taken.
    taken: usize,
    waiting: VecDeque<Stream>,
}

/// A turn, which the next stream gets on drop.
struct Turn {
    turns: Turns,
    client: Option<Client>,
}

impl Turns {
    /// Runs a stream of the client in a task of its own as soon as there is a turn for it. The turn ends when
    /// the stream first has to wait. Clients of a Unix socket, which have no address, share their turns. A
    /// stream beyond [`WAITING`] is dropped, which resets it.
    pub(super) fn begin(&self, client: Option<Client>, stream: Stream) {
        let mut clients = self.lock();
        let queue = clients.entry(client).or_default();
        if queue.taken == AT_ONCE {
            let has_room = queue.waiting.len() < WAITING;
            if has_room {
                queue.waiting.push_back(stream);
            }
            return;
        }
        queue.taken += 1;
        drop(clients);
        self.spawn(client, stream, false);
    }

    /// Runs a stream that has a turn. If there is a crowd, other tasks run before the turn ends.
    fn spawn(&self, client: Option<Client>, mut stream: Stream, is_crowded: bool) {
        let turns = self.clone();
        tokio::spawn(async move {
            // Made here, since a runtime that ends drops the task: a turn that came with the task would spawn
            // the next one, and so on, each inside the one before.
            let turn = Turn { turns, client };
            let is_done = poll!(&mut stream).is_ready();
            if is_crowded {
                yield_now().await;
            }
            drop(turn);
            if !is_done {
                stream.await;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Client>, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut clients = self.turns.lock();
        let Entry::Occupied(mut entry) = clients.entry(self.client) else { return };
        let queue = entry.get_mut();
        if let Some(next) = queue.waiting.pop_front() {
            let is_crowded = queue.waiting.len() >= CROWD;
            drop(clients);
            self.turns.spawn(self.client, next, is_crowded);
            return;
        }
        queue.taken -= 1;
        if queue.taken == 0 {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn client(last: u8) -> Option<Client> {
        Some(Client::from(IpAddr::from(Ipv4Addr::new(10, 0, 0, last))))
    }

    /// Opens streams that count when they begin, and then wait for ever.
    fn open(turns: &Turns, client: Option<Client>, streams: usize) -> Arc<AtomicUsize> {
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..streams {
            let counted = begun.clone();
            let stream = async move {
                counted.fetch_add(1, Ordering::Relaxed);
                pending().await
            };
            turns.begin(client, Box::pin(stream));
        }
        begun
    }

    #[tokio::test]
    async fn a_crowd_of_streams_lets_others_run() {
        const STREAMS: usize = WAITING;
        let turns = Turns::default();
        let begun = open(&turns, client(1), STREAMS);
        let other = open(&turns, client(2), 1);
        while other.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        assert!(begun.load(Ordering::Relaxed) <= 2 * AT_ONCE, "another client waits for {begun:?} streams");
        while begun.load(Ordering::Relaxed) < STREAMS {
            yield_now().await;
        }
        // The last ones end their turns.
        yield_now().await;
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn a_stream_that_panics_ends_its_turn() {
        let turns = Turns::default();
        for _ in 0..AT_ONCE {
            turns.begin(None, Box::pin(async { panic!("as it is meant to") }));
        }
        let begun = open(&turns, None, 1);
        while begun.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
    }

    #[test]
    fn a_runtime_may_end_while_streams_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let turns = Turns::default();
        let begun = runtime.block_on(async { open(&turns, None, 2 * WAITING) });
        drop(runtime);
        assert!(begun.load(Ordering::Relaxed) <= AT_ONCE);
        let queued = |queue: &Queue| queue.waiting.len();
        assert!(turns.lock().values().map(queued).sum::<usize>() <= WAITING);
        assert_eq!(turns.lock().values().map(|queue| queue.taken).sum::<usize>(), AT_ONCE);
    }
}
