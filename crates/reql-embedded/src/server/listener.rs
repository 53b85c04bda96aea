//! Sources of connections: sockets, and others.

use std::future::Future;
use std::io;

use tokio::net::{TcpListener, TcpStream};

use crate::protocol::Peer;
use crate::session::Incoming;

/// A source of connections.
pub(super) trait Listener: Send + 'static {
    /// The connection that becomes a session's stream.
    type Incoming: Incoming + 'static;

    /// Waits for the next connection. Loses none if it is dropped while it waits.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Incoming, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Incoming = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        accept_tcp(self).await
    }
}

/// Waits for the next socket.
pub(super) async fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, Peer)> {
    let (stream, addr) = listener.accept().await?;
    // A client that is gone already is noticed at the first read.
    if let Err(error) = prepare(&stream) {
        log::debug!("{addr}: {error}");
    }
    Ok((stream, Peer::Socket(addr)))
}

/// Sets the socket's options: answers leave at once, and a feed notices that its client is gone.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_keepalive(true)
}
