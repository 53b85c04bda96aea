//! The seam between a connection and the language underneath: the requests of a session, and their answers.
//!
//! A session knows tokens, frames and sockets; an engine knows terms, tables and users. A START query goes
//! [`Engine::compile`] → [`Query::run`] → [`Answer`]; the rest of a stream comes batch by batch from its
//! [`Cursor`]. None of these calls may wait on the network; those that work for long check their
//! [`Interrupt`] now and then.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::budget::memory::Pool;
pub use crate::credentials::Credentials;
pub use crate::interrupt::{Interrupt, Reason};
pub use crate::protocol::answer::{Batch, Error, ErrorClass, ErrorType, Frame, Note, ServerInfo};
pub use crate::protocol::query::{Envelope, QueryType};
pub use crate::protocol::{Peer, Text};
use crate::storage::Store;

/// The language and the storage under all connections.
pub trait Engine: Send + Sync + 'static {
    /// Returns the stored form of a user's password; `None` if there is no such user. Called once for each
    /// connection.
    fn credentials(&self, user: &str) -> Option<Credentials>;

    /// Returns the server's identity, for SERVER_INFO.
    fn server_info(&self) -> ServerInfo;

    /// Compiles a START query.
    fn compile(&self, query: Envelope<'_>) -> Result<Box<dyn Query>, Error>;

    /// Tells the engine the addresses of the server, before the first connection comes in.
    fn listening(&self, _: Listening) {}

    /// Returns the number of queries that run and that were begun.
    fn queries(&self) -> QueryCounts {
        QueryCounts::default()
    }

    /// Returns the pool of memory for the queries of all connections. Default: without a limit.
    fn memory(&self) -> Pool {
        Pool::default()
    }

    /// Returns the store, for backups; `None` if there is nothing to copy.
    fn store(&self) -> Option<Store> {
        None
    }

    /// Flushes and closes the storage, after the last connection has gone. May block.
    fn close(&self) {}
}

/// A compiled query, ready to be evaluated.
pub trait Query: Send {
    /// Estimates the cost of the evaluation up to the first answer.
    fn weight(&self) -> Weight;

    /// Evaluates up to an atom or an unread cursor. May block where the work is [`Weight::Heavy`]. A query
    /// that would have to block elsewhere fails with [`Failure::WouldBlock`] before it has done anything, and
    /// is run again where it may block.
    fn run(&self, context: &QueryContext, place: Weight) -> Result<Answer, Failure>;
}

/// The cost of a piece of work, which decides where it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Microseconds, and never waits: done at once, on the connection's own task.
    Light,
    /// Anything else: done on a thread that may block.
    Heavy,
}

/// The client of a query, and the signal that its answer is no longer wanted.
#[derive(Debug, Clone)]
pub struct QueryContext {
    /// The connection's client.
    pub client: Arc<Client>,
    /// The client's number for the query.
    pub token: i64,
    /// Raised when the query is to end. Holds for its cursor too.
    pub interrupt: Interrupt,
}

/// The client at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The user it authenticated as.
    pub user: Arc<str>,
    /// The client's address, or the stream within the process.
    pub peer: Peer,
}

/// The addresses of a server, and its open connections.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Addresses that the server listens on.
    pub addrs: Vec<SocketAddr>,
    /// Number of open connections.
    pub connections: Arc<AtomicUsize>,
}

/// Numbers of a server's queries.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), reql_embedded::StartError> {
/// use reql_embedded::{QueryCounts, Server};
///
/// let server = Server::builder().in_process().start().await?;
/// assert_eq!(server.activity().queries(), QueryCounts { running: 0, begun: 0 });
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryCounts {
    /// Queries that run now, including streams and feeds that haven't been read to their end.
    pub running: u64,
    /// Queries that began since the server was started.
    pub begun: u64,
}

/// The outcome of a query.
pub enum Answer {
    /// One value.
    Atom {
        /// The value as JSON text.
        json: Text,
        /// The profile as JSON text, if the query asked for one.
        profile: Option<Vec<u8>>,
    },
    /// One value that is known later; only for queries that aren't [`Weight::Heavy`].
    Later(Later),
    /// A stream or a feed, of which nothing has been read yet.
    Cursor(Box<dyn Cursor>),
}

/// The JSON text of a value to come.
pub type Later = Pin<Box<dyn Future<Output = Result<Text, Failure>> + Send>>;

/// The unread rest of a stream or feed.
pub trait Cursor: Send {
    /// Returns the next rows; on the first call, the first and smaller batch. May block if its weight is
    /// [`Weight::Heavy`]. A feed returns the rows that have come, which may be none: a session waits for
    /// [`Cursor::ready`].
    fn next_batch(&mut self) -> Result<Batch, Failure>;

    /// Estimates the cost of the next batch.
    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    /// Returns true for a feed, which may be silent for a long time without being at its end.
    fn is_feed(&self) -> bool {
        false
    }

    /// Waits until a feed's next batch is worth asking for: rows, an error, its end. Holds no thread, and may
    /// be dropped and called again without losing anything.
    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// The reason why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The [`Interrupt`] was seen: the session knows the reason, and the answer to it.
    Interrupted,
    /// The query would have to wait after all: to be run once more as [`Weight::Heavy`].
    WouldBlock,
    /// An error of the language.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}
