//! A JSON service over RethinkDB.

pub mod bootstrap;
pub mod conn;
pub mod database;
pub mod error;
pub mod health;
mod query;
pub mod routes;
pub mod server;
pub mod settings;

pub use conn::{Conn, with_conn};
pub use database::Database;
pub use error::{Error, recover};
