//! The layout of a table: shards, replicas, acknowledgements. There is one server, which holds the only
//! replica of each shard, so the layout doesn't matter to the data; but its settings are kept and shown.

use std::collections::{BTreeMap, BTreeSet};

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::instance::Identity;
use crate::storage::TableConfig;

/// The most shards that a table can have.
const MAX_SHARDS: u64 = 64;

/// The tag whose servers are used by default.
const DEFAULT_TAG: &str = "default";

/// Fails for more shards than a table can have.
pub fn check_shards(shards: u64) -> Result<()> {
    if shards > MAX_SHARDS {
        return Err(Error::op_failed(format!("Maximum number of shards is {MAX_SHARDS}.")));
    }
    Ok(())
}

/// The layout of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The number of shards.
    pub shards: u64,
    /// Replicas that have to acknowledge a write: `single` or `majority`.
    pub write_acks: String,
}

impl Default for Layout {
    fn default() -> Self {
        Layout { shards: 1, write_acks: "majority".into() }
    }
}

impl Layout {
    /// Returns the layout of a table.
    pub fn of(config: &TableConfig) -> Layout {
        let default = Layout::default();
        Layout {
            shards: match config.extra.get("shards") {
                Some(Datum::Num(shards)) => shards as u64,
                _ => default.shards,
            },
            write_acks: match config.extra.get("write_acks") {
                Some(Datum::Str(acks)) => acks.to_string(),
                _ => default.write_acks,
            },
        }
    }

    /// Returns the form that the store keeps.
    pub fn to_extra(&self) -> Datum {
        Datum::object([
            ("shards", Datum::Num(self.shards as f64)),
            ("write_acks", Datum::str(&self.write_acks)),
        ])
    }

    /// Estimates the number of rows in each shard, as if they were spread evenly.
    pub fn estimates(&self, rows: u64) -> Vec<u64> {
        let (each, rest) = (rows / self.shards, rows % self.shards);
        (0..self.shards).map(|shard| each + u64::from(shard < rest)).collect()
    }
}

/// The assignment of shards and replicas to servers.
#[derive(Debug, Clone)]
pub struct Replication {
    /// The number of shards.
    pub shards: u64,
    /// The number of replicas on the servers of each tag.
    pub replicas: BTreeMap<String, u64>,
    /// The tags whose replicas don't vote.
    pub nonvoting_tags: BTreeSet<String>,
    /// The tag of the primary replicas.
    pub primary_tag: String,
}

impl Default for Replication {
    fn default() -> Self {
        Replication {
            shards: 1,
            replicas: BTreeMap::from([(DEFAULT_TAG.to_owned(), 1)]),
            nonvoting_tags: BTreeSet::new(),
            primary_tag: DEFAULT_TAG.to_owned(),
        }
    }
}

impl Replication {
    /// Fails unless a cluster of this one server can have this layout (`generate_config.cc` in RethinkDB).
    pub fn check(&self, server: &Identity) -> Result<()> {
        if self.replicas.values().all(|count| *count == 0) {
            return Err(Error::op_failed(
                "You must set `replicas` to at least one. `replicas` includes the primary replica; if there \
                 are zero replicas, there is nowhere to put the data.",
            ));
        }
        check_shards(self.shards)?;
        let primary = &self.primary_tag;
        if self.replicas.get(primary).is_none_or(|count| *count == 0) {
            return Err(Error::op_failed(format!(
                "Can't use server tag `{primary}` for primary replicas because you specified no replicas in \
                 server tag `{primary}`."
            )));
        }
        if let Some(tag) = self.nonvoting_tags.iter().find(|tag| !self.replicas.contains_key(*tag)) {
            return Err(Error::op_failed(format!(
                "You specified that the replicas in server tag `{tag}` should be non-voting, but you didn't \
                 specify a number of replicas in server tag `{tag}`."
            )));
        }
        self.check_servers(server)
    }

    fn check_servers(&self, server: &Identity) -> Result<()> {
        let mut used = self.replicas.iter().filter(|(_, count)| **count > 0);
        let mut claimed: Option<&str> = None;
        for (tag, _) in used.clone() {
            if !server.tags.contains(tag) {
                return Err(Error::op_failed(format!("Could not find any servers with server tag `{tag}`.")));
            }
            if let Some(other) = claimed.replace(tag) {
                return Err(Error::op_failed(format!(
                    "Server tags `{tag}` and `{other}` overlap; the server `{}` has both tags. The server \
                     tags used for replication settings for a given table must be non-overlapping.",
                    server.name
                )));
            }
        }
        match used.find(|(_, count)| **count > 1) {
            None => Ok(()),
            Some((tag, count)) => Err(Error::op_failed(format!(
                "Can't put {count} replicas on servers with the tag `{tag}` because there are only 1 servers \
                 with the tag `{tag}`. It's impossible to have more replicas of the data than there are \
                 servers."
            ))),
        }
    }
}
