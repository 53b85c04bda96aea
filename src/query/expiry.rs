//! Expiry of documents: expired ones are hidden until they are deleted.
//!
//! The time is the database's, so that all services of a database agree on it. In a live query it is the time
//! at which that began; there the deletion tells that a document is gone.

use std::time::Duration;

use reql::{Bound, Term, args, r};
use serde_json::{Value, json};

use super::document::is_document;
use super::path::Path;

/// The earliest time that the database knows, the year 1400, in seconds.
const EARLIEST: i64 = -17_987_443_200;

/// The expiry of a table's documents: a duration after the time in a field. One without a time there never
/// expires.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expiry {
    field: Path,
    after: Duration,
}

impl Expiry {
    pub(crate) fn new(field: Path, after: Duration) -> Self {
        Expiry { field, after }
    }

    /// Returns whether a document has expired.
    pub(crate) fn has_come(&self, row: &Term) -> Term {
        let time = self.field.of(row);
        let has_time = self.field.is_in(row) & time.type_of().eq("PTYPE<TIME>");
        has_time & time.le(self.latest())
    }

    /// Returns the latest time whose documents have expired.
    fn latest(&self) -> Term {
        match self.after.as_secs_f64() {
            0.0 => r.now(),
            after => r.now() - after,
        }
    }

    /// Returns a query that deletes at most so many expired documents, found by an index over the field. One
    /// whose time is another one by then stays.
    pub(crate) fn sweep(&self, table: &Term, index: &str, most: usize) -> Term {
        let earliest = json!({"$reql_type$": "TIME", "epoch_time": EARLIEST, "timezone": "+00:00"});
        let found = table.between(earliest, self.latest()).index(index).right_bound(Bound::Closed);
        let is_gone = |row: &Term| is_document(row) & self.has_come(row);
        let replaced = |row: Term| r.branch(args![is_gone(&row), Value::Null, &row]);
        Term::from(found).limit(most).replace(replaced).into()
    }
}
