//! Settings of access: authentication, allowed origins (CORS), and allowed host names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::ParseError;

/// The way in which requests are authenticated, and the database account that they use.
///
/// ```
/// use warp_reql::settings::Auth;
///
/// assert_eq!("database".parse(), Ok(Auth::Database));
/// assert_eq!(Auth::Token.to_string(), "token");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// No authentication. All requests use the service's own account.
    None,
    /// HTTP Basic credentials of a database user. The request uses that user's account and permissions.
    Database,
    /// Bearer tokens. Requests use the service's own account, and rules decide what a token's roles may do.
    Token,
}

/// The origins whose pages may use the service from a browser (CORS).
///
/// ```
/// use warp_reql::settings::Cors;
///
/// let cors: Cors = "https://a.example, http://localhost:3000".parse().unwrap();
/// assert_eq!(cors, Cors::List(vec!["https://a.example".into(), "http://localhost:3000".into()]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cors {
    /// The service's own origin only.
    Off,
    /// Some origins, such as `https://example.net` or `http://localhost:3000`.
    List(Vec<String>),
    /// All origins.
    Any,
}

/// The values that the `Host` header of a request may have.
///
/// ```
/// use warp_reql::settings::Named;
///
/// assert_eq!("api.example.net".parse(), Ok(Named::Local(vec!["api.example.net".into()])));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Named {
    /// IP addresses, names below `localhost` and names without a dot, which no page of another site can
    /// have as its host; and the names given here.
    Local(Vec<String>),
    /// Any name.
    Any,
}

impl Named {
    /// Returns whether a host, which may come with a port, is one of these names.
    ///
    /// ```
    /// use warp_reql::settings::Named;
    ///
    /// let named: Named = "local".parse().unwrap();
    /// assert!(named.has("localhost:8000") && named.has("[::1]:8000"));
    /// assert!(!named.has("evil.example"));
    /// ```
    pub fn has(&self, host: &str) -> bool {
        let Named::Local(names) = self else { return true };
        let name = without_port(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_local = !name.contains(['.', ':']) || name.ends_with(".localhost");
        is_local || is_address(name) || names.iter().any(|own| own == name)
    }
}

/// Takes the port off a host, which in an IPv6 address stands behind brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn is_address(name: &str) -> bool {
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.parse::<IpAddr>().is_ok()
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Any => f.write_str("any"),
            Named::Local(names) if names.is_empty() => f.write_str("local"),
            Named::Local(names) => f.write_str(&names.join(", ")),
        }
    }
}

impl FromStr for Named {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        };
        match names.as_slice() {
            [name] if name == "any" => Ok(Named::Any),
            names if names.iter().all(is_name) => {
                Ok(Named::Local(names.iter().filter(|name| *name != "local").cloned().collect()))
            }
            _ => Err(ParseError("\"any\", \"local\", or names such as \"a.example, b.example\"")),
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::None => "none",
            Auth::Database => "database",
            Auth::Token => "token",
        })
    }
}

impl FromStr for Auth {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Auth::None),
            "database" => Ok(Auth::Database),
            "token" => Ok(Auth::Token),
            _ => Err(ParseError("\"none\", \"database\" or \"token\"")),
        }
    }
}

impl fmt::Display for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cors::Off => f.write_str("off"),
            Cors::Any => f.write_str("any"),
            Cors::List(origins) => f.write_str(&origins.join(", ")),
        }
    }
}

impl FromStr for Cors {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" => return Ok(Cors::Off),
            "any" => return Ok(Cors::Any),
            _ => {}
        }
        let origins = text.split(',').map(|origin| origin.trim().to_ascii_lowercase());
        let origins: Option<Vec<_>> = origins.map(|origin| is_origin(&origin).then_some(origin)).collect();
        origins.map(Cors::List).ok_or(ParseError(
            "\"off\", \"any\", or origins such as \"https://a.example, http://localhost:3000\"",
        ))
    }
}

/// Returns whether a text is a scheme, a host and perhaps a port, as browsers send an origin: without a path.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    ["http", "https"].contains(&scheme) && !host.is_empty() && host.chars().all(in_host)
}
