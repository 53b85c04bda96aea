//! A [RethinkDB](https://rethinkdb.com) driver for tokio.
//!
//! ```no_run
//! use reql::{Connector, Term, obj, r};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct User {
//!     name: String,
//!     age: u32,
//! }
//!
//! # async fn example() -> reql::Result<()> {
//! let connector = Connector::new("localhost:28015").user("ada", "secret").database("blog");
//! let mut session = connector.connect().await?;
//!
//! session.one::<serde_json::Value>(r.table("users").insert(obj! { "name": "Grace", "age": 85 })).await?;
//!
//! let grown_up = r.table("users").filter(|user: Term| user.g("age").ge(18)).order_by("name");
//! for user in session.all::<User>(&grown_up).await? {
//!     println!("{} is {}", user.name, user.age);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a query
//!
//! - [`r`] and the commands of [`Term`] make a query out of values, closures and other terms. [`Query`] adds
//!   the options of a whole run.
//! - A [`Connector`] has the server, the user and, with the feature `tls`, the authorities to trust. It opens
//!   [`Session`]s.
//! - A [`Session`] is one connection that one task uses: it sends a query and hands out its rows,
//!   decoded straight from the bytes that were read. [`Rows`] is a stream of them.
//! - [`Shared`] is one connection that many tasks use at the same time.
//! - An [`Error`] tells the failure, its place in the query, and if the query had been sent.

pub mod commands;
mod term;

pub mod types;

mod query;

mod connector;
mod dial;
mod handshake;
mod secret;
mod stream;
#[cfg(feature = "tls")]
pub mod tls;

mod rows;
mod session;
mod shared;
mod wire;

pub mod error;

pub use commands::r;
pub use connector::Connector;
pub use error::{Error, ErrorKind, ErrorType, Result, Sent};
pub use query::Query;
pub use rows::Rows;
pub use session::{ServerInfo, Session};
pub use shared::{Shared, SharedRows};
pub use stream::Stream;
pub use term::{
    Args, Argument, Arguments, AsTerm, Bound, Choice, Conflict, Durability, EmergencyRepair, Enumeration,
    GeoSystem, HttpMethod, IdentifierFormat, MAX_DEPTH, Opt, ReadMode, ResultFormat, ReturnChanges, Term,
    TermType, Unit, WaitFor, markers,
};

pub use wire::Form;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
