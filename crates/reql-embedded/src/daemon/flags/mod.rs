//! The command line and the configuration file, as rethinkdb reads them.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::{ArgAction, Parser, ValueEnum};
use log::LevelFilter;
use pretty_env_logger::env_logger::Target;

use super::tools::Tool;
use crate::eval::terms::table::is_name;
use crate::term::RETHINKDB_VERSION;
use crate::{Builder, Server, Tls, TlsVersion};

/// RethinkDB's protocol and query language on one file.
#[derive(Debug, Parser)]
#[command(name = "reql-embedded", version = VERSION.as_str(), disable_version_flag = true)]
#[command(args_override_self = true, args_conflicts_with_subcommands = true)]
pub(super) struct Flags {
    /// Work on the data instead of serving it.
    #[command(subcommand)]
    pub(super) tool: Option<Tool>,

    /// The directory that keeps the data; made if missing.
    #[arg(short, long, value_name = "PATH", default_value = "rethinkdb_data")]
    directory: PathBuf,

    /// Keep the data in memory, and nothing when the server ends.
    #[arg(long)]
    memory: bool,

    /// An address to listen on besides loopback, or `all`. May be given several times.
    #[arg(long, value_name = "all | ADDR")]
    bind: Vec<Bind>,

    /// Like `--bind`, which it overrides.
    #[arg(long, value_name = "all | ADDR")]
    bind_driver: Vec<Bind>,

    /// Don't listen on loopback unless told to.
    #[arg(long)]
    no_default_bind: bool,

    /// The port for drivers; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 28015)]
    driver_port: u16,

    /// Added to the port.
    #[arg(short = 'o', long, value_name = "OFFSET", default_value_t = 0)]
    port_offset: u16,

    /// The password of `admin` on a new database; `auto` makes one up and prints it.
    #[arg(long, value_name = "auto | PASSWORD", default_value = "", hide_default_value = true)]
    initial_password: String,

    /// The server's name on a new database. Default: made up.
    #[arg(short = 'n', long, value_name = "NAME", value_parser = server_name)]
    server_name: Option<String>,

    /// Poll the socket of a client that sends one query after another for this many microseconds after each
    /// answer, instead of sleeping; 0 is not at all.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    busy_poll_us: u32,

    /// Memory that queries may hold, in MiB or with a unit: 512, 2GiB. Default: half of what the process may
    /// use.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_limit: Option<u64>,

    /// Memory for pages of the file, in MiB or with a unit, or `auto`: 64 MiB, or an eighth of what the
    /// process may use if that is less.
    #[arg(long, value_name = "SIZE", value_parser = cache_size, default_value = "auto")]
    cache_size: CacheSize,

    /// The file with the private key (PEM) for TLS. With it, drivers connect by TLS and not otherwise.
    #[arg(long, value_name = "FILE", requires = "driver_tls_cert")]
    driver_tls_key: Option<PathBuf>,

    /// The file with the certificate (PEM) for TLS, and those between it and its authority.
    #[arg(long, value_name = "FILE", requires = "driver_tls_key")]
    driver_tls_cert: Option<PathBuf>,

    /// The file with the authorities (PEM) whose certificates clients have to show. Default: clients need no
    /// certificate.
    #[arg(long, value_name = "FILE", requires = "driver_tls_key")]
    driver_tls_ca: Option<PathBuf>,

    /// The oldest version of TLS that is spoken. `TLSv1` and `TLSv1.1` are accepted and mean `TLSv1.2`.
    #[arg(long, value_name = "PROTOCOL", default_value = "TLSv1.2")]
    tls_min_protocol: MinProtocol,

    /// Append the log to this file. Default: standard error.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,

    /// Take options from this file too, one `name=value` a line; the command line goes first.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Accepted and without effect: cores are used as they come.
    #[arg(short, long, value_name = "N")]
    cores: Option<u32>,

    /// Accepted and without effect: there are no updates to check for.
    #[arg(long)]
    no_update_check: bool,

    /// Accepted and without effect: there is no web console.
    #[arg(long)]
    no_http_admin: bool,

    /// Print the version.
    #[arg(short, long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Reads a size in bytes: a number of MiB, or a number with a unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].trim() {
        "KiB" | "K" => 10,
        "" | "MiB" | "M" => 20,
        "GiB" | "G" => 30,
        _ => return Err("a size such as 512 (MiB) or 2GiB is expected".to_owned()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "that is no size that memory can have".to_owned())
}

fn server_name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("use A-Z, a-z, 0-9, _ and - only".to_owned()) }
}

/// The memory for pages: a size in bytes, or the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CacheSize(Option<u64>);

fn cache_size(text: &str) -> Result<CacheSize, String> {
    if text == "auto" { Ok(CacheSize(None)) } else { size(text).map(|bytes| CacheSize(Some(bytes))) }
}

/// The oldest version of TLS to speak, under RethinkDB's names and one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MinProtocol {
    #[value(name = "TLSv1", hide = true)]
    V1,
    #[value(name = "TLSv1.1", hide = true)]
    V1_1,
    #[value(name = "TLSv1.2")]
    V1_2,
    #[value(name = "TLSv1.3")]
    V1_3,
}

impl MinProtocol {
    fn version(self) -> TlsVersion {
        match self {
            MinProtocol::V1 | MinProtocol::V1_1 | MinProtocol::V1_2 => TlsVersion::V1_2,
            MinProtocol::V1_3 => TlsVersion::V1_3,
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bind {
    All,
    Addr(IpAddr),
}

impl std::str::FromStr for Bind {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Bind::All) } else { text.parse().map(Bind::Addr) }
    }
}

/// The first password of `admin`.
pub(super) enum Password {
    Given(String),
    Generated(String),
}

