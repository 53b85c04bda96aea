//! Documents: reads, writes, scans, durability, and their state after a restart.
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use crate::support::*;
use reql_embedded::datum::Datum;
use reql_embedded::error::{Error, ErrorKind};
use reql_embedded::storage::{Change, Direction, Durability, KeyRange, Mutation, Started, Store};

fn filled(count: i64) -> (Store, reql_embedded::storage::Table) {
    let store = store();
    let table = table(&store);
    write(&table, (0..count).map(|n| put(&document(n, n % 10))).collect());
    (store, table)
}

#[test]
fn get_gives_what_was_put() {
    let (_store, table) = filled(3);
    assert_eq!(table.get(&id(1)).unwrap(), Some(document(1, 1)));
    assert_eq!(table.get(&id(3)).unwrap(), None);
    assert_eq!(table.len().unwrap(), 3);
}

#[test]
fn outcomes_say_what_happened() {
    let (_store, table) = filled(1);
    let outcomes = write(&table, vec![put(&document(0, 7)), put(&document(5, 5)), delete(0), delete(9)]);
    assert_eq!(outcomes[0].old, Some(document(0, 0)));
    assert_eq!(outcomes[0].new, Some(document(0, 7)));
    assert_eq!(outcomes[1].old, None);
    assert_eq!(outcomes[2].old, Some(document(0, 7)), "the second write of a document sees the first");
    assert_eq!(outcomes[2].new, None);
    assert!(!outcomes[3].changed);
}

#[test]
fn putting_the_same_document_changes_nothing() {
    let (_store, table) = filled(1);
    let outcome = write(&table, vec![put(&document(0, 0))]).remove(0);
    assert!(!outcome.changed);
    assert_eq!(outcome.old, outcome.new);
}

#[test]
fn a_failing_mutation_leaves_the_others_alone() {
    let (_store, table) = filled(2);
    let failing = Mutation::new(id(0), |_| Err(Error::logic("no")));
    let panicking = Mutation::new(id(1), |_| panic!("ouch"));
    let results = table.write(vec![failing, panicking, put(&document(2, 2))], Durability::Hard).unwrap();
    let [Err(failed), Err(panicked), Ok(_)] = &results[..] else { panic!("{results:?}") };
    assert_eq!((failed.error.message(), &failed.old), ("no", &Some(document(0, 0))));
    assert_eq!(panicked.error.kind(), ErrorKind::Internal);
    assert_eq!(table.len().unwrap(), 3);
}

#[test]
fn a_bound_can_not_be_stored() {
    let (_store, table) = filled(0);
    let mutation = Mutation::new(id(0), |_| Ok(Change::Put(Datum::object([("a", Datum::MinVal)]))));
    let results = table.write(vec![mutation], Durability::Soft).unwrap();
    assert_eq!(
        results[0].as_ref().unwrap_err().error.message(),
        "`r.minval` and `r.maxval` cannot be written to disk."
    );
}

