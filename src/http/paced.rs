//! Timeouts of answers' bodies.
//!
//! [`paced`] limits the time that a part of an answer stays unread, whatever the connection's window says.
//! After that time, it drops everything that the answer holds.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use warp::hyper::body::{Body, Bytes, Frame, SizeHint};

/// The longest answer that is passed to the connection without a timeout of its own, and the longest part of
/// an answer that is passed at once, in bytes.
pub(crate) const PART: usize = 64 << 10;
/// The longest answer, in bytes, that doesn't count though it may stay unread: a connection of HTTP/2 may
/// have many.
pub(crate) const UNCOUNTED: usize = 4 << 10;

/// Any error of a body.
pub(super) type AnyError = Box<dyn StdError + Send + Sync>;

/// The body of an answer, with a timeout for each part.
pub(crate) enum Paced<B, H> {
    /// A body that is short enough to be passed to the connection as it is.
    Short(Pin<Box<B>>),
    Counted(Counted<B, H>),
    Long(Parts),
}

/// A short body that counts until its end is taken.
pub(crate) struct Counted<B, H> {
    body: Pin<Box<B>>,
    /// The last part, which isn't passed on with those before it: it shows that those were taken.
    end: Option<Bytes>,
    _held: H,
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
pub(crate) fn paced<B, H>(body: B, patience: Duration, held: Option<H>) -> Paced<B, H>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<AnyError>,
    H: Send + 'static,
{
    let left = body.size_hint();
    if left.exact().is_some_and(|length| length <= PART as u64) {
        let body = Box::pin(body);
        return match held {
            Some(held) => Paced::Counted(Counted { body, end: None, _held: held }),
            None => Paced::Short(body),
        };
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _held = held;
        hand_out(body, sender, patience).await;
    });
    Paced::Long(Parts { parts: Mutex::new(receiver), left, ended: false })
}

/// Passes a body to the connection as it is, since it holds no shared resource.
pub(crate) fn unpaced<B, H>(body: B) -> Paced<B, H> {
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

impl<B, H> Body for Paced<B, H>
where
    B: Body<Data = Bytes>,
    B::Error: Into<AnyError>,
    H: Unpin,
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
            Paced::Counted(body) => body.poll_next(cx),
            Paced::Long(parts) => parts.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Paced::Short(body) => body.is_end_stream(),
            Paced::Counted(Counted { body, end, .. }) => end.is_none() && body.is_end_stream(),
            Paced::Long(parts) => parts.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Paced::Short(body) => body.size_hint(),
            Paced::Counted(Counted { body, end, .. }) => {
                let end = end.as_ref().map_or(0, Bytes::len) as u64;
                body.size_hint().exact().map_or_else(SizeHint::new, |left| SizeHint::with_exact(left + end))
            }
            Paced::Long(parts) => parts.left,
        }
    }
}

impl<B, H> Counted<B, H>
where
    B: Body<Data = Bytes>,
    B::Error: Into<AnyError>,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        if let Some(end) = self.end.take() {
            return Poll::Ready(Some(Ok(Frame::data(end))));
        }
        let frame = ready!(self.body.as_mut().poll_frame(cx)).map(|frame| frame.map_err(Into::into));
        Poll::Ready(match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(mut data))) => {
                if data.len() > UNCOUNTED {
                    self.end = Some(data.split_off(data.len() - UNCOUNTED));
                }
                Some(Ok(Frame::data(data)))
            }
            Some(Ok(Err(trailers))) => Some(Ok(trailers)),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        })
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

    use futures_util::stream;
    use http_body_util::{BodyExt, Full, StreamBody};

    use tokio::time::sleep;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_all_of_a_body_in_parts() {
        let text = Bytes::from((0..=255).cycle().take(300_000).collect::<Vec<u8>>());
        let mut body = paced(Full::new(text.clone()), PATIENCE, Some(()));
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
        let mut body = paced(StreamBody::new(endless), PATIENCE, Some(()));
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

    #[tokio::test]
    async fn a_short_body_counts_until_its_end_is_taken() {
        let (held, text) = (Arc::new(()), Bytes::from(vec![b'x'; 60_000]));
        let witness = Arc::downgrade(&held);
        let mut body = paced(Full::new(text.clone()), PATIENCE, Some(held));
        assert_eq!(body.size_hint().exact(), Some(60_000));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), body.size_hint().exact()), (60_000 - UNCOUNTED, Some(UNCOUNTED as u64)));
        assert!(!body.is_end_stream() && witness.upgrade().is_some());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), text[..UNCOUNTED]);
        assert!(body.is_end_stream() && body.frame().await.is_none());
        drop(body);
        assert!(witness.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_body_holds_is_free_when_its_reader_leaves() {
        let held = Arc::new(());
        let witness = Arc::downgrade(&held);
        let silent = stream::poll_fn(move |_| {
            let _held = &held;
            Poll::<Option<Result<Frame<Bytes>, Infallible>>>::Pending
        });
        let body = paced(StreamBody::new(silent), PATIENCE, Some(()));
        tokio::task::yield_now().await;
        drop(body);
        tokio::task::yield_now().await;
        assert!(witness.upgrade().is_none());
    }
}
