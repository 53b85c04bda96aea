//! Databases, tables, ranges of tables and single rows, as values of a query.

use std::sync::Arc;

use super::env::Env;
use super::stream::Stream;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// A database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: Arc<str>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct TableRef {
    name: Arc<str>,
}

impl TableRef {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A range of a table in the order of an index.
#[derive(Debug, Clone)]
pub struct TableSlice {
    /// The table.
    pub table: TableRef,
}

impl TableSlice {
    /// All of a table, in no order.
    pub fn whole(table: TableRef) -> Self {
        TableSlice { table }
    }

    /// Its rows.
    pub fn into_stream(self, _env: &Env) -> Result<Stream> {
        Err(Error::internal("Tables are not there yet."))
    }
}

/// One row of a table, by its primary key.
#[derive(Debug, Clone)]
pub struct SingleSelection {
    /// The table.
    pub table: TableRef,
}

impl SingleSelection {
    /// The row, or `null`.
    pub fn get(&self) -> Result<Datum> {
        Err(Error::internal("Tables are not there yet."))
    }
}
