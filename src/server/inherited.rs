//! Sockets that whoever started the process listens on already (`LISTEN_FDS`, [sd_listen_fds(3)]).
//!
//! [sd_listen_fds(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html

use std::io;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::listener::Listener;
use super::socket;

/// Sockets that the process was started with. The first one takes the place of `address` and `port`, the
/// second one that of `admin.address`.
#[derive(Default)]
pub struct Inherited(Vec<Socket>);

enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Inherited {
    /// Takes the sockets of the environment. Call it once, while the process has one thread.
    ///
    /// # Errors
    ///
    /// If one of them is no socket that connections come in by.
    pub fn take() -> io::Result<Inherited> {
        let mut sockets = ListenFd::from_env();
        let count = sockets.len();
        let take = |i| match sockets.take_tcp_listener(i) {
            Ok(Some(socket)) => Ok(Socket::Tcp(socket)),
            Ok(None) => Err(io::ErrorKind::NotFound.into()),
            Err(_) => {
                let taken = sockets.take_unix_listener(i);
                taken.and_then(|socket| socket.map(Socket::Unix).ok_or(io::ErrorKind::NotFound.into()))
            }
        };
        (0..count).map(take).collect::<io::Result<_>>().map(Inherited)
    }

    /// Takes the first socket that is left.
    ///
    /// # Errors
    ///
    /// If the operating system doesn't let its options be set.
    pub(super) fn next(&mut self) -> io::Result<Option<Listener>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(match self.0.remove(0) {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                socket::bequeath(&socket)?;
                Listener::Tcp(TcpListener::from_std(socket)?)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Listener::Unix { listener: UnixListener::from_std(socket)?, _file: None }
            }
        }))
    }
}
