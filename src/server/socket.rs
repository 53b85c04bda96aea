//! The socket that clients connect to, and what their connections inherit from it.

use std::io;
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The time that a client may be silent before the system asks whether it is there.
#[cfg(target_os = "linux")]
const PEER_PROBED: Duration = Duration::from_secs(30);
/// The time that a client may leave data unacknowledged that was sent to it.
#[cfg(target_os = "linux")]
const PEER_GONE: Duration = Duration::from_secs(60);

/// Listens on an address. The error says which one it was.
pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it: an event of a live query must not wait for the next one.
        socket.set_nodelay(true)?;
        watch_peers(&socket)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| io::Error::new(error.kind(), format!("can't listen on {addr}: {error}")))
}

/// Makes connections end whose other side is gone without closing them, or takes nothing for too long. An
/// event stream would not notice otherwise. Accepted connections inherit these options.
fn watch_peers(socket: &TcpSocket) -> io::Result<()> {
    socket.set_keepalive(true)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;

        sockopt::set_tcp_keepidle(socket, PEER_PROBED)?;
        sockopt::set_tcp_keepintvl(socket, PEER_PROBED / 3)?;
        sockopt::set_tcp_keepcnt(socket, 3)?;
        let gone = u32::try_from(PEER_GONE.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(socket, gone)?;
    }
    Ok(())
}
