//! RethinkDB's wire protocol: the handshake, then frames of JSON.

pub mod answer;
pub(crate) mod frame;
pub(crate) mod handshake;
mod peer;
pub mod query;
pub(crate) mod response;
pub(crate) mod scram;
mod text;

pub use peer::Peer;
pub use text::Text;

/// The release of RethinkDB that this server behaves like.
pub const RETHINKDB_VERSION: &str = "2.4.4";
