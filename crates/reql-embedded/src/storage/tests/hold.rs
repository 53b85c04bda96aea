//! Long scans release the moment at which they began, however few rows they have read. (In tests, any time is
//! long.)
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use super::Fields;
use crate::datum::{Datum, key};
use crate::error::Result;
use crate::storage::{
    Change, Direction, Durability, IndexSpec, KeyRange, Mutation, Options, Store, Table, TableOptions,
};

fn write(table: &Table, documents: impl Iterator<Item = i64>, change: impl Fn(i64) -> Change) {
    let mutations = documents.map(|n| {
        let change = change(n);
        Mutation::new(key::primary(&Datum::from(n)).unwrap(), move |_| Ok(change.clone()))
    });
    table.write(mutations.collect(), Durability::Soft).unwrap();
}

fn put(n: i64) -> Change {
    Change::Put(Datum::object([("id", Datum::from(n)), ("a", Datum::from(n))]))
}

/// Returns the rows of a scan whose table changes after its first row.
fn ids(table: &Table, mut next: impl FnMut() -> Result<Option<Datum>>) -> Vec<i64> {
    let mut ids = Vec::new();
    while let Some(document) = next().unwrap() {
        if ids.is_empty() {
            write(table, 20..21, put);
            write(table, 5..6, |_| Change::Delete);
        }
        ids.push(document.get("id").unwrap().as_int().unwrap());
    }
    ids
}

fn filled() -> (Store, Table) {
    let store = Store::open(Options::new(Arc::new(Fields))).unwrap();
    store.create_database("test").unwrap();
    let table = store.create_table("test", "t", TableOptions::default()).unwrap();
    write(&table, 0..10, put);
    (store, table)
}

fn expected() -> Vec<i64> {
    (0..5).chain(6..10).chain([20]).collect()
}

#[test]
fn a_long_scan_goes_on_on_what_the_table_has_become() {
    let (_store, table) = filled();
    let mut scan = table.scan(KeyRange::all(), Direction::Forward);
    assert_eq!(ids(&table, || scan.next()), expected());
}

#[test]
fn so_does_one_of_an_index() {
    let (_store, table) = filled();
    let spec = IndexSpec { name: "a".into(), source: "a".into(), multi: false, geo: false };
    table.create_index(spec, false).unwrap();
    table.wait_indexes(&["a"], &|| Ok(())).unwrap();
    let mut scan = table.index_scan("a", KeyRange::all(), Direction::Forward).unwrap();
    assert_eq!(ids(&table, || scan.next()), expected());
}

#[test]
fn a_scan_of_a_snapshot_keeps_to_it() {
    let (_store, table) = filled();
    let snapshot = table.snapshot().unwrap();
    let mut scan = snapshot.scan(KeyRange::all(), Direction::Forward).unwrap();
    assert_eq!(ids(&table, || scan.next()), (0..10).collect::<Vec<_>>());
}