#[test]
fn an_evaluation_runs_again_only_when_it_has_to() {
    let (_store, table) = filled(1);
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let inner = table.clone();
    let mutation = Mutation::new(id(0), move |old| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            // Another writer is faster.
            write(&inner, vec![put(&document(0, 100))]);
        }
        let a = old.unwrap().get("a").unwrap().as_int().unwrap();
        Ok(Change::Put(document(0, a + 1)))
    });
    let outcome = write(&table, vec![mutation]).remove(0);
    assert_eq!(outcome.new, Some(document(0, 101)));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn concurrent_increments_lose_none() {
    let (_store, table) = filled(0);
    let threads: Vec<_> = (0..32)
        .map(|_| {
            let table = table.clone();
            thread::spawn(move || (0..20).for_each(|_| drop(write(&table, vec![increment(1)]))))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(table.get(&id(1)).unwrap(), Some(document(1, 640)));
}

#[test]
fn a_large_write_spans_several_transactions() {
    let (_store, table) = filled(3000);
    assert_eq!(table.len().unwrap(), 3000);
    let outcomes = write(&table, (0..3000).map(|n| increment(n % 7)).collect());
    assert_eq!(outcomes.len(), 3000);
    assert_eq!(table.get(&id(0)).unwrap(), Some(document(0, 429)));
}

#[test]
fn scans_follow_the_keys_both_ways() {
    let (_store, table) = filled(20);
    let range = KeyRange::new(Bound::Included(id(5)), Bound::Excluded(id(8)));
    assert_eq!(ids(&scan(&table, range.clone(), Direction::Forward)), [5, 6, 7]);
    assert_eq!(ids(&scan(&table, range, Direction::Backward)), [7, 6, 5]);
    assert_eq!(scan(&table, KeyRange::all(), Direction::Forward).len(), 20);
    assert_eq!(ids(&scan(&table, KeyRange::point(id(3)), Direction::Forward)), [3]);
}

#[test]
fn bounds_in_the_wrong_order_give_nothing() {
    let (_store, table) = filled(20);
    let range = KeyRange::new(Bound::Included(id(8)), Bound::Excluded(id(5)));
    assert!(scan(&table, range, Direction::Forward).is_empty());
    let range = KeyRange::new(Bound::Excluded(id(5)), Bound::Excluded(id(5)));
    assert!(scan(&table, range, Direction::Backward).is_empty());
}

#[test]
fn a_scan_keeps_to_its_moment_until_it_is_suspended() {
    for (direction, expected) in [(Direction::Forward, vec![1, 3, 4]), (Direction::Backward, vec![3, 1, 0])] {
        let (_store, table) = filled(5);
        let mut scan = table.scan(KeyRange::all(), direction);
        let first = if direction == Direction::Forward { 0 } else { 4 };
        assert_eq!(ids(&[scan.next().unwrap().unwrap()]), [first]);
        write(&table, vec![delete(2)]);
        scan.suspend();
        scan.suspend();
        let rest: Vec<_> = std::iter::from_fn(|| scan.next().unwrap()).collect();
        assert_eq!(ids(&rest), expected);
        assert!(scan.next().unwrap().is_none());
    }
}

#[test]
fn a_snapshot_does_not_see_later_writes() {
    let (_store, table) = filled(5);
    let snapshot = table.snapshot().unwrap();
    write(&table, vec![delete(2), put(&document(9, 9))]);
    assert_eq!(snapshot.get(&id(2)).unwrap(), Some(document(2, 2)));
    assert_eq!(snapshot.len().unwrap(), 5);
    let mut scan = snapshot.scan(KeyRange::all(), Direction::Forward).unwrap();
    drop(snapshot);
    let seen: Vec<_> = std::iter::from_fn(|| scan.next().unwrap()).collect();
    assert_eq!(ids(&seen), [0, 1, 2, 3, 4]);
}

#[test]
fn documents_and_records_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(options().path(directory.path())).unwrap();
        assert!(store.is_new());
        let table = table(&store);
        write_as(&table, vec![put(&document(1, 1))], Durability::Hard);
        write_as(&table, vec![put(&document(2, 2))], Durability::Soft);
        store.meta_put("server", &Datum::str("name")).unwrap();
        store.close();
        assert_eq!(message(table.get(&id(1))), "The database is closed.");
        assert_eq!(
            message(table.write(vec![put(&document(3, 3))], Durability::Soft)),
            "The database is closed."
        );
    }
    let store = Store::open(options().path(directory.path())).unwrap();
    assert!(!store.is_new());
    let table = store.table("test", "t").unwrap();
    assert_eq!(ids(&scan(&table, KeyRange::all(), Direction::Forward)), [1, 2]);
    assert_eq!(store.meta_get("server").unwrap(), Some(Datum::str("name")));
}

#[test]
fn small_records_are_found_by_prefix() {
    let store = store();
    for key in ["users/a", "users/b", "usher", "other"] {
        store.meta_put(key, &Datum::str(key)).unwrap();
    }
    let found = store.meta_scan("users/").unwrap();
    assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["users/a", "users/b"]);
    store.meta_delete("users/a").unwrap();
    assert_eq!(store.meta_get("users/a").unwrap(), None);
    let counted =
        store.meta_update("n", |old| Ok(Some(num(old.map_or(0, |n| n.as_int().unwrap()) + 1)))).unwrap();
    assert_eq!(counted, Some(num(1)));
}

