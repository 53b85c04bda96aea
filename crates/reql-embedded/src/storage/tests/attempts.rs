//! Writes whose decision takes long, on documents that others change meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Fields;
use crate::budget::Budget;
use crate::budget::fuel::{self, LIGHT};
use crate::datum::{Datum, key};
use crate::error::ErrorKind;
use crate::storage::{Change, Durability, Mutation, Options, Started, Store, Table, TableOptions};

/// More than the writer ever uses for one mutation.
const ENDLESS: usize = 1000 * LIGHT;

fn table() -> (Store, Table) {
    let store = Store::open(Options::new(Arc::new(Fields))).unwrap();
    store.create_database("test").unwrap();
    let table = store.create_table("test", "t", TableOptions::default()).unwrap();
    put(&table, 0, 1.0);
    (store, table)
}

fn change(id: i64, decide: impl Fn(f64) -> f64 + Send + 'static) -> Mutation {
    costly(id, 0, || (), decide)
}

/// A mutation that takes this much fuel, and then, before it decides, calls `during`.
fn costly(
    id: i64,
    units: usize,
    mut during: impl FnMut() + Send + 'static,
    decide: impl Fn(f64) -> f64 + Send + 'static,
) -> Mutation {
    let mutation = Mutation::new(key::primary(&Datum::from(id)).unwrap(), move |old| {
        fuel::spend(units)?;
        during();
        let n = old.and_then(|row| row.get("n")).map_or(0.0, |n| n.as_num().unwrap());
        Ok(Change::Put(Datum::object([("id", Datum::from(id)), ("n", Datum::from(decide(n) as i64))])))
    });
    mutation.within(&Budget::default())
}

fn write(table: &Table, mutations: Vec<Mutation>) {
    let outcomes = table.write(mutations, Durability::Soft).unwrap();
    outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
}

fn put(table: &Table, id: i64, n: f64) {
    write(table, vec![change(id, move |_| n)]);
}

fn n(table: &Table, id: i64) -> f64 {
    let document = table.get(&key::primary(&Datum::from(id)).unwrap()).unwrap().unwrap();
    document.get("n").unwrap().as_num().unwrap()
}

/// Returns a function that adds one to documents 0 and 1, the first `times` times that it is called, and the
/// number of its calls.
fn others(table: &Table, times: usize) -> (impl FnMut() + Send + use<>, Arc<AtomicUsize>) {
    let (table, calls) = (table.clone(), Arc::<AtomicUsize>::default());
    let counted = calls.clone();
    let interfere = move || {
        if counted.fetch_add(1, Ordering::SeqCst) < times {
            write(&table, vec![change(0, |n| n + 1.0), change(1, |n| n + 1.0)]);
        }
    };
    (interfere, calls)
}

#[test]
fn the_writer_waits_for_no_decision_that_takes_long() {
    let (_store, table) = table();
    let (interfere, calls) = others(&table, 20);
    write(&table, vec![costly(0, ENDLESS, interfere, |n| n * 2.0)]);
    assert_eq!((n(&table, 0), n(&table, 1)), (42.0, 20.0));
    assert_eq!(calls.load(Ordering::SeqCst), 21, "it was called in the writer's thread, or once too often");
}

#[test]
fn the_writer_is_more_patient_with_who_always_comes_too_late() {
    let (_store, table) = table();
    let (interfere, calls) = others(&table, 3);
    write(&table, vec![costly(0, 3 * LIGHT, interfere, |n| n * 2.0)]);
    // Each attempt may take twice as long on the writer's thread; the third one is the first that suffices.
    assert_eq!((n(&table, 0), calls.load(Ordering::SeqCst)), (8.0, 4));
}

#[test]
fn what_comes_after_it_still_does() {
    // In the same transaction, and in a later one.
    for between in [1, 1500] {
        let (_store, table) = table();
        let (interfere, _) = others(&table, 5);
        let mut mutations = vec![costly(0, ENDLESS, interfere, |n| n * 2.0)];
        mutations.extend((2..2 + between).map(|id| change(id, move |_| id as f64)));
        mutations.push(change(0, |n| n + 1.0));
        write(&table, mutations);
        assert_eq!(n(&table, 0), 13.0);
        assert!((2..2 + between).all(|id| n(&table, id) == id as f64));
    }
}

#[test]
fn who_must_not_wait_is_told_so() {
    let (_store, table) = table();
    let (interfere, _) = others(&table, 1);
    let slow = costly(0, ENDLESS, interfere, |n| n * 2.0);
    let results = match table.start_write(slow, Durability::Soft) {
        Ok(Started::Submitted(results)) => results.blocking_recv().unwrap(),
        started => started.map(|_| Vec::new()),
    };
    assert_eq!(results.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(n(&table, 0), 2.0);
}
