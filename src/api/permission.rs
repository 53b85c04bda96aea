//! Checks of permissions in the database, for answers that need no other query.
//!
//! Only the database knows its permissions, and they may change at any time. So a query is run that needs the
//! permission and has no effect, because it is about a document that doesn't exist.

use reql::{Term, obj, r};

use crate::conn::Conn;
use crate::digest::hex;
use crate::error::Error;

/// Checks that the table exists and the user may read it.
pub(crate) async fn may_read(conn: &mut Conn, table: &str) -> Result<(), Error> {
    conn.run(nothing_of(table)).await
}

/// Checks that the table exists and the user may write it.
pub(crate) async fn may_write(conn: &mut Conn, table: &str) -> Result<(), Error> {
    conn.run(nothing_of(table).update(obj! {})).await
}

/// Returns the term of a document that doesn't exist, since no document has this id.
fn nothing_of(table: &str) -> Term {
    r.table(table).get(format!("warp-reql: nothing {}", hex(&fastrand::u128(..).to_be_bytes())))
}
