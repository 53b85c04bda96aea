//! Changes: what listeners hear, in which order, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use reql_embedded::datum::Datum;
use reql_embedded::storage::{ChangeEvent, Direction, EndReason, KeyRange, Listener};
use support::*;

enum Heard {
    Changed(ChangeEvent),
    Ended(EndReason),
}

struct Ear(Mutex<Sender<Heard>>);

impl Listener for Ear {
    fn changed(&self, event: &ChangeEvent) {
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
        Heard::Changed(event) => Some((event.old, event.new)),
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
    store.drop_table("test", "t").unwrap();
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
        fn changed(&self, _: &ChangeEvent) {
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
