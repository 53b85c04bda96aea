//! Checks whether the database lets a request do what it is about, for answers that need nothing else from
//! the database.
//!
//! Permissions are known to the database alone, and may change at any moment. So the database is asked by a
//! query that needs the permission and has no effect: one about a document that isn't there.

use reql::{Term, obj, r};

use crate::conn::Conn;
use crate::digest::hex;
use crate::error::Error;

/// Fails unless there is the table and whoever asks may read it.
pub(crate) async fn may_read(conn: &mut Conn, table: &str) -> Result<(), Error> {
    conn.run(nothing_of(table)).await
}

/// Fails unless there is the table and whoever asks may write it.
pub(crate) async fn may_write(conn: &mut Conn, table: &str) -> Result<(), Error> {
    conn.run(nothing_of(table).update(obj! {})).await
}

/// A document that isn't there: nobody has this id.
fn nothing_of(table: &str) -> Term {
    r.table(table).get(format!("warp-reql: nothing {}", hex(&fastrand::u128(..).to_be_bytes())))
}
