//! Databases and tables: creating, renaming, dropping, and RethinkDB's messages for failures.
use crate::support::*;
use reql_embedded::datum::Datum;
use reql_embedded::storage::{Direction, Durability, KeyRange, Store, TableOptions};

#[test]
fn databases_and_tables_are_listed_by_name() {
    let store = store();
    for name in ["b", "a"] {
        store.create_database(name).unwrap();
    }
    for name in ["y", "x"] {
        store.create_table("a", name, TableOptions::default()).unwrap();
    }
    let databases: Vec<_> = store.databases().iter().map(|database| database.name.to_string()).collect();
    assert_eq!(databases, ["a", "b"]);
    let tables: Vec<_> = store.tables("a").unwrap().into_iter().map(|table| table.config.name).collect();
    assert_eq!(tables, ["x", "y"]);
    assert!(store.tables("b").unwrap().is_empty());
}

#[test]
fn errors_read_as_rethinkdbs() {
    let store = store();
    let table = table(&store);
    store.create_database("other").unwrap();
    store.create_table("test", "u", TableOptions::default()).unwrap();
    let cases = [
        (message(store.create_database("test")), "Database `test` already exists."),
        (message(store.drop_database("x")), "Database `x` does not exist."),
        (message(store.tables("x")), "Database `x` does not exist."),
        (message(store.table("x", "t")), "Database `x` does not exist."),
        (message(store.table("test", "x")), "Table `test.x` does not exist."),
        (message(store.create_table("test", "t", TableOptions::default())), "Table `test.t` already exists."),
        (message(store.create_table("x", "t", TableOptions::default())), "Database `x` does not exist."),
        (
            message(store.rename_database("test", "other")),
            "Cannot rename database `test` to `other` because database `other` already exists.",
        ),
        (
            message(table.alter(|config| {
                config.name = "u".into();
                Ok(())
            })),
            "Can't rename table `test.t` to `test.u` because table `test.u` already exists.",
        ),
        (
            message(table.alter(|config| {
                config.primary_key = "other".into();
                Ok(())
            })),
            "It's illegal to change a table's primary key",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_renamed_table_keeps_its_documents() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    write(&table, vec![put(&document(1, 1))]);
    let other = store.create_database("other").unwrap();
    let renamed = table
        .alter(move |config| {
            config.name = "u".into();
            config.db = other.id;
            config.durability = Durability::Soft;
            config.write_hook = Some("hook".into());
            config.extra = Datum::str("extra");
            Ok(())
        })
        .unwrap();
    assert_eq!(renamed.display_name(), "other.u");
    assert_eq!(table.get(&id(1)).unwrap(), Some(document(1, 1)), "old handles go on");
    assert_eq!(message(store.table("test", "t")), "Table `test.t` does not exist.");
    store.rename_database("other", "third").unwrap();
    store.close();

    let store = Store::open(options().path(directory.path())).unwrap();
    let table = store.table("third", "u").unwrap();
    assert_eq!(table.id(), renamed.id());
    assert_eq!(table.config().extra, Datum::str("extra"));
    assert_eq!(table.config().write_hook.as_deref(), Some("hook"));
    assert_eq!(table.config().durability, Durability::Soft);
    assert_eq!(table.get(&id(1)).unwrap(), Some(document(1, 1)));
}

#[test]
fn a_dropped_table_is_gone_for_its_handles_too() {
    let store = store();
    let table = table(&store);
    write(&table, (0..10).map(|n| put(&document(n, n))).collect());
    indexed(&table, simple("a"));
    store.drop_table(table.id()).unwrap();
    let gone = "Table `test.t` does not exist.";
    assert_eq!(message(table.get(&id(1))), gone);
    assert_eq!(message(table.write(vec![put(&document(1, 1))], Durability::Hard)), gone);
    assert_eq!(message(table.index_scan("a", KeyRange::all(), Direction::Forward)), gone);
    assert_eq!(message(table.create_index(simple("b"), false)), gone);
    assert_eq!(message(table.wait_indexes(&[] as &[&str], &|| Ok(()))), gone);
    let again = store.create_table("test", "t", TableOptions::default()).unwrap();
    assert!(again.is_empty().unwrap());
    assert!(table.get(&id(1)).is_err(), "another table of the same name is another table");
}

#[test]
fn a_dropped_database_takes_its_tables_along() {
    let store = store();
    let table = table(&store);
    let (database, tables) = store.drop_database("test").unwrap();
    assert_eq!(&*database.name, "test");
    assert_eq!(tables[0].id, table.id());
    assert!(store.table_by_id(table.id()).is_none());
    assert!(store.databases().is_empty());
}
