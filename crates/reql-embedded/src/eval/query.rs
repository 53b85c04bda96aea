//! Running a query: from its term to its first answer.

use super::compile::compile;
use super::cursor::Cursor;
use super::env::Env;
use super::grouped;
use super::options::{limits, with_options};
use super::profile::Trace;
use super::scope::Scope;
use super::term::{Flags, Term};
use super::val::{Groups, Later, Val, Value};
use crate::datum::Datum;
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::term::Query;

/// The answer to a query.
pub enum Answer {
    /// One value.
    Atom(Datum),
    /// One value that is known later.
    Later(Later),
    /// A sequence, in batches.
    Cursor(Box<Cursor>),
}

/// A query ready to be evaluated.
pub struct Program {
    term: Term,
    env: Env,
}

impl Program {
    /// Compiles a query, and evaluates its options.
    pub fn new(query: &Query, env: Env) -> Result<Program> {
        let raw = match &query.term {
            Some(Ok(raw)) => raw,
            Some(Err(error)) => return Err(error.clone()),
            None => {
                return Err(Error::new(ErrorKind::Client, "Expected a term in the query.").at(Bt::default()));
            }
        };
        let env = with_options(query, env)?;
        // An error of the query comes before one of its limits.
        let limits = limits(&env);
        let term = compile(raw, limits.as_ref().copied().unwrap_or(env.limits))?;
        let env = env.with_limits(limits?);
        Ok(Program { term, env: if query.is_profiled { env.with_trace() } else { env } })
    }

    /// Returns the profile of the evaluation as JSON, if there is one.
    pub fn profile(&self) -> Option<Vec<u8>> {
        self.env.trace().map(Trace::to_json)
    }

    /// Evaluates the query to its first answer. If the environment may not wait, its term may be a write and
    /// contain no other.
    pub fn run(&self) -> Result<Answer> {
        self.env.within(|| self.evaluate())
    }

    fn evaluate(&self) -> Result<Answer> {
        let Program { term, env } = self;
        let val = term.eval(env, &Scope::EMPTY, Flags::NONE)?;
        match val.value {
            Value::Datum(_) | Value::Single(_) => Ok(Answer::Atom(val.into_datum()?)),
            Value::Later(later) => Ok(Answer::Later(later)),
            Value::Grouped(groups) => Ok(Answer::Atom(grouped_data(groups))),
            Value::Stream(stream) if stream.is_grouped() => {
                Ok(Answer::Atom(grouped_data(grouped::collect(stream, env)?)))
            }
            _ if val.is_sequence() => sequence(val, env.clone()),
            _ => {
                let name = val.type_name();
                let message =
                    format!("Query result must be of type DATUM, GROUPED_DATA, or STREAM (got {name}).");
                Err(Error::logic(message).at(Bt::default()))
            }
        }
    }
}

/// Evaluates a query to its first answer, once.
pub fn run(query: &Query, env: Env) -> Result<Answer> {
    let budget = env.clone();
    budget.within(|| Program::new(query, env)?.run())
}

fn sequence(val: Val, env: Env) -> Result<Answer> {
    let stream = val.into_stream(&env)?;
    if stream.is_array() {
        let (rows, held) = stream.rows(&env, Bt::default())?;
        held.keep()?;
        return Ok(Answer::Atom(Datum::array(rows)));
    }
    Ok(Answer::Cursor(Box::new(Cursor::new(stream, env)?)))
}

/// Returns grouped data in its form on the wire.
fn grouped_data(groups: Groups) -> Datum {
    let data = groups.into_iter().map(|(group, value)| Datum::array(vec![group, value])).collect();
    Datum::object([("$reql_type$", Datum::str("GROUPED_DATA")), ("data", Datum::array(data))])
}
