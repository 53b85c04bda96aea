//! The thread that runs a query's scripts (`js_job.cc` in RethinkDB).

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use rquickjs::context::EvalOptions;
use rquickjs::function::Args;
use rquickjs::{Coerced, Context, Ctx, Function, Runtime, Value};

use super::convert::{from_datum, to_datum};
use super::watch::Watch;
use super::{ENGINE_STACK, Failure, OUT_OF_MEMORY, Outcome, Reply, Request, Script};
use crate::datum::Datum;
use crate::eval::Limits;
use crate::interrupt::Interrupt;

/// The functions that the worker keeps.
const FUNCTIONS: usize = 100;

/// Answers requests until there are no more or one of them leaves the engine unusable. The engine may use
/// `memory` bytes.
pub fn run(requests: &Receiver<Request>, replies: &Sender<Reply>, interrupt: Interrupt, memory: usize) {
    // The caller takes a worker that is gone for a crash, which it is.
    let Ok(runtime) = Runtime::new() else { return };
    runtime.set_memory_limit(memory);
    runtime.set_max_stack_size(ENGINE_STACK);
    let watch = Rc::new(Watch::new(interrupt));
    let watched = watch.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || watched.must_end())));
    let Ok(context) = Context::full(&runtime) else { return };
    context.with(|ctx| {
        let mut engine = Engine { ctx, watch, functions: HashMap::new() };
        for request in requests {
            let reply = engine.answer(&request);
            let goes_on = matches!(reply, Ok(_) | Err(Failure::Script(_)));
            if replies.send(reply).is_err() || !goes_on {
                break;
            }
        }
    });
}

struct Engine<'js> {
    ctx: Ctx<'js>,
    watch: Rc<Watch>,
    functions: HashMap<Arc<str>, Function<'js>>,
}

impl<'js> Engine<'js> {
    fn answer(&mut self, Request { script, args, limits }: &Request) -> Reply {
        let reply = match args {
            None => self.eval(script, *limits),
            Some(args) => self.call(script, args, *limits),
        };
        // An unread exception stays in the engine until it is taken.
        drop(self.ctx.catch());
        self.watch.failure().map_or(reply, Err)
    }

    fn eval(&mut self, script: &Script, limits: Limits) -> Reply {
        if self.functions.contains_key(&script.source) {
            return Ok(Outcome::Function);
        }
        self.watch.start(script.timeout);
        let mut options = EvalOptions::default();
        options.strict = false;
        options.filename = Some("rethinkdb_query".into());
        let value: Value<'js> = self
            .ctx
            .eval_with_options(&*script.source, options)
            .map_err(|error| failure(&self.ctx, &error))?;
        match value.try_into_function() {
            Ok(function) => {
                self.keep(script.source.clone(), function);
                Ok(Outcome::Function)
            }
            Err(value) => to_datum(value, limits).map(Outcome::Value).map_err(Failure::Script),
        }
    }

    fn keep(&mut self, source: Arc<str>, function: Function<'js>) {
        if self.functions.len() >= FUNCTIONS {
            self.functions.clear();
        }
        self.functions.insert(source, function);
    }

    fn call(&mut self, script: &Script, args: &[Datum], limits: Limits) -> Reply {
        // The function may have been lost with an earlier worker, or removed to make room for others.
        self.eval(script, limits)?;
        let Some(function) = self.functions.get(&script.source) else {
            return Err(Failure::Script(format!(
                "Javascript query `{}` returned a value when it should have returned a function.",
                script.source
            )));
        };
        self.watch.start(script.timeout);
        let mut passed = Args::new(self.ctx.clone(), args.len());
        let raise = |error| failure(&self.ctx, &error);
        passed.this(self.ctx.globals()).map_err(raise)?;
        for arg in args {
            let value = from_datum(&self.ctx, arg).map_err(Failure::Script)?;
            passed.push_arg(value).map_err(raise)?;
        }
        let value: Value<'js> = function.call_arg(passed).map_err(raise)?;
        if value.is_function() {
            return Ok(Outcome::Function);
        }
        to_datum(value, limits).map(Outcome::Value).map_err(Failure::Script)
    }
}

/// Returns the failure, as text.
fn failure(ctx: &Ctx<'_>, error: &rquickjs::Error) -> Failure {
    if !error.is_exception() {
        return Failure::Script(error.to_string());
    }
    let exception = ctx.catch();
    let is_null = exception.is_null();
    match exception.get::<Coerced<String>>() {
        // Without memory for an exception, the engine raises null.
        Ok(text) if (is_null || text.0 == OUT_OF_MEMORY) && is_full(ctx) => Failure::OutOfMemory,
        Ok(text) => Failure::Script(text.0),
        // A thrown value that can't be shown ends RethinkDB's worker.
        Err(_) => Failure::Crashed,
    }
}

/// Returns true if the remains of a script leave no room for others.
fn is_full(ctx: &Ctx<'_>) -> bool {
    const ROOM: usize = 1024 * 1024;
    ctx.run_gc();
    rquickjs::String::from_str(ctx.clone(), &" ".repeat(ROOM)).is_err()
}
