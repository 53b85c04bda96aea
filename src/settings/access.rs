//! Who may use the service: users of the database or anybody, and pages of which origins.

use std::fmt;
use std::str::FromStr;

/// Whose database account a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// The service's own, whoever asks.
    None,
    /// The asker's: the credentials of HTTP Basic are those of a database user, whose permissions decide.
    Database,
}

/// Pages of which origins may use the service from a browser (CORS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// Only its own.
    Off,
    /// Those of these origins, such as `https://example.net` or `http://localhost:3000`.
    List(Vec<String>),
    /// All.
    Any,
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::None => "none",
            Auth::Database => "database",
        })
    }
}

impl FromStr for Auth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Auth::None),
            "database" => Ok(Auth::Database),
            _ => Err("\"none\" or \"database\""),
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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" => return Ok(Cors::Off),
            "any" => return Ok(Cors::Any),
            _ => {}
        }
        let origins = text.split(',').map(|origin| origin.trim().to_ascii_lowercase());
        let origins: Option<Vec<_>> = origins.map(|origin| is_origin(&origin).then_some(origin)).collect();
        origins
            .map(Cors::List)
            .ok_or("\"off\", \"any\", or origins such as \"https://a.example, http://localhost:3000\"")
    }
}

/// A scheme, a host and perhaps a port, as browsers send it: without a path.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    ["http", "https"].contains(&scheme) && !host.is_empty() && host.chars().all(in_host)
}
