//! The question whether the database can be used, asked once for everybody who wants to know at the same
//! time.

use std::time::Duration;

use reql::r;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::conn::Conn;
use crate::error::Error;

/// The time for which an answer holds for others. However many ask, the database is asked no more often.
const HOLDS: Duration = Duration::from_millis(100);

/// The last answer. Whoever finds none that holds asks, and all others wait for that.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Option<Answered>>);

#[derive(Debug)]
struct Answered {
    at: Instant,
    outcome: Result<(), Why>,
}

/// The reason why the database can't be used, which several may be told.
#[derive(Debug, Clone)]
enum Why {
    Exhausted(Duration),
    Unreachable(String),
}

impl Ready {
    /// Asks the database, unless somebody just has.
    ///
    /// # Errors
    ///
    /// [`Error::Exhausted`] or [`Error::Unreachable`], if it can't be used.
    pub(crate) async fn ask(&self, mut conn: Conn) -> Result<(), Error> {
        let mut last = self.0.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.at.elapsed() < HOLDS) {
            return last.outcome.clone().map_err(Error::from);
        }
        let outcome = conn.first::<u8>(r.expr(1)).await.map(drop).map_err(Why::from);
        *last = Some(Answered { at: Instant::now(), outcome: outcome.clone() });
        outcome.map_err(Error::from)
    }
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        match error {
            Error::Exhausted(waited) => Why::Exhausted(waited),
            other => Why::Unreachable(other.to_string()),
        }
    }
}

impl From<Why> for Error {
    fn from(why: Why) -> Self {
        match why {
            Why::Exhausted(waited) => Error::Exhausted(waited),
            Why::Unreachable(reason) => Error::Unreachable(reason),
        }
    }
}
