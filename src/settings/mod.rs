//! Settings: what they are, their built-in values, and where each one came from.
//!
//! Every public type here documents its fields with their defaults. Later versions may have more fields, so
//! make one of another: `Limits { page: 20, ..Limits::default() }`. A value is looked for, in rising order of
//! precedence, in the built-in defaults of the profile, in `Settings.toml`, and in the environment.

mod access;
mod address;
mod admin;
pub(crate) mod bounded;
mod databases;
mod env;
mod error;
mod file;
mod limits;
mod listen;
mod load;
mod log_format;
mod origin;
mod proxies;
mod rate;
mod rdb;
mod rdb_tls;
mod reading;
mod relations;
mod rules;
mod schema;
mod secret;
mod tables;
mod tls;
mod token;
mod units;

use std::net::Ipv4Addr;
use std::time::Duration;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

pub(crate) use crate::rules::ALL;
pub use crate::rules::{AccessRule, Allowed, Names};
pub use access::{Auth, Cors, Named};
pub use address::{Address, Place};
pub use admin::Admin;
pub use databases::Databases;
pub use error::{ParseError, SettingsError};
pub use file::FILE_NAME;
pub use limits::Limits;
pub use listen::Listen;
pub use load::{LoadOptions, Loaded};
pub use log_format::LogFormat;
pub use origin::Origin;
pub use proxies::Proxies;
pub use rate::Rate;
pub use rdb::{Hosts, Rdb, Server};
pub use rdb_tls::RdbTls;
pub use reading::{Durability, ReadMode};
pub use relations::RelationSpec;
pub use schema::Schema;
pub use secret::Secret;
pub use tables::{Expire, IndexSpec, TableSpec};
pub(crate) use tables::{REPLICAS, SHARDS};
pub use tls::Tls;
pub(crate) use token::SECRET_MIN;
pub use token::Token;
pub(crate) use units::size::parse as parse_size;

/// The profile that is used when nothing names one.
///
/// ```
/// use warp_reql::settings::{DEVELOPMENT, Settings};
///
/// assert_eq!(Settings::built_in(DEVELOPMENT), Settings::default());
/// ```
pub const DEVELOPMENT: &str = "development";
/// The profile of a service that others use.
///
/// ```
/// use warp_reql::settings::{PRODUCTION, Settings};
///
/// assert!(!Settings::built_in(PRODUCTION).explorer);
/// ```
pub const PRODUCTION: &str = "production";

