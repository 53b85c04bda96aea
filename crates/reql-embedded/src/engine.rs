//! The seam between a connection and the language underneath: what a session asks, and what it gets.
//!
//! A session knows tokens, frames and sockets; an engine knows terms, tables and users. A START query goes
//! [`Engine::compile`] → [`Query::run`] → [`Answer`]; what is left of a stream comes batch by batch from its
//! [`Cursor`]. None of these calls may wait on the network; those that work for long look at their
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
    /// What is stored of a user's password; `None` if there is no such user. Asked once for each connection.
    fn credentials(&self, user: &str) -> Option<Credentials>;

    /// Who the server is, for SERVER_INFO.
    fn server_info(&self) -> ServerInfo;

    /// Compiles a START query.
    fn compile(&self, query: Envelope<'_>) -> Result<Box<dyn Query>, Error>;

    /// Tells where connections come in, before the first one does.
    fn listening(&self, _: Listening) {}

    /// How many queries there are and were.
    fn queries(&self) -> QueryCounts {
        QueryCounts::default()
    }

    /// The memory that the queries of all connections may hold. Default: without a limit.
    fn memory(&self) -> Pool {
        Pool::default()
    }

    /// The store, for backups; `None` if there is nothing that could be copied.
    fn store(&self) -> Option<Store> {
        None
    }

    /// Flushes and closes the storage, after the last connection has gone. May block.
    fn close(&self) {}
}

/// A compiled query, ready to be evaluated.
pub trait Query: Send {
    /// What the evaluation up to the first answer is probably going to cost.
    fn weight(&self) -> Weight;

    /// Evaluates up to an atom or an unread cursor. May block where the work is [`Weight::Heavy`]. Elsewhere
    /// it may find that it would have to; then it has done nothing, and is run again where it may.
    fn run(&self, context: &QueryContext, place: Weight) -> Result<Answer, Failure>;
}

/// Where a piece of work belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Microseconds, and never waits: done at once, on the connection's own task.
    Light,
    /// Anything else: done on a thread that may block.
    Heavy,
}

/// Who asks, and how to learn that the answer is no longer wanted.
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
    /// Where it is.
    pub peer: Peer,
}

/// Where a server takes in connections.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Its addresses.
    pub addrs: Vec<SocketAddr>,
    /// How many connections are open.
    pub connections: Arc<AtomicUsize>,
}

/// How many queries a server has to do with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryCounts {
    /// Those that run now, streams and feeds that haven't been read to their end included.
    pub running: u64,
    /// Those that began since the server was started.
    pub begun: u64,
}

/// What a query evaluates to.
pub enum Answer {
    /// One value.
    Atom {
        /// The value as JSON text.
        json: Text,
        /// The profile as JSON text, if the query asked for one.
        profile: Option<Vec<u8>>,
    },
    /// One value that is known later; only of what isn't [`Weight::Heavy`].
    Later(Later),
    /// A stream or a feed, of which nothing has been read yet.
    Cursor(Box<dyn Cursor>),
}

/// The JSON text of a value to come.
pub type Later = Pin<Box<dyn Future<Output = Result<Text, Failure>> + Send>>;

/// The unread rest of a stream or feed.
pub trait Cursor: Send {
    /// The next rows; on the first call, the first and smaller batch. May block if it said that it is
    /// [`Weight::Heavy`]. A feed gives what is there, if need be nothing: a session waits for
    /// [`Cursor::ready`].
    fn next_batch(&mut self) -> Result<Batch, Failure>;

    /// What the next batch is going to cost.
    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    /// Whether this is a feed, which may have nothing to say for a long time without being at its end.
    fn is_feed(&self) -> bool {
        false
    }

    /// Ends when a feed's next batch is worth asking for: rows, an error, its end. Holds no thread, and may
    /// be dropped and asked again without losing anything.
    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The [`Interrupt`] was seen: the session knows why it was raised, and what to answer.
    Interrupted,
    /// It would have to wait after all: to be run once more as [`Weight::Heavy`].
    WouldBlock,
    /// An error of the language.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}
