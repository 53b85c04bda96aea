//! A JSON service over RethinkDB, built on [warp]. Its core is one filter: [`with_conn`] gives each request a
//! database connection of its own, opened on first use and closed when the handler's future ends.
//!
//! # A service of your own
//!
//! A complete service, with a database inside its process:
//!
//! ```no_run
//! use warp::Filter;
//! use warp_reql::{Conn, Error, embedded, recover, reql::r, with_conn};
//!
//! async fn heroes(mut conn: Conn) -> Result<impl warp::Reply, Error> {
//!     let heroes: Vec<serde_json::Value> = conn.all(r.table("heroes")).await?;
//!     Ok(warp::reply::json(&heroes))
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let db = embedded().await?.with_table("heroes").await?;
//!     let routes = warp::path!("heroes").and(with_conn(&db)).then(heroes).recover(recover);
//!     warp::serve(routes).run(([127, 0, 0, 1], 3030)).await;
//!     Ok(())
//! }
//! ```
//!
//! To use a RethinkDB server, start with [`Database::from_env`], which reads `RDB_HOST` and the other
//! `RDB_*` variables:
//!
//! ```no_run
//! # fn main() -> Result<(), warp_reql::Error> {
//! let db = warp_reql::Database::from_env()?;
//! # let _ = db;
//! # Ok(())
//! # }
//! ```
//!
//! Handlers return [`Error`], which is a reply: a problem document with a status and a stable
//! [`Code`](error::Code). In this handler, a document of another type than expected, an unreachable database
//! and a query that takes too long each get a status of their own, without any code for it:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use warp_reql::error::Code;
//! use warp_reql::{Conn, Error, reql::r};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Hero {
//!     id: String,
//! }
//!
//! async fn hero(id: String, mut conn: Conn) -> Result<impl warp::Reply, Error> {
//!     let hero: Option<Hero> = conn.first(r.table("heroes").get(id)).await?;
//!     Ok(warp::reply::json(&hero.ok_or(Code::NoSuchDocument)?))
//! }
//! ```
//!
//! # The ready-made API
//!
//! [`service`] is the API that the binary serves: tables, indexes, documents, live queries, described by its
//! `/openapi.json`. [`service_with`] adds routes of your own.
//!
//! # Features
//!
//! All but `reql-0-11` are on by default.
//!
//! | feature | adds |
//! |---|---|
//! | none | [`with_conn`], [`Conn`], [`Database`], [`Error`], [`settings`]; no C compiler is needed |
//! | `embedded` | [`embedded()`], a database in this process |
//! | `api` | [`App`], [`service`], [`service_with`] |
//! | `tls` | TLS to the database (`rdb.tls`); its cryptography needs a C compiler |
//! | `server` | [`server`], [`health`], [`logger`], [`cli`], and the binary; enables those above |
//! | `reql-0-11` | `Conn::session_0_11`: a session of the driver `reql` 0.11, for handlers written for it |
//!
//! # Guided tour
//!
//! The modules, in the order in which a request passes them:
//!
//! - [`cli`]: arguments, and exit codes. `command`: the commands that manage the database; `trial`: test
//!   cases for access rules; [`health`]: whether a running service is ready.
//! - [`settings`]: profiles, layers, and the origin of each value.
//! - [`server`]: bind, serve, stop. [`mod@embedded`]: the database in this process, if there is one.
//!   [`bootstrap`] creates missing tables, and [`sweep`] deletes documents that have expired.
//! - [`service()`](service): the layers around the endpoints, in their order. `middleware` holds each.
//! - `api`: the endpoints, a folder or file for each resource. `http`: the request as one `Context`, and the
//!   making of answers.
//! - [`App`]: the state that handlers share. `catalog`: a cache of primary keys and indexes. `live`: live
//!   queries, each with one changefeed and any number of clients.
//! - `language`: a parser for ReQL in JavaScript syntax. `explorer`: the web pages.
//! - `access`: authentication by token. `rules`: authorization by role.
//! - `query`: from the parameters of a URL to ReQL: filter, order, page, fields.
//! - `json`: values that clients have written, whatever the names of their fields are.
//! - [`conn`]: [`with_conn`] and [`Conn`], which opens a session on the first query, bounds each by a
//!   timeout, and knows whether the session can serve anyone else afterwards.
//! - [`database`]: the source of sessions: dialled, standing by, or reused; their limit, and the queue for
//!   them.
//! - `shares`: the part of each limited resource that one client may hold, and is refused more of.
//!   `portions`: the same where it waits for more. `rates`: rate limits.
//! - `metrics`: the metrics for Prometheus; [`logger`]: the log of the binary.
//! - [`error`]: one [`Error`], mapped to a status in one place, shown as a problem document.
//! - `digest`, `names`, `reserved`: hashes; the names of databases, tables and indexes, and those that the
//!   service keeps for itself.

#![deny(missing_debug_implementations)]
#![cfg_attr(
    not(feature = "server"),
    allow(dead_code, unused_imports, reason = "only the service as a whole uses all that there is")
)]

#[cfg(feature = "api")]
mod access;
#[cfg(feature = "api")]
mod api;
#[cfg(feature = "api")]
mod app;
pub mod bootstrap;
#[cfg(feature = "api")]
mod catalog;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
mod command;
pub mod conn;
pub mod database;
#[cfg(feature = "api")]
mod digest;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
#[cfg(feature = "api")]
mod explorer;
#[cfg(feature = "server")]
pub mod health;
#[cfg(feature = "api")]
mod http;
mod json;
mod language;
#[cfg(feature = "api")]
mod live;
#[cfg(feature = "server")]
pub mod logger;
#[cfg(feature = "api")]
mod metrics;
#[cfg(feature = "api")]
mod middleware;
mod names;
mod portions;
mod query;
#[cfg(feature = "api")]
mod rates;
mod reserved;
mod rules;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "api")]
mod service;
pub mod settings;
mod shares;
#[cfg(feature = "api")]
pub mod sweep;
#[cfg(feature = "server")]
mod trial;

#[cfg(feature = "api")]
pub use app::App;
pub use conn::{Conn, with_conn};
pub use database::Database;
#[cfg(feature = "embedded")]
pub use embedded::embedded;
pub use error::{Error, recover};
pub use reql;
#[cfg(feature = "api")]
pub use service::{Served, service, service_with};
pub use warp;

/// The README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
