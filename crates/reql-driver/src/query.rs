//! A term with the options of its run.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::r;
use crate::term::{
    Argument, AsTerm, Choice, Content, Durability, IdentifierFormat, Numbers, ReadMode, Term, Wire,
};

/// The option of a query that isn't answered.
const NOREPLY: &str = "noreply";

/// A query with the options of its run: its database, its reads and writes, the size of its batches.
///
/// All methods that run a query take a term or a query.
///
/// ```
/// use reql::{Durability, Query, ReadMode, r};
///
/// let users = Query::new(r.table("users")).database("blog").read_mode(ReadMode::Outdated);
/// let text = users.to_json()?;
/// assert_eq!(text, r#"[1,[15,["users"]],{"db":[14,["blog"]],"read_mode":"outdated"}]"#);
/// # Ok::<(), reql::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) term: Term,
    options: Vec<(&'static str, Term)>,
}

impl Query {
    /// Makes a query of a term.
    pub fn new(term: impl AsTerm) -> Self {
        Query { term: term.as_term().clone(), options: Vec::new() }
    }

    /// Sets the database of tables that name none.
    pub fn database<K>(self, name: impl Argument<K>) -> Self {
        self.option("db", r.db(name))
    }

    /// Does what [`database`](Query::database) does, unless the query has a database already.
    pub fn default_database<K>(self, name: impl Argument<K>) -> Self {
        self.or_database(Some(&r.db(name)))
    }

    /// Sets the replicas that are read.
    pub fn read_mode<K>(self, mode: impl Choice<ReadMode, K>) -> Self {
        self.option("read_mode", mode.into_term())
    }

    /// Sets the point at which writes are answered.
    pub fn durability<K>(self, durability: impl Choice<Durability, K>) -> Self {
        self.option("durability", durability.into_term())
    }

    /// Sets the form in which system tables name databases, tables and servers.
    pub fn identifier_format<K>(self, format: impl Choice<IdentifierFormat, K>) -> Self {
        self.option("identifier_format", format.into_term())
    }

    /// Asks for a profile, which is the session's [`profile`](crate::Session::profile) afterwards. On a
    /// [`Shared`](crate::Shared) connection it is lost.
    pub fn profile(self, wanted: bool) -> Self {
        self.option("profile", r.expr(wanted))
    }

    /// Sets the most elements that an array may have; 100000 by default.
    pub fn array_limit<K>(self, elements: impl Argument<K>) -> Self {
        self.option("array_limit", elements.into_term())
    }

    /// Sets the least number of rows in a batch; 8 by default.
    pub fn min_batch_rows<K>(self, rows: impl Argument<K>) -> Self {
        self.option("min_batch_rows", rows.into_term())
    }

    /// Sets the most rows in a batch; no limit by default.
    pub fn max_batch_rows<K>(self, rows: impl Argument<K>) -> Self {
        self.option("max_batch_rows", rows.into_term())
    }

    /// Sets the most bytes in a batch; a megabyte by default.
    pub fn max_batch_bytes<K>(self, bytes: impl Argument<K>) -> Self {
        self.option("max_batch_bytes", bytes.into_term())
    }

    /// Sets the longest time for a batch, in seconds; half a second by default.
    pub fn max_batch_seconds<K>(self, seconds: impl Argument<K>) -> Self {
        self.option("max_batch_seconds", seconds.into_term())
    }

    /// Sets the factor by which the first batch is smaller than the others; 4 by default.
    pub fn first_batch_scaledown_factor<K>(self, factor: impl Argument<K>) -> Self {
        self.option("first_batch_scaledown_factor", factor.into_term())
    }

    /// Sets any other option. Options of single commands work too, and hold for all of them. `noreply` is an
    /// error where an answer is waited for: [`Session::noreply`](crate::Session::noreply) sets it.
    pub fn option<K>(mut self, name: &'static str, value: impl Argument<K>) -> Self {
        self.options.retain(|(known, _)| *known != name);
        self.options.push((name, value.into_term()));
        self
    }

    /// Makes it a query that isn't answered.
    pub(crate) fn unanswered(self) -> Self {
        self.option(NOREPLY, true)
    }

    /// Refuses a query that the server wouldn't answer, and that would be waited for without an end.
    pub(crate) fn check_answered(&self) -> Result<()> {
        let is_off = |term: &Term| matches!(term.content(), Content::Bool(false));
        if self.options.iter().all(|(name, value)| *name != NOREPLY || is_off(value)) {
            return Ok(());
        }
        let message = "a query with the option `noreply` has no answer: `noreply()` sends it";
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Sets the database unless the query names one.
    pub(crate) fn or_database(mut self, name: Option<&Term>) -> Self {
        if let Some(database) = name
            && self.options.iter().all(|(known, _)| *known != "db")
        {
            self.options.push(("db", database.clone()));
        }
        self
    }

    /// Returns the JSON that is sent for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when something in it can't be sent.
    pub fn to_json(&self) -> Result<String> {
        let mut text = Vec::new();
        self.write(&mut text)?;
        String::from_utf8(text).map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))
    }

    /// Appends the JSON that is sent for it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(out, self).map_err(|error| {
            let fault = self.term.fault().or_else(|| self.options.iter().find_map(|(_, term)| term.fault()));
            let fault = fault.map_or_else(|| error.to_string(), str::to_owned);
            Error::new(ErrorKind::Invalid, format!("the query can't be sent: {fault}"))
        })
    }
}

/// The number of a query that is to be run: `Query.QueryType` in `ql2.proto`.
const START: u8 = 1;

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = Numbers::default();
        let term = Wire { term: &self.term, numbers: &numbers };
        if self.options.is_empty() {
            (START, term).serialize(serializer)
        } else {
            (START, term, Options { options: &self.options, numbers: &numbers }).serialize(serializer)
        }
    }
}

struct Options<'a> {
    options: &'a [(&'static str, Term)],
    numbers: &'a Numbers,
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.options.len()))?;
        for (name, term) in self.options {
            map.serialize_entry(name, &Wire { term, numbers: self.numbers })?;
        }
        map.end()
    }
}

impl<T: AsTerm> From<T> for Query {
    fn from(term: T) -> Self {
        Query::new(term)
    }
}

impl From<&Query> for Query {
    fn from(query: &Query) -> Self {
        query.clone()
    }
}
