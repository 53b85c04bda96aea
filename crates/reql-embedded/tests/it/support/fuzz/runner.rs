//! Runs a frame the way a session does, on a thread of its own that is watched.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use reql_embedded::datum::json;
use reql_embedded::datum::syntax::Arena;
use reql_embedded::engine::{Envelope, Interrupt, Reason};
use reql_embedded::error::{Error, ErrorKind};
use reql_embedded::eval::{self, Env};
use reql_embedded::instance::Instance;
use reql_embedded::term::Query;

/// The time after which a query is told to end.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time after that at which a query counts as stuck. Long, since the machine may be busy.
const GRACE: Duration = Duration::from_secs(20);
/// The time between two looks at a query that runs.
const TICK: Duration = Duration::from_millis(100);
/// The bytes by which the process may grow.
const MEMORY: usize = 512 << 20;
/// The memory that queries may hold, in bytes.
const QUERY_MEMORY: u64 = 256 << 20;
/// The batches of a stream that are read.
const BATCHES: usize = 4;

/// The queries that make the tables. Each of them may fail, since its table may exist already.
const FIXTURE: &[&str] = &[
    r#"[1,[57,["test"]]]"#,
    r#"[1,[60,["t"]]]"#,
    r#"[1,[60,["u"]]]"#,
    r#"[1,[75,[[15,["t"]],"n"]]]"#,
    r#"[1,[75,[[15,["t"]],"tags"],{"multi":true}]]"#,
    r#"[1,[75,[[15,["t"]],"place"],{"geo":true}]]"#,
    r#"[1,[75,[[15,["t"]],"both",[2,[[170,[[13],"n"]],[170,[[13],"id"]]]]]]]"#,
    r#"[1,[140,[[15,["t"]]]]]"#,
    r#"[1,[56,[[15,["t"]],[38,[[173,[40]],[69,[[2,[1]],{"id":[10,[1]],"n":[28,[[10,[1]],7]],
       "tags":[2,[[10,[1]],"a"]],"place":[159,[[10,[1]],1]],"nested":{"n":[2,[1,null,{"id":1}]]},
       "s":"x"}]]]]],{"conflict":"replace"}]]"#,
    r#"[1,[56,[[15,["u"]],[2,[{"id":1,"n":3},{"id":"a","n":null},{"id":[2,[1,"b"]],"s":[103,[]]}]]],
       {"conflict":"replace"}]]"#,
];

/// The end of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// The query had an answer.
    Answered,
    /// The query had an error.
    Failed,
    /// The query took too long, and ended when it was told to.
    Interrupted,
}

/// A server in memory, and the thread that its queries run on.
pub struct Target {
    queries: Sender<(Vec<u8>, Interrupt)>,
    results: Receiver<thread::Result<Ran>>,
    resident_before: usize,
}

impl Target {
    /// Makes a server with the tables of the fixture.
    pub fn new() -> Self {
        let instance = instance();
        let (queries, todo) = mpsc::channel::<(Vec<u8>, Interrupt)>();
        let (done, results) = mpsc::channel();
        thread::spawn(move || {
            for (frame, interrupt) in todo {
                let ran = panic::catch_unwind(AssertUnwindSafe(|| run(&instance, &frame, interrupt)));
                if done.send(ran).is_err() {
                    break;
                }
            }
        });
        let target = Target { queries, results, resident_before: resident() };
        target.restore();
        target
    }

    /// Restores the missing parts of the fixture.
    pub fn restore(&self) {
        for query in FIXTURE {
            self.run(query.as_bytes());
        }
    }

