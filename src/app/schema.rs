//! What a list has to know of a table's indexes to choose one.

use std::time::Duration;

use crate::api::indexes;
use crate::conn::Conn;
use crate::error::Error;
use crate::query::Index;

/// How long a table's indexes are taken for granted. One that is dropped meanwhile is noticed by the error of
/// the query that wanted it; one that is made anew over other fields elsewhere than through this service, not
/// before this has passed.
pub(crate) const LASTS: Duration = Duration::from_secs(5);

/// The indexes of a table.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    /// Those that a list can go through: over plain fields, ready, and neither multi nor geo.
    pub(crate) plain: Vec<Index>,
    /// The names of the others.
    other: Vec<String>,
}

impl Indexes {
    pub(crate) async fn of(table: &str, conn: &mut Conn) -> Result<Self, Error> {
        let mut indexes = Indexes::default();
        for index in indexes::of_table(table, conn).await? {
            match index.plain().filter(|_| !index.outdated) {
                Some(fields) => indexes.plain.push(Index { name: index.name, fields }),
                None => indexes.other.push(index.name),
            }
        }
        Ok(indexes)
    }

    /// Whether there is an index of this name, of whatever kind.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.plain.iter().any(|index| index.name == name) || self.other.iter().any(|other| other == name)
    }
}
