//! The other end of a connection.

use std::fmt;
use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A socket with this address.
    Socket(SocketAddr),
    /// A stream within the same process; the number tells its connections apart.
    Local(u64),
}

impl Peer {
    /// Returns the address as system tables show it.
    pub(crate) fn address(&self) -> String {
        match self {
            Peer::Socket(addr) => addr.ip().to_string(),
            Peer::Local(_) => "in-process".to_owned(),
        }
    }

    /// Returns the port as system tables show it; for a stream within the process, its number.
    pub(crate) fn port(&self) -> u64 {
        match self {
            Peer::Socket(addr) => u64::from(addr.port()),
            Peer::Local(number) => *number,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Socket(addr) => addr.fmt(f),
            Peer::Local(number) => write!(f, "in-process connection {number}"),
        }
    }
}
