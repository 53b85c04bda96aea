//! The tables that a query has named: finding one costs more than reading a document, and a query may name it
//! for each row.

use std::sync::{Arc, Mutex, PoisonError};

use super::func::Func;
use super::table::TableRef;
use crate::storage::{Stamp, Store};
use crate::term::{RawTerm, TermType};

/// The most tables that are remembered.
const MOST: usize = 8;

/// Tables of the query's database.
#[derive(Default)]
pub struct KnownTables {
    /// True if the query says by a literal which database that is.
    is_fixed: bool,
    tables: Mutex<Vec<(Stamp, TableRef)>>,
}

impl KnownTables {
    /// Remembers nothing yet. `optargs` are the options of the query.
    pub(super) fn of(optargs: &[(Arc<str>, Func)]) -> Self {
        let is_fixed = |func: &Func| func.source().is_some_and(|(source, ..)| is_literal(source));
        let is_fixed = optargs.iter().any(|(name, func)| **name == *"db" && is_fixed(func));
        KnownTables { is_fixed, tables: Mutex::default() }
    }

    /// Returns the table of this name, as it would be found now.
    pub(super) fn find(&self, store: &Store, name: &str) -> Option<TableRef> {
        if !self.is_fixed {
            return None;
        }
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, table) = tables.iter().find(|(_, table)| table.name() == name)?;
        store.is_current(*stamp).then(|| table.clone())
    }

    /// Remembers a table that was found after the stamp was taken.
    pub(super) fn add(&self, stamp: Stamp, table: &TableRef) {
        if !self.is_fixed || table.stored().is_none() {
            return;
        }
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|(_, known)| known.name() != table.name());
        tables.truncate(MOST - 1);
        tables.push((stamp, table.clone()));
    }
}

/// Returns true if the body of a function is `r.db` of a literal.
fn is_literal(source: &RawTerm) -> bool {
    let body = source.args.get(1).filter(|body| body.kind == TermType::Db);
    body.is_some_and(|db| matches!(&db.args[..], [name] if name.kind == TermType::Datum))
}
