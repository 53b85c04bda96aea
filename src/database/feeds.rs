//! Changefeeds, many of them on one connection.
//!
//! A feed is idle most of the time, so a connection for each would only waste memory, here and on the server.
//! A slow consumer of one feed doesn't block the others: see [`reql::Shared`].

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use reql::{Query, Sent, SharedRows};
use serde::de::DeserializeOwned;
#[cfg(feature = "api")]
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::counters::{Counters, GaugeGuard};
use super::{Credentials, Database, Session, Shared};
use crate::error::{Code, Error};

/// The number of feeds that share a connection. RethinkDB works on 1024 queries of a connection at once, and
/// a connection that breaks ends all of its feeds.
const ON_ONE: usize = 256;

/// The shared connections, by user. Feeds keep them open. The user of the service's own account is `None`.
#[derive(Default)]
pub(super) struct Lines(StdMutex<HashMap<Option<String>, Arc<OfUser>>>);

/// The connections of a user, with the credentials that they were opened with.
type OfUser = Mutex<Vec<(Option<Credentials>, Weak<Line>)>>;

/// A connection that feeds share. Each feed keeps it open.
struct Line {
    session: reql::Shared,
    counters: Arc<Counters>,
    _open: GaugeGuard,
}

/// The rows of a changefeed, see [`Database::follow`]. The stream ends after an error; dropping it stops the
/// feed.
///
/// ```no_run
/// # async fn run(db: warp_reql::Database) -> Result<(), warp_reql::Error> {
/// use futures_util::TryStreamExt;
/// use warp_reql::database::Feed;
/// use warp_reql::reql::r;
///
/// let mut changes: Feed<serde_json::Value> = db.follow(r.table("heroes").changes()).await?;
/// while let Some(change) = changes.try_next().await? {
///     println!("{change}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Feed<T> {
    // Fields are dropped in this order: the feed is stopped before the connection may close.
    rows: SharedRows<T>,
    lost: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    patience: Duration,
    ended: bool,
    line: Arc<Line>,
}

/// The connection of a feed, for other queries.
#[cfg(feature = "api")]
#[derive(Clone)]
pub(crate) struct Beside(Arc<Line>, Database);

#[cfg(feature = "api")]
impl Beside {
    /// Runs a query, and ignores its result.
    ///
    /// # Errors
    ///
    /// The errors of queries, see [`Conn`](crate::Conn).
    pub(crate) async fn run(&self, query: impl Into<Query>) -> Result<(), Error> {
        self.0.session.run(self.1.about(query)).await.map_err(Error::from)
    }

    /// Runs a query and returns its rows, of at most so many bytes together.
    ///
    /// # Errors
    ///
    /// The errors of queries, see [`Conn`](crate::Conn); [`Code::AnswerTooLarge`].
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        query: impl Into<Query>,
        most: u64,
    ) -> Result<Vec<T>, Error> {
        let read = async {
            let mut rows = self.0.session.rows::<Box<RawValue>>(self.1.about(query)).await?;
            let (mut all, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next().await {
                let row = row?;
                bytes += row.get().len() as u64;
                if bytes > most {
                    return Err(Error::beyond(Code::AnswerTooLarge, most));
                }
                all.push(serde_json::from_str(row.get()).map_err(Error::internal)?);
            }
            Ok(all)
        };
        let patience = self.1.settings().query_timeout;
        timeout(patience, read).await.unwrap_or_else(|_| {
            self.1.query_timed_out();
            Err(Error::after(Code::QueryTimeout, patience))
        })
    }
}

#[cfg(feature = "api")]
impl<T> Feed<T> {
    /// Returns a handle for other queries on the connection of the feed, about the tables of this database.
    pub(crate) fn beside(&self, database: &Database) -> Beside {
        Beside(Arc::clone(&self.line), database.clone())
    }
}

impl Database {
    /// Follows a changefeed with the service's own account, on a connection shared with other feeds.
    ///
    /// There is one connection for 256 feeds at most, opened when needed and closed with the last of them.
    /// These connections don't count against [`max_connections`](crate::settings::Rdb::max_connections),
    /// since no request holds them. Rows are read from the socket as they are consumed: at most one batch per
    /// feed is buffered here, and the server buffers as many changes as the query's option
    /// `changefeed_queue_size` says.
    ///
    /// Returns when the server has accepted the query. After that, a row may come at any time. The stream
    /// ends with [`Code::QueryTimeout`] when the database has shown no sign of life for about
    /// `query_timeout`, and with [`Code::OutcomeUnknown`] when the connection breaks, which ends all feeds
    /// on it.
    ///
    /// # Errors
    ///
    /// The errors of opening a session, see [`Conn`](crate::Conn); [`Code::QueryTimeout`]; and
    /// [`Code::DatabaseError`], also for a query that is no changefeed.
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
        self.follow_as(None, query).await
    }

    /// Does what [`Database::follow`] does, with the account of a user.
    pub(crate) async fn follow_as<T: DeserializeOwned>(
        &self,
        who: Option<&Credentials>,
        query: impl Into<Query>,
    ) -> Result<Feed<T>, Error> {
        let query = self.about(query);
        let patience = self.settings().query_timeout;
        let mut is_first = true;
        loop {
            let line = self.shared.line(who).await?;
            let lost = Box::pin(self.lost());
            match timeout(patience, line.session.feed(&query)).await {
                Ok(Ok(rows)) => return Ok(Feed { rows, lost, patience, ended: false, line }),
                // The connection had been closed by the server, which only a query notices.
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
    /// Returns a connection of a user that has room for another feed. If there is none, the first caller
    /// opens one, and other callers for that user wait for it.
    async fn line(self: &Arc<Self>, who: Option<&Credentials>) -> Result<Arc<Line>, Error> {
        let patience = self.settings.acquire_timeout;
        let of_user = self.lines.of(who.map(Credentials::user));
        let locked = timeout(patience, of_user.lock()).await;
        let mut lines = locked.map_err(|_| Error::after(Code::ConnectionsExhausted, patience))?;
        lines.retain(|(_, line)| line.strong_count() > 0);
        let room = |(of, line): &(Option<Credentials>, Weak<Line>)| {
            let has_room = of.as_ref() == who && line.strong_count() < ON_ONE;
            line.upgrade().filter(|line| has_room && !line.session.is_closed())
        };
        if let Some(line) = lines.iter().find_map(room) {
            return Ok(line);
        }
        let session = match who {
            Some(who) => Box::pin(self.dial_session(who)).await?,
            None => {
                let dialled = Box::pin(self.dial_session(&Credentials::of(&self.settings))).await;
                dialled.map_err(Error::into_own)?
            }
        };
        let line = Arc::new(Line::new(session, &self.counters)?);
        lines.push((who.cloned(), Arc::downgrade(&line)));
        Ok(line)
    }
}

impl Lines {
    /// Returns the connections of a user, and forgets users that have none.
    fn of(&self, user: Option<&str>) -> Arc<OfUser> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, of_user| {
            let is_used =
                |lines: &Vec<(_, Weak<Line>)>| lines.iter().any(|(_, line)| line.strong_count() > 0);
            Arc::strong_count(of_user) > 1 || of_user.try_lock().map_or(true, |lines| is_used(&lines))
        });
        Arc::clone(lines.entry(user.map(str::to_owned)).or_default())
    }
}

impl Line {
    fn new(session: Session, counters: &Arc<Counters>) -> Result<Self, Error> {
        let session = session.share()?;
        counters.opened();
        let open = GaugeGuard::new(counters, |counters| &counters.shared);
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
