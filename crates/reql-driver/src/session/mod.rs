//! One connection that one task uses.

mod exchange;
mod info;
mod open;

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, ErrorKind, Result, Sent};
use crate::query::Query;
use crate::r;
use crate::rows::Rows;
use crate::term::{Argument, Term};
use crate::wire::{AnswerKind, Elements, Form, Frame, Inbound, Request};
pub use info::ServerInfo;
use open::Open;

/// A connection for one task at a time.
///
/// It reads and writes in that task: there is no task behind it. `S` is the stream below: a
/// [`Stream`](crate::Stream), or anything that reads and writes, such as one end of `tokio::io::duplex`.
///
/// # Giving up
///
/// Queries have no deadline of their own: wrap them in `tokio::time::timeout`, or drop them. A future or a
/// [`Rows`] that is dropped before its end leaves the session *unclean*: its answer may still come. Then
/// every query fails with [`ErrorKind::Unclean`] until [`settle`](Session::settle) has stopped the old one.
///
/// ```
/// # async fn example() -> reql::Result<()> {
/// use std::time::Duration;
/// use reql::{Connector, r};
///
/// let mut session = Connector::new("localhost:28015").connect().await?;
/// let slow = session.all::<u64>(r.table("logs").map(r.row().g("size")));
/// if tokio::time::timeout(Duration::from_secs(1), slow).await.is_err() {
///     session.settle(Duration::from_secs(1)).await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Session<S> {
    io: S,
    inbound: Inbound,
    /// The bytes that are to be written, and the number of those that have been.
    out: Vec<u8>,
    written: usize,
    last_token: u64,
    open: Option<Open>,
    /// The frame of the answer that is being handed out. It is gone when the next one is read.
    current: Option<Frame>,
    /// The form of the answer, once its first part has come.
    form: Option<Form>,
    /// The rows of that answer that are still to be handed out.
    batch: Elements,
    /// A batch is to come, and has been asked for.
    more: bool,
    /// The reason why the session can't be used any more.
    broken: Option<String>,
    database: Option<Term>,
    profile: Option<String>,
    look: fn(&S) -> bool,
}

