//! RethinkDB's wire protocol and query language on one file.
//!
//! Bytes flow one way and imports point only downward:
//! `server → session → protocol → feed → eval → storage → term → datum`.

pub mod datum;
pub mod error;
pub mod geo;
pub mod server;
pub mod term;

pub use server::{Builder, Server};
