//! RethinkDB's wire protocol and query language on one file.
//!
//! Bytes flow one way and imports point only downward:
//! `server → session → protocol → eval → feed → storage → term → datum`.

pub mod server;

mod session;

pub mod protocol;

pub mod engine;

pub mod accounts;
mod credentials;
pub mod instance;
mod interrupt;
mod reql;

pub mod datum;
pub mod error;
pub mod eval;
pub mod feed;
pub mod geo;
pub mod storage;
pub mod term;

pub use server::{Builder, Server};
