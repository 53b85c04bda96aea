//! What a session needs of its connection: a stream of bytes each way.

use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::Poll;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

use super::outbound::Outbound;
use crate::protocol::frame::Inbound;

/// A connection to a client.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Reads what has arrived by now, without asking the runtime whether there is anything. `None` if there
    /// is nothing, or if this can't be done.
    fn try_read_now(&mut self, _: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }
}

/// A connection that has just come in: there may be something to agree on below the protocol.
pub(crate) trait Incoming: Send {
    /// What the protocol is spoken over.
    type Stream: Stream;

    /// Makes it ready. Takes as long as the client likes.
    fn open(self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl<S: Stream> Incoming for S {
    type Stream = S;

    async fn open(self) -> io::Result<S> {
        Ok(self)
    }
}

impl Stream for TcpStream {
    fn try_read_now(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let read = (&*SockRef::from(&*self)).read(buffer);
        match &read {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                None
            }
            _ => Some(read),
        }
    }
}

impl Stream for DuplexStream {}

#[cfg(feature = "tls")]
impl Stream for tokio_rustls::server::TlsStream<TcpStream> {}

/// What went which way.
pub(super) enum Moved {
    /// So many bytes came in; none is the end.
    In(usize),
    /// Something went out.
    Out,
}

/// Waits until something can be read, if there is a place for it, or written, if there is anything to write,
/// and does that. What the stream itself holds back goes on meanwhile. Loses nothing if it is dropped while
/// it waits.
pub(super) async fn transfer<S: Stream>(
    stream: &mut S,
    mut inbound: Option<&mut Inbound>,
    outbound: &mut Outbound,
) -> io::Result<Moved> {
    poll_fn(|cx| {
        if let Some(inbound) = inbound.as_deref_mut()
            && let Poll::Ready(read) = pin!(inbound.fill(stream)).poll(cx)
        {
            return Poll::Ready(read.map(Moved::In));
        }
        if outbound.is_empty() {
            // TLS takes more than the socket does.
            if let Poll::Ready(Err(error)) = Pin::new(&mut *stream).poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
        } else if let Poll::Ready(sent) = Pin::new(&mut *stream).poll_write(cx, outbound.pending()) {
            return Poll::Ready(sent.map(|sent| {
                outbound.advance(sent);
                Moved::Out
            }));
        }
        Poll::Pending
    })
    .await
}

/// Writes as much as can be written without waiting, and returns how much that was.
pub(super) async fn write_now<S: Stream>(stream: &mut S, outbound: &mut Outbound) -> io::Result<usize> {
    poll_fn(|cx| match Pin::new(&mut *stream).poll_write(cx, outbound.pending()) {
        Poll::Ready(sent) => Poll::Ready(sent.inspect(|sent| outbound.advance(*sent))),
        Poll::Pending => Poll::Ready(Ok(0)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use tokio::io::ReadBuf;

    use super::*;

    /// Takes everything at once and passes it on when it is flushed, in the second attempt.
    #[derive(Default)]
    struct Late {
        taken: Vec<u8>,
        passed_on: Vec<u8>,
        attempts: usize,
    }

    impl Stream for Late {}

    impl AsyncRead for Late {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Late {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.taken.extend(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.attempts += 1;
            if self.attempts == 1 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Late { taken, passed_on, .. } = &mut *self;
            passed_on.append(taken);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }

    /// A stream of TLS takes what its socket doesn't take yet. Nobody but the session can pass that on.
    #[tokio::test]
    async fn what_a_stream_holds_back_goes_out_while_nothing_else_happens() {
        let (mut stream, mut outbound) = (Late::default(), Outbound::default());
        outbound.buffer().extend_from_slice(b"answer");
        assert!(matches!(transfer(&mut stream, None, &mut outbound).await.unwrap(), Moved::Out));
        assert_eq!(stream.passed_on, b"");
        tokio::select! {
            biased;
            _ = transfer(&mut stream, None, &mut outbound) => panic!("there is nothing to move"),
            () = async { for _ in 0..3 { tokio::task::yield_now().await } } => {}
        }
        assert_eq!(stream.passed_on, b"answer");
    }
}
