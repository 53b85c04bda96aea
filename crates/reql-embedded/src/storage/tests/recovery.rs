//! Failures of the disk: who opens the file anew, when, and what becomes of reads and writes meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Fields;
use super::disk::Disk;
use crate::accounts::{Accounts, User};
use crate::budget::Budget;
use crate::budget::fuel::{self, Place};
use crate::datum::{Datum, key};
use crate::error::{ErrorKind, Result};
use crate::storage::batch::Batch;
use crate::storage::writer::{Applied, Fatal, Job, Need};
use crate::storage::{
    Change, Durability, IndexCompiler, IndexFunction, IndexSpec, Mutation, Options, Store, Table,
    TableOptions,
};

/// Longer than any test here takes, even on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

/// Remembers the threads that compile indexes: each index is compiled when the file is opened.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl IndexCompiler for Recorder {
    fn compile(&self, spec: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
        self.0.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned());
        Fields.compile(spec)
    }
}

/// A write under which the disk fails.
struct Failing(SyncSender<Result<()>>);

impl Failing {
    fn new() -> (Self, Receiver<Result<()>>) {
        let (answer, answered) = sync_channel(1);
        (Failing(answer), answered)
    }
}

impl Job for Failing {
    fn need(&self) -> Need {
        Need::Soft
    }

    fn apply(&mut self, _: &mut Batch<'_>) -> Applied {
        Err(Fatal(io::Error::other("the disk is gone").into()))
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        self.0.send(committed).unwrap();
    }
}

