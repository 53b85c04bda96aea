//! A query: its term and its global options.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Backtraces, RawTerm, TermType};
use crate::datum::syntax::Json;
use crate::error::{Bt, Result};

/// A parsed query. A term or option that is malformed is kept as the error it gives when evaluation begins.
#[derive(Debug)]
pub struct Query {
    /// What is to be evaluated.
    pub term: Option<Result<RawTerm>>,
    /// The places of the term's parts.
    pub places: Backtraces,
    /// The global options: `db`, `durability`, `array_limit` and so on.
    pub optargs: Vec<(Arc<str>, RawTerm)>,
}

impl Query {
    /// From the JSON of its term and of its global options, as far as they are there.
    pub fn new(term: Option<Json<'_>>, optargs: Vec<(Cow<'_, str>, Json<'_>)>) -> Result<Query> {
        let mut places = Backtraces::default();
        let term = term.map(|term| RawTerm::parse(term, &mut places));
        // Errors in options have no place to point at, so their places go nowhere.
        let mut nowhere = Backtraces::default();
        let optargs = optargs
            .into_iter()
            .map(|(name, value)| {
                let term =
                    RawTerm::parse(value, &mut nowhere).map_err(|error| error.moved_to(Bt::default()))?;
                Ok((Arc::from(&*name), term))
            })
            .collect::<Result<_>>()?;
        Ok(Query { term, places, optargs })
    }

    /// Whether evaluating it takes microseconds whatever the data, and never waits: it reads single documents at most,
    /// and calls no functions.
    pub fn is_light(&self) -> bool {
        match &self.term {
            Some(Ok(term)) => is_light(term),
            _ => true,
        }
    }
}

fn is_light(term: &RawTerm) -> bool {
    use TermType::*;
    let kind_is_light = matches!(
        term.kind,
        Datum
            | MakeArray
            | MakeObj
            | Db
            | Table
            | Get
            | GetField
            | Bracket
            | Add
            | Sub
            | Mul
            | Div
            | Mod
            | Eq
            | Ne
            | Lt
            | Le
            | Gt
            | Ge
            | Not
            | And
            | Or
            | Default
            | Error
            | TypeOf
            | Now
            | Pluck
            | Without
            | Branch
            | Keys
            | Binary
    );
    // A table read whole is anything but light, and so are terms that take its rows.
    let reads_table = term.kind != Get && term.args.iter().any(|arg| arg.kind == Table);
    kind_is_light
        && !reads_table
        && stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            term.args.iter().chain(term.optargs.iter().map(|(_, arg)| arg)).all(is_light)
        })
}
