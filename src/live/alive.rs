//! The stream of a client's events while there are none.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};
use warp::hyper::body::Bytes;

use super::bounds::SIGN;
use super::presence::Presence;

/// The comment that shows that a stream without events is alive.
const ALIVE: &[u8] = b":\n\n";

/// A stream with comments in its pauses, which show that it is alive.
pub(super) struct Alive<S> {
    /// The mutex is never locked. It makes the stream `Sync`, which warp requires of bodies.
    parts: Mutex<Pin<Box<S>>>,
    /// Ends when there may have been a pause. It isn't reset at each part, which costs more than the part.
    quiet: Pin<Box<Sleep>>,
    /// The time of the last part.
    told: Instant,
    presence: Arc<Presence>,
    ended: bool,
}

impl<S> Alive<S> {
    pub(super) fn new(parts: S, presence: Arc<Presence>) -> Self {
        let (parts, quiet) = (Mutex::new(Box::pin(parts)), Box::pin(sleep(SIGN)));
        Alive { parts, quiet, told: Instant::now(), presence, ended: false }
    }
}

/// The error of a client that doesn't read.
#[derive(Debug)]
pub(crate) struct Stalled;

impl std::fmt::Display for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client doesn't read its events")
    }
}

impl std::error::Error for Stalled {}

impl<S: Stream<Item = Bytes> + Send> Stream for Alive<S> {
    type Item = Result<Bytes, Stalled>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if !this.presence.asks() {
            this.ended = true;
            return Poll::Ready(Some(Err(Stalled)));
        }
        let parts = this.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let part = match parts.as_mut().poll_next(cx) {
            Poll::Ready(part) => part,
            Poll::Pending => loop {
                std::task::ready!(this.quiet.as_mut().poll(cx));
                let next = this.told + SIGN;
                let is_due = next <= Instant::now();
                this.quiet.as_mut().reset(if is_due { Instant::now() + SIGN } else { next });
                if is_due {
                    break Some(Bytes::from_static(ALIVE));
                }
            },
        };
        this.told = Instant::now();
        this.ended = part.is_none();
        Poll::Ready(part.map(Ok))
    }
}