/// Shows no query and no row: there may be secrets in them.
impl<S: fmt::Debug> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session.field("io", &self.io).field("unclean", &self.open.is_some()).field("closed", &self.broken);
        session.finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Makes a session of a stream that has gone through the handshake.
    pub(crate) fn new(io: S, inbound: Inbound, database: Option<Term>) -> Self {
        Session {
            io,
            inbound,
            out: Vec::new(),
            written: 0,
            last_token: 0,
            open: None,
            current: None,
            form: None,
            batch: Elements::default(),
            more: false,
            broken: None,
            database,
            profile: None,
            look: |_| true,
        }
    }

    /// Sets the database of tables that name none, for the queries from now on.
    pub fn use_database<K>(&mut self, name: impl Argument<K>) {
        self.database = Some(r.db(name));
    }

    /// Sets the function that looks at the socket itself to find out if it is alive.
    pub(crate) fn looking(mut self, look: fn(&S) -> bool) -> Self {
        self.look = look;
        self
    }

    /// Runs a query and returns its value, or its first row; none if that is null, or there is no row. Stops
    /// a query that has more rows.
    ///
    /// # Errors
    ///
    /// Errors of the query, of the connection, and [`ErrorKind::Decode`].
    pub async fn first<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<Option<T>> {
        self.start(query.into(), false)?;
        let answer = self.receive().await?;
        let row = match answer.rows.first(self.payload()) {
            Some(row) => self.decode(row),
            None => Ok(None),
        };
        self.finish().await?;
        row
    }

    /// Runs a query and returns its value, or its first row. Stops a query that has more rows.
    ///
    /// # Errors
    ///
    /// Errors of the query, of the connection, [`ErrorKind::Decode`], and [`ErrorKind::NoRow`].
    pub async fn one<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<T> {
        self.start(query.into(), false)?;
        let answer = self.receive().await?;
        let row = match answer.rows.first(self.payload()) {
            Some(row) => self.decode(row),
            None => Err(Error::new(ErrorKind::NoRow, "the query has no row").sent(Sent::Sent)),
        };
        self.finish().await?;
        row
    }

    /// Runs a query and returns all of its rows. The elements of a value that is an array are its rows; any
    /// other value is one row. A changefeed is stopped: [`feed`](Session::feed) follows it, also one with a
    /// limit.
    ///
    /// # Errors
    ///
    /// Errors of the query, of the connection, [`ErrorKind::Decode`], and [`ErrorKind::Feed`].
    pub async fn all<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<Vec<T>> {
        let mut rows = self.rows(query).await?;
        if rows.is_feed() {
            rows.stop().await?;
            return Err(endless());
        }
        let mut all = Vec::new();
        while let Some(row) = rows.next().await {
            match row {
                Ok(row) => all.push(row),
                Err(error) => {
                    rows.stop().await?;
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    /// Runs a query and returns its rows as they come, see [`all`](Session::all).
    ///
    /// # Errors
    ///
    /// Errors of the query's beginning and of the connection. A later error is an item of the stream.
    pub async fn rows<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<Rows<'_, S, T>> {
        self.start(query.into(), false)?;
        let answer = self.receive().await?;
        self.hand_out(&answer);
        Ok(Rows::new(self))
    }

    /// Begins a query whose rows [`poll_row`](Session::poll_row) returns, for streams that own their session.
    /// Nothing is sent before the first poll. [`rows`](Session::rows) does the same for streams that borrow
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::Unclean`] and [`ErrorKind::Closed`].
    ///
    /// ```
    /// # async fn example(mut session: reql::Session<reql::Stream>) -> reql::Result<()> {
    /// use std::future::poll_fn;
    ///
    /// session.begin(reql::r.table("users"))?;
    /// while let Some(user) = poll_fn(|cx| session.poll_row::<serde_json::Value>(cx)).await {
    ///     println!("{}", user?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin(&mut self, query: impl Into<Query>) -> Result<()> {
        self.start(query.into(), false)?;
        self.more = true;
        Ok(())
    }

    /// Returns the next row of the query that was [begun](Session::begin), or none at its end and after an
    /// error that isn't [`ErrorKind::Decode`].
    pub fn poll_row<T: DeserializeOwned>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        match ready!(self.poll_place(cx)) {
            Ok(Some(place)) => {
                let row = self.decode(place);
                if self.batch.is_read() {
                    // Large rows may be batches of their own. The reader has this one now.
                    self.batch = Elements::default();
                    self.release();
                }
                Poll::Ready(Some(row))
            }
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    /// Follows a changefeed, whose rows are often a [`Change`](crate::types::Change).
    ///
    /// # Errors
    ///
    /// As [`rows`](Session::rows), and [`ErrorKind::NotAFeed`].
    pub async fn feed<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<Rows<'_, S, T>> {
        self.start(query.into(), false)?;
        let answer = self.receive().await?;
        if !answer.is_feed {
            self.finish().await?;
            return Err(Error::new(ErrorKind::NotAFeed, "the query is no changefeed").sent(Sent::Sent));
        }
        self.hand_out(&answer);
        Ok(Rows::new(self))
    }

    /// Runs a query for its effect, and drops its answer.
    ///
    /// # Errors
    ///
    /// Errors of the query and of the connection.
    pub async fn run(&mut self, query: impl Into<Query>) -> Result<()> {
        self.start(query.into(), false)?;
        self.receive().await?;
        self.finish().await
    }

    /// Sends a query that isn't answered: its errors are lost.
    ///
    /// # Errors
    ///
    /// Errors of the connection, [`ErrorKind::Invalid`], [`ErrorKind::Unclean`] and [`ErrorKind::Closed`].
    pub async fn noreply(&mut self, query: impl Into<Query>) -> Result<()> {
        self.start(query.into(), true)?;
        poll_fn(|cx| self.poll_flush(cx)).await?;
        self.open = None;
        Ok(())
    }

    /// Waits until all queries that were sent by [`noreply`](Session::noreply) are done.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn noreply_wait(&mut self) -> Result<()> {
        self.request(Request::NoreplyWait, AnswerKind::WaitComplete).await?;
        self.release();
        Ok(())
    }

    /// Asks for the server's identity.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn server_info(&mut self) -> Result<ServerInfo> {
        let answer = self.request(Request::ServerInfo, AnswerKind::ServerInfo).await?;
        let info = self.decode(answer.rows.first(self.payload()).unwrap_or_default());
        self.release();
        info
    }

    /// Returns the profile of the last query that asked for one, as JSON's text, see [`Query::profile`].
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Tells if an earlier query was given up half-way, see [`settle`](Session::settle).
    pub fn is_unclean(&self) -> bool {
        self.open.is_some()
    }

    /// Tells if the session failed, or was closed, as far as it has noticed: it doesn't look, as
    /// [`is_alive`](Session::is_alive) does.
    pub fn is_closed(&self) -> bool {
        self.broken.is_some()
    }

    /// Tells if the session was alive a moment ago, without waiting: it didn't fail, and the other side
    /// neither closed the connection nor sent an answer without a query. A session that is unclean may be
    /// alive. Ask between queries: rows of the last one that haven't been handed out are dropped.
    pub fn is_alive(&mut self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        if !(self.look)(&self.io) {
            self.break_for("the connection has ended");
            return false;
        }
        if self.open.is_some() {
            return true;
        }
        self.release();
        let nobody = &mut Context::from_waker(Waker::noop());
        if self.inbound.rest().is_empty() && self.inbound.poll_fill(&mut self.io, nobody).is_pending() {
            return true;
        }
        self.break_for("the connection ended, or the server sent what nobody asked for");
        false
    }

    /// Stops a query that was given up half-way and reads the rest of its answer, for at most `limit`. Does
    /// nothing if there is none.
    ///
    /// # Errors
    ///
    /// Errors of the connection, and [`ErrorKind::Timeout`]. The session is of no use then.
    pub async fn settle(&mut self, limit: Duration) -> Result<()> {
        self.check_usable()?;
        if self.open.is_none() {
            return Ok(());
        }
        match tokio::time::timeout(limit, self.stop()).await {
            Ok(stopped) => stopped,
            Err(_) => {
                let message = format!("the query that was given up didn't end within {limit:?}");
                Err(self.fail(Error::new(ErrorKind::Timeout, message)))
            }
        }
    }

    /// Closes the connection in order: queries without an answer arrive. Wait with
    /// [`noreply_wait`](Session::noreply_wait) before, if they are to be done. What an unclean session hasn't
    /// sent of its last query is lost. It takes as long as the other side takes.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn close(mut self) -> Result<()> {
        self.io.shutdown().await.map_err(|error| Error::io("closing the connection", error))
    }

    /// Returns the stream below.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// Takes the session apart, for [`Shared`](crate::Shared).
    pub(crate) fn into_parts(self) -> Result<(S, Inbound, u64, Option<Term>)> {
        self.check_clean()?;
        let mut session = self;
        session.release();
        Ok((session.io, session.inbound, session.last_token, session.database))
    }
}

/// Returns the error of a changefeed whose rows were all to be returned.
pub(crate) fn endless() -> Error {
    let message = "the query is a changefeed, which has no end: `feed` follows it";
    Error::new(ErrorKind::Feed, message).sent(Sent::Sent)
}

pub(crate) fn decode_error(error: serde_json::Error) -> Error {
    let message = format!("a row isn't what it was to be: {error}");
    Error::new(ErrorKind::Decode, message).sent(Sent::Sent).because(error)
}
