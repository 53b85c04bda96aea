//! A catalog of what is known of tables: their primary keys and their indexes. It is remembered for a short
//! while, so that not every request has to ask the database for it.

mod definition;
mod index;
mod recent;

use std::sync::Arc;
use std::time::Duration;

use reql::r;

use crate::conn::Conn;
use crate::error::{Code, Error};
pub(crate) use index::{Index, Indexes, Status};
use recent::Recent;

/// The time for which a table's primary key is taken for granted. A table that is dropped and made again with
/// another one is rare, and the database itself refuses a document without its primary key.
const PRIMARY_KEYS_LAST: Duration = Duration::from_secs(10);

/// The time for which a table's indexes are taken for granted. One that is dropped meanwhile is noticed by
/// the error of the query that wanted it; one that is made anew over other fields elsewhere than through this
/// service, not before this has passed.
const INDEXES_LAST: Duration = Duration::from_secs(5);

/// Remembers what the database has told of its tables, for each user apart.
#[derive(Debug)]
pub(crate) struct Catalog {
    primary_keys: Recent<String>,
    indexes: Recent<Arc<Indexes>>,
}

impl Catalog {
    /// Knows nothing yet.
    pub(crate) fn new() -> Self {
        Catalog { primary_keys: Recent::new(PRIMARY_KEYS_LAST), indexes: Recent::new(INDEXES_LAST) }
    }

    /// Returns the name of the field that identifies a table's documents.
    pub(crate) async fn primary_key(&self, conn: &mut Conn, table: &str) -> Result<String, Error> {
        if let Some(known) = self.primary_keys.get(conn.user(), table) {
            return Ok(known);
        }
        let name = conn.first::<String>(r.table(table).info().g("primary_key")).await?;
        let name = name.ok_or(Error::from(Code::NoSuchTable))?;
        self.primary_keys.put(conn.user(), table, name.clone());
        Ok(name)
    }

    /// Returns what is known of a table's indexes.
    pub(crate) async fn indexes(&self, conn: &mut Conn, table: &str) -> Result<Arc<Indexes>, Error> {
        if let Some(known) = self.indexes.get(conn.user(), table) {
            return Ok(known);
        }
        let indexes = Arc::new(Indexes::fetch(table, conn).await?);
        self.indexes.put(conn.user(), table, Arc::clone(&indexes));
        Ok(indexes)
    }

    /// Forgets the indexes of a table, which are other ones than was thought.
    pub(crate) fn forget_indexes(&self, table: &str) {
        self.indexes.forget(table);
    }

    /// Forgets a table that was made or dropped through this service.
    pub(crate) fn forget_table(&self, table: &str) {
        self.forget_indexes(table);
        self.primary_keys.forget(table);
    }
}
