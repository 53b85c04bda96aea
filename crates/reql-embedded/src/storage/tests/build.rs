//! Building an index takes documents by their number, their bytes, and the time that they take.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Fields;
use crate::datum::{Datum, key};
use crate::storage::build::read;
use crate::storage::index::Index;
use crate::storage::scan::Scan;
use crate::storage::{
    Change, Direction, Durability, IndexSpec, KeyRange, Mutation, Options, Store, TableOptions,
};

/// Returns the numbers of documents that are put into an index in one transaction each, of documents with
/// texts of this length, if a transaction's documents may take this time.
fn chunks(documents: i64, length: usize, time: Duration) -> Vec<usize> {
    let store = Store::open(Options::new(Arc::new(Fields))).unwrap();
    store.create_database("test").unwrap();
    let table = store.create_table("test", "t", TableOptions::default()).unwrap();
    let mutations = (0..documents).map(|n| {
        let text = Datum::str("x".repeat(length));
        let document = Datum::object([("id", Datum::from(n)), ("a", Datum::from(n)), ("text", text)]);
        Mutation::new(key::primary(&Datum::from(n)).unwrap(), move |_| Ok(Change::Put(document.clone())))
    });
    table.write(mutations.collect(), Durability::Soft).unwrap();
    let spec = IndexSpec { name: "a".into(), source: "a".into(), multi: false, geo: false };
    let index = Index::new(Uuid::new_v4(), spec, false, &Fields);
    let entry = store.core().catalog().table("test", "t").unwrap().clone();
    let mut scan = Scan::new(store.core(), &entry, KeyRange::all(), Direction::Forward);
    let mut chunks = Vec::new();
    loop {
        let (rows, is_end) = read(&mut scan, &index, time).unwrap();
        chunks.push(rows.len());
        if is_end {
            return chunks;
        }
    }
}

#[test]
fn small_documents_are_many() {
    assert_eq!(chunks(1030, 10, Duration::MAX), [512, 512, 6]);
    assert_eq!(chunks(512, 10, Duration::MAX), [512, 0]);
}

#[test]
fn large_documents_are_few() {
    assert_eq!(chunks(10, 1 << 20, Duration::MAX), [4, 4, 2]);
    assert_eq!(chunks(2, 5 << 20, Duration::MAX), [1, 1, 0]);
}

#[test]
fn slow_documents_are_single() {
    assert_eq!(chunks(3, 10, Duration::ZERO), [1, 1, 1, 0]);
}
