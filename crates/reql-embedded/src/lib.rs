//! RethinkDB's wire protocol and query language on one file.
//!
//! Bytes flow one way and imports point only downward:
//! `server → session → protocol → feed → eval → storage → term → datum`.

pub mod server;

pub use server::{Builder, Server};
