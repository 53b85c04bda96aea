//! Single rows of tables, which can be changed.

use super::env::Env;
use super::slice::TableSlice;
use super::table::TableRef;
use crate::datum::Datum;
use crate::error::{Bt, Error, ErrorKind, Result};

/// One row of a table, which can be changed.
#[derive(Clone)]
pub enum SingleSelection {
    /// The row with this primary key.
    Key {
        /// The table.
        table: TableRef,
        /// The primary key.
        key: Datum,
        /// The query that reads it.
        env: Env,
    },
    /// A row that has been read already.
    Row {
        /// The table.
        table: TableRef,
        /// The row.
        row: Datum,
    },
    /// The first row of a range, as `min` and `max` by an index find it.
    First {
        /// The range, in order.
        slice: Box<TableSlice>,
        /// The query that reads it.
        env: Env,
        /// Error if there is no row, and the term that it blames.
        empty: Box<(String, Bt)>,
    },
}

impl SingleSelection {
    /// Makes a selection of a row that has been read from its table.
    pub fn of_row(table: TableRef, row: Datum) -> Result<SingleSelection> {
        row.field(table.primary_key())?;
        Ok(SingleSelection::Row { table, row })
    }

    /// Returns the table.
    pub fn table(&self) -> &TableRef {
        match self {
            SingleSelection::Key { table, .. } | SingleSelection::Row { table, .. } => table,
            SingleSelection::First { slice, .. } => &slice.table,
        }
    }

    /// Returns the row, or `null`.
    pub fn get(&self) -> Result<Datum> {
        match self {
            SingleSelection::Key { table, key, env } => table.get(env, key),
            SingleSelection::Row { row, .. } => Ok(row.clone()),
            SingleSelection::First { slice, env, empty } => {
                let (message, bt) = &**empty;
                let row = (**slice).clone().into_stream(env, *bt)?.next(env)?;
                row.ok_or_else(|| Error::new(ErrorKind::QueryLogic, message.as_str()).at(*bt))
            }
        }
    }

    /// Returns the row's primary key.
    pub fn key(&self) -> Result<Datum> {
        match self {
            SingleSelection::Key { key, .. } => Ok(key.clone()),
            _ => self.get()?.field(self.table().primary_key()),
        }
    }
}
