//! Options of all queries of a connection, besides their own.

use reql::{Durability, Query, ReadMode};

/// The replicas that are read, and when writes are answered. What isn't chosen is the table's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choices {
    pub(crate) read_mode: Option<ReadMode>,
    pub(crate) durability: Option<Durability>,
}

impl Choices {
    /// Returns a query with them.
    pub(super) fn applied(&self, query: impl Into<Query>) -> Query {
        let query = query.into();
        let query = match self.read_mode {
            Some(mode) => query.read_mode(mode),
            None => query,
        };
        match self.durability {
            Some(durability) => query.durability(durability),
            None => query,
        }
    }
}
