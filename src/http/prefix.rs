//! The start of paths about tables of other databases than that of `rdb.db`: `/db/{name}`.

/// The path of the tables of a database.
pub(super) const TABLES: &str = "/tables";
/// The start of the paths about tables of other databases than that of `rdb.db`.
const DATABASES: &str = "/db/";

/// Divides a path such as `/db/{name}/tables/t` into the name of the database, which is still
/// percent-encoded, and the path within that. Other paths have no such name.
pub(crate) fn divided(path: &str) -> (Option<&str>, &str) {
    let of_database = || {
        let rest = path.strip_prefix(DATABASES)?;
        let (name, within) = rest.split_at(rest.find('/')?);
        let is_about_tables = within == TABLES || within.starts_with("/tables/");
        is_about_tables.then_some((Some(name), within))
    };
    of_database().unwrap_or((None, path))
}

/// Returns the path of something in a database: `within`, after the database's name if it isn't that of
/// `rdb.db`.
pub(crate) fn in_database(database: Option<&str>, within: &str) -> String {
    match database {
        Some(name) => [DATABASES, name, within].concat(),
        None => within.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_start_with_a_database() {
        for (path, name, within) in [
            ("/db/a/tables", Some("a"), "/tables"),
            ("/db/a%20b/tables/t/docs", Some("a%20b"), "/tables/t/docs"),
            ("/db//tables", Some(""), "/tables"),
            ("/db/a/tablesx", None, "/db/a/tablesx"),
            ("/db/a/reql", None, "/db/a/reql"),
            ("/db/a/db/b/tables", None, "/db/a/db/b/tables"),
            ("/db/tables", None, "/db/tables"),
            ("/tables/db/docs", None, "/tables/db/docs"),
        ] {
            assert_eq!(divided(path), (name, within));
        }
        assert_eq!(in_database(Some("a"), "/tables"), "/db/a/tables");
    }
}
