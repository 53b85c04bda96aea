//! The streams of sessions over a network.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection, with or without TLS, or [whatever else](Stream::over) reads and writes.
///
/// ```no_run
/// use reql::{Connector, Stream, r};
///
/// # async fn example() -> reql::Result<()> {
/// let (ours, theirs) = tokio::io::duplex(1 << 16);
/// # drop(theirs);
/// let mut session = Connector::new("in this process").connect_over(Stream::over(ours)).await?;
/// session.run(r.expr(1)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Stream(Kind);

enum Kind {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Other(Box<dyn Io>),
}

/// A stream of bytes that may go from task to task.
trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// The longest time between probes that Linux takes, in whole seconds.
const MAX_IDLE: Duration = Duration::from_secs(32_767);

/// The longest `TCP_USER_TIMEOUT`, in whole milliseconds.
#[cfg(target_os = "linux")]
const MAX_UNANSWERED: Duration = Duration::from_millis(i32::MAX as u64);

/// The time for which a connection may be silent, and that for which it may be unanswered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) keepalive: Option<Duration>,
    pub(crate) user_timeout: Option<Duration>,
}

impl Patience {
    /// Sets the options of a socket.
    pub(crate) fn apply(&self, tcp: &TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(tcp);
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&self.keepalive(idle))?;
        }
        #[cfg(target_os = "linux")]
        if let Some(limit) = self.user_timeout {
            // Less than a millisecond would be the system's default.
            let limit = limit.clamp(Duration::from_millis(1), MAX_UNANSWERED);
            socket.set_tcp_user_timeout(Some(limit))?;
        }
        Ok(())
    }

    /// Returns the keep-alive of a connection: it is probed after the time `idle`, and fails when three
    /// answers are missing. Systems count in whole seconds. With a user timeout, Linux counts no answers.
    fn keepalive(&self, idle: Duration) -> TcpKeepalive {
        let idle = idle.clamp(Duration::from_secs(1), MAX_IDLE);
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(idle);
        #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd", target_os = "windows"))]
        if !cfg!(target_os = "linux") || self.user_timeout.is_none() {
            return keepalive.with_retries(3);
        }
        keepalive
    }
}

impl Stream {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Stream(Kind::Plain(tcp))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(tls: tokio_rustls::client::TlsStream<TcpStream>) -> Self {
        Stream(Kind::Tls(Box::new(tls)))
    }

    /// Makes a stream of anything that reads and writes, such as a pipe within the process, for programs that
    /// connect to servers of several kinds. See [`Connector::connect_over`](crate::Connector::connect_over).
    pub fn over(io: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        Stream(Kind::Other(Box::new(io)))
    }

    /// Returns the TCP connection below, if there is one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Plain(tcp) => Some(tcp),
            #[cfg(feature = "tls")]
            Kind::Tls(tls) => Some(tls.get_ref().0),
            Kind::Other(_) => None,
        }
    }

    /// Tells if TLS protects the connection.
    pub fn is_tls(&self) -> bool {
        !matches!(self.0, Kind::Plain(_) | Kind::Other(_))
    }

    /// Looks at the socket: neither closed by the other side nor reset. Bytes that wait are the caller's to
    /// judge.
    pub(crate) fn look(&self) -> bool {
        let Some(tcp) = self.tcp() else { return true };
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(tcp).peek(&mut byte) {
            Ok(len) => len > 0,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }
}

macro_rules! on_each {
    ($this:expr, $stream:ident => $call:expr) => {
        match &mut $this.get_mut().0 {
            Kind::Plain($stream) => $call,
            #[cfg(feature = "tls")]
            Kind::Tls($stream) => $call,
            Kind::Other($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("tcp", &self.tcp()).field("tls", &self.is_tls()).finish()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sockets_take_any_patience() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (short, least) = (Duration::from_secs(1), Duration::from_millis(1));
        for (given, idle, unanswered) in
            [(Duration::ZERO, short, least), (Duration::MAX, MAX_IDLE, MAX_UNANSWERED)]
        {
            let patience = Patience { keepalive: Some(given), user_timeout: Some(given) };
            patience.apply(&tcp).unwrap();
            let socket = SockRef::from(&tcp);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), idle);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(unanswered));
        }
    }
}
