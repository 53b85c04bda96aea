//! Changefeeds, many of them on one connection.
//!
//! A feed waits nearly all of the time, so that a connection for each would only cost memory, here and on the
//! server. None waits for a slow taker of another: see [`reql::Shared`].

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use reql::{Query, Sent, SharedRows};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::counters::{Counters, Held};
use super::{Credentials, Database, Session, Shared};
use crate::error::{Code, Error};

/// The number of feeds that share a connection. RethinkDB works on 1024 queries of a connection at once, and
/// a connection that breaks ends all of its feeds.
const ON_ONE: usize = 256;

/// The connections that there are, as long as feeds hold them.
#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<Weak<Line>>>);

/// A connection that feeds share; each of them holds it.
struct Line {
    session: reql::Shared,
    counters: Arc<Counters>,
    _open: Held,
}

/// The rows of a changefeed, see [`Database::follow`]. The stream ends after an error; dropping it stops the
/// feed.
pub struct Feed<T> {
    // The order of the fields is the order of their drop: the feed is stopped before the connection may
    // close.
    rows: SharedRows<T>,
    lost: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    patience: Duration,
    ended: bool,
    _line: Arc<Line>,
}

impl Database {
    /// Follows a changefeed by the service's own account, on a connection that it shares with other feeds.
    ///
    /// There is a connection for every 256 feeds, opened when it is needed and closed with the last of them.
    /// These connections don't count against [`max_connections`](crate::settings::Rdb::max_connections),
    /// since no request holds them. Rows are read as they are taken; of each feed two batches at most are
    /// held here, and what the server holds for it has the bound of the query's option
    /// `changefeed_queue_size`.
    ///
    /// Returns when the server has taken the query. From then on a row may come at any time. The stream ends
    /// with [`Code::QueryTimeout`](crate::error::Code::QueryTimeout) when the database has shown no sign of
    /// life for about `query_timeout`, and with [`Code::OutcomeUnknown`](crate::error::Code::OutcomeUnknown)
    /// when the connection breaks, which ends all feeds on it.
    ///
    /// # Errors
    ///
    /// Those of opening a session, see [`Conn`](crate::Conn);
    /// [`Code::QueryTimeout`](crate::error::Code::QueryTimeout); and
    /// [`Code::DatabaseError`](crate::error::Code::DatabaseError), also for a query that is no changefeed.
    ///
    /// ```no_run
    /// # async fn example(database: &warp_reql::Database) -> Result<(), warp_reql::Error> {
    /// use futures_util::StreamExt;
    /// use reql::{r, types::Change};
    ///
    /// let mut feed = database.follow::<Change<serde_json::Value>>(r.table("heroes").changes()).await?;
    /// while let Some(change) = feed.next().await {
    ///     println!("{:?}", change?.new_val);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn follow<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<Feed<T>, Error> {
        let query = query.into();
        let patience = self.settings().query_timeout;
        let mut is_first = true;
        loop {
            let line = self.shared.line().await?;
            let lost = Box::pin(self.lost());
            match timeout(patience, line.session.feed(&query)).await {
                Ok(Ok(rows)) => return Ok(Feed { rows, lost, patience, ended: false, _line: line }),
                // The connection had ended without anybody having noticed.
                Ok(Err(error)) if is_first && error.is_fatal() && error.query_sent() == Sent::NotSent => {
                    is_first = false;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    self.query_timed_out();
                    return Err(Error::after(Code::QueryTimeout, patience));
                }
            }
        }
    }
}

impl Shared {
    /// A connection that has room for another feed. Whoever finds none opens one, and all others wait for it.
    async fn line(self: &Arc<Self>) -> Result<Arc<Line>, Error> {
        let patience = self.settings.acquire_timeout;
        let locked = timeout(patience, self.lines.0.lock()).await;
        let mut lines = locked.map_err(|_| Error::after(Code::ConnectionsExhausted, patience))?;
        lines.retain(|line| line.strong_count() > 0);
        let room = |line: &Weak<Line>| (line.strong_count() < ON_ONE).then(|| line.upgrade()).flatten();
        if let Some(line) = lines.iter().filter_map(room).find(|line| !line.session.is_closed()) {
            return Ok(line);
        }
        let session = Box::pin(self.dial_session(&Credentials::of(&self.settings))).await;
        let line = Arc::new(Line::new(session.map_err(Error::into_own)?, &self.counters)?);
        lines.push(Arc::downgrade(&line));
        Ok(line)
    }
}

impl Line {
    fn new(session: Session, counters: &Arc<Counters>) -> Result<Self, Error> {
        let session = session.share()?;
        counters.opened();
        let open = Held::new(counters, |counters| &counters.shared);
        Ok(Line { session, counters: Arc::clone(counters), _open: open })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.counters.closed();
    }
}

impl<T: DeserializeOwned> Stream for Feed<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let row = match Pin::new(&mut self.rows).poll_next(cx) {
            Poll::Ready(row) => row.map(|row| row.map_err(Error::from)),
            Poll::Pending => {
                ready!(self.lost.as_mut().poll(cx));
                Some(Err(Error::after(Code::QueryTimeout, self.patience)))
            }
        };
        self.ended = !matches!(row, Some(Ok(_)));
        Poll::Ready(row)
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("ended", &self.ended).finish_non_exhaustive()
    }
}
