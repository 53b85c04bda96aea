//! The names that the service keeps for itself in the database server that it shares with others.

/// How the name of the database ends that holds what a service remembers, after the name of the one that it serves. No
/// request leads into it: requests are about tables of `rdb.db`, which can't be one of these. Nor may any user of the server
/// read it unless an administrator grants that.
const SUFFIX: &str = "_warp_reql";

/// The table of `rdb.db` in which earlier builds kept what they answered to requests with an `Idempotency-Key`. There is none
/// any more; where one is left, it is nobody's to read or write.
const FORMER: &str = "idempotency_keys";

/// The database of what is remembered beside this one.
pub(crate) fn database_beside(db: &str) -> String {
    [db, SUFFIX].concat()
}

/// Whether a database is that of what a service remembers.
pub(crate) fn is_database(db: &str) -> bool {
    db.ends_with(SUFFIX)
}

/// Whether a table of `rdb.db` is none of its users' tables.
pub(crate) fn is_table(name: &str) -> bool {
    name == FORMER
}
