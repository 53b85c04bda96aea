//! The client of a request: the peer of the connection, or the client that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;
use warp::http::header::{FORWARDED, HeaderName};

use super::headers::X_FORWARDED_FOR;
use crate::settings::Proxies;
use crate::shares::Client;

/// The most proxies in a chain.
const HOPS_MAX: usize = 32;

/// The peer of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "a server's own connections tell"))]
pub(crate) enum Peer {
    /// The peer of a TCP connection.
    Address(IpAddr),
    /// The peer of a Unix socket.
    Local,
}

/// Returns the client that a request comes from, as far as that is known.
///
/// Each proxy appends its own peer to the header. So the header is read backwards, as long as the addresses
/// are those of trusted proxies. Addresses that a client has forged come before that and are not read.
pub(crate) fn client(peer: Peer, headers: &HeaderMap, proxies: &Proxies) -> Option<Client> {
    let (nearest, is_proxy) = match peer {
        Peer::Address(address) => (Some(address), proxies.has(address)),
        Peer::Local => (None, proxies.has_unix()),
    };
    let told = if is_proxy { told(headers, proxies) } else { None };
    told.or(nearest).map(Client::from)
}

/// Returns the client that the headers name. A proxy writes one of the two headers, and passes the other one
/// on as the client has sent it. If both are there and differ, it is unknown which one the proxy has written,
/// so neither is used.
fn told(headers: &HeaderMap, proxies: &Proxies) -> Option<IpAddr> {
    let by = |name: &HeaderName, read: fn(&str) -> Option<IpAddr>| {
        headers.contains_key(name).then(|| farthest(headers, name, read, proxies))
    };
    match (by(&FORWARDED, by_forwarded), by(&X_FORWARDED_FOR, by_x_forwarded_for)) {
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) | (None, None) => None,
        (Some(one), None) | (None, Some(one)) => one,
    }
}

/// Returns the last address before those of the trusted proxies, or the first of these if there is none.
fn farthest(
    headers: &HeaderMap,
    name: &HeaderName,
    read: fn(&str) -> Option<IpAddr>,
    proxies: &Proxies,
) -> Option<IpAddr> {
    let lines = headers.get_all(name).iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    let mut known = None;
    for hop in hops.take(HOPS_MAX) {
        // Addresses before one that is obfuscated or invalid can't be trusted.
        let Some(address) = read(hop.trim()) else { return known };
        known = Some(address.to_canonical());
        if !proxies.has(address) {
            return known;
        }
    }
    known
}

/// Reads an element of `Forwarded` (RFC 7239, section 4), such as `for="[2001:db8::1]:4711";proto=https`.
fn by_forwarded(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim_matches('"'))
}

/// Reads an element of `X-Forwarded-For`: an address, which some proxies write with its port.
fn by_x_forwarded_for(element: &str) -> Option<IpAddr> {
    address(element)
}

/// Reads an address, with or without port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    const PROXY: Peer = Peer::Address(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    fn from(peer: Peer, told: &[(&'static str, &str)]) -> String {
        let proxies: Proxies = "10.0.0.0/8, 2001:db8:1::/48, unix".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in told {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        client(peer, &headers, &proxies).map_or_else(String::new, |client| client.address().to_string())
    }

    #[test]
    fn a_proxy_that_is_trusted_is_believed() {
        for (told, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1,10.2.2.2 , 2001:db8:1::7", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("10.3.3.3", "10.3.3.3"),
            ("6.6.6.6, unknown, 10.2.2.2", "10.2.2.2"),
            ("6.6.6.6, nonsense", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(from(PROXY, &[("x-forwarded-for", told)]), expected, "{told}");
        }
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(from(PROXY, &lines), "192.0.2.1");
        for (told, expected) in [
            ("for=192.0.2.1;proto=https", "192.0.2.1"),
            ("For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=6.6.6.6, for=192.0.2.1;by=10.1.1.1, for=10.2.2.2", "192.0.2.1"),
            ("for=6.6.6.6, for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(from(PROXY, &[("forwarded", told)]), expected, "{told}");
        }
        assert_eq!(from(Peer::Local, &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
        assert_eq!(from(Peer::Local, &[]), "");
    }

    #[test]
    fn nobody_else_is() {
        let stranger = Peer::Address("192.0.2.9".parse().unwrap());
        for header in ["x-forwarded-for", "forwarded"] {
            assert_eq!(from(stranger, &[(header, "10.0.0.7"), (header, "for=10.0.0.7")]), "192.0.2.9");
        }
    }

    #[test]
    fn a_header_that_the_proxy_only_passes_on_deceives_nobody() {
        for told in ["for=6.6.6.6", "for=10.0.0.9", "nonsense"] {
            assert_eq!(from(PROXY, &[("forwarded", told), ("x-forwarded-for", "192.0.2.1")]), "10.0.0.1");
        }
        let agreed = [("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "6.6.6.6, 192.0.2.1")];
        assert_eq!(from(PROXY, &agreed), "192.0.2.1");
    }

    #[test]
    fn a_request_has_come_through_only_so_many() {
        let told = format!("192.0.2.1{}", ", 10.2.2.2".repeat(1000));
        assert_eq!(from(PROXY, &[("x-forwarded-for", &told)]), "10.2.2.2");
    }
}
