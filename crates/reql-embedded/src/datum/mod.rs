//! Values: the contents of documents, and the operands and results of queries.
//!
//! A datum is cheap to clone: strings and containers are shared, never copied. Containers come in two shapes
//! that look alike from outside: a tree built by a query, and a view into the packed bytes that the storage
//! keeps. Of the bytes, only the fields that are read get decoded.

mod array;
mod container;
#[cfg(test)]
mod format;
pub mod json;
pub mod key;
mod number;
mod object;
mod order;
pub(crate) mod pack;
pub(crate) mod packed;
mod packed_json;
mod packed_rows;
mod print;
pub mod pseudo;
mod size;
pub mod syntax;
pub mod text;
mod walk;
mod well_formed;

use std::sync::Arc;

pub use array::Array;
pub use number::{as_integer, display_g20, write_decimal, write_integer};
pub use object::{Object, ObjectBuilder};
pub use packed_rows::PackedRows;
pub(crate) use print::{shorten, truncate};
pub(crate) use size::too_large;
pub use size::{MAX_LEVELS, MAX_VALUE};
pub(crate) use well_formed::is_well_formed;

use crate::error::{Error, Result};

/// A value of ReQL's data model (RethinkDB's `datum_t`).
///
/// Times, geometry and literals are objects with a `$reql_type$` field, as on the wire; binary strings, which
/// RethinkDB keeps as a type of their own, are one here too. [`Datum::MinVal`] and [`Datum::MaxVal`] exist
/// only as bounds of ranges and can't be stored.
#[derive(Debug, Clone, Default)]
pub enum Datum {
    /// `r.minval`, below everything.
    MinVal,
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A finite double.
    Num(f64),
    /// UTF-8 text.
    Str(Arc<str>),
    /// A list.
    Array(Array),
    /// A map from strings, sorted by key.
    Object(Object),
    /// Bytes: `$reql_type$: "BINARY"` on the wire.
    Binary(Arc<[u8]>),
    /// `r.maxval`, above everything.
    MaxVal,
    /// The rest of a stored value whose bytes are damaged. Every use of it fails.
    Damaged,
}

impl Datum {
    /// Returns a number. Fails unless it is finite.
    pub fn num(value: f64) -> Result<Datum> {
        if value.is_finite() {
            Ok(Datum::Num(value))
        } else {
            let name = if value.is_nan() {
                if value.is_sign_negative() { "-nan" } else { "nan" }
            } else if value > 0.0 {
                "inf"
            } else {
                "-inf"
            };
            Err(Error::logic(format!("Non-finite number: {name}")))
        }
    }

    /// Returns a string.
    pub fn str(value: impl AsRef<str>) -> Datum {
        Datum::Str(Arc::from(value.as_ref()))
    }

    /// Returns an array of any length; see [`Limits::array`](crate::eval::Limits) for the checked way.
    pub fn array(items: Vec<Datum>) -> Datum {
        Datum::Array(Array::from(items))
    }

    /// Returns an object without a pseudo-type, or one known to be right.
    pub fn object<K: Into<Arc<str>>>(fields: impl IntoIterator<Item = (K, Datum)>) -> Datum {
        Datum::Object(fields.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// Returns the empty array.
    pub fn empty_array() -> Datum {
        Datum::array(Vec::new())
    }

    /// Returns the bytes of the value as they are stored. Fails for values that can't be stored: bounds of
    /// ranges, values that are too large, damaged ones.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        pack::value(self)
    }

    /// Returns the value of stored bytes. Damaged parts of it are [`Datum::Damaged`].
    pub fn from_bytes(bytes: Arc<[u8]>) -> Datum {
        packed::from_bytes(bytes)
    }

    /// Returns true if `branch` and `filter` take the value for true: for everything but `false` and `null`.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Datum::Bool(false) | Datum::Null)
    }

