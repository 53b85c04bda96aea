//! A session's view of its connection: a stream of bytes each way.

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
    /// Reads the bytes that have arrived by now, without asking the runtime. `None` if there are none, or if
    /// the stream can't do this.
    fn try_read_now(&mut self, _: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }

    /// Returns the socket below the stream, if there is one.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

/// A connection that has just come in. It may have a handshake below the protocol, such as that of TLS.
pub(crate) trait Incoming: Send {
    /// Stream that carries the protocol.
    type Stream: Stream;

    /// Makes the connection ready. Takes as long as the client likes.
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

    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Stream for DuplexStream {}

#[cfg(feature = "tls")]
impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }
}

/// The direction in which bytes were transferred.
pub(super) enum Moved {
    /// So many bytes came in; 0 is the end.
    In(usize),
    /// Bytes went out.
    Out,
}

/// Reads or writes, as soon as either is possible: reads if there is a place for bytes, writes if there are
/// any. Bytes that the stream itself holds back are flushed meanwhile. Loses nothing if it is dropped while
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

/// Writes as many bytes as the stream takes without waiting, and returns their number.
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

    /// A stream that takes everything at once and passes it on when it is flushed, in the second attempt.
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

    /// Checks that bytes which a TLS stream holds back for its socket go out: nobody but the session can
    /// flush them.
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
