//! Settings of the database and of the connections to it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Listen, ParseError, RdbTls, ReadMode, Secret, units};

/// The value of `rdb.host` that starts a database in this process.
const EMBEDDED: &str = "embedded";
/// The value of `rdb.data_dir` that keeps nothing on disk.
const IN_MEMORY: &str = ":memory:";

/// The database and the connections to it.
///
/// ```
/// use std::time::Duration;
///
/// use warp_reql::settings::Rdb;
///
/// let rdb = Rdb { host: "a.example, b.example:28016".parse().unwrap(), ..Rdb::default() };
/// assert_eq!(rdb.servers(), [("a.example".to_owned(), 28015), ("b.example".to_owned(), 28016)]);
/// assert_eq!(rdb.query_timeout, Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rdb {
    /// The servers, or `"embedded"` for one inside this process. Development: `"embedded"`; otherwise
    /// `"localhost"`.
    #[serde(with = "units::text")]
    pub host: Hosts,
    /// The port of each server that doesn't name its own. Default 28015.
    pub port: u16,
    /// The database whose tables are served. Default `"test"`.
    pub db: String,
    /// The database user. Default `"admin"`.
    pub user: String,
    /// The password of `user`. Default: empty.
    pub password: Secret,
    /// The directory of the embedded server's data; `":memory:"` keeps it in memory only. Default `"data"`.
    pub data_dir: PathBuf,
    /// The address at which the embedded server accepts drivers, such as `"127.0.0.1:28015"`; a port alone is
    /// one of `127.0.0.1`. If neither the settings nor the data have a password for `admin`, a random one is
    /// set for the lifetime of the process, and logged. Default: none, only this process can connect.
    pub listen: Listen,
    /// The bytes of memory that all queries of the embedded server may hold, and half of it one; what goes
    /// beyond it fails with `resource-limit`. Default 0: half of what the process may use.
    #[serde(with = "units::size")]
    pub memory_limit: u64,
    /// The bytes of memory that hold pages of the embedded server's file. Default 0: 32 MiB, or an eighth of
    /// what the process may use if that is less.
    #[serde(with = "units::size")]
    pub page_cache: u64,
    /// TLS to the database. Default: none.
    pub tls: RdbTls,
    /// The replicas that are read by requests that don't say it (`Prefer: read-mode=...`): `"single"`,
    /// `"majority"` or `"outdated"`, with which reads go on while a primary replica is away. Default
    /// `"single"`.
    #[serde(with = "units::text")]
    pub read_mode: ReadMode,
    /// The number of connections that stand by: open, authenticated, not used yet. It grows up to eightfold
    /// while requests come in bursts for which it is too small. Default 4; 0 with `auth = "database"`, whose
    /// requests use connections of their own users.
    pub standby: usize,
    /// The age up to which a connection is reused for further requests; 0 closes it after each. Default 0 s.
    #[serde(with = "units::duration")]
    pub max_age: Duration,
    /// The most connections open at once, not counting those that live queries share. Default 256.
    pub max_connections: usize,
    /// The timeout for connecting, handshake included. Default 5 s.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// The timeout of one query. Default 30 s.
    #[serde(with = "units::duration")]
    pub query_timeout: Duration,
    /// The timeout for getting a connection when all are in use. Default 5 s.
    #[serde(with = "units::duration")]
    pub acquire_timeout: Duration,
}

/// The database servers.
///
/// ```
/// use warp_reql::settings::Hosts;
///
/// assert_eq!("embedded".parse(), Ok(Hosts::Embedded));
/// assert_eq!("[::1]:28016".parse::<Hosts>().unwrap().to_string(), "[::1]:28016");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hosts {
    /// A server inside this process.
    Embedded,
    /// RethinkDB servers of one cluster; never empty when it came from settings.
    Servers(Vec<Server>),
}

/// One database server: a host name or an address, and its port if it isn't [`Rdb::port`].
///
/// ```
/// use warp_reql::settings::Server;
///
/// let server: Server = "db.example.net:28016".parse().unwrap();
/// assert_eq!((&server.host[..], server.port), ("db.example.net", Some(28016)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A host name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The driver port, if this server has one of its own.
    pub port: Option<u16>,
}

impl Rdb {
    /// Returns the host and port of each server; none while [`Hosts::Embedded`] has not been started.
    pub fn servers(&self) -> Vec<(String, u16)> {
        match &self.host {
            Hosts::Embedded => Vec::new(),
            Hosts::Servers(servers) => {
                servers.iter().map(|server| (server.host.clone(), server.port.unwrap_or(self.port))).collect()
            }
        }
    }

    /// Returns true if the embedded server keeps its data in memory only.
    pub fn in_memory(&self) -> bool {
        self.data_dir.as_os_str() == IN_MEMORY
    }
}

impl Default for Rdb {
    fn default() -> Self {
        Rdb {
            host: Hosts::default(),
            port: 28015,
            db: "test".to_owned(),
            user: "admin".to_owned(),
            password: Secret::default(),
            data_dir: PathBuf::from("data"),
            listen: Listen::default(),
            memory_limit: 0,
            page_cache: 0,
            tls: RdbTls::default(),
            read_mode: ReadMode::default(),
            standby: 4,
            max_age: Duration::ZERO,
            max_connections: 256,
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Hosts::Servers(vec![Server { host: "localhost".to_owned(), port: None }])
    }
}

impl From<SocketAddr> for Hosts {
    fn from(addr: SocketAddr) -> Self {
        Hosts::Servers(vec![Server { host: addr.ip().to_string(), port: Some(addr.port()) }])
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hosts::Embedded => f.write_str(EMBEDDED),
            Hosts::Servers(servers) => {
                for (i, server) in servers.iter().enumerate() {
                    write!(f, "{}{server}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Hosts {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case(EMBEDDED) {
            return Ok(Hosts::Embedded);
        }
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Hosts::Servers)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl FromStr for Server {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: ParseError = ParseError("\"embedded\", or hosts such as \"a, b:28016, [::1]:28015\"");
        let (host, port) = split_port(text).ok_or(EXPECTED)?;
        let is_host = |c: char| c.is_alphanumeric() || "-_.:%".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(EXPECTED);
        }
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(EXPECTED)?),
            None => None,
        };
        Ok(Server { host: host.to_owned(), port })
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare `v6`; `None` if a bracket doesn't close.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}
