//! Profiles: the work of a query and its times, in RethinkDB's format (`profile.cc`).
//!
//! The entry of a term contains the entries of the terms evaluated in it. Once rows flow, the terms that are
//! evaluated for each row get no entries. The profile then tells only the number of rows and the mean time
//! that each took.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::datum::{Datum, json};
use crate::term::TermType;

/// The events after which the profile of one answer takes in no further terms or work.
const MAX_EVENTS: usize = 10_000;

/// The number of kinds of [`Work`].
const KINDS_OF_WORK: usize = 8;

/// A record of the work so far for the answer that is being made.
#[derive(Debug)]
pub struct Trace(Mutex<Log>);

#[derive(Debug)]
struct Log {
    /// The thread that evaluates the query. Other threads, which help with rows or write them, are not
    /// recorded.
    thread: ThreadId,
    events: Vec<Event>,
    /// The terms that are being evaluated, and the query around them.
    levels: Vec<Level>,
    /// Number of terms and jobs in progress that hide their inner work from the profile.
    hidden: usize,
}

#[derive(Debug)]
enum Event {
    Start { term: TermType, took: Duration },
    Stop,
    Work { work: Work, took: Duration, samples: usize },
}

#[derive(Debug, Default)]
struct Level {
    /// Index of the level's event.
    start: usize,
    /// True once rows have been read at this level.
    flows: bool,
}

/// Work that a term does apart from evaluating its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Gets a row by its key.
    Row,
    /// Reads rows in the order of the primary key.
    Rows,
    /// Reads rows in the order of an index.
    IndexRows,
    /// Reads rows that intersect a shape.
    Intersecting,
    /// Writes rows.
    Write,
    /// Makes rows of other rows.
    Stream,
    /// Makes an array of this many values.
    Array(usize),
    /// Makes an object of this many values.
    Object(usize),
}

impl Trace {
    /// Makes the record of an answer of this thread.
    pub fn new() -> Self {
        Trace(Mutex::new(Log::new()))
    }

    fn log(&self) -> Option<MutexGuard<'_, Log>> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (log.thread == thread::current().id()).then_some(log)
    }

    /// Begins the record of the next answer, which this thread makes.
    pub fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Log::new();
    }

    /// Goes on with the record of an answer, which now this thread makes.
    pub fn go_on(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).thread = thread::current().id();
    }

    /// Returns the profile as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).to_json()
    }

    /// Records the beginning of a term.
    pub fn term(&self, term: TermType) -> Option<Task<'_>> {
        let mut log = self.log()?;
        let is_told = log.hidden == 0 && !log.level().flows && log.events.len() < MAX_EVENTS;
        if is_told {
            let start = log.events.len();
            log.events.push(Event::Start { term, took: Duration::ZERO });
            log.levels.push(Level { start, flows: false });
        } else {
            log.hidden += 1;
        }
        Some(Task { trace: self, began: Instant::now(), is_told })
    }

    /// Records the beginning of some work, whose inner work is not recorded.
    pub fn work(&self, work: Work) -> Option<Job<'_>> {
        let mut log = self.log()?;
        if log.hidden > 0 {
            return None;
        }
        log.hidden += 1;
        Some(Job { trace: self, began: Instant::now(), work, samples: 1 })
    }

    /// Records that rows are being read.
    pub fn flow(&self) {
        if let Some(mut log) = self.log()
            && log.hidden == 0
        {
            log.level().flows = true;
        }
    }
}

/// A term that is being evaluated, until this is dropped.
pub struct Task<'a> {
    trace: &'a Trace,
    began: Instant,
    is_told: bool,
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        let Some(mut log) = self.trace.log() else { return };
        if !self.is_told {
            log.hidden = log.hidden.saturating_sub(1);
            return;
        }
        let Some(level) = log.levels.pop() else { return };
        if let Some(Event::Start { took, .. }) = log.events.get_mut(level.start) {
            *took = self.began.elapsed();
            log.events.push(Event::Stop);
        }
    }
}

/// Work that goes on until this is dropped.
pub struct Job<'a> {
    trace: &'a Trace,
    began: Instant,
    work: Work,
    samples: usize,
}

impl Job<'_> {
    /// Marks the work as a part of the time for the next row or the previous one. Its time is added, but it
    /// counts as no row of its own.
    #[must_use]
    pub fn besides(mut self) -> Self {
        self.samples = 0;
        self
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let Some(mut log) = self.trace.log() else { return };
        log.hidden = log.hidden.saturating_sub(1);
        log.add(self.work, self.began.elapsed(), self.samples);
    }
}

impl Log {
    fn new() -> Self {
        Log { thread: thread::current().id(), events: Vec::new(), levels: Vec::new(), hidden: 0 }
    }

