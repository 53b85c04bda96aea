//! The question whether the database can be used, asked once for everybody who wants to know at the same
//! time.

use std::time::Duration;

use reql::r;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::conn::Conn;
use crate::error::{Code, Error};

/// The time for which an answer holds for others. However many ask, the database is asked no more often.
const HOLDS: Duration = Duration::from_millis(100);

/// The last answer. Whoever finds none that holds asks, and all others wait for that.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Option<Answered>>);

#[derive(Debug)]
struct Answered {
    at: Instant,
    outcome: Result<(), Error>,
}

impl Ready {
    /// Asks the database, unless somebody just has.
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

/// Says of whatever else went wrong that the database can't be reached.
fn unreachable(error: Error) -> Error {
    match error.code() {
        Code::ConnectionsExhausted => error,
        _ => Error::from(Code::DatabaseUnreachable).caused_by(error),
    }
}
