//! Reading a connection in small pieces, and in turns.
//!
//! Hyper doubles the buffer of a connection whenever a client fills it, up to the limit on heads. A client
//! that sends a large body would hold several such buffers beside what the service has taken of the body. A
//! piece that doesn't fill the first buffer leaves it as small as it is.
//!
//! A client can also send faster than the service reads, such as frames of HTTP/2 that cost it nothing. Tokio
//! ends the turn of a connection after 128 reads, by when that is a megabyte, and tens of milliseconds of
//! work. So its turn ends earlier. Hyper reads on for each request that it accepts in a turn, and asks again
//! after it was told to wait. So only the task of the connection begins another turn.

use std::future::poll_fn;
use std::io::{self, Cursor};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Chain, ReadBuf, Take};

/// The bytes that are read at once, less than hyper's first buffer has (`INIT_BUFFER_SIZE` in its
/// `src/proto/h1/io.rs`).
const SIP: u64 = (8 << 10) - 1;
/// The bytes that are read in one turn. The smallest frames of them are answered within a millisecond.
const TURN: usize = 32 << 10;

/// A stream that is read in small pieces, and in turns with other connections. It begins with what has been
/// read of it before.
pub(super) struct Sipped<S> {
    stream: Take<Chain<Cursor<Vec<u8>>, S>>,
    turn: Turn,
}

/// The bytes that have been read in the turn of a connection. Cheap to clone; clones share the count.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<AtomicUsize>);

impl Turn {
    /// Runs a connection, each poll of which is a turn.
    pub(super) async fn each<F: Future>(&self, mut connection: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            self.0.store(0, Ordering::Relaxed);
            connection.as_mut().poll(cx)
        })
        .await
    }
}

impl<S: AsyncRead> Sipped<S> {
    /// Returns the stream after `first`, which has been read of it.
    pub(super) fn after(first: Vec<u8>, stream: S, turn: Turn) -> Self {
        Sipped { stream: Cursor::new(first).chain(stream).take(SIP), turn }
    }
}

impl<S: AsyncRead + Unpin> Sipped<S> {
    fn writer(&mut self) -> Pin<&mut S> {
        Pin::new(self.stream.get_mut().get_mut().1)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sipped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn.0.load(Ordering::Relaxed) >= TURN {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        self.stream.set_limit(SIP);
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        self.turn.0.fetch_add(into.filled().len() - before, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Sipped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().get_ref().1.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncWriteExt, duplex, repeat};

    use super::*;

    #[tokio::test]
    async fn all_arrives_in_pieces() {
        let (turn, (ours, mut theirs)) = (Turn::default(), duplex(256 << 10));
        let sent = (0..=255).cycle().take(100_000).collect::<Vec<u8>>();
        let mut ours = Sipped::after(sent[..300].to_owned(), ours, turn.clone());
        theirs.write_all(&sent[300..]).await.unwrap();
        drop(theirs);
        let (mut arrived, mut buffer) = (Vec::new(), [0; 16 << 10]);
        loop {
            let length = turn.each(pin!(ours.read(&mut buffer))).await.unwrap();
            if length == 0 {
                break;
            }
            assert!(length < 8 << 10, "{length} bytes fill the buffer");
            arrived.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(arrived, sent);
    }

    #[tokio::test]
    async fn a_client_that_never_pauses_leaves_others_their_turn() {
        let turn = Turn::default();
        let mut endless = Sipped::after(Vec::new(), repeat(b'x'), turn.clone());
        let (mut turns, mut read) = (0, 0);
        // It is only polled again if it has been woken.
        let connection = poll_fn(|cx| {
            turns += 1;
            // A turn goes on after the end of what may be read, such as for the requests in it.
            for _ in 0..3 {
                let mut buffer = [0; 16 << 10];
                let mut into = ReadBuf::new(&mut buffer);
                while Pin::new(&mut endless).poll_read(cx, &mut into).is_ready() {
                    read += into.filled().len();
                    into.clear();
                    assert!(read <= turns * (TURN + SIP as usize), "{read} bytes in {turns} turns");
                }
            }
            if turns == 10 { Poll::Ready(()) } else { Poll::Pending }
        });
        turn.each(pin!(connection)).await;
        assert!(read >= 10 * TURN);
    }
}