#[test]
fn handles_cross_threads() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Store>();
    is_shared::<reql_embedded::storage::Table>();
    is_shared::<reql_embedded::storage::Subscription>();
    is_send::<reql_embedded::storage::Snapshot>();
    is_send::<reql_embedded::storage::Scan>();
    is_send::<reql_embedded::storage::IndexScan>();
}

#[test]
fn a_small_soft_write_is_committed_by_its_caller() {
    let (_store, table) = filled(1);
    // The writer may still be finishing its last job.
    let done =
        (1..10_000).find_map(|n| match table.start_write(put(&document(0, n)), Durability::Soft).unwrap() {
            Started::Done(results) => Some((n, results)),
            Started::Submitted(results) => {
                results.blocking_recv().unwrap().unwrap();
                None
            }
        });
    let (n, results) = done.expect("a write that needs no writer");
    assert!(results.into_iter().all(|result| result.unwrap().changed));
    assert_eq!(table.get(&id(0)).unwrap(), Some(document(0, n)), "it is seen at once");
}

#[test]
fn a_durable_write_is_handed_to_the_writer() {
    let (_store, table) = filled(0);
    let started = table.start_write(put(&document(1, 1)), Durability::Hard);
    let Ok(Started::Submitted(results)) = started else { panic!("it did not wait for the disk") };
    assert!(results.blocking_recv().unwrap().unwrap().remove(0).unwrap().changed);
    assert_eq!(table.len().unwrap(), 1);
}

#[test]
fn a_write_without_effect_waits_for_nobody() {
    let (store, table) = filled(1);
    for durability in [Durability::Soft, Durability::Hard] {
        for without_effect in [put(&document(0, 0)), delete(7)] {
            assert!(matches!(table.start_write(without_effect, durability), Ok(Started::Done(_))));
        }
        // Else a durable write waits for what was there before.
        store.sync().unwrap();
    }
}

#[test]
fn a_small_write_joins_the_queue_while_the_writer_is_at_work() {
    let (_store, table) = filled(1);
    let (at_work, is_at_work) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let other = table.clone();
    let busy = thread::spawn(move || {
        other.snapshot_at(move || {
            at_work.send(()).unwrap();
            released.recv().unwrap();
        })
    });
    is_at_work.recv().unwrap();
    let started = table.start_write(put(&document(1, 1)), Durability::Soft);
    let Ok(Started::Submitted(results)) = started else { panic!("it waited for the writer, or did not") };
    assert_eq!(table.len().unwrap(), 1, "nothing is seen yet");
    release.send(()).unwrap();
    assert!(results.blocking_recv().unwrap().is_ok());
    assert_eq!(table.len().unwrap(), 2);
    busy.join().unwrap().unwrap();
}

#[test]
fn writes_of_both_kinds_lose_nothing_of_each_other() {
    const EACH: i64 = 200;
    let (_store, table) = filled(1);
    let add = || {
        Mutation::new(id(0), |old| {
            let count = old.and_then(|row| row.get("n")).map_or(0.0, |n| n.as_num().unwrap());
            Ok(Change::Put(Datum::object([("id", num(0)), ("n", Datum::Num(count + 1.0))])))
        })
    };
    thread::scope(|scope| {
        for writer in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for _ in 0..EACH {
                    if writer % 2 == 0 {
                        table.write(vec![add()], Durability::Soft).unwrap();
                        continue;
                    }
                    match table.start_write(add(), Durability::Soft).unwrap() {
                        Started::Done(_) => {}
                        Started::Submitted(results) => drop(results.blocking_recv().unwrap().unwrap()),
                    }
                }
            });
        }
    });
    let count = table.get(&id(0)).unwrap().unwrap().get("n").unwrap();
    assert_eq!(count, Datum::from(4 * EACH));
}
