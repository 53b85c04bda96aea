//! Secondary indexes: order, building, maintenance, renaming, restarts.
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;
use reql_embedded::datum::Datum;
use reql_embedded::error::{Error, Result};
use reql_embedded::storage::{
    Direction, IndexCompiler, IndexFunction, IndexSpec, KeyRange, Options, Store, Table, TableOptions,
};

#[test]
fn an_index_gives_documents_in_the_order_of_its_values() {
    let store = store();
    let table = table(&store);
    write(&table, (0..10).map(|n| put(&document(n, (n * 3) % 10))).collect());
    indexed(&table, simple("a"));
    let range = KeyRange::new(Bound::Included(value(2)), Bound::Included(value(4)));
    assert_eq!(ids(&index_scan(&table, "a", range.clone(), Direction::Forward)), [4, 1, 8]);
    assert_eq!(ids(&index_scan(&table, "a", range.clone(), Direction::Backward)), [8, 1, 4]);
    assert_eq!(table.index_count("a", range).unwrap(), 3);
    let open = KeyRange::new(Bound::Excluded(value(2)), Bound::Excluded(value(4)));
    assert_eq!(ids(&index_scan(&table, "a", open, Direction::Forward)), [1]);
    assert_eq!(index_scan(&table, "a", KeyRange::all(), Direction::Forward).len(), 10);
    let reversed = KeyRange::new(Bound::Included(value(4)), Bound::Included(value(2)));
    assert!(index_scan(&table, "a", reversed, Direction::Forward).is_empty());
}

#[test]
fn equal_values_come_in_the_order_of_keys() {
    let store = store();
    let table = table(&store);
    indexed(&table, simple("a"));
    write(&table, [3, 1, 2].map(|n| put(&document(n, 7))).into());
    write(&table, vec![put(&document(4, 70))]);
    assert_eq!(ids(&index_scan(&table, "a", KeyRange::point(value(7)), Direction::Forward)), [1, 2, 3]);
    let mut scan = table.index_scan("a", KeyRange::all(), Direction::Backward).unwrap();
    assert!(scan.advance().unwrap());
    assert_eq!((scan.value(), scan.key()), (value(70).as_slice(), id(4).as_slice()));
    assert_eq!(scan.document().unwrap(), document(4, 70));
}

#[test]
fn a_text_and_its_extension_are_apart() {
    let store = store();
    let table = table(&store);
    indexed(&table, simple("a"));
    let texts = ["a", "a\0", "a\u{1}", "ab", "b"];
    let documents = texts
        .iter()
        .enumerate()
        .map(|(n, text)| Datum::object([("id", num(n as i64)), ("a", Datum::str(text))]));
    write(&table, documents.map(|document| put(&document)).collect());
    for (n, text) in texts.iter().enumerate() {
        let key = reql_embedded::datum::key::secondary(&Datum::str(text)).unwrap();
        assert_eq!(ids(&index_scan(&table, "a", KeyRange::point(key), Direction::Forward)), [n as i64]);
    }
    assert_eq!(ids(&index_scan(&table, "a", KeyRange::all(), Direction::Forward)), [0, 1, 2, 3, 4]);
}

#[test]
fn a_multi_index_gives_a_document_once_for_each_element() {
    let store = store();
    let table = table(&store);
    indexed(&table, multi("tags"));
    let tags = Datum::array(vec![num(2), num(1), num(2)]);
    write(&table, vec![put(&Datum::object([("id", num(1)), ("tags", tags)]))]);
    assert_eq!(index_scan(&table, "tags", KeyRange::all(), Direction::Forward).len(), 3);
    assert_eq!(table.index_count("tags", KeyRange::point(value(2))).unwrap(), 2);
    let fewer = Datum::array(vec![num(2)]);
    write(&table, vec![put(&Datum::object([("id", num(1)), ("tags", fewer)]))]);
    assert_eq!(table.index_count("tags", KeyRange::all()).unwrap(), 1);
    write(&table, vec![delete(1)]);
    assert_eq!(table.index_count("tags", KeyRange::all()).unwrap(), 0);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_suspended_index_scan_goes_on_between_equal_values() {
    let store = store();
    let table = table(&store);
    indexed(&table, simple("a"));
    write(&table, (0..6).map(|n| put(&document(n, n / 3))).collect());
    for (direction, expected) in
        [(Direction::Forward, [0, 1, 2, 3, 4, 5]), (Direction::Backward, [5, 4, 3, 2, 1, 0])]
    {
        let mut scan = table.index_scan("a", KeyRange::all(), direction).unwrap();
        let mut seen = Vec::new();
        while let Some(document) = scan.next().unwrap() {
            seen.push(document);
            scan.suspend();
        }
        assert_eq!(ids(&seen), expected);
    }
}

#[test]
fn building_under_writes_ends_with_the_right_entries() {
    let store = store();
    let table = table(&store);
    write(&table, (0..3000).map(|n| put(&document(n, n))).collect());
    let is_done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|w| {
            let (table, is_done) = (table.clone(), is_done.clone());
            thread::spawn(move || {
                let mut n = w;
                while !is_done.load(Ordering::SeqCst) {
                    n = (n * 7 + 13) % 3000;
                    let pad = Datum::object([("id", num(n)), ("a", num(n)), ("pad", num(w))]);
                    write(&table, vec![put(&pad), increment((n + 1) % 3000), delete((n + 2) % 3000)]);
                }
            })
        })
        .collect();
    for name in ["a", "pad", "id2"] {
        indexed(&table, simple(name));
    }
    is_done.store(true, Ordering::SeqCst);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    assert_eq!(table.index_count("a", KeyRange::all()).unwrap(), table.len().unwrap());
    assert!(table.index_status("a").unwrap().total > 0);
}

