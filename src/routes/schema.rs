//! What is known of the tables' indexes, so that a list can choose one without asking the database each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ql2::term::TermType;
use serde::Deserialize;
use tokio::time::Instant;

use super::indexes::definition;
use crate::conn::Conn;
use crate::error::Error;
use crate::query::term::{table, term};
use crate::query::{Index, Path};

/// How long a table's indexes are taken for granted. One that is dropped meanwhile is noticed by the error of the query
/// that wanted it; one that is made anew over other fields elsewhere than through this service, not before this has passed.
const LASTS: Duration = Duration::from_secs(5);
/// How many tables' indexes are remembered.
const TABLES: usize = 1024;

/// The indexes of a table.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    /// Those that a list can go through: over plain fields, ready, and neither multi nor geo.
    pub(super) plain: Vec<Index>,
    /// The names of the others.
    other: Vec<String>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<String, (Arc<Indexes>, Instant)>>);

/// An index as the database describes it.
#[derive(Debug, Deserialize)]
struct Status {
    index: String,
    ready: bool,
    multi: bool,
    geo: bool,
    outdated: bool,
    query: Option<String>,
}

impl Schemas {
    pub(super) async fn indexes(&self, conn: &mut Conn, name: &str) -> Result<Arc<Indexes>, Error> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let statuses: Vec<Status> = conn.all(term(TermType::IndexStatus, [table(name)])).await?;
        let mut indexes = Indexes::default();
        for status in statuses {
            match plain(&status) {
                Some(fields) => indexes.plain.push(Index { name: status.index, fields }),
                None => indexes.other.push(status.index),
            }
        }
        let indexes = Arc::new(indexes);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TABLES {
            known.clear();
        }
        known.insert(name.to_owned(), (Arc::clone(&indexes), Instant::now()));
        Ok(indexes)
    }

    pub(super) fn forget(&self, table: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(table);
    }

    fn known(&self, table: &str) -> Option<Arc<Indexes>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (indexes, since) = known.get(table)?;
        (since.elapsed() < LASTS).then(|| Arc::clone(indexes))
    }
}

impl Indexes {
    /// Whether there is an index of this name, of whatever kind.
    pub(super) fn has(&self, name: &str) -> bool {
        self.plain.iter().any(|index| index.name == name) || self.other.iter().any(|other| other == name)
    }
}

/// The fields of an index that a list can go through.
fn plain(status: &Status) -> Option<Vec<Path>> {
    if !status.ready || status.multi || status.geo || status.outdated {
        return None;
    }
    let fields = definition::fields(status.query.as_deref()?)?;
    fields.iter().map(|field| Path::parse(field, "index").ok()).collect()
}
