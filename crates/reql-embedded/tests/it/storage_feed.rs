//! Changes: the calls of listeners, their order, and their end.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::*;
use reql_embedded::datum::Datum;
use reql_embedded::storage::{ChangeEvent, Direction, EndReason, KeyRange, Listener};

enum Heard {
    Changed(Arc<ChangeEvent>),
    Ended(EndReason),
}

struct Ear(Mutex<Sender<Heard>>);

impl Listener for Ear {
    fn changed(&self, event: &Arc<ChangeEvent>) {
        self.0.lock().unwrap().send(Heard::Changed(event.clone())).unwrap_or_default();
    }

    fn ended(&self, reason: EndReason) {
        self.0.lock().unwrap().send(Heard::Ended(reason)).unwrap_or_default();
    }
}

fn ear() -> (Arc<Ear>, Receiver<Heard>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(Ear(Mutex::new(sender))), receiver)
}

fn changes(receiver: &Receiver<Heard>) -> Vec<(Option<Datum>, Option<Datum>)> {
    let events = receiver.try_iter().filter_map(|heard| match heard {
        Heard::Changed(event) => Some((event.old.clone(), event.new.clone())),
        Heard::Ended(_) => None,
    });
    events.collect()
}

#[test]
fn a_listener_hears_changes_before_the_write_is_answered() {
    let store = store();
    let table = table(&store);
    let (listener, heard) = ear();
    let (subscription, _) = table.subscribe(listener).unwrap();
    write(&table, vec![put(&document(1, 1))]);
    write(&table, vec![put(&document(1, 2)), put(&document(1, 2)), delete(1), delete(1)]);
    assert_eq!(
        changes(&heard),
        [
            (None, Some(document(1, 1))),
            (Some(document(1, 1)), Some(document(1, 2))),
            (Some(document(1, 2)), None),
        ]
    );
    drop(subscription);
    write(&table, vec![put(&document(2, 2))]);
    assert!(changes(&heard).is_empty());
}

