//! Addresses to listen on: IP addresses, or Unix sockets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::ParseError;

/// The prefix of the address of a Unix socket.
const UNIX: &str = "unix:";

/// An address to listen on, without its port.
///
/// ```
/// use warp_reql::settings::Address;
///
/// let address: Address = "unix:/run/warp-reql.sock".parse().unwrap();
/// assert_eq!(address, Address::Unix("/run/warp-reql.sock".into()));
/// assert!("::1".parse::<Address>().unwrap().is_local());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// An IP address.
    Ip(IpAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// An address to listen on, with its port if it has one.
///
/// ```
/// use warp_reql::settings::Place;
///
/// assert_eq!("127.0.0.1:9000".parse(), Ok(Place::Tcp(([127, 0, 0, 1], 9000).into())));
/// assert!("unix:relative.sock".parse::<Place>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns true if only users of this machine can reach the address.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Ip(address) => address.is_loopback(),
            Address::Unix(_) => true,
        }
    }

    /// Returns whether it is a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self, Address::Unix(_))
    }

    /// Returns the address with this port.
    pub fn with_port(&self, port: u16) -> Place {
        match self {
            Address::Ip(address) => Place::Tcp(SocketAddr::new(*address, port)),
            Address::Unix(path) => Place::Unix(path.clone()),
        }
    }
}

impl Place {
    /// Returns true if only users of this machine can reach it.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Place::Tcp(address) => address.ip().is_loopback(),
            Place::Unix(_) => true,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Address::Ip(address)
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Self {
        Address::Ip(address.into())
    }
}

impl FromStr for Address {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match unix(text) {
            Some(path) => path.map(Address::Unix),
            None => text
                .trim()
                .parse()
                .map(Address::Ip)
                .map_err(|_| ParseError("an IP address, or \"unix:/path\"")),
        }
    }
}

impl FromStr for Place {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match unix(text) {
            Some(path) => path.map(Place::Unix),
            None => text
                .trim()
                .parse()
                .map(Place::Tcp)
                .map_err(|_| ParseError("an IP address and port, or \"unix:/path\"")),
        }
    }
}

/// Reads the path of a Unix socket, if the text is about one. The path must be absolute, so that it doesn't
/// depend on the directory in which the service is started.
fn unix(text: &str) -> Option<Result<PathBuf, ParseError>> {
    let path = PathBuf::from(text.trim().strip_prefix(UNIX)?);
    Some(if path.is_absolute() { Ok(path) } else { Err(ParseError("an absolute path after \"unix:\"")) })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["127.0.0.1", "::", "unix:/run/warp-reql.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["127.0.0.1:8001", "[::1]:80", "unix:/run/admin.sock"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for wrong in ["", "localhost", "unix:", "unix:run/x", "127.0.0.1:80", "Unix:/run/x"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        for wrong in ["127.0.0.1", "unix:x", "localhost:80", "127.0.0.1:70000"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
