//! RethinkDB's wire protocol: the handshake, then frames of JSON.

pub(crate) mod frame;
pub(crate) mod handshake;
pub mod query;
pub(crate) mod response;
pub(crate) mod scram;

/// The release of RethinkDB whose behaviour is the measure.
pub const RETHINKDB_VERSION: &str = "2.4.4";
