//! JavaScript: `r.js` and the functions that it makes.
//!
//! A query that uses it has a worker, a thread with a QuickJS engine of its own, as RethinkDB gives it a
//! process: scripts of one query share their global variables, those of different queries share nothing.

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
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// A source text, and how long it may run.
#[derive(Clone)]
pub struct Script {
    /// What to evaluate.
    pub source: Arc<str>,
    /// For evaluating it once, and for each call of the function that it may be.
    pub timeout: Duration,
}

/// What a script is.
#[derive(Debug)]
pub enum Outcome {
    /// A value.
    Value(Datum),
    /// A function, which the worker keeps under its source text.
    Function,
}

/// Why there is no outcome.
#[derive(Debug)]
enum Failure {
    /// The script's own exception, or a value that ReQL doesn't have.
    Script(String),
    TimedOut,
    Interrupted,
    /// The scripts' global variables hold all the memory that there is.
    OutOfMemory,
    /// The engine is in a state in which it can't go on.
    Crashed,
}

/// QuickJS's text.
const OUT_OF_MEMORY: &str = "InternalError: out of memory";

type Reply = std::result::Result<Outcome, Failure>;

struct Request {
    script: Script,
    /// What to call its function with; `None` to evaluate it only.
    args: Option<Vec<Datum>>,
    limits: Limits,
}

/// Runs the scripts of one query, on a worker that the first of them starts. Cloning shares it.
#[derive(Clone, Default)]
pub struct Runner(Arc<Mutex<Option<Worker>>>);

struct Worker {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    /// The memory that the scripts may use.
    _held: Reservation,
}

/// How much memory the scripts of a query may use, as long as that isn't more than
const MEMORY: u64 = 128 << 20;
/// this part of what the query may hold.
const SHARE: u64 = 2;

/// Every engine may use that much, which its thread has and some more for what surrounds the engine.
const ENGINE_STACK: usize = 1024 * 1024;
const THREAD_STACK: usize = 4 * ENGINE_STACK;

/// How often somebody who waits for a worker looks whether that still makes sense.
const PATIENCE: Duration = Duration::from_millis(50);

impl Runner {
    /// Evaluates a script.
    pub fn eval(&self, env: &Env, script: &Script) -> Result<Outcome> {
        self.ask(env, script, None)
    }

    /// Calls the function that a script is.
    pub fn call(&self, env: &Env, script: &Script, args: &[Datum]) -> Result<Datum> {
        match self.ask(env, script, Some(args.to_vec()))? {
            Outcome::Value(datum) => Ok(datum),
            Outcome::Function => Err(Error::logic("Returning functions from within `r.js` is unsupported.")),
        }
    }

    fn ask(&self, env: &Env, script: &Script, args: Option<Vec<Datum>>) -> Result<Outcome> {
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

    /// The engine watches the clock itself, except in a few loops of its library. A worker that is caught in
    /// one is left behind, to end when the loop does.
    fn ask(&self, request: Request, interrupt: &Interrupt) -> Reply {
        // A call may have to evaluate its function before.
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
