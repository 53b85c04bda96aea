//! Reading a connection in small pieces.
//!
//! Hyper doubles the buffer of a connection whenever a client fills it, up to the limit on heads. A client
//! that sends a large body would hold several such buffers beside what the service has taken of the body. A
//! piece that doesn't fill the first buffer leaves it as small as it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The bytes that are read at once, less than hyper's first buffer has (`INIT_BUFFER_SIZE` in its
/// `src/proto/h1/io.rs`).
const SIP: u64 = (8 << 10) - 1;

/// A stream that is read in small pieces.
pub(super) struct Sipped<S>(Take<S>);

impl<S: AsyncRead> Sipped<S> {
    pub(super) fn new(stream: S) -> Self {
        Sipped(stream.take(SIP))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sipped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.set_limit(SIP);
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Sipped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.get_ref().is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn all_arrives_in_pieces() {
        let (ours, mut theirs) = duplex(64 << 10);
        let mut ours = Sipped::new(ours);
        let sent = (0..=255).cycle().take(30_000).collect::<Vec<u8>>();
        theirs.write_all(&sent).await.unwrap();
        drop(theirs);
        let (mut arrived, mut buffer) = (Vec::new(), [0; 16 << 10]);
        loop {
            let length = ours.read(&mut buffer).await.unwrap();
            if length == 0 {
                break;
            }
            assert!(length < 8 << 10, "{length} bytes fill the buffer");
            arrived.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(arrived, sent);
    }
}
