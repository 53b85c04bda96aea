//! Trusted proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::ParseError;

/// The item that stands for clients of a Unix socket.
const UNIX: &str = "unix";
/// The bits before an address of IPv4 that is written as one of IPv6.
const MAPPED: u8 = 96;
const EXPECTED: ParseError =
    ParseError("addresses and networks such as \"10.0.0.0/8, ::1\", or \"unix\" for Unix sockets");

/// The proxies whose `Forwarded` or `X-Forwarded-For` is trusted.
///
/// ```
/// use warp_reql::settings::Proxies;
///
/// let proxies: Proxies = "10.0.0.0/8, ::1".parse().unwrap();
/// assert!(proxies.has("10.1.2.3".parse().unwrap()));
/// assert!(!proxies.has("192.0.2.1".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<IpNet>,
    unix: bool,
}

impl Proxies {
    /// Returns whether this address is that of a proxy.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Returns whether whoever connects by a Unix socket is one.
    pub fn has_unix(&self) -> bool {
        self.unix
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }
}

impl FromStr for Proxies {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut proxies = Proxies::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match item.parse::<IpNet>().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => proxies.networks.push(canonical(network)),
                Err(_) if item == UNIX => proxies.unix = true,
                Err(_) => return Err(EXPECTED),
            }
        }
        Ok(proxies)
    }
}

/// Returns a network of IPv4 that is written as one of IPv6 as what it is, as addresses are looked at.
fn canonical(network: IpNet) -> IpNet {
    let length = network.prefix_len().checked_sub(MAPPED);
    match (network.addr().to_canonical(), length) {
        (address @ IpAddr::V4(_), Some(length)) if network.addr().is_ipv6() => {
            IpNet::new(address, length).unwrap_or(network)
        }
        _ => network,
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(IpNet::to_string);
        let all: Vec<_> = networks.chain(self.unix.then(|| UNIX.to_owned())).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv4_may_be_written_as_one_of_ipv6() {
        let proxies: Proxies = "::ffff:10.0.0.0/104, ::ffff:192.0.2.1, 2001:db8::/32".parse().unwrap();
        for (address, is_one) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(proxies.has(address.parse().unwrap()), is_one, "{address}");
        }
    }
}
