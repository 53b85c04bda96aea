//! Handles for the other databases of a server. Only the option `db` of their queries differs, so they share
//! all connections.

use std::sync::Arc;

use reql::Query;

use super::Database;

impl Database {
    /// Returns a handle for the same server, connections and limits, whose tables are those of another
    /// database there.
    ///
    /// ```no_run
    /// # async fn example(db: warp_reql::Database) -> Result<(), warp_reql::Error> {
    /// use warp_reql::{Conn, reql::r};
    ///
    /// let mut conn = Conn::new(db.named("archive"));
    /// let count: Option<u64> = conn.first(r.table("heroes").count()).await?;
    /// # let _ = count;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        let named = (name != self.settings().db).then(|| name.into());
        Database { shared: Arc::clone(&self.shared), named }
    }

    /// Returns the name of the database whose tables a query means if it names none.
    pub fn name(&self) -> &str {
        self.named.as_deref().unwrap_or(&self.settings().db)
    }

    /// Returns a query about the tables of this database, unless it names another one.
    pub(crate) fn about(&self, query: impl Into<Query>) -> Query {
        match &self.named {
            Some(name) => query.into().default_database(&**name),
            None => query.into(),
        }
    }
}
