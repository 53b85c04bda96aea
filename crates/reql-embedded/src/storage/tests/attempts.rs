//! Writes whose decision takes long, on documents that others change meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::Fields;
use crate::budget::Budget;
use crate::budget::fuel::{self, LIGHT};
use crate::budget::memory::Pool;
use crate::datum::{Datum, key};
use crate::error::{ErrorKind, Result};
use crate::interrupt::{Interrupt, Reason};
use crate::storage::{
    Change, Durability, IndexCompiler, IndexFunction, IndexSpec, Mutation, Options, Settled, Started, Store,
    Table, TableOptions,
};

/// More than the writer ever uses for one mutation.
const ENDLESS: usize = 1000 * LIGHT;

fn table() -> (Store, Table) {
    let (store, table) = table_with(Arc::new(Fields));
    put(&table, 0, 1.0);
    (store, table)
}

fn table_with(compiler: Arc<dyn IndexCompiler>) -> (Store, Table) {
    let store = Store::open(Options::new(compiler)).unwrap();
    store.create_database("test").unwrap();
    let table = store.create_table("test", "t", TableOptions::default()).unwrap();
    (store, table)
}

fn id(n: i64) -> Vec<u8> {
    key::primary(&Datum::from(n)).unwrap()
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
    let mutation = Mutation::new(self::id(id), move |old| {
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
    let document = table.get(&self::id(id)).unwrap().unwrap();
    document.get("n").unwrap().as_num().unwrap()
}

/// Returns a function that adds one to documents 0 and 1 when it is called first, and the number of its
/// calls.
fn another(table: &Table) -> (impl FnMut() + Send + use<>, Arc<AtomicUsize>) {
    let (table, calls) = (table.clone(), Arc::<AtomicUsize>::default());
    let counted = calls.clone();
    let interfere = move || {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            write(&table, vec![change(0, |n| n + 1.0), change(1, |n| n + 1.0)]);
        }
    };
    (interfere, calls)
}

#[test]
fn a_decision_that_takes_long_is_made_by_who_asked_for_it() {
    let (_store, table) = table();
    let (interfere, calls) = another(&table);
    write(&table, vec![costly(0, ENDLESS, interfere, |n| n * 2.0)]);
    assert_eq!((n(&table, 0), n(&table, 1)), (4.0, 1.0));
    assert_eq!(calls.load(Ordering::SeqCst), 2, "it was called in the writer's thread, or once too often");
}

#[test]
fn other_documents_do_not_wait_for_it_and_its_own_is_left_alone() {
    let (_store, table) = table();
    let (mut interfere, calls) = another(&table);
    let (other, own) = (table.clone(), table.clone());
    let meanwhile = move || {
        interfere();
        if calls.load(Ordering::SeqCst) == 2 {
            // On a thread of its own, since it waits.
            let own = own.clone();
            thread::spawn(move || write(&own, vec![change(0, |n| n + 100.0)]));
            put(&other, 2, 7.0);
        }
    };
    write(&table, vec![costly(0, ENDLESS, meanwhile, |n| n * 2.0)]);
    assert_eq!(n(&table, 2), 7.0);
    while n(&table, 0) != 104.0 {
        assert_eq!(n(&table, 0), 4.0);
        thread::yield_now();
    }
}

#[test]
fn it_ends_though_others_never_stop() {
    let (_store, table) = table();
    let is_over = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let others = || {
            let mut written = 0;
            while !is_over.load(Ordering::SeqCst) {
                write(&table, vec![change(0, |n| n + 1.0)]);
                written += 1;
            }
            written
        };
        let others = [scope.spawn(others), scope.spawn(others)];
        let of = table.clone();
        // Time for the others to write while it decides.
        let overtaken = move || (0..100).for_each(|_| drop(of.get(&id(0))));
        for _ in 0..50 {
            write(&table, vec![costly(0, ENDLESS, overtaken.clone(), |n| n + 1_000_000.0)]);
        }
        is_over.store(true, Ordering::SeqCst);
        others.map(|others| others.join().unwrap()).iter().sum::<u32>()
    });
    assert_eq!(n(&table, 0), 50_000_001.0 + f64::from(written));
}

#[test]
fn writes_that_want_the_same_documents_in_another_order_do_not_wait_for_each_other() {
    const ROUNDS: i64 = 30;
    let (_store, table) = table();
    thread::scope(|scope| {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let table = &table;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let slow = order.map(|id| costly(id, ENDLESS, thread::yield_now, |n| n + 1.0));
                    write(table, slow.into());
                }
            });
        }
    });
    for id in [0, 1, 2] {
        assert_eq!(n(&table, id), (4 * ROUNDS + i64::from(id == 0)) as f64);
    }
}

