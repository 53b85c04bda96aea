//! The end of a connection, as a client gets to see it.
//!
//! A connection may end while its client is still sending: a body that nobody wants, or another request. What
//! arrives at a socket that is closed is answered by a reset, and a reset takes from the client the part of
//! the answer that it has not read yet. So this side ends first, and what comes until the other side ends is
//! read and dropped, for a while.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The time that a client has to end its side.
const WHILE: Duration = Duration::from_secs(2);
/// The time that a client has while the service stops: some round trips. Many clients never end their side,
/// and all of them together must not keep the service from stopping.
const STOPPING: Duration = Duration::from_millis(200);
/// The bytes that are dropped at once.
const DROPPED: usize = 4 << 10;
/// The bytes that are copied to be sent in one piece. The system takes longer for several short pieces, such
/// as those of an event, than it takes to copy them.
const PIECE: usize = 1 << 10;

/// A stream whose end is put off until the other side has ended, too.
pub(super) struct Lingering<S> {
    stream: S,
    /// The shutdown of the service.
    stop: CancellationToken,
    /// The end of the time to wait, once this side has ended.
    until: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, stop: CancellationToken) -> Self {
        Lingering { stream, stop, until: None }
    }
}

/// Waits for as long as a client has to end its side.
async fn awhile(stop: CancellationToken) {
    let stopping = async {
        stop.cancelled().await;
        sleep(STOPPING).await;
    };
    tokio::select! {
        () = sleep(WHILE) => {}
        () = stopping => {}
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.until.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let Lingering { stream, stop, until } = &mut *self;
        let until = until.get_or_insert_with(|| Box::pin(awhile(stop.clone())));
        loop {
            if until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut dropped = [0; DROPPED];
            let mut dropped = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut dropped));
            // What goes wrong now is nobody's business any more.
            if read.is_err() || dropped.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if slices.len() < 2 || length > PIECE {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        let (mut piece, mut at) = ([0; PIECE], 0);
        for slice in slices {
            piece[at..at + slice.len()].copy_from_slice(slice);
            at += slice.len();
        }
        Pin::new(&mut self.stream).poll_write(cx, &piece[..length])
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_the_other_side() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Lingering::new(ours, CancellationToken::new());
        let client = async {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).await.unwrap();
            theirs.write_all(&[b'x'; 100_000]).await.unwrap();
            drop(theirs);
            read
        };
        let server = async {
            ours.write_all(b"answer").await.unwrap();
            ours.shutdown().await.unwrap();
        };
        let began = Instant::now();
        let (read, ()) = tokio::join!(client, server);
        assert_eq!((read.as_slice(), began.elapsed()), (&b"answer"[..], Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_is_waited_for_a_while() {
        let (ours, mut theirs) = duplex(16);
        let began = Instant::now();
        theirs.write_all(b"more").await.unwrap();
        Lingering::new(ours, CancellationToken::new()).shutdown().await.unwrap();
        assert_eq!(began.elapsed(), WHILE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_shortens_the_wait() {
        let (ours, _theirs) = duplex(16);
        let (began, stop) = (Instant::now(), CancellationToken::new());
        let mut ours = Lingering::new(ours, stop.clone());
        let stopping = async {
            sleep(WHILE / 4).await;
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(ours.shutdown(), stopping);
        ended.unwrap();
        assert_eq!(began.elapsed(), WHILE / 4 + STOPPING);
    }
}
