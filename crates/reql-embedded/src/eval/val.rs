//! The result of a term: a value, or one of the things that only exist inside of queries.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use super::env::Env;
use super::func::{Func, Shortcut};
use super::spec::Grouping;
use super::stream::Stream;
use super::table::{Database, SingleSelection, TableRef, TableSlice};
use crate::datum::Datum;
use crate::error::{At, Bt, Error, Result};

/// Grouped data: a value for each group, in the order of the groups.
pub type Groups = BTreeMap<Datum, Datum>;

/// A result with the term that made it, which is blamed if the result turns out to be of the wrong type.
pub struct Val {
    /// The result.
    pub value: Value,
    /// The term that made it.
    pub bt: Bt,
}

/// The types of results (`val_t::type_t` in RethinkDB). Every term's result is moved several times, so large
/// results are boxed.
pub enum Value {
    /// A plain value.
    Datum(Datum),
    /// A database.
    Db(Database),
    /// A table.
    Table(TableRef),
    /// A range or an order of a table.
    Slice(Box<TableSlice>),
    /// Rows of a table, which can be changed.
    Selection(TableRef, Stream),
    /// One row of a table, which can be changed.
    Single(SingleSelection),
    /// Any sequence.
    Stream(Stream),
    /// A value for each group.
    Grouped(Groups),
    /// A function.
    Func(Func),
    /// A plain value that is known later: the answer of a write that is begun on a thread that may not wait.
    Later(Later),
}

/// A plain value to come.
pub type Later = Pin<Box<dyn Future<Output = Result<Datum>> + Send>>;

impl Val {
    /// Makes a plain value.
    pub fn datum(datum: Datum, bt: Bt) -> Val {
        Val { value: Value::Datum(datum), bt }
    }

    /// Makes a function.
    pub fn func(func: Func, bt: Bt) -> Val {
        Val { value: Value::Func(func), bt }
    }

    /// Makes a range or an order of a table.
    pub fn slice(slice: TableSlice, bt: Bt) -> Val {
        Val { value: Value::Slice(Box::new(slice)), bt }
    }

    /// Makes grouped data.
    pub fn grouped(groups: Groups, bt: Bt) -> Val {
        Val { value: Value::Grouped(groups), bt }
    }

    /// Makes a sequence; one that comes from an array becomes an array at once.
    pub fn seq(stream: Stream, env: &Env, bt: Bt) -> Result<Val> {
        if stream.is_array() {
            return Ok(Val::datum(stream.collect(env, bt)?, bt));
        }
        Ok(Val { value: Value::Stream(stream), bt })
    }