#[test]
fn what_comes_after_it_still_does() {
    // In the same transaction, and in a later one.
    for between in [1, 1500] {
        let (_store, table) = table();
        let (interfere, _) = another(&table);
        let mut mutations = vec![costly(0, ENDLESS, interfere, |n| n * 2.0)];
        mutations.extend((2..2 + between).map(|id| change(id, move |_| id as f64)));
        mutations.push(change(0, |n| n + 1.0));
        write(&table, mutations);
        assert_eq!(n(&table, 0), 5.0);
        assert!((2..2 + between).all(|id| n(&table, id) == id as f64));
    }
}

#[test]
fn an_interrupted_write_waits_no_longer_and_keeps_nothing_reserved() {
    let (_store, table) = table();
    let interrupt = Interrupt::default();
    let (mut interfere, calls) = another(&table);
    let (of, raised) = (table.clone(), interrupt.clone());
    let meanwhile = move || {
        interfere();
        if calls.load(Ordering::SeqCst) == 2 {
            raised.raise(Reason::Stopped);
            let waiting = change(0, |n| n + 1.0).within(&Budget::new(raised.clone(), Pool::default()));
            let waited = of.write(vec![waiting], Durability::Soft);
            assert!(waited.is_err_and(|error| error.kind() == ErrorKind::Interrupted));
        }
    };
    let slow = costly(0, ENDLESS, meanwhile, |n| n * 2.0);
    write(&table, vec![slow]);
    assert_eq!((n(&table, 0), interrupt.is_raised()), (4.0, true));
    put(&table, 0, 3.0);
    assert_eq!(n(&table, 0), 3.0);
}

#[test]
fn who_must_not_wait_is_told_so() {
    let (_store, table) = table();
    let (interfere, _) = another(&table);
    let slow = costly(0, ENDLESS, interfere, |n| n * 2.0);
    let results = match table.start_write(slow, Durability::Soft) {
        Ok(Started::Submitted(results)) => results.blocking_recv().unwrap(),
        started => started.map(|_| Vec::new()),
    };
    assert_eq!(results.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(n(&table, 0), 2.0);
}

/// A compiler whose functions return the numbers below the document's `n`.
struct Below;

impl IndexCompiler for Below {
    fn compile(&self, _: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
        Ok(Arc::new(Below))
    }
}

impl IndexFunction for Below {
    fn keys(&self, document: &Datum) -> Vec<Vec<u8>> {
        let n = document.get("n").unwrap().as_int().unwrap();
        (0..n).map(|value| key::secondary(&Datum::from(value)).unwrap()).collect()
    }
}

/// Makes the same change of each of the first documents. Returns the most that were decided on before their
/// outcomes came, and so were in memory.
fn most_in_memory(table: &Table, documents: i64, change: impl Fn(i64) -> Change) -> usize {
    let decided = Arc::<AtomicUsize>::default();
    let mutation = |n| {
        let (decided, change) = (decided.clone(), change(n));
        Mutation::new(id(n), move |_| {
            decided.fetch_add(1, Ordering::SeqCst);
            Ok(change.clone())
        })
    };
    let (mut settled, mut most) = (0, 0);
    let settle = &mut |place: usize, outcome: Settled| {
        assert!(outcome.unwrap().changed);
        assert_eq!(place, settled);
        most = most.max(decided.load(Ordering::SeqCst) - settled);
        settled += 1;
    };
    table.write_each((0..documents).map(mutation).collect(), Durability::Soft, settle).unwrap();
    assert_eq!(settled as i64, documents);
    most
}

#[test]
fn what_takes_long_to_write_is_written_before_more_of_it_is_made() {
    let (store, table) = table_with(Arc::new(Below));
    let index = IndexSpec { name: "below".into(), source: String::new(), multi: true, geo: false };
    table.create_index(index, false).unwrap();
    table.wait_indexes(&["below"], &|| Ok(())).unwrap();
    let document = |entries: i64, text: usize, version: i64| {
        let text = Datum::str("x".repeat(text));
        move |id| {
            let fields = [("id", id), ("n", entries), ("v", version)].map(|(key, n)| (key, Datum::from(n)));
            Change::Put(Datum::object(fields.into_iter().chain([("text", text.clone())])))
        }
    };
    assert_eq!(most_in_memory(&table, 200, document(1, 10, 0)), 200, "small documents");
    assert!(most_in_memory(&table, 4, document(16_000, 10, 0)) <= 2, "entries");
    assert!(most_in_memory(&table, 4, |_| Change::Delete) <= 2, "entries that are removed");
    assert!(most_in_memory(&table, 8, document(0, 1 << 20, 0)) <= 4, "documents after");
    assert!(most_in_memory(&table, 8, document(0, 1 << 20, 1)) <= 2, "documents before and after");
    assert!(most_in_memory(&table, 8, |_| Change::Delete) <= 4, "documents before");
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
}