#[test]
fn an_index_is_renamed_overwritten_and_dropped() {
    let store = store();
    let table = table(&store);
    write(&table, (0..5).map(|n| put(&document(n, n))).collect());
    indexed(&table, simple("a"));
    indexed(&table, IndexSpec { name: "b".into(), ..simple("id") });
    table.rename_index("a", "c", false).unwrap();
    assert_eq!(ids(&index_scan(&table, "c", KeyRange::point(value(2)), Direction::Forward)), [2]);
    table.rename_index("c", "b", true).unwrap();
    assert_eq!(table.indexes().unwrap().iter().map(|index| &*index.spec.name).collect::<Vec<_>>(), ["b"]);
    let old = table.index_status("b").unwrap().id;
    table.create_index(simple("b"), true).unwrap();
    ready(&table, "b");
    assert_ne!(table.index_status("b").unwrap().id, old);
    assert_eq!(table.index_count("b", KeyRange::all()).unwrap(), 0);
    table.drop_index("b").unwrap();
    assert!(table.indexes().unwrap().is_empty());
}

#[test]
fn a_scan_of_a_dropped_index_ends_with_an_error() {
    let store = store();
    let table = table(&store);
    write(&table, (0..5).map(|n| put(&document(n, n))).collect());
    indexed(&table, simple("a"));
    let mut scan = table.index_scan("a", KeyRange::all(), Direction::Forward).unwrap();
    scan.next().unwrap();
    table.drop_index("a").unwrap();
    assert!(scan.next().unwrap().is_some(), "its snapshot still has the index");
    scan.suspend();
    assert_eq!(message(scan.next()), "Index `a` was not found on table `test.t`.");
}

