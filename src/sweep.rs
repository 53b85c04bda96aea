//! The deletion of documents that have expired: by an index, a few at a time, in the background.
//!
//! Several services of one database may do so at once. Each document is looked at again when it is deleted,
//! and one that another service has deleted is just not there any more. Their pauses differ at random.

use std::time::Duration;

use reql::r;
use tokio::time::sleep;

use crate::app::App;
use crate::conn::Conn;
use crate::database::Database;
use crate::error::{Code, Error};
use crate::query::Expiry;

/// The most documents that are deleted by one query.
const BATCH: usize = 200;
/// The pause between two batches; a time by random chance up to half longer or shorter.
const BETWEEN: Duration = Duration::from_millis(50);
/// The pause when nothing is left to be deleted, likewise.
const IDLE: Duration = Duration::from_secs(1);
/// The longest pause while the database can't be asked.
const LONGEST: Duration = Duration::from_secs(30);
/// The errors after which no other database of the server has to be tried.
const AWAY: [Code; 3] = [Code::DatabaseUnreachable, Code::ConnectTimeout, Code::ConnectionsExhausted];

/// Deletes what expires, for ever. [`Service::run`](crate::server::Service::run) does so by itself; a program
/// that serves an [`App`] in another way runs this beside it. Nothing is done if no table has `expire`.
///
/// ```no_run
/// # async fn run(app: warp_reql::App) {
/// tokio::spawn(warp_reql::sweep::run(app));
/// # }
/// ```
pub async fn run(app: App) {
    let tables: Vec<_> = app.expiring().collect();
    let sweeps = tables.into_iter().map(|table| endless(&app, table));
    futures_util::future::join_all(sweeps).await;
}

/// A table, when its documents expire, and the index by which those are found.
pub(crate) type Expiring = (String, Expiry, String);

async fn endless(app: &App, table: Expiring) {
    let mut idle = IDLE;
    loop {
        let pause = match round(app, &table).await {
            Ok(deleted) => {
                idle = IDLE;
                if deleted < BATCH as u64 { IDLE } else { BETWEEN }
            }
            Err(error) => {
                log::debug!("Expired documents of table {:?} could not be deleted: {error}", table.0);
                idle = (idle * 2).min(LONGEST);
                idle
            }
        };
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// Deletes some expired documents of a table in each database that is served. Returns the most of one.
async fn round(app: &App, table: &Expiring) -> Result<u64, Error> {
    let mut most = once(app, app.database(), table).await?;
    for name in others(app).await? {
        // A table of many databases takes its turns.
        sleep(BETWEEN).await;
        match once(app, &app.database().named(&name), table).await {
            Ok(deleted) => most = most.max(deleted),
            Err(error) if error.is(&AWAY) => return Err(error),
            Err(error) => {
                log::debug!("Documents of {:?} in {name:?} could not be deleted: {error}", table.0);
            }
        }
    }
    Ok(most)
}

/// Returns the names of the other databases that are served and exist.
async fn others(app: &App) -> Result<Vec<String>, Error> {
    let (served, own) = (&app.settings().databases, app.database());
    if served.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = Conn::new(own.clone()).all(r.db_list()).await?;
    Ok(names.into_iter().filter(|name| served.has(name) && name != own.name()).collect())
}

async fn once(app: &App, database: &Database, (table, expiry, index): &Expiring) -> Result<u64, Error> {
    let mut conn = Conn::new(database.clone());
    let written = conn.write_all(expiry.sweep(&r.table(table), index, BATCH)).await?;
    app.metrics().expired(table, written.deleted);
    Ok(written.deleted)
}
