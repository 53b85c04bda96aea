//! The earlier form of stored functions: JSON without places. Functions are stored in RethinkDB's bytes now.

use super::function::StoredFunction;
use crate::datum::syntax::{self, Arena};
use crate::error::{Bt, Error, Result};
use crate::eval::captures::Captures;
use crate::eval::compile::parameters;
use crate::term::{Backtraces, RawTerm, TermType, Written};

/// Returns true if a stored text has the earlier form: JSON without places.
pub fn is_legacy(text: &str) -> bool {
    text.starts_with('[')
}

/// Returns the query that a driver would have sent with an index function.
pub fn index_function(text: &str) -> Result<StoredFunction> {
    function(&format!("[75,[[15,[\"\"]],\"\",{text}]]"))
}

/// Returns the query that a driver would have sent with a write hook.
pub fn write_hook(text: &str) -> Result<StoredFunction> {
    function(&format!("[189,[[15,[\"\"]],{text}]]"))
}

/// Returns the function that is the last argument of a query, with the places of its terms in that query.
fn function(query: &str) -> Result<StoredFunction> {
    let damaged = || Error::internal("A stored function is damaged.");
    let arena = Arena::new();
    let tree = syntax::parse(query.as_bytes(), &arena)
        .map_err(|error| Error::internal(format!("A stored function is damaged: {error}")))?;
    let query = RawTerm::parse(tree, &mut Backtraces::nowhere())?;
    let func = query.args.last().filter(|func| func.kind == TermType::Func).ok_or_else(damaged)?;
    let [params, body] = &func.args[..] else { return Err(damaged()) };
    let params = parameters(params).map_err(|error| error.moved_to(Bt::default()))?;
    let mut body = body.clone();
    // The function of an index without one is the server's, and blames the query as a whole.
    let is_generated = params.iter().any(|param| *param < 0);
    tidy(&mut body, is_generated);
    Ok(StoredFunction { captures: Captures::default(), params, body })
}

/// Gives a term the lists that drivers write, since its text has lists that nobody wrote.
fn tidy(term: &mut RawTerm, is_generated: bool) {
    if is_generated {
        term.bt = Bt::default();
    }
    if term.datum.is_none() {
        let is_object = term.kind == TermType::MakeObj;
        let lists = Written::Lists { args: !is_object, optargs: is_object || !term.optargs.is_empty() };
        term.written = Some(Box::new(lists));
    }
    for arg in term.args.iter_mut().chain(term.optargs.iter_mut().map(|(_, arg)| arg)) {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || tidy(arg, is_generated));
    }
}
