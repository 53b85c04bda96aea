//! Timeouts of requests' bodies: [`Arriving`] limits the time that the service waits for one.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use warp::Buf;
use warp::hyper::body::{Body, Frame, SizeHint};

use super::paced::AnyError;

/// The lowest average rate of a body in bytes per second, once `pause` is used up. It only counts the time
/// spent waiting for the body. Apache's `mod_reqtimeout` has the same default.
const RATE: u64 = 500;

/// A body that arrived too slowly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooSlow(Duration);

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it paused for {:?}, or brought less than {RATE} bytes a second", self.0)
    }
}

impl StdError for TooSlow {}

impl TooSlow {
    /// Returns the `TooSlow` among the sources of an error.
    pub(crate) fn within(error: &(dyn StdError + 'static)) -> Option<TooSlow> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(slow) = error.downcast_ref() {
                return Some(*slow);
            }
            cause = error.source();
        }
        None
    }

    /// Returns the limit on the pause.
    pub(crate) fn pause(self) -> Duration {
        self.0
    }
}

/// The body of a request, which may neither pause for too long nor trickle. Only time spent waiting for it
/// counts.
pub(crate) struct Arriving<B> {
    body: Pin<Box<B>>,
    pause: Duration,
    /// The total time spent waiting for the body, of which `length` bytes have arrived.
    waited: Duration,
    length: u64,
    /// The start and the timeout of the current wait.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> Arriving<B> {
    pub(crate) fn new(body: B, pause: Duration) -> Self {
        Arriving { body: Box::pin(body), pause, waited: Duration::ZERO, length: 0, waiting: None }
    }

    fn patience(&self) -> Duration {
        let earned = Duration::from_secs(self.length / RATE);
        (self.pause + earned).saturating_sub(self.waited).min(self.pause)
    }
}

impl<B> Body for Arriving<B>
where
    B: Body,
    B::Error: Into<AnyError>,
{
    type Data = B::Data;
    type Error = AnyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, AnyError>>> {
        let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) else {
            let patience = self.patience();
            let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(patience))));
            ready!(end.as_mut().poll(cx));
            return Poll::Ready(Some(Err(TooSlow(self.pause).into())));
        };
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.length += data.remaining() as u64;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
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
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use warp::hyper::body::Bytes;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn parts(parts: Vec<(u64, usize)>) -> impl Body<Data = Bytes, Error = Infallible> {
        let parts = stream::iter(parts).then(|(pause, length)| async move {
            sleep(Duration::from_secs(pause)).await;
            Ok(Frame::data(Bytes::from(vec![b'x'; length])))
        });
        StreamBody::new(parts)
    }

    async fn arrives(sent: Vec<(u64, usize)>) -> Option<usize> {
        let read = Arriving::new(parts(sent), PATIENCE).collect().await;
        match read {
            Ok(read) => Some(read.to_bytes().len()),
            Err(error) => {
                assert!(TooSlow::within(error.as_ref()).is_some(), "{error}");
                None
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_pause() {
        assert_eq!(arrives(vec![(29, 100_000), (29, 100_000), (29, 1)]).await, Some(200_001));
        assert_eq!(arrives(vec![(1, 1_000_000), (31, 1)]).await, None);
        assert_eq!(arrives(vec![(31, 1)]).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_not_trickle() {
        assert_eq!(arrives(vec![(10, 1); 2]).await, Some(2));
        assert_eq!(arrives(vec![(10, 1); 4]).await, None);
        assert_eq!(arrives(vec![(10, 5_500); 60]).await, Some(330_000));
    }
}
