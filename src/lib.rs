//! A JSON service over RethinkDB, on [warp], whose heart is one filter: [`with_conn`] gives each request a
//! database connection of its own, opened when it is first needed and closed when the handler's future ends.
//!
//! # A service of your own
//!
//! ```
//! use reql::r;
//! use serde::{Deserialize, Serialize};
//! use warp::Filter;
//! use warp_reql::{Conn, Database, Error, recover, with_conn};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Hero {
//!     name: String,
//! }
//!
//! async fn heroes(mut conn: Conn) -> Result<impl warp::Reply, Error> {
//!     let heroes: Vec<Hero> = conn.all(r.table("heroes")).await?;
//!     Ok(warp::reply::json(&heroes))
//! }
//!
//! # fn service() -> Result<(), Error> {
//! let db = Database::new(warp_reql::settings::Rdb::default())?;
//! let routes = warp::path!("heroes").and(warp::get()).and(with_conn(&db)).then(heroes).recover(recover);
//! # let _ = routes;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/heroes.rs` is a whole one. [`service`] is the ready-made API that the binary serves.
//!
//! # Guided tour
//!
//! In the order in which a request meets them:
//!
//! - [`settings`]: profiles, layers, and where each value came from.
//! - [`server`]: bind, start the embedded database if there is one, serve, stop. [`bootstrap`] makes missing
//!   tables, and [`health`] asks a running service whether it is ready.
//! - [`service()`](service): what lies around the endpoints, in its order. `middleware` holds its layers:
//!   limits, and the id, the timings and the line in the log of every request.
//! - `api`: the endpoints, a folder or file for each resource. `http`: what a request says, and how an answer
//!   is made.
//! - [`App`]: what handlers share. `access`: who asks and what they may do, by tokens, roles and rules.
//! - `reql`: ReQL as JavaScript writes it, read into terms. `explorer`: the pages for people.
//! - `query`: from the parameters of a URL to ReQL: filter, order, page, fields.
//! - [`conn`]: [`with_conn`] and [`Conn`], which opens a session on the first query, bounds each by a
//!   timeout, and knows whether the session can serve anyone else afterwards.
//! - [`database`]: where sessions come from: dialled, standing by, or reused; how many there may be, and who
//!   waits.
//! - `shares`: how much of what is bounded one client may hold.
//! - `metrics`: what the service tells Prometheus; [`logger`]: what it tells whoever reads its log.
//! - [`error`]: one [`Error`], mapped to a status in one place, shown as a problem document.

mod access;
mod api;
mod app;
pub mod bootstrap;
mod catalog;
pub mod command;
pub mod conn;
pub mod database;
mod digest;
pub mod error;
mod explorer;
pub mod health;
mod http;
pub mod logger;
mod metrics;
mod middleware;
mod names;
mod query;
mod reql;
mod reserved;
pub mod server;
mod service;
pub mod settings;
mod shares;
pub mod trial;

pub use app::App;
pub use conn::{Conn, with_conn};
pub use database::Database;
pub use error::{Error, recover};
pub use service::{Served, service, service_with};
