//! The replicas that are read, and the moment at which writes are answered.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// The replicas that are read.
///
/// ```
/// use warp_reql::settings::{Rdb, ReadMode};
///
/// let rdb = Rdb { read_mode: ReadMode::Outdated, ..Rdb::default() };
/// assert_eq!(rdb.read_mode.to_string(), "outdated");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadMode {
    /// The primary replica, whose answer is in its memory: never older than what was written before, unless
    /// servers fail.
    #[default]
    Single,
    /// Data that a majority of the replicas has on disk.
    Majority,
    /// Any replica, even while the primary one is away: what it has may be older.
    Outdated,
}

/// The moment at which writes are answered.
///
/// ```
/// use warp_reql::settings::{Durability, TableSpec};
///
/// let log = TableSpec { durability: Some(Durability::Soft), ..TableSpec::new("log") };
/// # let _ = log;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "api", schema(description = "The moment at which writes are answered."))]
#[cfg_attr(feature = "server", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Durability {
    /// Once they are on disk.
    Hard,
    /// Once they are in memory.
    Soft,
}

impl ReadMode {
    /// Returns the mode of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [ReadMode::Single, ReadMode::Majority, ReadMode::Outdated]
            .into_iter()
            .find(|mode| mode.to_string() == name)
    }
}

impl Display for ReadMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadMode::Single => "single",
            ReadMode::Majority => "majority",
            ReadMode::Outdated => "outdated",
        })
    }
}

impl FromStr for ReadMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        ReadMode::named(text).ok_or(ParseError("\"single\", \"majority\" or \"outdated\""))
    }
}

impl From<ReadMode> for reql::ReadMode {
    fn from(mode: ReadMode) -> Self {
        match mode {
            ReadMode::Single => reql::ReadMode::Single,
            ReadMode::Majority => reql::ReadMode::Majority,
            ReadMode::Outdated => reql::ReadMode::Outdated,
        }
    }
}

impl From<Durability> for reql::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Hard => reql::Durability::Hard,
            Durability::Soft => reql::Durability::Soft,
        }
    }
}
