//! Listeners for clients: a TCP socket or a Unix socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::socket;
#[cfg(unix)]
use super::unix::{self, SocketFile};
use crate::settings::Place;

/// The pause after the process has run out of file descriptors or other resources.
const RETRY: Duration = Duration::from_millis(100);

/// A listening socket.
pub(super) enum Listener {
    Tcp(TcpListener),
    /// A Unix socket. Its file is removed when the listener is dropped, unless the socket was inherited.
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        file: Option<SocketFile>,
    },
}

/// A client that has connected.
pub(super) enum Arrival {
    Tcp(TcpStream, IpAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// If the address can't be bound. The error names the address.
    pub(super) async fn bind(place: &Place) -> io::Result<Listener> {
        let bound = match place {
            Place::Tcp(address) => socket::listen(*address).map(Listener::Tcp),
            #[cfg(unix)]
            Place::Unix(path) => {
                unix::listen(path).await.map(|(listener, file)| Listener::Unix { listener, file: Some(file) })
            }
            #[cfg(not(unix))]
            Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        bound.map_err(|error| io::Error::new(error.kind(), format!("can't listen on {place}: {error}")))
    }

    /// Returns the address that clients connect to.
    ///
    /// # Errors
    ///
    /// If the operating system can't tell.
    pub(super) fn place(&self) -> io::Result<Place> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(Place::Tcp),
            #[cfg(unix)]
            Listener::Unix { file: Some(file), .. } => Ok(Place::Unix(file.path().to_owned())),
            #[cfg(unix)]
            Listener::Unix { listener, .. } => {
                let address = listener.local_addr()?;
                Ok(Place::Unix(address.as_pathname().map_or_else(Default::default, Into::into)))
            }
        }
    }

    /// Returns the IP address and port that were bound.
    ///
    /// # Errors
    ///
    /// If it is a Unix socket, or the operating system can't tell.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr(),
            #[cfg(unix)]
            Listener::Unix { .. } => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "a Unix socket has no port"))
            }
        }
    }

    /// Waits for the next client. Returns `None` if the client has gone already.
    pub(super) async fn accept(&self) -> Option<Arrival> {
        let accepted = match self {
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(stream, peer)| Arrival::Tcp(stream, peer.ip()))
            }
            #[cfg(unix)]
            Listener::Unix { listener, .. } => {
                listener.accept().await.map(|(stream, _)| Arrival::Unix(stream))
            }
        };
        match accepted {
            Ok(arrival) => Some(arrival),
            Err(error) if is_clients(&error) => None,
            Err(error) => {
                log::error!("Could not accept a connection: {error}");
                tokio::time::sleep(RETRY).await;
                None
            }
        }
    }
}

/// Returns true if only the connection that was being accepted has failed, and not the listener.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
