//! The client of a request: the peer of the connection, or the client that a trusted proxy names.

use std::iter;
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
    let by = |name: &HeaderName, read: fn(&[u8]) -> Option<IpAddr>| {
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
    read: fn(&[u8]) -> Option<IpAddr>,
    proxies: &Proxies,
) -> Option<IpAddr> {
    let lines = headers.get_all(name).iter().rev();
    let hops = lines.flat_map(|line| parts(line.as_bytes(), b','));
    let mut known = None;
    for hop in hops.take(HOPS_MAX) {
        // Addresses before one that is obfuscated or invalid can't be trusted.
        let Some(address) = read(hop) else { return known };
        known = Some(address.to_canonical());
        if !proxies.has(address) {
            return known;
        }
    }
    known
}

/// Returns the parts of a text between separators outside of quoted strings, the last one first. The end is a
/// proxy's own and well-formed. So all of that is found, whatever a client has sent before it.
fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut left = Some(text);
    iter::from_fn(move || {
        let (before, part) = split_last(left?, separator);
        left = before;
        Some(part.trim_ascii())
    })
}

/// Splits a text at the last separator outside of quoted strings, if there is one.
fn split_last(text: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    for (i, byte) in text.iter().enumerate().rev() {
        if *byte == b'"' {
            is_quoted = !is_quoted || is_escaped(text, i);
        } else if *byte == separator && !is_quoted {
            return (Some(&text[..i]), &text[i + 1..]);
        }
    }
    (None, text)
}

/// Returns whether an odd number of backslashes is before this place.
fn is_escaped(text: &[u8], place: usize) -> bool {
    text[..place].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Reads an element of `Forwarded` (RFC 7239, section 4), such as `for="[2001:db8::1]:4711";proto=https`.
fn by_forwarded(element: &[u8]) -> Option<IpAddr> {
    let mut node = None;
    for pair in parts(element, b';').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        let value = unquoted(&value[1..])?;
        if name.eq_ignore_ascii_case(b"for") && node.replace(value).is_some() {
            return None;
        }
    }
    address(node?)
}

/// Returns what a token is, or what is in a quoted string; `None` for what is neither. Escapes stay, which
/// addresses don't have.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let text = inner.unwrap_or(value);
    let is_whole = (0..text.len()).all(|i| text[i] != b'"' || inner.is_some() && is_escaped(text, i))
        && (inner.is_none() || !is_escaped(text, text.len()));
    is_whole.then_some(text)
}

/// Reads an element of `X-Forwarded-For`: an address, which some proxies write with its port.
fn by_x_forwarded_for(element: &[u8]) -> Option<IpAddr> {
    address(element)
}

/// Reads an address, with or without port and brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
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
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
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
            ("\u{ff}, 192.0.2.1", "192.0.2.1"),
            ("\", 192.0.2.1", "192.0.2.1"),
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
            ("\u{ff}, for=192.0.2.1", "192.0.2.1"),
            // A client chooses the host.
            ("host=\"a,for=6.6.6.6\";for=192.0.2.1", "192.0.2.1"),
            ("for=192.0.2.1;host=\"a,for=6.6.6.6\"", "192.0.2.1"),
            ("for=192.0.2.1;host=\"a;for=6.6.6.6;\\\\\\\",for=6.6.6.6\"", "192.0.2.1"),
            // A client sends what comes first.
            ("for=6.6.6.6;host=\", for=192.0.2.1;host=\"a\"", "192.0.2.1"),
            ("for=\"6.6.6.6\\\", for=192.0.2.1", "192.0.2.1"),
            // Nobody knows which one is meant.
            ("for=6.6.6.6;for=192.0.2.1", "10.0.0.1"),
            ("for=6.6.6.6\"", "10.0.0.1"),
            ("for=\"6.6.6.6\";by=\"", "10.0.0.1"),
            ("for=6.6.6.6;by", "10.0.0.1"),
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
