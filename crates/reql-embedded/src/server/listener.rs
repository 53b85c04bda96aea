//! Where connections come from.

use std::future::Future;
use std::io;

use tokio::net::{TcpListener, TcpStream};

use crate::protocol::Peer;
use crate::session::Stream;

/// A source of connections.
pub(super) trait Listener: Send + 'static {
    /// What it is that sessions read from and write to.
    type Stream: Stream + 'static;

    /// Waits for the next connection. Loses none if it is dropped while it waits.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, addr) = TcpListener::accept(self).await?;
        // A client that is gone already is found out about when it is read from.
        if let Err(error) = prepare(&stream) {
            log::debug!("{addr}: {error}");
        }
        Ok((stream, Peer::Socket(addr)))
    }
}

/// Answers leave at once, and a feed notices that its client is gone.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_keepalive(true)
}