    /// Runs a frame. Panics if it panics, doesn't end, or takes too much memory.
    pub fn run(&self, frame: &[u8]) -> Ran {
        let interrupt = Interrupt::default();
        self.queries.send((frame.to_vec(), interrupt.clone())).expect("the thread is there");
        // Counted rather than timed: a machine that is busy with others gives neither thread its time.
        let mut waited = Duration::ZERO;
        loop {
            let result = self.results.recv_timeout(TICK);
            waited += TICK;
            let grown = resident().saturating_sub(self.resident_before);
            assert!(grown < MEMORY, "the process grew by {} MB", grown >> 20);
            match result {
                Ok(Ok(ran)) => return ran,
                Ok(Err(panic)) => panic!("the query panicked: {}", message(&*panic)),
                Err(RecvTimeoutError::Disconnected) => panic!("the thread ended"),
                Err(RecvTimeoutError::Timeout) if waited > PATIENCE + GRACE => {
                    panic!("the query doesn't end although it was told to")
                }
                Err(RecvTimeoutError::Timeout) if waited > PATIENCE => {
                    interrupt.raise(Reason::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

fn instance() -> Arc<Instance> {
    Arc::new(crate::support::instance().with_memory_limit(QUERY_MEMORY))
}

fn run(instance: &Arc<Instance>, frame: &[u8], interrupt: Interrupt) -> Ran {
    let arena = Arena::new();
    let Ok(envelope) = Envelope::parse(frame, &arena) else { return Ran::Failed };
    let answer = Query::new(envelope.term, envelope.optargs).and_then(|query| {
        query.is_light();
        let env = Env::new(instance.clone(), "admin".into(), interrupt.clone(), true);
        let answer = eval::run(&query, env).and_then(read);
        // The backtrace that a driver gets is tried, too.
        answer.inspect_err(|error| drop(query.places.blamed(error)))
    });
    match answer {
        Ok(()) => Ran::Answered,
        Err(error) => {
            assert!(!error.message().is_empty() || !interrupt.is_raised(), "an error without a message");
            if interrupt.is_raised() { Ran::Interrupted } else { Ran::Failed }
        }
    }
}

fn read(answer: eval::Answer) -> Result<(), Error> {
    let mut text = Vec::new();
    match answer {
        eval::Answer::Atom(datum) => json::write(&datum, &mut text)?,
        eval::Answer::Later(_) => unreachable!("nothing is put off where it may wait"),
        eval::Answer::Cursor(mut cursor) => {
            text.push(b'[');
            for _ in 0..BATCHES {
                if cursor.next_batch(&mut text)?.done {
                    break;
                }
                text.push(b',');
            }
        }
    }
    Ok(())
}

/// The outcomes of a query on a thread that may wait, and on one that may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The outcomes are alike.
    Alike,
    /// The query was given up on the thread that may not wait.
    GivenUp,
    /// The outcomes can't be compared: it is no query, or the second run may have another outcome.
    Apart,
}

/// Kinds of terms after which a second run may have another outcome: they write, or depend on chance or the
/// time. Numbers in other places look the same, which only means that a query isn't compared.
const APART: &[u32] = &[
    53, 54, 55, 56, 57, 58, 60, 61, 68, 75, 76, 81, 103, 138, 140, 151, 152, 156, 169, 173, 175, 176, 177,
    180, 188, 189, 192, 193,
];

/// Runs queries on a thread that may not wait, and again on one that may, in a server of their own.
pub fn compare(frames: impl Iterator<Item = Vec<u8>>, mut tell: impl FnMut(&[u8], Compared)) {
    let instance = instance();
    for query in FIXTURE {
        answer(&instance, query.as_bytes(), Interrupt::default(), true);
    }
    for frame in frames {
        let text = String::from_utf8_lossy(&frame);
        let is_apart = APART
            .iter()
            .any(|kind| text.contains(&format!("[{kind},")) || text.contains(&format!("[{kind}]")));
        if is_apart {
            tell(&frame, Compared::Apart);
            continue;
        }
        let Some(light) = answer(&instance, &frame, Interrupt::default(), false) else {
            tell(&frame, Compared::Apart);
            continue;
        };
        if light.as_ref().is_err_and(|(kind, _)| *kind == ErrorKind::WouldBlock) {
            tell(&frame, Compared::GivenUp);
            continue;
        }
        let heavy = answer(&instance, &frame, Interrupt::default(), true).expect("a query");
        assert_eq!(light, heavy, "where it may not wait, and where it may: {text}");
        tell(&frame, Compared::Alike);
    }
}

/// Returns the first batch or the value of a query, or its error; `None` if it is no query.
fn answer(
    instance: &Arc<Instance>,
    frame: &[u8],
    interrupt: Interrupt,
    may_wait: bool,
) -> Option<Result<String, (ErrorKind, String)>> {
    let arena = Arena::new();
    let envelope = Envelope::parse(frame, &arena).ok()?;
    let query = Query::new(envelope.term, envelope.optargs).ok()?;
    let env = Env::new(instance.clone(), "admin".into(), interrupt, may_wait);
    let budget = env.clone();
    let written = budget.within(|| {
        let mut text = Vec::new();
        match eval::run(&query, env)? {
            eval::Answer::Atom(datum) => json::write(&datum, &mut text)?,
            eval::Answer::Later(_) => {}
            eval::Answer::Cursor(mut cursor) => drop(cursor.next_batch(&mut text)?),
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    });
    Some(written.map_err(|error| {
        let places = query.places.blamed(&error);
        (error.kind(), format!("{error} at {places:?}"))
    }))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a message",
    }
}

/// Returns the process's resident memory in bytes; 0 if the system doesn't tell.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or_default() * PAGE
}
