//! Checks of permissions in the database, for answers that need no other query, and for those that go on.
//!
//! Only the database knows its permissions, and they may change at any time. So a query is run that needs the
//! permission and has no effect, because it is about a document that doesn't exist.

use std::collections::HashSet;
use std::future::pending;
use std::time::Duration;

use reql::{Term, TermType, obj, r};
use tokio::time::{MissedTickBehavior, interval};

use crate::conn::Conn;
use crate::digest::hex;
use crate::error::{Code, Error};

/// The time between two checks of a permission that an answer needs for as long as it goes on.
const CHECKED: Duration = Duration::from_secs(5);
/// The most tables of a query whose permissions are checked.
const TABLES: usize = 20;

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

/// Returns a future that is done when the database refuses the connection's user, or one of the tables of a
/// query to it. It never is for the service's own account.
pub(crate) fn lost(conn: &Conn, query: &Term) -> impl Future<Output = Error> + Send + use<> {
    let other = conn.user().map(|_| conn.sibling());
    let mut tables = query.parts(TermType::Table);
    let mut known = HashSet::new();
    tables.retain(|table| known.insert(table.to_string()));
    tables.truncate(TABLES);
    async move {
        let Some(other) = other else { return pending().await };
        let mut ticks = interval(CHECKED);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            // A new connection, whose credentials the database checks.
            let mut conn = other.sibling();
            let credentials = [r.expr(())];
            let permissions = tables.iter().map(|table| table.get("").eq(()));
            for question in credentials.into_iter().chain(permissions) {
                // Any other error says nothing, such as that of a table whose name depends on a variable.
                if let Err(error) = conn.run(question).await
                    && error.is(&[Code::Unauthorized, Code::Forbidden])
                {
                    return error;
                }
            }
        }
    }
}