    /// Returns the name of the type in error messages.
    pub fn type_name(&self) -> &'static str {
        match &self.value {
            Value::Datum(_) | Value::Later(_) => "DATUM",
            Value::Db(_) => "DATABASE",
            Value::Table(_) => "TABLE",
            Value::Slice(_) => "TABLE_SLICE",
            Value::Selection(..) => "SELECTION",
            Value::Single(_) => "SINGLE_SELECTION",
            Value::Stream(_) => "SEQUENCE",
            Value::Grouped(_) => "GROUPED_DATA",
            Value::Func(_) => "FUNCTION",
        }
    }

    /// Returns true if the result is, or can be read as, a plain value.
    pub fn is_datum(&self) -> bool {
        matches!(self.value, Value::Datum(_) | Value::Single(_))
    }

    /// Returns true if the result is a sequence other than an array.
    pub fn is_sequence(&self) -> bool {
        matches!(self.value, Value::Table(_) | Value::Slice(_) | Value::Selection(..) | Value::Stream(_))
    }

    /// Returns true if the result is rows of a table, which can be changed.
    pub fn is_selection(&self) -> bool {
        matches!(self.value, Value::Table(_) | Value::Slice(_) | Value::Selection(..))
    }

    /// Returns `Expected type X but found Y`, with the result in the place of Y.
    pub fn wrong_type(self, expected: &str) -> Error {
        let name = self.type_name();
        let bt = self.bt;
        match self.print() {
            Ok((shown, is_null)) => {
                let message = format!("Expected type {expected} but found {name}:\n{shown}");
                (if is_null { Error::missing(message) } else { Error::logic(message) }).at(bt)
            }
            Err(error) => error,
        }
    }

    /// Returns the text of the result in error messages, cut to a bearable length.
    pub fn describe(self) -> Result<String> {
        let mut shown = self.print()?.0;
        crate::datum::truncate(&mut shown);
        Ok(shown)
    }

    /// Returns true if the result is, or reads as, `null`.
    pub fn is_null(&self) -> Result<bool> {
        match &self.value {
            Value::Datum(datum) => Ok(datum.is_null()),
            Value::Single(selection) => Ok(selection.get()?.is_null()),
            _ => Ok(false),
        }
    }

    /// Returns the text of the result in error messages, and true if it is `null`.
    fn print(self) -> Result<(String, bool)> {
        let name = self.type_name();
        Ok(match self.value {
            Value::Datum(datum) => (datum.printable()?.print(), datum.is_null()),
            Value::Single(selection) => {
                let row = selection.get()?;
                (row.print(), row.is_null())
            }
            Value::Db(db) => (format!("db(\"{}\")", db.name), false),
            Value::Table(table) => (format!("table(\"{}\")", table.name()), false),
            Value::Slice(slice) => (format!("SELECTION ON table({})", slice.table.name()), false),
            Value::Selection(table, _) => (format!("SELECTION ON table({})", table.name()), false),
            _ => (format!("VALUE {name}"), false),
        })
    }

    /// Returns the plain value. Fails if there is none.
    pub fn into_datum(self) -> Result<Datum> {
        match self.value {
            Value::Datum(datum) => Ok(datum),
            Value::Single(selection) => selection.get(),
            _ => Err(self.wrong_type("DATUM")),
        }
    }

    /// Returns the plain value, and the term that made it.
    pub fn into_placed(self) -> Result<(Datum, Bt)> {
        let bt = self.bt;
        Ok((self.into_datum()?, bt))
    }

    /// Returns the number. Fails for any other type.
    pub fn into_num(self) -> Result<f64> {
        let bt = self.bt;
        self.into_datum().and_then(|datum| datum.as_num()).at(bt)
    }

    /// Returns the number as an integer.
    pub fn into_int(self) -> Result<i64> {
        let bt = self.bt;
        self.into_datum().and_then(|datum| datum.as_int()).at(bt)
    }

    /// Returns the string. Fails for any other type.
    pub fn into_str(self) -> Result<Arc<str>> {
        let bt = self.bt;
        self.into_datum().and_then(|datum| datum.as_str().cloned()).at(bt)
    }

    /// Returns the truth of the value.
    pub fn into_bool(self) -> Result<bool> {
        let bt = self.bt;
        Ok(self.into_datum().at(bt)?.is_truthy())
    }

    /// Returns the sequence; an array is one too.
    pub fn into_stream(self, env: &Env) -> Result<Stream> {
        match self.value {
            Value::Stream(stream) | Value::Selection(_, stream) => Ok(stream),
            Value::Table(table) => TableSlice::whole(table, self.bt).into_stream(env, self.bt),
            Value::Slice(slice) => slice.into_stream(env, self.bt),
            Value::Datum(datum) => match datum {
                Datum::Array(items) => Ok(Stream::of_array(items, self.bt)),
                // The term that wants a sequence is to blame, not the one that made the value.
                other => Err(other.type_error(format!("Cannot convert {} to SEQUENCE", other.type_name()))),
            },
            _ => Err(self.wrong_type("SEQUENCE")),
        }
    }

    /// Returns the table. Fails for any other type.
    pub fn into_table(self) -> Result<TableRef> {
        match self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.wrong_type("TABLE")),
        }
    }

    /// Returns the range of a table.
    pub fn into_slice(self) -> Result<TableSlice> {
        match self.value {
            Value::Table(table) => Ok(TableSlice::whole(table, self.bt)),
            Value::Slice(slice) => Ok(*slice),
            _ => Err(self.wrong_type("TABLE_SLICE")),
        }
    }

    /// Returns the rows of a table.
    pub fn into_selection(self, env: &Env) -> Result<(TableRef, Stream)> {
        match self.value {
            Value::Selection(table, stream) => Ok((table, stream)),
            Value::Table(_) | Value::Slice(_) => {
                let bt = self.bt;
                let slice = self.into_slice()?;
                Ok((slice.table.clone(), slice.into_stream(env, bt)?))
            }
            _ => Err(self.wrong_type("SELECTION")),
        }
    }

    /// Returns the row of a table.
    pub fn into_single(self) -> Result<SingleSelection> {
        match self.value {
            Value::Single(selection) => Ok(selection),
            _ => Err(self.wrong_type("SINGLE_SELECTION")),
        }
    }

    /// Returns the database. Fails for any other type.
    pub fn into_db(self) -> Result<Database> {
        match self.value {
            Value::Db(db) => Ok(db),
            _ => Err(self.wrong_type("DATABASE")),
        }
    }

    /// Returns the function, or the one that a plain value is short for.
    pub fn into_func(self, shortcut: Shortcut) -> Result<Func> {
        match self.value {
            Value::Func(func) => Ok(func),
            Value::Datum(_) | Value::Single(_) if shortcut != Shortcut::None => {
                let (datum, bt) = self.into_placed()?;
                match shortcut {
                    Shortcut::GetField => Func::field(datum, bt),
                    _ => Ok(Func::constant(datum, bt)),
                }
            }
            _ => Err(self.wrong_type("FUNCTION")),
        }
    }

    /// Returns the groups, if this kind of term has to handle the result group by group; else the result
    /// itself.
    pub(super) fn into_groups(
        self,
        env: &Env,
        grouping: Grouping,
    ) -> Result<std::result::Result<Groups, Val>> {
        match self.value {
            Value::Grouped(groups) => Ok(Ok(groups)),
            Value::Stream(stream) if stream.is_grouped() && grouping != Grouping::Stream => {
                super::grouped::collect(stream, env).map(Ok)
            }
            value => Ok(Err(Val { value, bt: self.bt })),
        }
    }
}