impl Password {
    pub(super) fn text(&self) -> &str {
        match self {
            Password::Given(text) | Password::Generated(text) => text,
        }
    }

    /// Returns the password, if it was made up for this start.
    pub(super) fn generated(&self) -> Option<&str> {
        match self {
            Password::Generated(text) => Some(text),
            Password::Given(_) => None,
        }
    }
}

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (speaks RethinkDB {RETHINKDB_VERSION})", env!("CARGO_PKG_VERSION")));

/// Returns the process's arguments. Those of its configuration file stand before the others, so that the
/// command line wins.
pub(super) fn arguments(given: impl IntoIterator<Item = OsString>) -> io::Result<Vec<OsString>> {
    let mut given: Vec<OsString> = given.into_iter().collect();
    // A command line that makes no sense is reported when it is parsed for good.
    let file = Flags::try_parse_from(&given).ok().and_then(|flags| flags.config_file);
    if let Some(path) = file {
        let options = read_options(&path)?;
        let after_name = given.len().min(1);
        given.splice(after_name..after_name, options);
    }
    Ok(given)
}

/// The longest configuration file, in bytes.
const CONFIG_MAX: u64 = 1 << 20;

fn read_options(path: &Path) -> io::Result<Vec<OsString>> {
    let read = || {
        let mut text = Vec::new();
        File::open(path)?.take(CONFIG_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > CONFIG_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
        }
        String::from_utf8(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no text in UTF-8"))
    };
    let text = read().map_err(|error| {
        io::Error::new(error.kind(), format!("could not read the config file {}: {error}", path.display()))
    })?;
    Ok(options(&text).map(OsString::from).collect())
}

/// Returns the options of a configuration file: `name=value` or `name`, without the comments that start with
/// `#`.
fn options(text: &str) -> impl Iterator<Item = String> + '_ {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| match line.split_once('=') {
        Some((name, value)) => format!("--{}={}", name.trim(), value.trim()),
        None => format!("--{line}"),
    })
}

impl Flags {
    pub(super) fn password(&self) -> Password {
        if self.initial_password == "auto" {
            Password::Generated(BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()))
        } else {
            Password::Given(self.initial_password.clone())
        }
    }

    /// Returns the addresses to listen on: loopback, and those of `--bind` and `--bind-driver`.
    pub(super) fn addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let port = self.port()?;
        let asked = if self.bind_driver.is_empty() { &self.bind } else { &self.bind_driver };
        if asked.contains(&Bind::All) {
            return Ok(vec![SocketAddr::new(any_address(), port)]);
        }
        let mut ips = if self.no_default_bind { Vec::new() } else { loopback() };
        for bind in asked {
            if let Bind::Addr(ip) = bind
                && !ips.contains(ip)
            {
                ips.push(*ip);
            }
        }
        if ips.is_empty() {
            let message = "--no-default-bind needs a --bind, or there is no address to listen on";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    fn port(&self) -> io::Result<u16> {
        if self.driver_port == 0 {
            return Ok(0);
        }
        self.driver_port.checked_add(self.port_offset).ok_or_else(|| {
            let message = format!("port {} with offset {} is no port", self.driver_port, self.port_offset);
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }

    pub(super) fn builder(&self, addrs: &[SocketAddr], password: &str) -> Builder {
        let busy_poll = Duration::from_micros(u64::from(self.busy_poll_us));
        let mut builder = Server::builder().initial_password(password).busy_poll(Some(busy_poll));
        if let [first, rest @ ..] = addrs {
            builder = rest.iter().fold(builder.bind(*first), |builder, addr| builder.bind_also(*addr));
        }
        if let Some(bytes) = self.memory_limit {
            builder = builder.memory_limit(bytes);
        }
        if let CacheSize(Some(bytes)) = self.cache_size {
            builder = builder.page_cache(bytes);
        }
        if let Some(name) = &self.server_name {
            builder = builder.server_name(name);
        }
        if let Some(tls) = self.tls() {
            builder = builder.tls(tls);
        }
        if self.memory { builder.in_memory() } else { builder.data_dir(&self.directory) }
    }

    fn tls(&self) -> Option<Tls> {
        let tls = Tls::files(self.driver_tls_cert.as_ref()?, self.driver_tls_key.as_ref()?);
        let tls = tls.min_version(self.tls_min_protocol.version());
        Some(match &self.driver_tls_ca {
            Some(file) => tls.client_ca(file),
            None => tls,
        })
    }

    /// Starts the logger. `RUST_LOG` decides what is logged; by default warnings are.
    pub(super) fn start_logger(&self) -> io::Result<()> {
        let mut logger = pretty_env_logger::formatted_timed_builder();
        match std::env::var("RUST_LOG") {
            Ok(filters) => logger.parse_filters(&filters),
            Err(_) => logger.filter_level(LevelFilter::Warn),
        };
        if let Some(path) = &self.log_file {
            logger.target(Target::Pipe(Box::new(open_log(path)?)));
        }
        logger.init();
        Ok(())
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("could not open the log file {}: {error}", path.display()))
    })
}

/// Returns both loopback addresses, as far as the machine has them: `localhost` may mean either.
fn loopback() -> Vec<IpAddr> {
    let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if exists(Ipv6Addr::LOCALHOST) {
        ips.push(IpAddr::V6(Ipv6Addr::LOCALHOST));
    }
    ips
}

/// Returns the wildcard address, of IPv6 where there is any: it takes IPv4 connections too.
fn any_address() -> IpAddr {
    if exists(Ipv6Addr::UNSPECIFIED) { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

fn exists(ip: Ipv6Addr) -> bool {
    TcpListener::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests;