#[test]
fn a_write_that_commits_at_once_leaves_it_to_the_writer() {
    let recorder = Arc::new(Recorder::default());
    let store = Store::open(Options::new(recorder.clone())).unwrap();
    store.create_database("test").unwrap();
    let table = store.create_table("test", "t", TableOptions::default()).unwrap();
    let spec = IndexSpec { name: "a".into(), source: "a".into(), multi: false, geo: false };
    table.create_index(spec, false).unwrap();
    table.wait_indexes(&["a"], &|| Ok(())).unwrap();
    recorder.0.lock().unwrap().clear();

    let (mut job, answered) = Failing::new();
    let began = Instant::now();
    // The writer may still be finishing its last job.
    while let Err(back) = store.core().commit_at_once(job) {
        assert!(began.elapsed() < LONG, "the writer is never done");
        job = back;
        thread::yield_now();
    }
    assert_eq!(answered.try_recv().unwrap().unwrap_err().kind(), ErrorKind::OpFailed);
    while recorder.0.lock().unwrap().is_empty() {
        assert!(began.elapsed() < LONG, "nobody opens the file");
        thread::yield_now();
    }
    assert_eq!(*recorder.0.lock().unwrap(), ["reql-writer"]);
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "not in a long time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Opens a store with a table and the document 0 on a disk, and waits until its writer is idle.
fn on(disk: &Disk) -> (Store, Table) {
    let store = disk.open();
    store.create_database("test").unwrap();
    let table = store.create_table("test", "t", TableOptions::default()).unwrap();
    put(&table, 0, 1, Durability::Hard).unwrap();
    settled(&store);
    (store, table)
}

/// Waits until the writer has nothing to do.
fn settled(store: &Store) {
    until("all is on the disk", || store.core().committer().due_in(store.core()).is_none());
}

fn id(n: i64) -> Vec<u8> {
    key::primary(&Datum::from(n)).unwrap()
}

/// Writes a document with a text of this length.
fn put(table: &Table, n: i64, length: usize, durability: Durability) -> Result<()> {
    let document = Datum::object([("id", Datum::from(n)), ("text", Datum::str("x".repeat(length)))]);
    let mutation = Mutation::new(id(n), move |_| Ok(Change::Put(document.clone())));
    table.write(vec![mutation], durability).map(drop)
}

/// Lets the file fail. The writer begins to open it anew.
fn fail(store: &Store) -> Receiver<Result<()>> {
    let (job, answered) = Failing::new();
    store.core().submit(job).unwrap();
    answered
}

#[test]
fn a_full_disk_takes_no_soft_write_that_is_lost_when_it_is_to_be_kept() {
    const LARGE: usize = 8 << 20;
    let disk = Disk::new();
    let (store, table) = on(&disk);
    disk.fill();
    put(&table, 1, LARGE, Durability::Soft).unwrap();
    store.core().committer().flush(store.core());
    until("the file was opened again", || disk.openings() > 1);
    // Only after the flush that failed: the first write could not know.
    until("a write was tried again and again", || {
        let written = put(&table, 2, LARGE, Durability::Soft);
        assert!(written.is_err(), "it is acknowledged, and will be lost");
        disk.openings() > 4
    });
    disk.make_room();
    until("there is room again", || put(&table, 3, LARGE, Durability::Soft).is_ok());
    for (n, is_there) in [(0, true), (1, false), (2, false), (3, true)] {
        assert_eq!(table.get(&id(n)).unwrap().is_some(), is_there, "document {n}");
    }
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_file_that_can_not_be_opened_yet_is_opened_later_whoever_asks() {
    let disk = Disk::new();
    let (store, table) = on(&disk);
    disk.set_gone(true);
    fail(&store).recv().unwrap().unwrap_err();
    let error = table.get(&id(0)).unwrap_err();
    assert!(error.message().starts_with("The database file is being opened again"), "{error}");
    disk.set_gone(false);
    until("reads work again", || table.get(&id(0)).is_ok_and(|document| document.is_some()));
}

#[test]
fn a_panic_while_the_file_is_opened_is_one_more_failure() {
    let disk = Disk::new();
    let (store, table) = on(&disk);
    disk.panic_once();
    fail(&store).recv().unwrap().unwrap_err();
    until("writes work again", || put(&table, 1, 1, Durability::Hard).is_ok());
}

#[test]
fn only_who_may_wait_waits_for_a_file_that_is_being_opened() {
    let disk = Disk::new();
    let (store, table) = on(&disk);
    let read = |place| fuel::within(&Budget::default(), place, || table.get(&id(0)));
    assert!(read(Place::Inline).unwrap().is_some());
    disk.hold(true);
    let answered = fail(&store);
    until("the file is being opened", || disk.openings() > 1);
    assert_eq!(read(Place::Inline).unwrap_err().kind(), ErrorKind::WouldBlock);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| read(Place::Worker));
        disk.hold(false);
        assert!(waiting.join().unwrap().unwrap().is_some());
    });
    answered.recv().unwrap().unwrap_err();
}

#[test]
fn users_are_what_the_file_says_when_nobody_knows_if_it_took_a_change() {
    let disk = Disk::new();
    let (store, _) = on(&disk);
    let accounts = Accounts::open(store.clone(), "").unwrap();
    settled(&store);
    disk.fail_to_sync();
    let changed = accounts.change("ann", |_| Ok(Some(User::with_password("secret"))));
    assert_eq!(changed.unwrap_err().kind(), ErrorKind::OpIndeterminate);
    assert_eq!(accounts.user("ann").is_some(), store.meta_get("user:ann").unwrap().is_some());
}

#[test]
fn what_a_failure_prevents_names_its_cause() {
    let disk = Disk::new();
    let file = disk.file();
    disk.fill();
    let txn = file.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<u64, &[u8]>::new("t"))
        .unwrap()
        .insert(1, &*vec![1; 8 << 20])
        .unwrap();
    let failed = file.failure(txn.commit().unwrap_err());
    assert!(failed.message().starts_with("The disk is full: "), "{failed}");
    let prevented = file.begin_write().map(drop).unwrap_err();
    let expected = format!("The database file is being opened again after an error: {}", failed.message());
    assert_eq!(prevented.message(), expected);
    file.reopen().unwrap();
    assert!(!file.has_failed());
    file.begin_write().map(drop).unwrap();
}
