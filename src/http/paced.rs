//! Timeouts of bodies, in both directions.
//!
//! [`Arriving`] limits the time that the service waits for a request's body. [`paced`] limits the time that a
//! part of an answer stays unread, whatever the connection's window says. After that time, it drops
//! everything that the answer holds.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, timeout};
use warp::Buf;
use warp::hyper::body::{Body, Bytes, Frame, SizeHint};

/// The lowest average rate of a body in bytes per second, once `pause` is used up. It only counts the time
/// spent waiting for the body. Apache's `mod_reqtimeout` has the same default.
const RATE: u64 = 500;
/// The longest answer that is passed to the connection without a timeout of its own, and the longest part of
/// an answer that is passed at once, in bytes.
const PART: usize = 64 << 10;

/// Any error of a body.
type AnyError = Box<dyn StdError + Send + Sync>;

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

/// The body of an answer, with a timeout for each part.
pub(crate) enum Paced<B> {
    /// A body that is short enough to be passed to the connection as it is.
    Short(Pin<Box<B>>),
    Long(Parts),
}

/// The parts of a body. A task of its own reads them from the body, one part ahead of the client.
pub(crate) struct Parts {
    // The mutex is never locked; it makes the body `Sync`.
    parts: Mutex<mpsc::Receiver<Part>>,
    left: SizeHint,
    ended: bool,
}

/// A part of a body; `None` is its end.
type Part = Option<Result<Frame<Bytes>, AnyError>>;

/// The error of a client that hasn't read a part in time.
#[derive(Debug)]
struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client doesn't read its answer")
    }
}

impl StdError for Stalled {}

/// Aborts a body when a part of it stays unread for longer than `patience`. Then everything that the body
/// holds, such as a connection to the database, and `held` are dropped, even if the connection to the client
/// stays open.
pub(crate) fn paced<B>(body: B, patience: Duration, held: impl Send + 'static) -> Paced<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<AnyError>,
{
    let left = body.size_hint();
    if left.exact().is_some_and(|length| length <= PART as u64) {
        return Paced::Short(Box::pin(body));
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _held = held;
        hand_out(body, sender, patience).await;
    });
    Paced::Long(Parts { parts: Mutex::new(receiver), left, ended: false })
}

/// Passes a body to the connection as it is, since it holds no shared resource.
pub(crate) fn unpaced<B>(body: B) -> Paced<B> {
    Paced::Short(Box::pin(body))
}

/// Sends the parts of a body until it ends, or its client disconnects or stalls.
async fn hand_out<B>(body: B, reader: mpsc::Sender<Part>, patience: Duration)
where
    B: Body<Data = Bytes>,
    B::Error: Into<AnyError>,
{
    let mut body = pin!(body);
    loop {
        let frame = tokio::select! {
            frame = poll_fn(|cx| body.as_mut().poll_frame(cx)) => frame,
            () = reader.closed() => return,
        };
        let mut rest = frame.map(|frame| frame.map_err(Into::into));
        let is_end = rest.is_none();
        loop {
            let (part, left) = split(rest);
            match timeout(patience, reader.send(part)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    log::debug!(
                        "A client has not read a part of its answer for {patience:?}; it gets no more."
                    );
                    return;
                }
            }
            let Some(left) = left else { break };
            rest = Some(Ok(left));
        }
        if is_end {
            return;
        }
    }
}

/// Splits a part off a frame that is longer than [`PART`].
fn split(frame: Part) -> (Part, Option<Frame<Bytes>>) {
    match frame {
        Some(Ok(frame)) => match frame.into_data() {
            Ok(mut data) if data.len() > PART => {
                let part = data.split_to(PART);
                (Some(Ok(Frame::data(part))), Some(Frame::data(data)))
            }
            Ok(data) => (Some(Ok(Frame::data(data))), None),
            Err(trailers) => (Some(Ok(trailers)), None),
        },
        other => (other, None),
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<AnyError>,
{
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        match self.get_mut() {
            Paced::Short(body) => {
                body.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Paced::Long(parts) => parts.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Paced::Short(body) => body.is_end_stream(),
            Paced::Long(parts) => parts.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Paced::Short(body) => body.size_hint(),
            Paced::Long(parts) => parts.left,
        }
    }
}

impl Parts {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let parts = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The task sends `None` at the end of the body, unless it has given up.
        let part = ready!(parts.poll_recv(cx)).unwrap_or_else(|| Some(Err(Stalled.into())));
        match &part {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(left) = self.left.exact() {
                    self.left = SizeHint::with_exact(left.saturating_sub(length));
                    self.ended = left == length && frame.is_data();
                }
            }
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(part)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

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

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_all_of_a_body_in_parts() {
        let text = Bytes::from((0..=255).cycle().take(300_000).collect::<Vec<u8>>());
        let mut body = paced(Full::new(text.clone()), PATIENCE, ());
        assert_eq!(body.size_hint().exact(), Some(300_000));
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let part = frame.unwrap().into_data().unwrap();
            assert!(part.len() <= PART);
            read.extend_from_slice(&part);
            sleep(PATIENCE - Duration::from_secs(1)).await;
        }
        assert_eq!(read, text);
        assert!(body.is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stalls_loses_what_its_answer_holds() {
        let held = Arc::new(());
        let witness = Arc::downgrade(&held);
        let endless = stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"line\n")))
        });
        let mut body = paced(StreamBody::new(endless), PATIENCE, ());
        assert!(body.frame().await.unwrap().is_ok());
        sleep(PATIENCE - Duration::from_secs(1)).await;
        assert!(witness.upgrade().is_some());
        sleep(Duration::from_secs(2)).await;
        assert!(witness.upgrade().is_none());
        let mut last = None;
        while let Some(frame) = body.frame().await {
            last = Some(frame);
        }
        assert!(last.is_some_and(|frame| frame.is_err()), "half an answer must not look like a whole one");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_body_holds_is_free_when_its_reader_leaves() {
        let held = Arc::new(());
        let witness = Arc::downgrade(&held);
        let silent = stream::poll_fn(move |_| {
            let _held = &held;
            Poll::<Option<Result<Frame<Bytes>, Infallible>>>::Pending
        });
        let body = paced(StreamBody::new(silent), PATIENCE, ());
        tokio::task::yield_now().await;
        drop(body);
        tokio::task::yield_now().await;
        assert!(witness.upgrade().is_none());
    }
}
