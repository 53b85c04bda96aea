//! The thread that opens a failed file anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Fields;
use crate::error::{ErrorKind, Result};
use crate::storage::batch::Batch;
use crate::storage::writer::{Applied, Fatal, Job, Need};
use crate::storage::{IndexCompiler, IndexFunction, IndexSpec, Options, Store, TableOptions};

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
