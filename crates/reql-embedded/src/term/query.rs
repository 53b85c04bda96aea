//! A query: its term and its global options.

use std::sync::Arc;

use super::{Backtraces, RawTerm, weight};
use crate::datum::syntax::Json;
use crate::error::Result;

/// A parsed query. If a term or an option is malformed, its error is kept until evaluation begins.
#[derive(Debug)]
pub struct Query {
    /// The term to be evaluated.
    pub term: Option<Result<RawTerm>>,
    /// The places of the term's parts.
    pub places: Backtraces,
    /// The global options: `db`, `durability`, `array_limit` and so on.
    pub optargs: Vec<(Arc<str>, RawTerm)>,
    /// `true` if the answers of the query come with a profile.
    pub is_profiled: bool,
}

/// Reads a global option that must be known before the query is compiled: anything but a plain `true` is
/// false.
pub fn static_flag(optargs: &[(&str, Json<'_>)], name: &str) -> bool {
    const DATUM: f64 = 1.0;
    optargs.iter().find(|(found, _)| *found == name).is_some_and(|(_, value)| match value {
        Json::Bool(flag) => *flag,
        // The value may be a literal term.
        Json::Array(term) => matches!(term, [Json::Num(DATUM, _), Json::Bool(true)]),
        _ => false,
    })
}

impl Query {
    /// Parses a query from the JSON of its term and of its global options, as far as they are there.
    pub fn new(term: Option<Json<'_>>, optargs: &[(&str, Json<'_>)]) -> Result<Query> {
        let mut places = Backtraces::default();
        let term = term.map(|term| RawTerm::parse(term, &mut places));
        let mut nowhere = Backtraces::nowhere();
        let is_profiled = static_flag(optargs, "profile");
        let optargs = optargs
            .iter()
            .map(|&(name, value)| Ok((Arc::from(name), RawTerm::parse(value, &mut nowhere)?)))
            .collect::<Result<_>>()?;
        Ok(Query { term, places, optargs, is_profiled })
    }

    /// Returns true if evaluating the query probably takes microseconds, whatever the data, and needs no
    /// waiting. A profiled query waits for its writes, to tell how long they took.
    pub fn is_light(&self) -> bool {
        if self.is_profiled {
            return false;
        }
        match &self.term {
            Some(Ok(term)) => weight::is_light(term),
            _ => true,
        }
    }
}