#[test]
fn snapshot_and_changes_leave_no_gap_and_do_not_overlap() {
    let store = store();
    let table = table(&store);
    let writers: Vec<_> = (0..4)
        .map(|w| {
            let table = table.clone();
            thread::spawn(move || (0..200).for_each(|_| drop(write(&table, vec![increment(w)]))))
        })
        .collect();
    let mut subscriptions = Vec::new();
    for _ in 0..10 {
        let (listener, heard) = ear();
        let (subscription, snapshot) = table.subscribe(listener).unwrap();
        let mut scan = snapshot.scan(KeyRange::all(), Direction::Forward).unwrap();
        let mut state: Vec<Option<Datum>> = vec![None; 4];
        while let Some(document) = scan.next().unwrap() {
            let id = document.get("id").unwrap().as_int().unwrap();
            state[id as usize] = Some(document);
        }
        subscriptions.push((subscription, heard, state));
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    for (_subscription, heard, mut state) in subscriptions {
        for (old, new) in changes(&heard) {
            let id = new.as_ref().unwrap().get("id").unwrap().as_int().unwrap();
            assert_eq!(state[id as usize], old);
            state[id as usize] = new;
        }
        assert_eq!(state, (0..4).map(|w| Some(document(w, 200))).collect::<Vec<_>>());
    }
}

#[test]
fn dropping_the_table_ends_its_feeds() {
    let store = store();
    let table = table(&store);
    let (listener, heard) = ear();
    let _subscribed = table.subscribe(listener).unwrap();
    store.drop_table(table.id()).unwrap();
    assert!(matches!(heard.try_recv().unwrap(), Heard::Ended(EndReason::Dropped)));
}

#[test]
fn closing_the_store_ends_its_feeds() {
    let store = store();
    let table = table(&store);
    let (listener, heard) = ear();
    let _subscribed = table.subscribe(listener).unwrap();
    store.close();
    assert!(matches!(heard.try_recv().unwrap(), Heard::Ended(EndReason::Closed)));
}

#[test]
fn feeds_survive_a_renaming() {
    let store = store();
    let table = table(&store);
    let (listener, heard) = ear();
    let _subscribed = table.subscribe(listener).unwrap();
    store.rename_database("test", "other").unwrap();
    write(&store.table("other", "t").unwrap(), vec![put(&document(1, 1))]);
    assert_eq!(changes(&heard).len(), 1);
}

#[test]
fn a_panicking_listener_harms_nobody() {
    struct Panicking;
    impl Listener for Panicking {
        fn changed(&self, _: &Arc<ChangeEvent>) {
            panic!("ouch");
        }
        fn ended(&self, _: EndReason) {
            panic!("ouch");
        }
    }
    let store = store();
    let table = table(&store);
    let (listener, heard) = ear();
    let _first = table.subscribe(Arc::new(Panicking)).unwrap();
    let _second = table.subscribe(listener).unwrap();
    write(&table, vec![put(&document(1, 1))]);
    assert_eq!(changes(&heard).len(), 1);
}

/// A listener that counts its calls.
#[derive(Default)]
struct Counter {
    keys: Option<Vec<Vec<u8>>>,
    changed: AtomicUsize,
    settled: AtomicUsize,
    ended: AtomicUsize,
}

impl Counter {
    fn of(keys: &[i64]) -> Arc<Counter> {
        Arc::new(Counter { keys: Some(keys.iter().map(|key| id(*key)).collect()), ..Counter::default() })
    }

    fn told(&self) -> [usize; 3] {
        [&self.changed, &self.settled, &self.ended].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Listener for Counter {
    fn keys(&self) -> Option<Vec<Vec<u8>>> {
        self.keys.clone()
    }
    fn changed(&self, event: &Arc<ChangeEvent>) {
        assert!(self.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| **key == *event.key)));
        self.changed.fetch_add(1, Ordering::Relaxed);
    }
    fn settled(&self) {
        self.settled.fetch_add(1, Ordering::Relaxed);
    }
    fn ended(&self, _: EndReason) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn listeners_of_single_documents_cost_the_writes_of_others_nothing() {
    let store = store();
    let table = table(&store);
    let points: Vec<_> = (0..10_000).map(|n| Counter::of(&[n])).collect();
    let mut subscriptions: Vec<_> =
        points.iter().map(|point| table.subscribe(point.clone()).unwrap().0).collect();
    write(&table, (10_000..10_100).map(|n| put(&document(n, 1))).collect());
    assert!(points.iter().all(|point| point.told() == [0; 3]));
    write(&table, vec![put(&document(7, 1)), put(&document(7, 2)), put(&document(10_000, 2))]);
    let told: Vec<_> = (0..).zip(&points).filter(|(_, point)| point.told() != [0; 3]).collect();
    assert_eq!(told.len(), 1, "one document, one listener");
    assert_eq!((told[0].0, told[0].1.told()), (7, [2, 1, 0]));
    subscriptions.remove(7);
    write(&table, vec![delete(7), put(&document(8, 1))]);
    assert_eq!((points[7].told(), points[8].told()), ([2, 1, 0], [1, 1, 0]));
    store.drop_table(table.id()).unwrap();
    assert!(
        subscriptions.len() == 9_999 && points.iter().map(|point| point.told()[2]).sum::<usize>() == 9_999
    );
}

#[test]
fn a_listener_hears_of_all_its_documents_and_of_the_end() {
    let store = store();
    let table = table(&store);
    let (few, none, all) = (Counter::of(&[1, 2, 3]), Counter::of(&[]), Arc::new(Counter::default()));
    let listeners: [Arc<dyn Listener>; 3] = [few.clone(), none.clone(), all.clone()];
    let _subscriptions = listeners.map(|listener| table.subscribe(listener).unwrap().0);
    write(&table, (0..5).map(|n| put(&document(n, n))).collect());
    assert_eq!([few.told(), none.told(), all.told()], [[3, 1, 0], [0; 3], [5, 1, 0]]);
    store.drop_table(table.id()).unwrap();
    assert_eq!([few.told(), none.told(), all.told()], [[3, 1, 1], [0, 0, 1], [5, 1, 1]]);
}
