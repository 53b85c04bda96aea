//! A JSON service over RethinkDB.
