//! RethinkDB's wire protocol and query language on one file.
//!
//! Bytes flow one way and imports point only downward:
//! `server → session → protocol → feed → eval → storage → term → datum`.

pub mod server;
mod session;

pub mod protocol;

pub mod engine;
mod interrupt;

mod bare;
mod credentials;

pub use server::{Builder, Server};
