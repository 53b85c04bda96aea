//! A JSON service over RethinkDB.

pub mod settings;
