//! The address at which the embedded database accepts drivers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::ParseError;

/// The form of the setting, for error messages.
pub(super) const EXPECTED: &str = "an address such as \"127.0.0.1:28015\", or a port";

/// An address at which the embedded database accepts drivers; none by default. A port alone means that port
/// of `127.0.0.1`, and port 0 a free one.
///
/// ```
/// use warp_reql::settings::Listen;
///
/// assert_eq!("28015".parse(), Ok(Listen(Some(([127, 0, 0, 1], 28015).into()))));
/// assert_eq!("".parse(), Ok(Listen(None)));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl Listen {
    /// Returns whether only this machine can connect.
    pub(super) fn is_local(self) -> bool {
        self.0.is_none_or(|addr| addr.ip().is_loopback())
    }
}

impl FromStr for Listen {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Listen(None));
        }
        if let Ok(port) = text.parse::<u16>() {
            return Ok(Listen(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))));
        }
        text.parse().map(|addr| Listen(Some(addr))).map_err(|_| ParseError(EXPECTED))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(addr) => write!(f, "{addr}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextOrPort;

        impl Visitor<'_> for TextOrPort {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Listen, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: de::Error>(self, port: u64) -> Result<Listen, E> {
                port.to_string().parse().map_err(|_| E::invalid_value(de::Unexpected::Unsigned(port), &self))
            }

            fn visit_i64<E: de::Error>(self, port: i64) -> Result<Listen, E> {
                port.to_string().parse().map_err(|_| E::invalid_value(de::Unexpected::Signed(port), &self))
            }
        }

        from.deserialize_any(TextOrPort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_port() {
        for (text, shown) in
            [("", ""), ("28015", "127.0.0.1:28015"), ("0.0.0.0:1", "0.0.0.0:1"), ("[::1]:2", "[::1]:2")]
        {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), shown);
        }
        for wrong in ["localhost", "70000", "127.0.0.1", "-1"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
        assert!(Listen::default().is_local() && !"0.0.0.0:1".parse::<Listen>().unwrap().is_local());
    }
}
