//! TCP sockets for clients, with the options that accepted connections inherit.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
#[cfg(target_os = "linux")]
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

/// The backlog: the number of connections that may wait to be accepted, as many as Linux allows by default
/// (`net.core.somaxconn`). Clients beyond it try again after a second.
pub(super) const BACKLOG: u32 = 4096;
/// The idle time before the first TCP keepalive probe.
#[cfg(target_os = "linux")]
const PEER_PROBED: Duration = Duration::from_secs(20);
/// The time between two keepalive probes, of which three may stay unanswered.
#[cfg(target_os = "linux")]
const PROBE: Duration = Duration::from_secs(10);
/// The time that sent data may stay unacknowledged (`TCP_USER_TIMEOUT`). Together with the probes it makes
/// sure that a client that is gone is noticed within a minute: a live query sends something every 15 s.
#[cfg(target_os = "linux")]
const PEER_GONE: Duration = Duration::from_secs(40);

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
#[cfg(target_os = "linux")]
pub(super) fn bequeath(socket: &impl AsFd) -> io::Result<()> {
    use rustix::net::sockopt;

    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, PEER_PROBED)?;
    sockopt::set_tcp_keepintvl(socket, PROBE)?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    let gone = u32::try_from(PEER_GONE.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(socket, gone)?)
}

/// Sets the options that accepted connections inherit.
#[cfg(not(target_os = "linux"))]
pub(super) fn bequeath(socket: &TcpSocket) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::sockopt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_client_that_vanishes_is_noticed_within_a_minute() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let idle = sockopt::tcp_keepidle(&accepted).unwrap();
        let probes = sockopt::tcp_keepintvl(&accepted).unwrap() * sockopt::tcp_keepcnt(&accepted).unwrap();
        assert!(sockopt::socket_keepalive(&accepted).unwrap() && idle + probes < Duration::from_secs(60));
        assert!(sockopt::tcp_user_timeout(&accepted).unwrap() < 60_000);
        assert!(sockopt::tcp_nodelay(&accepted).unwrap());
        drop(client);
    }
}
