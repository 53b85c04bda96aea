//! A JSON service over RethinkDB, on [warp], whose heart is one filter: [`with_conn`] gives each request a
//! database connection of its own, opened when it is first needed and closed when the handler's future ends.
//!
//! # A service of your own
//!
//! This is a whole one, with a database in its process:
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
//! With a RethinkDB it begins with [`Database::from_env`], which reads `RDB_HOST` and the like:
//!
//! ```no_run
//! # fn main() -> Result<(), warp_reql::Error> {
//! let db = warp_reql::Database::from_env()?;
//! # let _ = db;
//! # Ok(())
//! # }
//! ```
//!
//! Handlers end in [`Error`], which is a reply: a problem document with a status and a stable
//! [`Code`](error::Code). Here one row of another type than expected, a database that is away and a query
//! that takes too long are answered with a status each, without a line of the handler's:
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
//! own `/openapi.json`. [`service_with`] puts routes of your own beside it.
//!
//! # Features
//!
//! All are on by default.
//!
//! | feature | what it brings |
//! |---|---|
//! | none | [`with_conn`], [`Conn`], [`Database`], [`Error`], [`settings`]; no C compiler is needed |
//! | `embedded` | [`embedded()`], a database in this process |
//! | `api` | [`App`], [`service`], [`service_with`] |
//! | `tls` | TLS to the database (`rdb.tls`); its cryptography needs a C compiler |
//! | `server` | [`server`], [`health`], [`logger`], and the binary; brings all others |
//!
//! # Guided tour
//!
//! In the order in which a request meets them:
//!
//! - [`settings`]: profiles, layers, and where each value came from.
//! - [`server`]: bind, start the embedded database if there is one, serve, stop. [`bootstrap`] makes missing
//!   tables, and [`health`] asks a running service whether it is ready.
//! - [`service()`](service): the layers around the endpoints, in their order. `middleware` holds each.
//! - `api`: the endpoints, a folder or file for each resource. `http`: the request as one `Context`, and how
//!   an answer is made.
//! - [`App`]: what handlers share. `catalog`: what is known of tables for a short while.
//! - `language`: ReQL as JavaScript writes it, read into terms. `explorer`: the pages for people.
//! - `access`: who asks, by tokens and roles. `rules`: what they may do.
//! - `query`: from the parameters of a URL to ReQL: filter, order, page, fields.
//! - [`conn`]: [`with_conn`] and [`Conn`], which opens a session on the first query, bounds each by a
//!   timeout, and knows whether the session can serve anyone else afterwards.
//! - [`database`]: where sessions come from: dialled, standing by, or reused; how many there may be, and who
//!   waits.
//! - `shares`: how much of what is bounded one client may hold. `rates`: how often it may ask.
//! - `metrics`: what the service tells Prometheus; [`logger`]: what it tells whoever reads its log.
//! - [`error`]: one [`Error`], mapped to a status in one place, shown as a problem document.

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
pub mod command;
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
#[cfg(feature = "api")]
mod shares;
#[cfg(feature = "server")]
pub mod trial;

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

/// The README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
