//! Listening sockets that the process inherits, as from systemd (`LISTEN_FDS`, [sd_listen_fds(3)]).
//!
//! [sd_listen_fds(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html

use std::io;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::listener::Listener;
use super::socket;

/// Listening sockets that the process has inherited. The first replaces `address` and `port`, the second
/// replaces `admin.address`.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::server::{self, Inherited, Service};
/// use warp_reql::settings::Settings;
///
/// let settings = Settings::load(&Default::default())?.settings;
/// let service = Service::on(Inherited::take()?, settings).await?;
/// service.run(server::stop_signal()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Inherited(Vec<Socket>);

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Inherited {
    /// Takes the sockets that the environment names. Call it once, while the process has one thread.
    ///
    /// # Errors
    ///
    /// If one of them is not a listening socket.
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

    /// Takes the next socket, if any is left.
    ///
    /// # Errors
    ///
    /// If the socket's options can't be set.
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
                Listener::Unix { listener: UnixListener::from_std(socket)?, file: None }
            }
        }))
    }
}
