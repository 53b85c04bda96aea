//! RethinkDB's wire protocol and query language on one file.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let server = reql_embedded::Server::builder().data_dir("data").start().await?;
//! println!("drivers connect to {}", server.local_addr());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a query
//!
//! Bytes flow one way, and imports point only downward:
//! `server → session → protocol → eval → feed → storage → term → datum`.
//!
//! - `server` accepts a connection. A session authenticates it, reads frames, and tells the running queries
//!   apart by their tokens. `protocol` defines the bytes on the wire.
//! - `engine` is the seam below: a session asks it to compile a query, to evaluate it, and for the next
//!   batch. Its implementation is ReQL over a store. Short work is done on the session's own task; the rest
//!   by `workers`, threads that connections share fairly.
//! - `term` makes a tree of terms out of JSON; `eval` compiles and walks it, and yields a value or a
//!   stream. Each family of terms has a file in `eval::terms`.
//! - `feed` turns the store's events into the rows of a changefeed.
//! - `storage` keeps documents and indexes in one file: snapshots for readers, one writer that commits in
//!   groups.
//! - `datum` defines values, in memory, packed on disk, as keys and as JSON; `geo` computes with
//!   geometry.
//! - `instance` is the state of a running server, and `accounts` has its users and their permissions.
//!   [`memory`] finds the limit of the process's memory.

// The hidden modules are public for the tests of the crate, and no part of its face: any may change.
#[cfg(feature = "daemon")]
pub mod daemon;
mod server;

mod session;

#[doc(hidden)]
pub mod protocol;

#[doc(hidden)]
pub mod budget;
#[doc(hidden)]
pub mod engine;
mod interrupt;
mod reql;
mod workers;

#[doc(hidden)]
pub mod accounts;
mod credentials;
#[doc(hidden)]
pub mod instance;
pub mod memory;

#[doc(hidden)]
pub mod eval;
#[doc(hidden)]
pub mod feed;
#[doc(hidden)]
pub mod storage;
#[doc(hidden)]
pub mod term;

#[doc(hidden)]
pub mod datum;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod geo;
mod nested;
mod ranges;

pub use engine::{QueryCounts, ServerInfo};
pub use server::{
    Activity, Backup, Builder, Compacted, Connector, DataError, DataErrorKind, LocalStream, Report, Server,
    StartError,
};
#[cfg(feature = "tls")]
pub use server::{Tls, TlsVersion};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
