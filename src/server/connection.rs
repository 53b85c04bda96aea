//! A client's connection: its running requests, and its end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use warp::hyper::body::{Body, Frame, SizeHint};

use super::sips::Turn;
use super::streams::Offered;

/// The time that an idle connection has for a graceful shutdown.
const FAREWELL: Duration = Duration::from_secs(1);

/// The running requests of a connection. Cheap to clone; clones share the count.
#[derive(Clone)]
pub(super) struct Requests(Arc<Mutex<Count>>);

struct Count {
    going: usize,
    /// The time of the last change.
    since: Instant,
}

/// A running request. It ends when this is dropped.
pub(super) struct Going(Requests);

/// The body of an answer. Its request runs until the body is dropped.
pub(super) struct Answering<B> {
    body: Pin<Box<B>>,
    /// Tells whether a part waits to be taken, if this is a stream of HTTP/2.
    offered: Option<Offered>,
    _going: Going,
}

/// Serves the requests of a connection until it ends, has been idle for `idle`, or `stop` is done. Running
/// requests are finished. The connection is boxed, since a future holds each of its arguments twice.
pub(super) async fn converse<C: GracefulConnection>(
    mut connection: Pin<Box<C>>,
    requests: Requests,
    idle: Duration,
    stop: CancellationToken,
    turn: Turn,
) -> Result<(), C::Error> {
    let end = async {
        tokio::select! {
            () = requests.idle_for(idle) => {}
            () = stop.cancelled() => {}
        }
    };
    tokio::select! {
        ended = turn.each(connection.as_mut()) => return ended,
        () = end => connection.as_mut().graceful_shutdown(),
    }
    // The farewell begins now, however long the connection has been idle.
    drop(requests.begin());
    tokio::select! {
        ended = turn.each(connection.as_mut()) => ended,
        () = requests.idle_for(FAREWELL) => Ok(()),
    }
}

impl Requests {
    /// Returns an empty count.
    pub(super) fn none() -> Self {
        Requests(Arc::new(Mutex::new(Count { going: 0, since: Instant::now() })))
    }

    /// Counts a request until the returned value is dropped.
    pub(super) fn begin(&self) -> Going {
        let mut count = self.count();
        *count = Count { going: count.going + 1, since: Instant::now() };
        Going(self.clone())
    }

    /// Waits until there has been no request for this long. This may take up to twice that time.
    async fn idle_for(&self, time: Duration) {
        loop {
            let Count { going, since } = *self.count();
            let idle = if going == 0 { since.elapsed() } else { Duration::ZERO };
            if idle >= time {
                return;
            }
            sleep(time - idle).await;
        }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Going {
    /// Keeps the request running until the body of its answer has been sent or dropped.
    pub(super) fn answering<B: Body>(self, body: B) -> Answering<B> {
        let offered = Offered::here();
        if let Some(offered) = &offered
            && !body.is_end_stream()
        {
            offered.begin();
        }
        Answering { body: Box::pin(body), offered, _going: self }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let mut count = self.0.count();
        *count = Count { going: count.going.saturating_sub(1), since: Instant::now() };
    }
}

impl<B: Body> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = self.body.as_mut().poll_frame(cx);
        match (&self.offered, &frame) {
            (None, _) => {}
            // Another part may be there, or will be once it is asked for.
            (Some(offered), Poll::Ready(Some(Ok(_)))) => offered.begin(),
            (Some(offered), _) => offered.end(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_has_gone_on_for_long() {
        let (requests, start) = (Requests::none(), Instant::now());
        let (one, other) = (requests.begin(), requests.begin());
        let user = async {
            sleep(TIME * 3).await;
            drop(one);
            sleep(TIME * 3).await;
            drop(other);
            sleep(TIME / 2).await;
            drop(requests.begin());
        };
        tokio::join!(user, requests.idle_for(TIME));
        let waited = start.elapsed() - TIME * 6 - TIME / 2;
        assert!((TIME..=TIME * 2).contains(&waited), "{waited:?}");
        requests.idle_for(TIME).await;
    }
}
