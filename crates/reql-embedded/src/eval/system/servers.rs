//! The server's own tables: `server_config`, `server_status` and `cluster_config`, each with a single row.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::fields::{self, Fields, prefixed};
use super::{View, Write};
use crate::datum::Datum;
use crate::datum::pseudo::time;
use crate::error::{Error, Result};
use crate::instance::Identity;
use crate::term::RETHINKDB_VERSION;

/// The unit of sizes.
const MEGABYTE: f64 = (1u64 << 20) as f64;

pub(super) fn config_rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let identity = view.instance.identity();
    Ok(vec![Datum::object([
        ("cache_size_mb", identity.cache_size_mb.map_or_else(|| Datum::str("auto"), Datum::Num)),
        ("id", Datum::str(identity.id.to_string())),
        ("name", identity.name.clone().into()),
        ("tags", Datum::array(identity.tags.iter().map(Datum::str).collect())),
    ])])
}

pub(super) fn write_config(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    let identity = view.instance.identity();
    if fields::as_id(write.key) != Some(identity.id) {
        return match write.new {
            Datum::Null => Ok(Datum::Null),
            _ => Err(Error::op_failed(
                "It's illegal to insert new rows into the `rethinkdb.server_config` system table.",
            )),
        };
    }
    if write.new.is_null() {
        return Err(Error::op_failed(
            "It's illegal to delete rows from the `rethinkdb.server_config` system table.",
        ));
    }
    let wrong = "The row you're trying to put into `rethinkdb.server_config` has the wrong format. ";
    let Config { name, tags, cache_size_mb } = prefixed(wrong, parse_config(&write.new))?;
    let change = |identity: &Identity| Identity { name, tags, cache_size_mb, ..identity.clone() };
    view.instance.identities.change(change)?;
    Ok(write.new)
}

/// The settings in a row of `server_config`.
struct Config {
    name: Arc<str>,
    tags: BTreeSet<String>,
    cache_size_mb: Option<f64>,
}

fn parse_config(row: &Datum) -> Result<Config> {
    let mut fields = Fields::new(row)?;
    let name = fields.read("name", |name| fields::name(name, "server name"))?;
    fields.required("id")?;
    let tags: BTreeSet<String> = fields
        .read("tags", |tags| fields::list(tags, |tag| fields::name(&tag, "server tag")))?
        .into_iter()
        .collect();
    let cache_size_mb = fields.read("cache_size_mb", cache_size)?;
    fields.finish()?;
    Ok(Config { name: name.into(), tags, cache_size_mb })
}

fn cache_size(size: &Datum) -> Result<Option<f64>> {
    match size {
        Datum::Str(text) if &**text == "auto" => Ok(None),
        Datum::Num(size) if size * MEGABYTE > i64::MAX as f64 => Err(Error::op_failed("Value is too big.")),
        Datum::Num(size) if *size < 0.0 => Err(Error::op_failed("Cache size cannot be negative.")),
        Datum::Num(size) => Ok(Some(*size)),
        other => Err(Error::op_failed(format!("Expected a number or 'auto', got {}", other.print()))),
    }
}

pub(super) fn status_rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let identity = view.instance.identity();
    let port =
        view.instance.listening.get().and_then(|listening| listening.addrs.first().map(SocketAddr::port));
    let started = time_of(view.instance.started)?;
    let program = std::env::args_os().next().unwrap_or_default();
    let version = format!("rethinkdb {RETHINKDB_VERSION} (reql-embedded {})", env!("CARGO_PKG_VERSION"));
    let network = Datum::object([
        ("canonical_addresses", Datum::empty_array()),
        // There is no cluster to connect to, and no web interface.
        ("cluster_port", Datum::Null),
        ("connected_to", Datum::object::<&str>([])),
        ("hostname", Datum::from(hostname())),
        ("http_admin_port", Datum::str("<no http admin>")),
        ("reql_port", port.map_or(Datum::Null, |port| Datum::Num(f64::from(port)))),
        ("time_connected", started.clone()),
    ]);
    let process = Datum::object([
        // Other arguments may hold a password.
        ("argv", Datum::array(vec![Datum::str(program.to_string_lossy())])),
        ("cache_size_mb", Datum::Num(view.instance.cache_bytes as f64 / MEGABYTE)),
        ("pid", Datum::Num(f64::from(std::process::id()))),
        ("time_started", started),
        ("version", Datum::from(version)),
    ]);
    Ok(vec![Datum::object([
        ("id", Datum::str(identity.id.to_string())),
        ("name", identity.name.clone().into()),
        ("network", network),
        ("process", process),
    ])])
}

fn time_of(instant: SystemTime) -> Result<Datum> {
    time::make(instant.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(), "+00:00")
}

fn hostname() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    read.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// The key of the only row of `cluster_config`.
const HEARTBEAT: &str = "heartbeat";

pub(super) fn cluster_rows(view: &View<'_>) -> Result<Vec<Datum>> {
    let seconds = view.instance.identity().heartbeat_timeout_secs;
    Ok(vec![Datum::object([("heartbeat_timeout_secs", Datum::Num(seconds)), ("id", Datum::str(HEARTBEAT))])])
}

pub(super) fn write_cluster(view: &View<'_>, write: Write<'_>) -> Result<Datum> {
    if write.new.is_null() {
        return Err(Error::op_failed(
            "It's illegal to delete rows from the `rethinkdb.cluster_config` table.",
        ));
    }
    if *write.key != Datum::str(HEARTBEAT) {
        return Err(Error::op_failed(
            "It's illegal to insert new rows into the `rethinkdb.cluster_config` table.",
        ));
    }
    let mut fields = Fields::new(&write.new)?;
    fields.required("id")?;
    let seconds = match fields.required("heartbeat_timeout_secs")? {
        Datum::Num(seconds) if seconds < 2.0 => {
            return Err(Error::op_failed("The heartbeat timeout must be at least two seconds"));
        }
        Datum::Num(seconds) => seconds,
        other => return Err(Error::op_failed(format!("Expected a number; got {}", other.print()))),
    };
    fields.finish()?;
    let change = |identity: &Identity| Identity { heartbeat_timeout_secs: seconds, ..identity.clone() };
    view.instance.identities.change(change)?;
    Ok(write.new)
}
