//! JavaScript: `r.js` and the functions that it makes.
//!
//! A query with scripts has a worker, a thread with a QuickJS engine of its own, as it has a process in
//! RethinkDB: scripts of one query share their global variables, those of different queries share nothing.

mod convert;
#[cfg(test)]
mod tests;
mod watch;
mod worker;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::env::Env;
use super::func::NativeFunc;
use super::limits::Limits;
use crate::budget::fuel;
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// A source text with its time limit.
#[derive(Clone)]
pub struct Script {
    /// Text to evaluate.
    pub source: Arc<str>,
    /// Time limit of evaluating it once, and of each call of the function that it may be.
    pub timeout: Duration,
}

/// The result of a script.
#[derive(Debug)]
pub enum Outcome {
    /// A value.
    Value(Datum),
    /// A function, which the worker keeps under its source text.
    Function,
}

/// The reason why there is no result.
#[derive(Debug)]
enum Failure {
    /// The script's own exception, or a value that ReQL doesn't have.
    Script(String),
    TimedOut,
    Interrupted,
    /// The scripts' global variables hold all the memory that the scripts may use.
    OutOfMemory,
    /// The engine is in a state in which it can't go on.
    Crashed,
}

/// The text of QuickJS's error.
const OUT_OF_MEMORY: &str = "InternalError: out of memory";

type Reply = std::result::Result<Outcome, Failure>;

struct Request {
    script: Script,
    /// Arguments for a call of the script's function; `None` to evaluate the script only.
    args: Option<Vec<Datum>>,
    limits: Limits,
}

/// Runs the scripts of one query, on a worker that the first of them starts. Cloning shares it.
#[derive(Clone, Default)]
pub struct Runner(Arc<Mutex<Option<Worker>>>);

struct Worker {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    /// Memory that the scripts may use.
    _held: Reservation,
}

/// The most memory that the scripts of a query may use, in bytes.
const MEMORY: u64 = 128 << 20;
/// The part of the query's memory that its scripts may use: one in this many.
const SHARE: u64 = 2;

/// The stack that an engine may use. Its thread has that, and some more for the code around the engine.
const ENGINE_STACK: usize = 1024 * 1024;
const THREAD_STACK: usize = 4 * ENGINE_STACK;

/// The interval at which a query that waits for a worker checks its interrupt and its deadline.
const PATIENCE: Duration = Duration::from_millis(50);

impl Runner {
    /// Evaluates a script.
    pub fn eval(&self, env: &Env, script: &Script) -> Result<Outcome> {
        self.ask(env, script, None)
    }

    /// Calls the function that a script evaluates to.
    pub fn call(&self, env: &Env, script: &Script, args: &[Datum]) -> Result<Datum> {
        match self.ask(env, script, Some(args.to_vec()))? {
            Outcome::Value(datum) => Ok(datum),
            Outcome::Function => Err(Error::logic("Returning functions from within `r.js` is unsupported.")),
        }
    }

    fn ask(&self, env: &Env, script: &Script, args: Option<Vec<Datum>>) -> Result<Outcome> {
        fuel::about_to_wait()?;
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = match slot.take() {
            Some(worker) => worker,
            None => Worker::start(env)?,
        };
        let request = Request { script: script.clone(), args, limits: env.limits };
        let reply = worker.ask(request, env.budget().interrupt());
        // After any other failure the worker is gone or given up, and the next script gets a new one.
        if matches!(reply, Ok(_) | Err(Failure::Script(_))) {
            *slot = Some(worker);
        }
        reply.map_err(|failure| failure.into_error(env, script))
    }
}

impl Worker {
    fn start(env: &Env) -> Result<Worker> {
        let memory = MEMORY.min(env.budget().memory().limit() / SHARE) as usize;
        let mut held = env.reserve();
        held.add_bytes(memory)?;
        let interrupt = env.budget().interrupt().clone();
        let (requests, to_do) = mpsc::channel();
        let (done, replies) = mpsc::channel();
        thread::Builder::new()
            .name("javascript".into())
            .stack_size(THREAD_STACK)
            .spawn(move || worker::run(&to_do, &done, interrupt, memory))
            .map_err(|error| Error::internal(format!("Could not start JavaScript: {error}")))?;
        Ok(Worker { requests, replies, _held: held })
    }

    /// Sends a request and waits for the reply. The engine checks the clock itself, except in a few loops of
    /// its library. A worker that is caught in one of these is abandoned, and ends when the loop does.
    fn ask(&self, request: Request, interrupt: &Interrupt) -> Reply {
        // A call may have to evaluate its function first.
        let deadline = Instant::now().checked_add(request.script.timeout.saturating_mul(2));
        self.requests.send(request).map_err(|_| Failure::Crashed)?;
        loop {
            match self.replies.recv_timeout(PATIENCE) {
                Ok(reply) => return reply,
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Crashed),
                Err(RecvTimeoutError::Timeout) if interrupt.is_raised() => return Err(Failure::Interrupted),
                Err(RecvTimeoutError::Timeout) => {
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Err(Failure::TimedOut);
                    }
                }
            }
        }
    }
}

impl Failure {
    fn into_error(self, env: &Env, Script { source, timeout }: &Script) -> Error {
        match (self, env.check_interrupt()) {
            (Failure::Script(message), _) => Error::logic(message),
            (Failure::OutOfMemory, _) => Error::logic(OUT_OF_MEMORY),
            (Failure::TimedOut, _) => Error::logic(format!(
                "JavaScript query `{source}` timed out after {}.{:03} seconds.",
                timeout.as_secs(),
                timeout.subsec_millis()
            )),
            (Failure::Interrupted, Err(interrupted)) => interrupted,
            (Failure::Interrupted | Failure::Crashed, _) => {
                Error::internal(format!("Javascript query `{source}` caused a crash in a worker process."))
            }
        }
    }
}

impl NativeFunc for Script {
    fn call(&self, env: &Env, args: &[Datum]) -> Result<Datum> {
        env.javascript.call(env, self, args)
    }

    fn source(&self) -> String {
        self.source.to_string()
    }
}
