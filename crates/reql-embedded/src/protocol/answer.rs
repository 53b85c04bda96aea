//! The parts of answers: rows, errors, a server's identity.

use super::text::Text;

/// A server's identity.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), reql_embedded::StartError> {
/// use reql_embedded::{Server, ServerInfo};
///
/// let server = Server::builder().in_process().server_name("heroes").start().await?;
/// let ServerInfo { id, name } = server.info().clone();
/// assert_eq!((id.len(), &name[..]), (36, "heroes"));
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
}

/// Rows of a stream.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows, as JSON texts joined by commas.
    pub json: Text,
    /// Number of rows.
    pub rows: usize,
    /// True if the stream ends with these rows.
    pub done: bool,
    /// Notes on the kind of the stream.
    pub notes: Vec<Note>,
    /// The profile as JSON text, if the query asked for one.
    pub profile: Option<Vec<u8>>,
}

impl Batch {
    /// Appends a row, which `write` adds to the text.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.rows > 0 {
            self.json.bytes_mut().push(b',');
        }
        write(self.json.bytes_mut());
        self.rows += 1;
    }
}

/// A response's notes: the kind of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Note {
    /// Changes of a table or a range.
    SequenceFeed = 1,
    /// Changes of one document.
    AtomFeed = 2,
    /// Changes of an ordered and limited range.
    OrderByLimitFeed = 3,
    /// Several feeds of different kinds in one.
    UnionedFeed = 4,
    /// The feed reports its states too.
    IncludesStates = 5,
}

/// An error as a driver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The class: the client's fault, the query's, or the server's.
    pub class: ErrorClass,
    /// The message.
    pub message: String,
    /// The way from the root of the query to the term that failed.
    pub backtrace: Vec<Frame>,
}

/// The class of an error: its response type and, at run time, its error type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The driver sent something that is no query.
    Client,
    /// The query can't be compiled.
    Compile,
    /// The query failed while it ran.
    Runtime(ErrorType),
}

/// The kind of a failure at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorType {
    /// A bug in the server.
    Internal = 1_000_000,
    /// A limit was reached.
    ResourceLimit = 2_000_000,
    /// The query makes no sense.
    QueryLogic = 3_000_000,
    /// Something that was asked for isn't there.
    NonExistence = 3_100_000,
    /// An operation failed.
    OpFailed = 4_100_000,
    /// An operation may or may not have been done.
    OpIndeterminate = 4_200_000,
    /// `r.error()`.
    User = 5_000_000,
    /// The user may not do this.
    Permission = 6_000_000,
}

/// One step of a backtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The argument at this position.
    Position(u32),
    /// The optional argument of this name.
    Optional(String),
}

impl Error {
    /// Makes an error of the driver's.
    pub fn client(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Client, message: message.into(), backtrace: Vec::new() }
    }

    /// Makes an error at run time, of the query as a whole.
    pub fn runtime(kind: ErrorType, message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Runtime(kind), message: message.into(), backtrace: Vec::new() }
    }

    /// Makes the error of a text that isn't JSON.
    pub fn unparseable() -> Self {
        Self::client("Client is buggy (failed to deserialize query).")
    }
}
