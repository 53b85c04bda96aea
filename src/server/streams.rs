//! HTTP/2 streams whose answers nobody takes.
//!
//! A client that keeps the window of a stream closed, and answers pings, looks alive. The connection can't be
//! ended for that, since its other streams may be those of other people behind a proxy. So that stream alone
//! is reset.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::turns::Turns;
use crate::shares::Client;

/// The streams of a connection that are held at once. A client may reset streams that wait for their turn and
/// open as many others, since ended streams don't count for it. They are held until their turn all the same.
const HELD: usize = 2 * super::http::STREAMS as usize;

tokio::task_local! {
    /// The answer of the stream that runs in this task.
    static OFFERED: Offered;
}

/// Runs the streams of an HTTP/2 connection, each until its answer is left untaken for `patience`.
#[derive(Clone)]
pub(super) struct Streams {
    patience: Duration,
    /// The client, whose streams take turns.
    client: Option<Client>,
    turns: Turns,
    /// The places of streams that are held.
    places: Arc<Semaphore>,
}

/// The time since which a part of an answer is there to be taken. `None` while none is.
#[derive(Debug, Clone, Default)]
pub(super) struct Offered(Arc<Mutex<Option<Instant>>>);

impl Streams {
    /// Returns the runner of the streams of one connection.
    pub(super) fn new(patience: Duration, client: Option<Client>, turns: Turns) -> Self {
        Streams { patience, client, turns, places: Arc::new(Semaphore::new(HELD)) }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        // Dropping a stream resets it.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let (patience, offered) = (self.patience, Offered::default());
        // Boxed, since a future holds what it takes and awaits twice.
        let stream = Box::pin(stream);
        let stream = OFFERED.scope(offered.clone(), async move {
            let _place = place;
            tokio::select! {
                _ = stream => {}
                () = offered.left_for(patience) => {
                    log::debug!("A client has not taken an answer for {patience:?}; its stream is reset.");
                }
            }
        });
        self.turns.begin(self.client, Box::pin(stream));
    }
}

impl Offered {
    /// Returns that of the stream that runs in this task. HTTP/1 has none.
    pub(super) fn here() -> Option<Offered> {
        OFFERED.try_with(Offered::clone).ok()
    }

    /// Notes that a part is there from now on.
    pub(super) fn begin(&self) {
        *self.since() = Some(Instant::now());
    }

    /// Notes that none is there.
    pub(super) fn end(&self) {
        *self.since() = None;
    }

    /// Waits until a part has been there for this long. This may take up to twice that time.
    async fn left_for(&self, time: Duration) {
        loop {
            let since = *self.since();
            let left = since.map_or(time, |since| time.saturating_sub(since.elapsed()));
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_answer_is_not_taken() {
        let held = Arc::new(());
        let witness = Arc::downgrade(&held);
        Streams::new(TIME, None, Turns::default()).execute(async move {
            let _held = held;
            // The answer takes its time, and is taken in parts.
            sleep(TIME * 5).await;
            let offered = Offered::here().unwrap();
            for _ in 0..4 {
                offered.begin();
                sleep(TIME / 2).await;
                offered.end();
                sleep(TIME * 3).await;
            }
            offered.begin();
            pending::<()>().await;
        });
        sleep(TIME * 19).await;
        assert!(witness.upgrade().is_some());
        sleep(TIME * 2).await;
        assert!(witness.upgrade().is_none());
        assert!(Offered::here().is_none());
    }

    #[tokio::test]
    async fn a_connection_holds_only_so_many_streams() {
        let streams = Streams::new(TIME, None, Turns::default());
        let held = Arc::new(());
        for _ in 0..10 * HELD {
            let held = Arc::clone(&held);
            streams.execute(async move {
                let _held = held;
                pending::<()>().await;
            });
        }
        assert_eq!(Arc::strong_count(&held), 1 + HELD);
    }
}