/// All settings of the service, as one profile sees them.
///
/// Serializing gives them in the form of `Settings.toml`, with secrets masked.
///
/// ```
/// use warp_reql::settings::{Auth, Settings};
///
/// let settings = Settings { port: 9000, auth: Auth::Database, ..Settings::built_in("production") };
/// assert_eq!(settings.place().to_string(), "0.0.0.0:9000");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The profile these settings were read for, in lower case.
    #[serde(skip_deserializing)]
    pub profile: String,
    /// The address to listen on, or `"unix:/path"` for a Unix socket. Its file has the mode 0660, and
    /// replaces one that a service left behind. Development: `127.0.0.1`; otherwise `0.0.0.0`.
    #[serde(with = "units::text")]
    pub address: Address,
    /// The port to listen on; 0 takes a free one. Default 8000.
    pub port: u16,
    /// `true` shows details that help developers, but attackers too: the text of internal errors, and
    /// `/config`. Development: `true`; otherwise `false`.
    pub debug: bool,
    /// The level of the log. Unless it is set, `debug` decides: `debug` with it, `info` without.
    #[serde(with = "units::level")]
    pub log_level: LevelFilter,
    /// The format of log lines: `"pretty"` for people, `"json"` and `"logfmt"` for programs. Default
    /// `"pretty"`.
    #[serde(with = "units::text")]
    pub log_format: LogFormat,
    /// The time that running requests may take to finish once the service was told to stop. Default 10 s.
    #[serde(with = "units::duration")]
    pub shutdown_timeout: Duration,
    /// Authentication of requests, and the database account that they use. `"none"`: anybody, with the
    /// service's own account. `"database"`: HTTP Basic credentials of a database user, with that user's
    /// account. `"token"`: a JSON Web Token, with the service's own account and what `rules` allow the
    /// token's roles. Default `"none"`.
    #[serde(with = "units::text")]
    pub auth: Auth,
    /// The verification of tokens.
    pub token: Token,
    /// The roles that may do everything with `auth = "token"`: create and drop tables and indexes, and use
    /// all documents whatever the rules say. Default: none.
    pub admin_roles: Vec<String>,
    /// The database user that requests without credentials use with `auth = "database"`; without one they are
    /// refused. Default: none.
    pub anonymous_user: String,
    /// The password of `anonymous_user`. Default: empty.
    pub anonymous_password: Secret,
    /// `true` says that `auth = "none"` is meant where others can reach the service. Without it, every
    /// profile but Development refuses to start on an address that isn't a loopback one. Default `false`.
    pub allow_anonymous: bool,
    /// The origins whose pages may use the service from a browser: `"off"`, `"any"`, or origins such as
    /// `"https://a.example, http://localhost:3000"`. Default `"off"`.
    #[serde(with = "units::text")]
    pub cors: Cors,
    /// The hosts that requests may name where no credentials are needed: `"any"`, `"local"` (IP addresses,
    /// names without a dot), or names to allow beside the local ones, such as `"api.example.net"`. This
    /// protects against pages whose host name was made to resolve to this machine (DNS rebinding).
    /// Development: `"local"`; otherwise `"any"`.
    #[serde(with = "units::text")]
    pub hosts: Named,
    /// `true` serves the explorer, a page to view and change data, at `GET /`. Development: `true`;
    /// otherwise `false`.
    pub explorer: bool,
    /// `true` lets `POST /reql` run any query. Development: `true`; otherwise `false`.
    pub reql: bool,
    /// `true` requires a condition (`If-Match` or `If-None-Match`) for `PUT`, `PATCH` and `DELETE` of one
    /// document, so that no client overwrites a change that it hasn't seen. `POST` then only creates
    /// documents, and a change by a filter needs `Prefer: max-affected`. Default `false`.
    pub require_match: bool,
    /// TLS for clients. Default: none.
    pub tls: Tls,
    /// The proxies whose `Forwarded` or `X-Forwarded-For` is trusted: addresses, networks such as
    /// `10.0.0.0/8`, and `unix` for clients of a Unix socket. The client that they name is the one of the
    /// log, the shares and the rates. Default: none.
    #[serde(with = "units::text")]
    pub trusted_proxies: Proxies,
    /// The address for operators. Default: none of its own.
    pub admin: Admin,
    /// Bounds on what a request may ask for.
    pub limits: Limits,
    /// The database and the connections to it.
    pub rdb: Rdb,
    /// The databases that are served beside that of `rdb.db`, at `/db/{name}/tables`: names, and patterns
    /// such as `"tenant_*"`. What the settings say of a table holds for it in each of them. Default: none.
    pub databases: Databases,
    /// Tables to create at start-up if they are missing, in `rdb.db` and in each database that `databases`
    /// names. Default: none.
    pub tables: Vec<TableSpec>,
    /// Ways from the documents of one table to those of another, which lists may tell of. Default: none.
    pub relations: Vec<RelationSpec>,
    /// Rules for what roles may do with `auth = "token"`. Without any rule, every valid token allows
    /// everything. Default: none.
    pub rules: Vec<AccessRule>,
}

