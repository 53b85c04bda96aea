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

/// What went which way.
pub(super) enum Moved {
    /// So many bytes came in; none is the end.
    In(usize),
    /// Something went out.
    Out,
}

/// Waits until something can be read, if there is a place for it, or written, if there is anything to write,
/// and does that. Loses nothing if it is dropped while it waits.
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
        if !outbound.is_empty()
            && let Poll::Ready(sent) = Pin::new(&mut *stream).poll_write(cx, outbound.pending())
        {
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
