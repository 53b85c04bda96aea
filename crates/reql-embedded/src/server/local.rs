//! Connections inside the process: the protocol over a pair of buffers instead of a socket.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;

use super::listener::Listener;
use crate::protocol::Peer;

/// The bytes on their way in each direction before their sender waits.
const BUFFER: usize = 64 << 10;

/// The new connections that wait to be taken in before further ones have to wait.
const BACKLOG: usize = 128;

/// Opens connections to a server in the same process. Cheap to clone; doesn't keep the server running.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::Server;
///
/// let server = Server::builder().in_process().start().await?;
/// let connector = server.connector();
/// let stream = tokio::spawn(async move { connector.connect().await }).await??;
/// drop(stream);
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector(mpsc::Sender<DuplexStream>);

/// The client's end of a connection to a server in the same process: a stream of bytes as a socket is one.
/// Dropping it closes the connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::{LocalStream, Server};
/// use tokio::io::AsyncWriteExt;
///
/// let server = Server::builder().in_process().start().await?;
/// let mut stream: LocalStream = server.connect().await?;
/// stream.write_u32_le(0x34c2_bdc3).await?; // the handshake V1_0
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LocalStream(DuplexStream);

/// The listener for connections of [`Connector`]s.
pub(super) struct LocalListener(mpsc::Receiver<DuplexStream>);

/// Returns both ends of a channel of new connections.
pub(super) fn channel() -> (Connector, LocalListener) {
    let (connector, listener) = mpsc::channel(BACKLOG);
    (Connector(connector), LocalListener(listener))
}

impl Connector {
    /// Opens a connection, as [`Server::connect`](crate::Server::connect) does.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ConnectionRefused`] if the server has stopped, or is about to.
    pub async fn connect(&self) -> io::Result<LocalStream> {
        let (client, server) = duplex(BUFFER);
        self.0
            .send(server)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::ConnectionRefused, "the server has stopped"))?;
        Ok(LocalStream(client))
    }
}

impl Listener for LocalListener {
    type Incoming = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
        match self.0.recv().await {
            Some(stream) => Ok((stream, Peer::Local(CONNECTIONS.fetch_add(1, Ordering::Relaxed)))),
            // No connector is left.
            None => std::future::pending().await,
        }
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
