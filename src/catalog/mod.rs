//! A cache of table metadata: primary keys and indexes. Entries live for a few seconds, so that not every
//! request has to query the database for them.

mod definition;
mod index;
mod ttl_cache;

use std::sync::Arc;
use std::time::Duration;

use reql::r;

use crate::conn::Conn;
use crate::error::{Code, Error};
pub(crate) use index::{Index, Indexes, Status};
use ttl_cache::TtlCache;

/// The time to live of primary keys. A table is seldom dropped and created again with another one, and the
/// database refuses a document without its primary key.
const PRIMARY_KEYS_LAST: Duration = Duration::from_secs(10);

/// The time to live of indexes. A dropped index is noticed by the error of the query that uses it. One that
/// is created again over other fields, by other means than this service, is noticed after this time.
const INDEXES_LAST: Duration = Duration::from_secs(5);

/// The age at which indexes are asked for again if a request names another one.
const FRESH: Duration = Duration::from_secs(1);

/// The cache of table metadata, with separate entries for each user and database.
#[derive(Debug)]
pub(crate) struct Catalog {
    primary_keys: TtlCache<String>,
    indexes: TtlCache<Arc<Indexes>>,
}

impl Catalog {
    /// Creates an empty cache.
    pub(crate) fn new() -> Self {
        Catalog { primary_keys: TtlCache::new(PRIMARY_KEYS_LAST), indexes: TtlCache::new(INDEXES_LAST) }
    }

    /// Returns the name of a table's primary key.
    pub(crate) async fn primary_key(&self, conn: &mut Conn, table: &str) -> Result<String, Error> {
        if let Some(known) = self.primary_keys.get(whose(conn), table) {
            return Ok(known);
        }
        let name = conn.first::<String>(r.table(table).info().g("primary_key")).await?;
        let name = name.ok_or(Error::from(Code::NoSuchTable))?;
        self.primary_keys.put(whose(conn), table, name.clone());
        Ok(name)
    }

    /// Returns a table's indexes.
    pub(crate) async fn indexes(&self, conn: &mut Conn, table: &str) -> Result<Arc<Indexes>, Error> {
        if let Some(known) = self.indexes.get(whose(conn), table) {
            return Ok(known);
        }
        let indexes = Arc::new(Indexes::fetch(table, conn).await?);
        self.indexes.put(whose(conn), table, Arc::clone(&indexes));
        Ok(indexes)
    }

    /// Removes the indexes of a table, in all databases, after they have changed.
    pub(crate) fn forget_indexes(&self, table: &str) {
        self.indexes.forget(table);
    }

    /// Removes a table's indexes, unless they are fresh, for a request that names one which isn't among them:
    /// another client may have created it since. However many such requests there are, they cost no more than
    /// a query a second for each user.
    pub(crate) fn doubt_indexes(&self, table: &str) {
        self.indexes.forget_aged(table, FRESH);
    }

    /// Removes a table, in all databases, after it was created or dropped through this service.
    pub(crate) fn forget_table(&self, table: &str) {
        self.forget_indexes(table);
        self.primary_keys.forget(table);
    }
}

/// Returns the user and the database of a connection.
fn whose(conn: &Conn) -> (Option<&str>, &str) {
    (conn.user(), conn.database().name())
}
