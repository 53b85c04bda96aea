//! Reading the rows that clients write, field by field (`datum_adapter.cc` in RethinkDB).

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::datum::{Datum, Object};
use crate::error::{Error, Result};
use crate::eval::terms::table::is_name;

/// An object of which each field is to be taken once.
pub struct Fields<'a> {
    object: &'a Object,
    untaken: BTreeSet<&'a str>,
}

impl<'a> Fields<'a> {
    /// Takes all fields of a row.
    pub fn new(row: &'a Datum) -> Result<Self> {
        let Datum::Object(object) = row else {
            return Err(Error::op_failed(format!("Expected an object; got {}", row.print())));
        };
        Ok(Fields { object, untaken: object.keys().collect() })
    }

    /// Takes a field that may be missing.
    pub fn optional(&mut self, name: &str) -> Option<Datum> {
        self.untaken.remove(name);
        self.object.get(name)
    }

    /// Takes a field that must be present.
    pub fn required(&mut self, name: &str) -> Result<Datum> {
        self.optional(name).ok_or_else(|| missing(name))
    }

    /// Takes a field and parses it.
    pub fn read<T>(&mut self, name: &str, parse: impl FnOnce(&Datum) -> Result<T>) -> Result<T> {
        within(name, parse(&self.required(name)?))
    }

    /// Fails if there are fields that were not taken.
    pub fn finish(self) -> Result<()> {
        if self.untaken.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = self.untaken.into_iter().collect();
        Err(Error::op_failed(format!("Unexpected key(s): {}", keys.join(" "))))
    }
}

/// Returns the error of a field that has to be there.
pub fn missing(name: &str) -> Error {
    Error::op_failed(format!("Expected a field named `{name}`."))
}

/// Puts a prefix before an error's text.
pub fn prefixed<T>(prefix: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| Error::new(error.kind(), format!("{prefix}{error}")))
}

/// Adds the name of the field to an error.
pub fn within<T>(field: &str, result: Result<T>) -> Result<T> {
    prefixed(&format!("In `{field}`: "), result)
}

/// Reads a name of a `what`, such as a database.
pub fn name(datum: &Datum, what: &str) -> Result<String> {
    match datum {
        Datum::Str(name) if is_name(name) => Ok(name.to_string()),
        Datum::Str(_) => Err(Error::op_failed(format!(
            "{} is not a valid {what}; Use A-Z, a-z, 0-9, _ and - only",
            datum.print()
        ))),
        _ => Err(Error::op_failed(format!("Expected a {what}; got {}", datum.print()))),
    }
}

/// Reads a string.
pub fn string(datum: &Datum) -> Result<String> {
    match datum {
        Datum::Str(text) => Ok(text.to_string()),
        _ => Err(Error::op_failed(format!("Expected a string; got {}", datum.print()))),
    }
}

/// Reads an id.
pub fn id(datum: &Datum) -> Result<Uuid> {
    as_id(datum).ok_or_else(|| Error::op_failed(format!("Expected a UUID; got {}", datum.print())))
}

/// Reads an id; `None` if it is none.
pub fn as_id(datum: &Datum) -> Option<Uuid> {
    match datum {
        Datum::Str(text) if text.len() == uuid::fmt::Hyphenated::LENGTH => Uuid::try_parse(text).ok(),
        _ => None,
    }
}

/// Reads a list.
pub fn list<T>(datum: &Datum, item: impl FnMut(Datum) -> Result<T>) -> Result<Vec<T>> {
    match datum {
        Datum::Array(items) => items.iter().map(item).collect(),
        _ => Err(Error::op_failed(format!("Expected an array, got {}", datum.print()))),
    }
}
