//! One connection that many tasks use at the same time.

mod rows;
mod task;
mod ticket;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result, Sent};
use crate::query::Query;
use crate::session::{ServerInfo, Session, endless};
use crate::term::Term;
use crate::wire::{AnswerKind, Request, write_frame};
pub use rows::SharedRows;
use task::{Command, Start, Takers, Task};
use ticket::Ticket;

/// The number of queries that may be open on one connection: a server works on 1024 at once.
const MAX_OPEN: usize = 1000;

/// One connection that many tasks use at the same time, made by [`Session::share`]. Cheap to clone.
///
/// Queries and changefeeds run side by side; one task reads for all of them. None waits for a slow taker of
/// another: of each query at most two batches of rows are held, one that is being handed out and, once half
/// of it has been, one that comes next; of each feed one. A query that is given up is stopped by itself. An
/// answer that is [too large](ErrorKind::TooLarge) ends its own query only.
///
/// At most 1000 queries and feeds are open at once; further ones wait for one to end. The connection closes
/// when the last handle, and the last [`SharedRows`], is dropped.
///
/// ```no_run
/// use reql::{Connector, r, types::Change};
///
/// # async fn example() -> reql::Result<()> {
/// let shared = Connector::new("localhost:28015").connect().await?.share()?;
/// let users = shared.feed::<Change<serde_json::Value>>(r.table("users").changes()).await?;
/// let posts = shared.feed::<Change<serde_json::Value>>(r.table("posts").changes()).await?;
/// let count: u64 = shared.one(r.table("users").count()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Shared(Arc<Handle>);

/// The part of a connection that all of its users share.
struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    /// Permits, one for each open query, which bound the queue `commands`.
    permits: Arc<Semaphore>,
    last_token: AtomicU64,
    database: Option<Term>,
    /// The reason why the connection ended.
    end: Arc<OnceLock<(ErrorKind, String)>>,
    /// Tells the task when it is dropped. Fields are dropped in order, so that `commands` has had its last.
    _here: oneshot::Sender<()>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Session<S> {
    /// Shares the connection among tasks. It starts a task that reads and writes, in the runtime of the
    /// caller.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unclean`] and [`ErrorKind::Closed`]; [`ErrorKind::Io`] outside of a runtime of tokio.
    pub fn share(self) -> Result<Shared> {
        let runtime = Runtime::try_current()
            .map_err(|error| Error::io("sharing a session", io::Error::other(error)))?;
        let (io, inbound, last_token, database) = self.into_parts()?;
        let (commands, received) = mpsc::unbounded_channel();
        let (here, gone) = oneshot::channel();
        let takers = Takers { commands: received, gone };
        let end = Arc::new(OnceLock::new());
        runtime.spawn(Task::new(io, inbound, takers, end.clone()).run());
        let permits = Arc::new(Semaphore::new(MAX_OPEN));
        let last_token = AtomicU64::new(last_token);
        Ok(Shared(Arc::new(Handle { commands, permits, last_token, database, end, _here: here })))
    }
}

impl Shared {
    /// Runs a query and returns its value, or its first row, see [`Session::first`].
    ///
    /// # Errors
    ///
    /// Errors of the query, of the connection, and [`ErrorKind::Decode`].
    pub async fn first<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<Option<T>> {
        let mut ticket = self.start(query.into()).await?;
        let batch = ticket.next().await?;
        batch.first().map_or(Ok(None), |row| batch.decode(row))
    }

    /// Runs a query and returns its value, or its first row, see [`Session::one`].
    ///
    /// # Errors
    ///
    /// Errors of the query, of the connection, [`ErrorKind::Decode`], and [`ErrorKind::NoRow`].
    pub async fn one<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<T> {
        let mut ticket = self.start(query.into()).await?;
        let batch = ticket.next().await?;
        match batch.first() {
            Some(row) => batch.decode(row),
            None => Err(Error::new(ErrorKind::NoRow, "the query has no row").sent(Sent::Sent)),
        }
    }

    /// Runs a query and returns all of its rows, see [`Session::all`].
    ///
    /// # Errors
    ///
    /// Errors of the query, of the connection, [`ErrorKind::Decode`], and [`ErrorKind::Feed`].
    pub async fn all<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<Vec<T>> {
        let mut rows = self.rows(query).await?;
        if rows.is_feed() {
            return Err(endless());
        }
        let mut all = Vec::new();
        while let Some(row) = rows.next().await {
            all.push(row?);
        }
        Ok(all)
    }