    /// Returns true if the value is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// Returns the value of `$reql_type$`, if there is one: `TIME`, `GEOMETRY`, `LITERAL`, `BINARY`.
    pub fn reql_type(&self) -> Option<Arc<str>> {
        match self {
            Datum::Binary(_) => Some(Arc::from("BINARY")),
            Datum::Object(object) => match object.get_early(pseudo::REQL_TYPE) {
                Some(Datum::Str(name)) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns true if the value is an object with this `$reql_type$`.
    pub fn is_ptype(&self, name: &str) -> bool {
        self.reql_type().is_some_and(|found| &*found == name)
    }

    /// Returns the name of the value's type in error messages and `type_of`: `NUMBER`, `PTYPE<TIME>`.
    pub fn type_name(&self) -> String {
        match self.reql_type() {
            Some(name) => format!("PTYPE<{name}>"),
            None => self.raw_type_name().to_owned(),
        }
    }

    /// Returns the name of the value's type, pseudo-types aside: a time is an `OBJECT`.
    pub fn raw_type_name(&self) -> &'static str {
        match self {
            Datum::MinVal => "MINVAL",
            Datum::Null => "NULL",
            Datum::Bool(_) => "BOOL",
            Datum::Num(_) => "NUMBER",
            Datum::Str(_) => "STRING",
            Datum::Array(_) => "ARRAY",
            Datum::Object(_) => "OBJECT",
            Datum::Binary(_) => "PTYPE<BINARY>",
            Datum::MaxVal => "MAXVAL",
            Datum::Damaged => "DAMAGED",
        }
    }

    /// Returns the number, or `Expected type NUMBER but found ...`.
    pub fn as_num(&self) -> Result<f64> {
        match self {
            Datum::Num(value) => Ok(*value),
            other => Err(other.wrong_type("NUMBER")),
        }
    }

    /// Returns the number as an integer of at most 53 bits.
    pub fn as_int(&self) -> Result<i64> {
        let value = self.as_num()?;
        as_integer(value).ok_or_else(|| {
            let range = if value < -9_007_199_254_740_992.0 {
                " (<-2^53)"
            } else if value > 9_007_199_254_740_992.0 {
                " (>2^53)"
            } else {
                ""
            };
            Error::logic(format!("Number not an integer{range}: {}", display_g20(value)))
        })
    }

    /// Returns the string, or `Expected type STRING but found ...`.
    pub fn as_str(&self) -> Result<&Arc<str>> {
        match self {
            Datum::Str(value) => Ok(value),
            other => Err(other.wrong_type("STRING")),
        }
    }

    /// Returns the array, or `Expected type ARRAY but found ...`.
    pub fn as_array(&self) -> Result<&Array> {
        match self {
            Datum::Array(value) => Ok(value),
            other => Err(other.wrong_type("ARRAY")),
        }
    }

    /// Returns the object, pseudo-types included, or `Expected type OBJECT but found ...`.
    pub fn as_object(&self) -> Result<&Object> {
        match self {
            Datum::Object(value) => Ok(value),
            other => Err(other.wrong_type("OBJECT")),
        }
    }

    /// Returns the bytes, or `Expected type PTYPE<BINARY> but found ...`.
    pub fn as_binary(&self) -> Result<&Arc<[u8]>> {
        match self {
            Datum::Binary(value) => Ok(value),
            other => Err(other.wrong_type("PTYPE<BINARY>")),
        }
    }

    /// Returns the field of an object; `None` if it isn't there or the value is no object.
    pub fn get(&self, key: &str) -> Option<Datum> {
        match self {
            Datum::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// Returns the field of an object, or RethinkDB's ``No attribute `x` in object``.
    pub fn field(&self, key: &str) -> Result<Datum> {
        self.as_object()?.get(key).ok_or_else(|| {
            let (object, key) = (self.clone(), text::until_nul(key).to_owned());
            Error::missing_lazily(move || format!("No attribute `{key}` in object:\n{}", object.print()))
        })
    }

    /// Returns `Expected type X but found Y.`, as a type error. It is a non-existence error for `null`, so
    /// that `default` catches it (`rfail_typed_target` in RethinkDB's `error.hpp`).
    pub fn wrong_type(&self, expected: &str) -> Error {
        self.type_error(format!("Expected type {expected} but found {}.", self.type_name()))
    }

    /// Returns an error about this value's type: of the non-existence kind for `null`.
    pub fn type_error(&self, message: impl Into<String>) -> Error {
        if self.is_null() { Error::missing(message) } else { Error::logic(message) }
    }

    /// Returns true if the value is a packed container.
    fn is_packed(&self) -> bool {
        match self {
            Datum::Array(array) => array.as_packed().is_some(),
            Datum::Object(object) => object.as_packed().is_some(),
            _ => false,
        }
    }

    /// Returns returns the value with all of its containers built.
    fn unpacked(&self) -> Datum {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || match self {
            Datum::Array(array) => Datum::Array(array.iter().map(|item| item.unpacked()).collect()),
            Datum::Object(object) => Datum::object(object.iter().map(|(key, value)| (key, value.unpacked()))),
            scalar => scalar.clone(),
        })
    }
}

/// Returns the error of a value that can't be read.
pub(crate) fn damaged() -> Error {
    Error::internal("A value in the database file is damaged. The command `check` tells where.")
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Datum::Bool(value)
    }
}

impl From<&str> for Datum {
    fn from(value: &str) -> Self {
        Datum::str(value)
    }
}

impl From<String> for Datum {
    fn from(value: String) -> Self {
        Datum::Str(value.into())
    }
}

impl From<Arc<str>> for Datum {
    fn from(value: Arc<str>) -> Self {
        Datum::Str(value)
    }
}

impl From<u32> for Datum {
    fn from(value: u32) -> Self {
        Datum::Num(value.into())
    }
}

impl From<u64> for Datum {
    fn from(value: u64) -> Self {
        Datum::Num(value as f64)
    }
}

impl From<usize> for Datum {
    fn from(value: usize) -> Self {
        Datum::Num(value as f64)
    }
}

impl From<i64> for Datum {
    fn from(value: i64) -> Self {
        Datum::Num(value as f64)
    }
}

impl From<Vec<Datum>> for Datum {
    fn from(items: Vec<Datum>) -> Self {
        Datum::array(items)
    }
}
