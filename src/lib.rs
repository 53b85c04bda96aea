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
//! `examples/heroes.rs` is a whole one. [`routes::routes`] is the ready-made API that the binary serves.
//!
//! # Guided tour
//!
//! In the order in which a request meets them:
//!
//! - [`settings`]: profiles, layers, and where each value came from.
//! - [`server`]: bind, start the embedded database if there is one, serve, stop. [`bootstrap`] makes missing tables, and
//!   [`health`] asks a running service whether it is ready.
//! - [`routes`]: which requests there are, and a handler for each. Around all of them lies a layer that gives each request
//!   its id, its timings and its line in the log.
//! - `query`: from the parameters of a URL to ReQL: filter, order, page, fields.
//! - [`conn`]: [`with_conn`] and [`Conn`], which opens a session on the first query, bounds each by a timeout, and
//!   knows whether the session can serve anyone else afterwards.
//! - [`database`]: where sessions come from: dialled, standing by, or reused; how many there may be, and who waits.
//! - `shares`: how much of what is bounded one client may hold.
//! - `metrics`: what the service tells Prometheus; [`logger`]: what it tells whoever reads its log.
//! - [`error`]: one [`Error`], mapped to a status in one place, shown as a problem document.

pub mod bootstrap;
pub mod conn;
pub mod database;
pub mod error;
pub mod health;
pub mod logger;
mod metrics;
mod query;
mod reserved;
pub mod routes;
pub mod server;
pub mod settings;
mod shares;

pub use conn::{Conn, with_conn};
pub use database::Database;
pub use error::{Error, recover};
