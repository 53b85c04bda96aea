//! TCP sockets for clients, with the options that accepted connections inherit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket};

/// The backlog: the number of connections that may wait to be accepted, as many as Linux allows by default
/// (`net.core.somaxconn`). Clients beyond it try again after a second.
pub(super) const BACKLOG: u32 = 4096;
/// The idle time before the first TCP keepalive probe.
const PEER_PROBED: Duration = Duration::from_secs(20);
/// The time between two probes, and the number of them that may stay unanswered. Not every system has these
/// options.
#[cfg(target_os = "linux")]
const PROBE: (Duration, u32) = (Duration::from_secs(10), 3);
/// The time that sent data may stay unacknowledged (`TCP_USER_TIMEOUT`). Together with the probes it makes
/// sure that a client that is gone is noticed within a minute: a live query sends something every 15 s.
#[cfg(target_os = "linux")]
const PEER_GONE: Duration = Duration::from_secs(40);
/// The bytes that the system takes of an answer before it can send them (`TCP_NOTSENT_LOWAT`). What is on its
/// way doesn't count, so no line is too fast for it. Without it, the system holds megabytes for each client
/// that doesn't read, in memory that counts towards a container's limit.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 32 << 10;

/// Listens on an address.
pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    bequeath(&socket)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Sets the options that accepted connections inherit. `TCP_NODELAY`, since an event of a live query must not
/// wait for the next one. Keepalive and user timeout, since an event stream would not notice otherwise that
/// its client is gone without closing the connection.
pub(super) fn bequeath<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    let keepalive = TcpKeepalive::new().with_time(PEER_PROBED);
    #[cfg(target_os = "linux")]
    let keepalive = keepalive.with_interval(PROBE.0).with_retries(PROBE.1);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(PEER_GONE))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    /// Returns both ends of a connection, the service's first.
    async fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        Ok((listener.accept().await?.0, client))
    }

    #[tokio::test]
    async fn a_client_that_vanishes_is_noticed_within_a_minute() {
        let (accepted, _client) = pair().await.unwrap();
        let socket = SockRef::from(&accepted);
        let idle = socket.tcp_keepalive_time().unwrap();
        let probes = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert!(socket.keepalive().unwrap() && idle + probes < Duration::from_secs(60));
        assert!(socket.tcp_user_timeout().unwrap().unwrap() < Duration::from_secs(60));
        assert!(socket.tcp_nodelay().unwrap());
    }

    #[tokio::test]
    async fn the_system_holds_little_for_a_client_that_does_not_read() {
        let (accepted, client) = pair().await.unwrap();
        SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
        accepted.writable().await.unwrap();
        let (mut taken, part) = (0, vec![0; 16 << 10]);
        while let Ok(written) = accepted.try_write(&part) {
            taken += written;
            assert!(taken < 1 << 20, "the system took {taken} bytes");
        }
        assert!(taken >= UNSENT as usize, "{taken}");
    }
}
