//! The envelope of a query: its type, its term, its global options.

use std::sync::Arc;

use super::{Backtraces, RawTerm};
use crate::datum::syntax::{self, Json};
use crate::error::{Bt, Error, ErrorKind, Result};

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryType {
    /// Evaluate a term.
    Start,
    /// The next batch of a stream.
    Continue,
    /// End a stream or a running query.
    Stop,
    /// Answer when all earlier queries that want no reply are done.
    NoreplyWait,
    /// The server's id and name.
    ServerInfo,
}

/// A parsed query. A term or option that is malformed is kept as the error it gives when evaluation begins.
#[derive(Debug)]
pub struct Query {
    /// What is asked for.
    pub kind: QueryType,
    /// The term of a [`QueryType::Start`].
    pub term: Option<Result<RawTerm>>,
    /// The places of the term's parts.
    pub places: Backtraces,
    /// The global options: `db`, `durability`, `array_limit` and so on.
    pub optargs: Vec<(Arc<str>, RawTerm)>,
}

fn client_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Client, message).at(Bt::default())
}

impl Query {
    /// Parses the payload of a frame.
    pub fn parse(payload: &[u8]) -> Result<Query> {
        let tree = syntax::parse(payload)
            .map_err(|_| client_error("Client is buggy (failed to deserialize query)."))?;
        let items = match tree {
            Json::Array(items) => items,
            other => {
                let found = other.type_name();
                return Err(client_error(format!("Expected a query to be an array, but found {found}.")));
            }
        };
        let size = items.len();
        if !(1..=3).contains(&size) {
            return Err(client_error(format!(
                "Expected 1 to 3 elements in the top-level query, but found {size}."
            )));
        }
        let mut items = items.into_iter();
        let kind = query_type(items.next())?;
        let term = items.next();
        let optargs = match items.next() {
            None => Vec::new(),
            Some(Json::Object(optargs)) => optargs,
            Some(other) => {
                let found = other.type_name();
                return Err(client_error(format!(
                    "Expected global optargs as an object, but found {found}."
                )));
            }
        };
        let mut places = Backtraces::default();
        let term = match kind {
            QueryType::Start => term.map(|term| RawTerm::parse(term, &mut places)),
            _ => None,
        };
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
        Ok(Query { kind, term, places, optargs })
    }

    /// A global option that is a plain truth value.
    pub fn flag(&self, name: &str) -> bool {
        let value =
            self.optargs.iter().find(|(key, _)| **key == *name).and_then(|(_, term)| term.datum.as_ref());
        matches!(value, Some(crate::datum::Datum::Bool(true)))
    }
}

fn query_type(number: Option<Json<'_>>) -> Result<QueryType> {
    match number {
        Some(Json::Num(number)) => match number as i64 {
            1 => Ok(QueryType::Start),
            2 => Ok(QueryType::Continue),
            3 => Ok(QueryType::Stop),
            4 => Ok(QueryType::NoreplyWait),
            5 => Ok(QueryType::ServerInfo),
            other => Err(client_error(format!("Unrecognized QueryType: {other}."))),
        },
        other => {
            let found = other.as_ref().map_or("NULL", Json::type_name);
            Err(client_error(format!("Expected a query type as a number, but found {found}.")))
        }
    }
}