impl Settings {
    /// Returns the built-in settings of a profile. Development has its own; every other profile starts from
    /// Production's, so that a profile with a new name never shows more than it should.
    ///
    /// ```
    /// use warp_reql::settings::Settings;
    ///
    /// let (development, production) = (Settings::built_in("development"), Settings::built_in("production"));
    /// assert!(development.debug && !production.debug);
    /// ```
    pub fn built_in(profile: &str) -> Settings {
        let profile = profile.to_ascii_lowercase();
        let development = profile == DEVELOPMENT;
        let address = if development { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let hosts = if development { Hosts::Embedded } else { Hosts::default() };
        Settings {
            profile,
            address: address.into(),
            port: 8000,
            debug: development,
            log_level: Settings::level_for(development),
            log_format: LogFormat::Pretty,
            shutdown_timeout: Duration::from_secs(10),
            auth: Auth::None,
            token: Token::default(),
            admin_roles: Vec::new(),
            anonymous_user: String::new(),
            anonymous_password: Secret::default(),
            allow_anonymous: false,
            cors: Cors::Off,
            hosts: if development { Named::Local(Vec::new()) } else { Named::Any },
            explorer: development,
            reql: development,
            require_match: false,
            tls: Tls::default(),
            trusted_proxies: Proxies::default(),
            admin: Admin::default(),
            limits: Limits::default(),
            rdb: Rdb { host: hosts, ..Rdb::default() },
            databases: Databases::default(),
            tables: Vec::new(),
            relations: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Returns the address to listen on.
    pub fn place(&self) -> Place {
        self.address.with_port(self.port)
    }

    /// Returns the settings that hold once these have been in force and others are to be, and the names of
    /// those in which they differ but which hold from one start to the next.
    ///
    /// # Errors
    ///
    /// Says why the others can't follow without a restart. Many settings are for one `auth` alone, such as
    /// rules, and would mean something else with the other one. What is left must be as sound as a whole.
    pub(crate) fn followed_by(&self, next: Settings) -> Result<(Settings, Vec<&'static str>), String> {
        if self.auth != next.auth {
            return Err(format!("`auth` can't change from \"{}\" without a restart", self.auth));
        }
        let mut kept = Vec::new();
        let mut next = next;
        keep(&mut kept, "profile", &self.profile, &mut next.profile);
        keep(&mut kept, "address", &self.address, &mut next.address);
        keep(&mut kept, "port", &self.port, &mut next.port);
        keep(&mut kept, "admin", &self.admin, &mut next.admin);
        keep(&mut kept, "shutdown_timeout", &self.shutdown_timeout, &mut next.shutdown_timeout);
        if self.rdb.max_connections != next.rdb.max_connections {
            // Streams are a part of the connections.
            keep(&mut kept, "limits.streams", &self.limits.streams, &mut next.limits.streams);
        }
        keep(&mut kept, "rdb", &self.rdb, &mut next.rdb);
        keep(&mut kept, "databases", &self.databases, &mut next.databases);
        keep(&mut kept, "tables", &self.tables, &mut next.tables);
        if self.tls.is_on() != next.tls.is_on() {
            keep(&mut kept, "tls", &self.tls, &mut next.tls);
        }
        match rules::broken(&next, "") {
            Some(broken) if Some(&broken) != rules::broken(self, "").as_ref() => {
                let ((key, expected), kept) = (broken, kept.join(", "));
                Err(format!("`{key}`: expected {expected}; without a restart these stay as they are: {kept}"))
            }
            _ => Ok((next, kept)),
        }
    }

    /// Checks that what these settings serve may be served at a place that they don't name.
    ///
    /// # Errors
    ///
    /// As [`Settings::load`] does for `address`.
    pub(crate) fn may_serve_at(&self, place: &Place) -> Result<(), String> {
        match self.is_anonymous() && !place.is_local() {
            true => Err(format!(
                "`auth` has to be \"database\" or \"token\", or `allow_anonymous = true` beside it, because \
                 others can reach {place}"
            )),
            false => Ok(()),
        }
    }

    /// Returns true if clients' data crosses a network unencrypted on its way to this place, which is hardly
    /// intended.
    pub(crate) fn is_open_to_eavesdroppers(&self, place: &Place) -> bool {
        self.profile != DEVELOPMENT
            && !self.tls.is_on()
            && !place.is_local()
            // A trusted proxy is taken to be the one that speaks TLS.
            && self.trusted_proxies.is_empty()
    }

    /// Returns whether the service is reachable from other machines and needs no credentials.
    fn is_exposed(&self) -> bool {
        self.is_anonymous() && !self.address.is_local()
    }

    /// Returns whether no credentials are needed, though nobody has said that this is meant.
    fn is_anonymous(&self) -> bool {
        self.profile != DEVELOPMENT && self.auth == Auth::None && !self.allow_anonymous
    }

    fn level_for(debug: bool) -> LevelFilter {
        if debug { LevelFilter::Debug } else { LevelFilter::Info }
    }
}

/// Keeps a setting as it was, and its name if it should have become another one.
fn keep<T: Clone + PartialEq>(kept: &mut Vec<&'static str>, key: &'static str, was: &T, next: &mut T) {
    if was != next {
        next.clone_from(was);
        kept.push(key);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::built_in(DEVELOPMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_takes_over_all_that_belongs_together_or_nothing() {
        let now = Settings { auth: Auth::Token, ..Settings::built_in(PRODUCTION) };
        let next = Settings { auth: Auth::Database, cors: Cors::Any, ..now.clone() };
        assert!(now.followed_by(next).unwrap_err().contains("`auth`"));

        // The address would stay one that others can reach.
        let now = Settings { allow_anonymous: true, ..Settings::built_in(PRODUCTION) };
        let next = Settings { address: Ipv4Addr::LOCALHOST.into(), allow_anonymous: false, ..now.clone() };
        let refused = now.followed_by(next.clone()).unwrap_err();
        assert!(refused.contains("`auth`") && refused.ends_with(": address"), "{refused}");
        let (next, kept) = now.followed_by(Settings { allow_anonymous: true, ..next }).unwrap();
        assert_eq!((next, kept), (now.clone(), vec!["address"]));

        let (rdb, mut next) = (Rdb { max_connections: 1000, ..now.rdb.clone() }, now.clone());
        (next.rdb, next.limits.streams, next.limits.page) = (rdb, 250, 7);
        let (next, kept) = now.followed_by(next).unwrap();
        assert_eq!(kept, ["limits.streams", "rdb"]);
        assert_eq!((next.limits.streams, next.limits.page), (now.limits.streams, 7));
    }
}