    /// Runs a query and returns its rows as they come, see [`Session::rows`].
    ///
    /// # Errors
    ///
    /// Errors of the query's beginning and of the connection. A later error is an item of the stream.
    pub async fn rows<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<SharedRows<T>> {
        let mut ticket = self.start(query.into()).await?;
        let batch = ticket.next().await?;
        Ok(SharedRows::ahead(ticket, batch))
    }

    /// Follows a changefeed, see [`Session::feed`]. One batch of its rows is held at most: the next is asked
    /// for when the reader asks for a row and has had all of this one.
    ///
    /// # Errors
    ///
    /// As [`rows`](Shared::rows), and [`ErrorKind::NotAFeed`].
    pub async fn feed<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<SharedRows<T>> {
        let mut ticket = self.start(query.into()).await?;
        let batch = ticket.next().await?;
        if !batch.answer.is_feed {
            return Err(Error::new(ErrorKind::NotAFeed, "the query is no changefeed").sent(Sent::Sent));
        }
        Ok(SharedRows::in_step(ticket, batch))
    }

    /// Runs a query for its effect, and drops its answer.
    ///
    /// # Errors
    ///
    /// Errors of the query and of the connection.
    pub async fn run(&self, query: impl Into<Query>) -> Result<()> {
        self.start(query.into()).await?.next().await.map(|_| ())
    }

    /// Sends a query that isn't answered: nobody learns of its errors, nor if the connection failed before it
    /// was sent; [`noreply_wait`](Shared::noreply_wait) tells.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], and [`ErrorKind::Closed`].
    pub async fn noreply(&self, query: impl Into<Query>) -> Result<()> {
        self.begin(query.into().unanswered(), 0).await.map(|_| ())
    }

    /// Waits until all queries that were sent by [`noreply`](Shared::noreply) are done.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn noreply_wait(&self) -> Result<()> {
        self.request(Request::NoreplyWait, AnswerKind::WaitComplete).await.map(|_| ())
    }

    /// Asks for the server's identity.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn server_info(&self) -> Result<ServerInfo> {
        let batch = self.request(Request::ServerInfo, AnswerKind::ServerInfo).await?;
        batch.decode(batch.first().unwrap_or_default())
    }

    /// Tells if the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.0.commands.is_closed()
    }

    async fn start(&self, query: Query) -> Result<Ticket> {
        query.check_answered()?;
        self.begin(query, 1).await
    }

    async fn begin(&self, query: Query, due: u32) -> Result<Ticket> {
        let query = query.or_database(self.0.database.as_ref());
        let token = self.next_token();
        let mut frame = Vec::new();
        write_frame(token, &mut frame, |out| query.write(out))?;
        self.send(token, frame, Some(query.term), due).await
    }

    async fn request(&self, request: Request, expected: AnswerKind) -> Result<ticket::Batch> {
        let token = self.next_token();
        let mut frame = Vec::new();
        request.write(token, &mut frame);
        let batch = self.send(token, frame, None, 1).await?.next().await?;
        if batch.answer.kind == expected {
            return Ok(batch);
        }
        Err(Error::new(ErrorKind::Protocol, "the server's answer is to another request").sent(Sent::Sent))
    }

    fn next_token(&self) -> u64 {
        self.0.last_token.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn send(&self, token: u64, frame: Vec<u8>, term: Option<Term>, due: u32) -> Result<Ticket> {
        // The semaphore is never closed.
        let permit = self.0.permits.clone().acquire_owned().await.map_err(|_| self.0.closed())?;
        let (replies, received) = mpsc::unbounded_channel();
        let start = Start { token, frame, term, due, replies, permit };
        self.0.commands.send(Command::Start(start)).map_err(|_| self.0.closed())?;
        Ok(Ticket::new(token, received, self.0.clone()))
    }
}

impl Handle {
    /// Returns the error of a connection that had ended before a query was sent.
    fn closed(&self) -> Error {
        let reason = self.end.get().map_or("it has ended", |(_, reason)| reason);
        Error::new(ErrorKind::Closed, format!("the shared session is closed: {reason}"))
    }

    /// Returns the error of a connection that ended while a query waited.
    fn lost(&self) -> Error {
        let (kind, reason) =
            self.end.get().cloned().unwrap_or((ErrorKind::Closed, "it has ended".to_owned()));
        Error::new(kind, format!("the shared session has ended: {reason}")).sent(Sent::Sent)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = MAX_OPEN - self.0.permits.available_permits();
        f.debug_struct("Shared").field("open", &open).field("end", &self.0.end.get()).finish_non_exhaustive()
    }
}
