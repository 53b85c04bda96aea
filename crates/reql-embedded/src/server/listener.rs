//! Sources of connections: sockets, and others.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::protocol::Peer;
use crate::session::Incoming;

/// The bytes that the system takes of answers before it can send them (`TCP_NOTSENT_LOWAT`). Without it, the
/// system holds megabytes for each client that doesn't read.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 32 << 10;

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
    #[cfg(not(target_os = "linux"))]
    if let Err(error) = prepare(&stream) {
        log::debug!("{addr}: {error}");
    }
    Ok((stream, Peer::Socket(addr)))
}

/// Listens on an address.
pub(super) async fn listen(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr).await?;
    // On Linux, sockets inherit the options of their listener, which saves two calls for each.
    #[cfg(target_os = "linux")]
    prepare(&listener)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Sets a socket's options: answers leave at once, few wait in the system, and a feed notices that its client
/// is gone.
fn prepare<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_keepalive(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_sockets_have_the_options() {
        let (listener, addr) = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let client = TcpStream::connect(addr).await.expect("it listens");
        let (accepted, _) = accept_tcp(&listener).await.expect("a client");
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().expect("an option") && socket.keepalive().expect("an option"));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_notsent_lowat().expect("an option"), UNSENT);
        drop(client);
    }
}
