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
