//! Random operations against a map in memory, with restarts in between.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;
use reql_embedded::storage::{Direction, Durability, KeyRange, Store};
use support::*;

#[derive(Debug, Clone)]
enum Operation {
    Write(Vec<Step>, bool),
    Scan(i64, i64, bool),
    IndexScan(i64, i64, bool),
    Reopen,
    RebuildIndex,
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
        4 => (-1..21i64, -1..21i64, any::<bool>()).prop_map(|(from, to, back)| Operation::Scan(from, to, back)),
        4 => (-1..8i64, -1..8i64, any::<bool>())
            .prop_map(|(from, to, back)| Operation::IndexScan(from, to, back)),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::RebuildIndex),
    ]
}

type Model = BTreeMap<i64, i64>;

/// Does a step to the model and says what the store has to answer: `a` before and after.
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
        Operation::Reopen => {}
        Operation::RebuildIndex => {
            table.create_index(simple("a"), true).unwrap();
            ready(&table, "a");
        }
    }
    assert_eq!(table.len().unwrap(), model.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_behaves_as_a_map(operations in prop::collection::vec(operation(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(options().path(directory.path())).unwrap();
        let mut model = Model::new();
        indexed(&table(&store), simple("a"));
        for operation in &operations {
            if matches!(operation, Operation::Reopen) {
                store.close();
                store = Store::open(options().path(directory.path())).unwrap();
            }
            check_operation(&store, &mut model, operation);
        }
        prop_assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    }
}
