//! Random operations against a map in memory, with restarts and power failures in between.
//!
//! `REQL_MODEL_OPERATIONS` sets the number of operations in all, in long runs (default: about 500, in short
//! ones).
use std::collections::BTreeMap;
use std::fs;
use std::ops::{Bound, Range};

use crate::support::*;
use proptest::prelude::*;
use reql_embedded::storage::{Direction, Durability, KeyRange, Store};
use tempfile::TempDir;

#[derive(Debug, Clone)]
enum Operation {
    Write(Vec<Step>, bool),
    Scan(i64, i64, bool),
    IndexScan(i64, i64, bool),
    /// Closes the store and opens it again.
    Reopen,
    /// Syncs the store and goes on with the state of the disk at that time.
    Crash,
    RebuildIndex,
    Compact,
}

#[derive(Debug, Clone)]
enum Step {
    Put(i64, i64),
    Increment(i64),
    Delete(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..20i64, 0..5i64).prop_map(|(id, a)| Step::Put(id, a)),
        2 => (0..20i64).prop_map(Step::Increment),
        1 => (0..20i64).prop_map(Step::Delete),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (prop::collection::vec(step(), 1..6), prop::bool::weighted(0.1))
            .prop_map(|(steps, hard)| Operation::Write(steps, hard)),
        4 => (-1..21i64, -1..21i64, any::<bool>())
            .prop_map(|(from, to, back)| Operation::Scan(from, to, back)),
        4 => (-1..8i64, -1..8i64, any::<bool>())
            .prop_map(|(from, to, back)| Operation::IndexScan(from, to, back)),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::Crash),
        1 => Just(Operation::RebuildIndex),
        1 => Just(Operation::Compact),
    ]
}

type Model = BTreeMap<i64, i64>;

/// Applies a step to the model and returns the expected answer of the store: `a` before and after.
fn expect(model: &mut Model, step: &Step) -> (Option<i64>, Option<i64>) {
    let (id, new) = match *step {
        Step::Put(id, a) => (id, Some(a)),
        Step::Increment(id) => (id, Some(model.get(&id).unwrap_or(&0) + 1)),
        Step::Delete(id) => (id, None),
    };
    let old = match new {
        Some(a) => model.insert(id, a),
        None => model.remove(&id),
    };
    (old, new)
}

fn direction(is_backward: bool) -> Direction {
    if is_backward { Direction::Backward } else { Direction::Forward }
}

fn check_operation(store: &Store, model: &mut Model, operation: &Operation) {
    let table = store.table("test", "t").unwrap();
    match operation {
        Operation::Write(steps, hard) => {
            let mutations = steps.iter().map(|step| match *step {
                Step::Put(id, a) => put(&document(id, a)),
                Step::Increment(id) => increment(id),
                Step::Delete(id) => delete(id),
            });
            let durability = if *hard { Durability::Hard } else { Durability::Soft };
            let outcomes = write_as(&table, mutations.collect(), durability);
            for (step, outcome) in steps.iter().zip(outcomes) {
                let a = |document: Option<reql_embedded::datum::Datum>| {
                    document.map(|document| document.get("a").unwrap().as_int().unwrap())
                };
                assert_eq!((a(outcome.old), a(outcome.new)), expect(model, step));
            }
        }
        Operation::Scan(from, to, is_backward) => {
            let range = KeyRange::new(Bound::Included(id(*from)), Bound::Excluded(id(*to)));
            let mut expected: Vec<_> = model
                .iter()
                .filter(|(id, _)| (*from..*to).contains(id))
                .map(|(id, a)| document(*id, *a))
                .collect();
            if *is_backward {
                expected.reverse();
            }
            assert_eq!(scan(&table, range, direction(*is_backward)), expected);
        }
        Operation::IndexScan(from, to, is_backward) => {
            let range = KeyRange::new(Bound::Excluded(value(*from)), Bound::Included(value(*to)));
            let mut expected: Vec<_> =
                model.iter().filter(|(_, a)| *from < **a && **a <= *to).map(|(id, a)| (*a, *id)).collect();
            expected.sort_unstable();
            if *is_backward {
                expected.reverse();
            }
            let found = index_scan(&table, "a", range, direction(*is_backward));
            assert_eq!(ids(&found), expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        }
        Operation::Reopen | Operation::Crash => {}
        Operation::Compact => drop(store.compact().unwrap()),
        Operation::RebuildIndex => {
            table.create_index(simple("a"), true).unwrap();
            ready(&table, "a");
        }
    }
    assert_eq!(table.len().unwrap(), model.len() as u64);
}

/// Returns the number of operations of a run, and the number of runs.
fn size() -> (Range<usize>, u32) {
    let operations =
        std::env::var("REQL_MODEL_OPERATIONS").ok().and_then(|operations| operations.parse().ok());
    operations.map_or((1..40, 24), |operations: usize| (operations / 10..operations / 10 + 1, 10))
}

fn open(directory: &TempDir) -> Store {
    Store::open(options().path(directory.path())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: size().1,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_behaves_as_a_map(operations in prop::collection::vec(operation(), size().0)) {
        let mut directory = tempfile::tempdir().unwrap();
        let mut store = open(&directory);
        let mut model = Model::new();
        indexed(&table(&store), simple("a"));
        for operation in &operations {
            match operation {
                Operation::Reopen => {
                    store.close();
                    store = open(&directory);
                }
                Operation::Crash => {
                    store.sync().unwrap();
                    let copy = tempfile::tempdir().unwrap();
                    fs::copy(directory.path().join("reql.redb"), copy.path().join("reql.redb")).unwrap();
                    store.close();
                    directory = copy;
                    store = open(&directory);
                }
                _ => {}
            }
            check_operation(&store, &mut model, operation);
        }
        prop_assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    }
}
