//! The names that the service keeps for itself in the database server that it shares with others.

/// The suffix of the name of the database that holds the service's own data, after the name of the database
/// that is served. No request reaches it, since no database of this suffix is served. No user of the server
/// may read it either, unless an administrator grants that.
const SUFFIX: &str = "_warp_reql";

/// The database in which the server keeps its users, its jobs and its settings.
pub(crate) const SYSTEM: &str = "rethinkdb";

/// The table in which earlier versions kept their answers to requests with an `Idempotency-Key`. It is no
/// longer created. Where one is left, no request may read or write it.
const FORMER: &str = "idempotency_keys";

/// Returns the name of the database for the own data of the service of `db`.
pub(crate) fn database_beside(db: &str) -> String {
    [db, SUFFIX].concat()
}

/// Returns true if a database holds a service's own data, or that of the server.
pub(crate) fn is_database(db: &str) -> bool {
    db == SYSTEM || db.ends_with(SUFFIX)
}

/// Returns true if a table belongs to the service and not to its users.
pub(crate) fn is_table(name: &str) -> bool {
    name == FORMER
}
