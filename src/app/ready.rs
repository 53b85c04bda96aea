//! The readiness check of the database, which concurrent callers share.

use std::time::Duration;

use reql::r;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::conn::Conn;
use crate::error::{Code, Error};

/// The time for which a result is reused, so that callers can't make the check run more often.
const HOLDS: Duration = Duration::from_millis(100);

/// The last result. A caller that finds none that is recent runs the check, and all others wait for it.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Option<Answered>>);

#[derive(Debug)]
struct Answered {
    at: Instant,
    outcome: Result<(), Error>,
}

impl Ready {
    /// Checks the database, unless that was just done.
    ///
    /// # Errors
    ///
    /// [`Code::ConnectionsExhausted`] or [`Code::DatabaseUnreachable`], if it can't be used.
    pub(crate) async fn ask(&self, mut conn: Conn) -> Result<(), Error> {
        let mut last = self.0.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.at.elapsed() < HOLDS) {
            return last.outcome.clone();
        }
        let outcome = conn.first::<u8>(r.expr(1)).await.map(drop).map_err(unreachable);
        *last = Some(Answered { at: Instant::now(), outcome: outcome.clone() });
        outcome
    }
}

/// Reports any other error as an unreachable database.
fn unreachable(error: Error) -> Error {
    match error.code() {
        Code::ConnectionsExhausted => error,
        _ => Error::from(Code::DatabaseUnreachable).caused_by(error),
    }
}
