//! The names that the service keeps for itself in the database server that it shares with others.

/// The suffix of the database that holds what a service remembers. It follows the name of the database that
/// is served. No request reaches that database: requests are about tables of `rdb.db`, whose name can't end
/// so. No user of the server may read it either, unless an administrator grants that.
const SUFFIX: &str = "_warp_reql";

/// The table of `rdb.db` in which earlier builds kept their answers to requests with an `Idempotency-Key`. It
/// is no longer made. Where one is left, nobody may read or write it.
const FORMER: &str = "idempotency_keys";

/// The name of the database that holds what the service of this database remembers.
pub(crate) fn database_beside(db: &str) -> String {
    [db, SUFFIX].concat()
}

/// Returns whether a database holds what a service remembers.
pub(crate) fn is_database(db: &str) -> bool {
    db.ends_with(SUFFIX)
}

/// Returns whether a table of `rdb.db` is the service's own, and not one of its users'.
pub(crate) fn is_table(name: &str) -> bool {
    name == FORMER
}