    /// Returns the innermost recorded term, or the query.
    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn add(&mut self, work: Work, time: Duration, more: usize) {
        let has_room = self.events.len() < MAX_EVENTS;
        // Rows that are read and written by turns are recorded as one reading and one writing.
        let latest = self.events.iter_mut().rev().take(KINDS_OF_WORK);
        let known = latest.map_while(|event| match event {
            Event::Work { work, took, samples } => Some((*work, took, samples)),
            _ => None,
        });
        match known.into_iter().find(|(before, ..)| *before == work && work != Work::Row) {
            Some((_, took, samples)) => {
                *took += time;
                *samples += more;
            }
            None if has_room => {
                self.events.push(Event::Work { work, took: time, samples: more });
            }
            None => {}
        }
    }

    fn to_json(&self) -> Vec<u8> {
        let mut out = b"[".to_vec();
        for event in &self.events {
            if !matches!(event, Event::Stop) && matches!(out.last(), Some(b'}')) {
                out.push(b',');
            }
            match event {
                Event::Start { term, took } => {
                    let description = format!("Evaluating {}.", name(*term));
                    start(&description, *took, &mut out);
                }
                Event::Stop => out.extend_from_slice(b"]}"),
                Event::Work { work, took, samples } => work.write(*took, *samples, &mut out),
            }
        }
        out.push(b']');
        out
    }
}

impl Work {
    fn write(self, took: Duration, samples: usize, out: &mut Vec<u8>) {
        match self {
            Work::Row => on_shard("Perform read.", took, out, |out| {
                task("Perform read on shard.", took, out, |_| {});
            }),
            Work::Rows => scan("Do range scan on primary index.", RANGE, took, samples, out),
            Work::IndexRows => scan("Do range scan on secondary index.", RANGE, took, samples, out),
            Work::Intersecting => {
                let traversal = "Geospatial intersection traversal.";
                scan("Do intersection scan on geospatial index.", traversal, took, samples, out);
            }
            Work::Write => on_shard("Perform write", took, out, |out| {
                sample("Perform write on shard.", took, samples, out);
            }),
            Work::Stream => sample("Evaluating stream eagerly.", took, samples, out),
            Work::Array(count) => sample("Evaluating elements in make_array.", took, count, out),
            Work::Object(count) => sample("Evaluating elements in make_obj.", took, count, out),
        }
    }
}

const RANGE: &str = "Range traversal doc evaluation.";

fn scan(description: &str, traversal: &str, took: Duration, samples: usize, out: &mut Vec<u8>) {
    on_shard("Perform read.", took, out, |out| {
        task("Perform read on shard.", took, out, |out| {
            task(description, took, out, |out| {
                if samples > 0 {
                    sample(traversal, took, samples, out);
                }
            });
        });
    });
}

/// Writes a task that RethinkDB does on each shard. All data is in one shard here.
fn on_shard(description: &str, took: Duration, out: &mut Vec<u8>, inner: impl FnOnce(&mut Vec<u8>)) {
    task(description, took, out, |out| {
        out.extend_from_slice(b"{\"parallel_tasks\":[[");
        inner(out);
        out.extend_from_slice(b"]]}");
    });
}

fn task(description: &str, took: Duration, out: &mut Vec<u8>, inner: impl FnOnce(&mut Vec<u8>)) {
    start(description, took, out);
    inner(out);
    out.extend_from_slice(b"]}");
}

fn start(description: &str, took: Duration, out: &mut Vec<u8>) {
    describe(description, "duration(ms)", took, out);
    out.extend_from_slice(b",\"sub_tasks\":[");
}

fn sample(description: &str, took: Duration, samples: usize, out: &mut Vec<u8>) {
    let mean = took / u32::try_from(samples.max(1)).unwrap_or(u32::MAX);
    describe(description, "mean_duration(ms)", mean, out);
    out.extend_from_slice(format!(",\"n_samples\":{samples}}}").as_bytes());
}

fn describe(description: &str, duration: &str, took: Duration, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"description\":");
    json::write_str(description, out);
    out.extend_from_slice(format!(",\"{duration}\":").as_bytes());
    // A number is always JSON.
    let _ = json::write(&Datum::Num(took.as_secs_f64() * 1e3), out);
}

/// Returns RethinkDB's name for a term in profiles.
fn name(term: TermType) -> String {
    use TermType::*;
    match term {
        Eq | Ne | Lt | Le | Gt | Ge | Add | Sub | Mul | Div => term.name().to_owned(),
        BitAnd | BitOr | BitXor | BitNot | BitSal | BitSar => term.name().to_owned(),
        BetweenDeprecated => "between".to_owned(),
        ConcatMap | OrderBy | EqJoin | TypeOf => term.name().to_lowercase().replace('_', ""),
        ForEach => "foreach".to_owned(),
        // The class of errors evaluates a default there.
        Default => "error".to_owned(),
        IndexCreate | IndexDrop | IndexList | IndexStatus | IndexWait | IndexRename => {
            format!("s{}", term.name().to_lowercase())
        }
        _ => term.name().to_lowercase(),
    }
}