#[test]
fn errors_read_as_rethinkdbs() {
    let store = store();
    let table = table(&store);
    indexed(&table, simple("a"));
    let cases = [
        (message(table.create_index(simple("a"), false)), "Index `a` already exists on table `test.t`."),
        (
            message(table.create_index(simple("id"), false)),
            "Index name conflict: `id` is the name of the primary key.",
        ),
        (message(table.drop_index("x")), "Index `x` does not exist on table `test.t`."),
        (
            message(table.rename_index("x", "y", false)),
            "Index `x` does not exist or index `y` already exists on table `test.t`.",
        ),
        (message(table.rename_index("x", "y", true)), "Index `x` does not exist on table `test.t`."),
        (message(table.index_status("x")), "Index `x` was not found on table `test.t`."),
        (message(table.wait_indexes(&["x"], &|| Ok(()))), "Index `x` was not found on table `test.t`."),
        (
            message(table.index_scan("x", KeyRange::all(), Direction::Forward)),
            "Index `x` was not found on table `test.t`.",
        ),
        (message(table.create_index(simple("!"), false)), "No such function."),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn indexes_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = table(&store);
    write(&table, (0..2000).map(|n| put(&document(n, n % 5))).collect());
    indexed(&table, simple("a"));
    // This one is hardly begun when the store closes.
    table.create_index(multi("id2"), false).unwrap();
    table.create_index(IndexSpec { name: "late".into(), ..simple("a") }, false).unwrap();
    store.close();
    drop((table, store));

    let store = Store::open(options().path(directory.path())).unwrap();
    let table = store.table("test", "t").unwrap();
    assert!(table.index_status("a").unwrap().ready);
    assert_eq!(table.index_count("a", KeyRange::point(value(3))).unwrap(), 400);
    table.wait_indexes(&[] as &[&str], &|| Ok(())).unwrap();
    assert_eq!(table.index_count("late", KeyRange::all()).unwrap(), 2000);
    drop(table);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn an_index_whose_function_no_longer_compiles_is_kept_and_rebuilt_later() {
    struct Broken;
    impl IndexCompiler for Broken {
        fn compile(&self, _: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
            Err(Error::logic("Unknown term."))
        }
    }
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(options().path(directory.path())).unwrap();
        indexed(&table(&store), simple("a"));
    }
    {
        let store = Store::open(Options::new(Arc::new(Broken)).path(directory.path())).unwrap();
        let table = store.table("test", "t").unwrap();
        write(&table, vec![put(&document(1, 1))]);
        assert_eq!(table.index_status("a").unwrap().failure.unwrap(), "Unknown term.");
        assert_eq!(
            message(table.index_scan("a", KeyRange::all(), Direction::Forward)),
            "Index `a` on table `test.t` can't be used: Unknown term."
        );
    }
    let store = Store::open(options().path(directory.path())).unwrap();
    let table = store.table("test", "t").unwrap();
    ready(&table, "a");
    assert_eq!(table.index_count("a", KeyRange::all()).unwrap(), 1);
}

/// Compiles `stuck` to a function that ends once that is allowed, and other texts as [`Fields`] does.
struct Stuckness(Arc<AtomicBool>);

impl IndexCompiler for Stuckness {
    fn compile(&self, spec: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
        if spec.source == "stuck" { Ok(Arc::new(Stuck(self.0.clone()))) } else { Fields.compile(spec) }
    }
}

struct Stuck(Arc<AtomicBool>);

impl IndexFunction for Stuck {
    fn keys(&self, _: &Datum) -> Vec<Vec<u8>> {
        while !self.0.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        Vec::new()
    }
}

fn stuck(name: &str) -> IndexSpec {
    IndexSpec { source: "stuck".into(), ..simple(name) }
}

/// Returns a store with a table of one document, and the flag that lets functions end.
fn with_stuck_functions() -> (Store, Table, Arc<AtomicBool>) {
    let is_released = Arc::new(AtomicBool::new(false));
    let store = Store::open(Options::new(Arc::new(Stuckness(is_released.clone())))).unwrap();
    let table = table(&store);
    write(&table, vec![put(&document(1, 1))]);
    (store, table, is_released)
}

#[test]
fn functions_that_take_long_hold_up_no_other_index() {
    const LONG: Duration = Duration::from_secs(60);
    let (store, table, is_released) = with_stuck_functions();
    let other = store.create_table("test", "other", TableOptions::default()).unwrap();
    write(&other, vec![put(&document(2, 2))]);
    for name in ["s1", "s2", "s3"] {
        table.create_index(stuck(name), false).unwrap();
    }
    let began = Instant::now();
    let in_time = || if began.elapsed() < LONG { Ok(()) } else { Err(Error::logic("not in time")) };
    let waited = [&table, &other].map(|table| {
        table.create_index(simple("a"), false).unwrap();
        table.wait_indexes(&["a"], &in_time)
    });
    let is_ready = table.index_status("s1").unwrap().ready;
    is_released.store(true, Ordering::SeqCst);
    assert!(waited.iter().all(Result::is_ok), "{waited:?}");
    assert!(!is_ready);
    for name in ["s1", "s2", "s3"] {
        ready(&table, name);
    }
    assert_eq!([&table, &other].map(|table| table.index_count("a", KeyRange::all()).unwrap()), [1, 1]);
}

#[test]
fn waiting_ends_with_the_error_of_the_check() {
    let (_store, table, is_released) = with_stuck_functions();
    table.create_index(stuck("a"), false).unwrap();
    let snapshot = table.snapshot().unwrap();
    let waited = table.wait_indexes(&["a"], &|| Err(Error::logic("interrupted")));
    assert_eq!(message(waited), "interrupted");
    let early = "Index `a` on table `test.t` was accessed before its construction was finished.";
    assert_eq!(message(table.index_scan("a", KeyRange::all(), Direction::Forward)), early);
    is_released.store(true, Ordering::SeqCst);
    ready(&table, "a");
    assert_eq!(table.index_count("a", KeyRange::all()).unwrap(), 0);
    let stale = snapshot.index_scan("a", KeyRange::all(), Direction::Forward);
    assert_eq!(message(stale), early, "in the snapshot it is not complete");
}
