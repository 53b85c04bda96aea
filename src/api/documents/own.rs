//! Tables of the service's own, in the database beside the one that is served.

use reql::r;
use warp::http::StatusCode;

use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::reserved::database_beside;

/// Creates a table, its index over a field, and the database if it is missing. Another request may be doing
/// the same concurrently.
pub(super) async fn make_table(conn: &mut Conn, name: &str, index: &str) -> Result<(), Error> {
    let settled = |done: Result<(), Error>| match done {
        Err(error) if error.status() == StatusCode::CONFLICT => Ok(()),
        done => done,
    };
    let beside = database_beside(conn.database().name());
    let db = r.db(beside.as_str());
    let created = match conn.run(db.table_create(name)).await {
        Err(error) if error.code() == Code::NoSuchDatabase => {
            settled(conn.run(r.db_create(beside.as_str())).await)?;
            conn.run(db.table_create(name)).await
        }
        created => created,
    };
    settled(created)?;
    let table = db.table(name);
    settled(conn.run(table.wait()).await)?;
    settled(conn.run(table.index_create(index)).await)?;
    settled(conn.run(table.index_wait(index)).await)
}

/// Turns a missing permission of the service's own account into an error of the configuration, since it is no
/// fault of the request.
pub(super) fn misconfigured(error: Error) -> Error {
    match error.status() {
        StatusCode::FORBIDDEN => Error::from(Code::Misconfigured)
            .caused_by(format!("the service's account can't keep its own records: {error}")),
        _ => error,
    }
}
