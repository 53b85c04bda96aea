//! A JSON service over RethinkDB.

pub mod bootstrap;
pub mod health;
pub mod server;
pub mod settings;
