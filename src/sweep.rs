//! The deletion of documents that have expired: by an index, a few at a time, in the background.
//!
//! Several services of one database may do so at once. Each document is looked at again when it is deleted,
//! and one that another service has deleted is just not there any more. Their pauses differ at random.

use std::time::Duration;

use reql::r;
use tokio::time::sleep;

use crate::app::App;
use crate::conn::Conn;
use crate::error::Error;
use crate::query::Expiry;

/// The most documents that are deleted by one query.
const BATCH: usize = 200;
/// The pause between two batches; a time by random chance up to half longer or shorter.
const BETWEEN: Duration = Duration::from_millis(50);
/// The pause when nothing is left to be deleted, likewise.
const IDLE: Duration = Duration::from_secs(1);
/// The longest pause while the database can't be asked.
const LONGEST: Duration = Duration::from_secs(30);

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
        let pause = match once(app, &table).await {
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

async fn once(app: &App, (table, expiry, index): &Expiring) -> Result<u64, Error> {
    let mut conn = Conn::new(app.database().clone());
    let written = conn.write_all(expiry.sweep(&r.table(table), index, BATCH)).await?;
    app.metrics().expired(table, written.deleted);
    Ok(written.deleted)
}
