//! Errors of queries, of connections and of rows.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::io;
use std::ops::Range;

use serde::Deserialize;

use crate::term::{Printer, Term};

/// The result of an operation that can fail with an [`Error`].
///
/// ```no_run
/// async fn count(session: &mut reql::Session<reql::Stream>) -> reql::Result<u64> {
///     session.one(reql::r.table("users").count()).await
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The failure of a query, of a connection or of a row.
///
/// `Display` shows the error of a query as the official drivers do: the message, the query, and the part of
/// it that is to blame, underlined. `Debug` shows no query.
///
/// ```text
/// Expected type NUMBER but found STRING in:
/// r.expr(1).add(r.expr("a").sub(2))
///               ^^^^^^^^^^^^^^^^^^
/// ```
///
/// Its [`kind`](Error::kind) is for programs:
///
/// ```no_run
/// use reql::{ErrorKind, Session, Stream, r};
///
/// # async fn example(mut session: Session<Stream>) -> reql::Result<()> {
/// match session.run(r.table("users").get(1).delete()).await {
///     Err(error) if error.kind() == ErrorKind::Timeout => println!("It may have been done: {error}"),
///     outcome => outcome?,
/// }
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    sent: Sent,
    /// The connection can be used on, unlike after other errors of this kind.
    spared: bool,
    place: Option<Place>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A query, and the way to the part of it that is to blame.
struct Place {
    query: Term,
    frames: Vec<Frame>,
}

/// The kind of an error.
///
/// ```
/// use reql::{Error, ErrorKind, ErrorType};
///
/// fn is_missing(error: &Error) -> bool {
///     error.kind() == ErrorKind::Runtime(ErrorType::NonExistence)
/// }
///
/// assert!(!is_missing(&Error::new(ErrorKind::Timeout, "too late")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server doesn't take the message for a query (`CLIENT_ERROR`).
    Client,
    /// The query makes no sense (`COMPILE_ERROR`). Nothing of it was done.
    Compile,
    /// The query failed (`RUNTIME_ERROR`).
    Runtime(ErrorType),
    /// The query can't be sent: a value in it isn't JSON, or it is nested too deeply, or too long.
    Invalid,
    /// A row can't be decoded into the requested type. The session can go on.
    Decode,
    /// The answer has no row, although the caller needs one.
    NoRow,
    /// The answer to [`feed`](crate::Session::feed) isn't a changefeed.
    NotAFeed,
    /// The answer to [`all`](crate::Session::all) is a changefeed, which has no end.
    Feed,
    /// The server doesn't let this user in. The number is its error code.
    Refused(i64),
    /// The other side doesn't prove that it knows the password.
    Impostor,
    /// TLS failed.
    Tls,
    /// Reading or writing failed, or the connection ended.
    Io,
    /// The operation took too long.
    Timeout,
    /// The other side broke the protocol.
    Protocol,
    /// An answer is longer than [`Connector::max_answer`](crate::Connector::max_answer) allows.
    TooLarge,
    /// An earlier query of the session was given up half-way: [`settle`](crate::Session::settle) it first.
    Unclean,
    /// The session failed earlier, or was closed.
    Closed,
}

/// The type of a `RUNTIME_ERROR`: `Response.ErrorType` in RethinkDB's `ql2.proto`.
///
/// ```
/// use reql::{Error, ErrorKind, ErrorType};
///
/// let error = Error::new(ErrorKind::Runtime(ErrorType::PermissionDenied), "no write permission");
/// assert_eq!(error.kind(), ErrorKind::Runtime(ErrorType::PermissionDenied));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorType {
    /// The server has a fault.
    Internal,
    /// The query wants more than it may have: elements of an array, time, memory.
    ResourceLimit,
    /// The query does something that its values don't allow.
    QueryLogic,
    /// Something isn't there: a table, a document, a field.
    NonExistence,
    /// An operation failed, and did nothing.
    OpFailed,
    /// An operation failed, and may have been done.
    OpIndeterminate,
    /// The query itself failed by `r.error`.
    User,
    /// The user has no permission.
    PermissionDenied,
    /// A type that this driver doesn't know.
    Other(i64),
}

/// The progress of a query at the time of an error: sent or not.
///
/// ```no_run
/// use reql::{Sent, Session, Stream, r};
///
/// # async fn example(mut session: Session<Stream>) {
/// if let Err(error) = session.run(r.table("log").insert(reql::obj! { "at": r.now() })).await {
///     match error.query_sent() {
///         Sent::NotSent => println!("It can be tried again: {error}"),
///         Sent::Sent => println!("It may have been done: {error}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// The server can't have got all of it, so it has done nothing.
    NotSent,
    /// The server may have got the query. The error says if it was done, unless nobody knows.
    Sent,
}

/// A step from a term to one of its parts.
///
/// ```
/// use reql::error::Frame;
///
/// let frames: Vec<Frame> = serde_json::from_str(r#"[0, "index"]"#).unwrap();
/// assert_eq!(frames, [Frame::Arg(0), Frame::Opt("index".into())]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Frame {
    /// The argument at an index from 0.
    Arg(u64),
    /// The option, or the field of an object, of this name.
    Opt(String),
}

impl Error {
    /// Makes an error of a query that wasn't sent: for tests of code that deals with errors.
    ///
    /// ```
    /// use reql::{Error, ErrorKind, ErrorType};
    ///
    /// let error = Error::new(ErrorKind::Runtime(ErrorType::ResourceLimit), "too many rows");
    /// assert_eq!(error.to_string(), "too many rows");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Error(Box::new(Inner {
            kind,
            message,
            sent: Sent::NotSent,
            spared: false,
            place: None,
            source: None,
        }))
    }

    /// Returns an error of a connection; `doing` continues "while".
    pub(crate) fn io(doing: &str, error: io::Error) -> Self {
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("the server closed the connection while {doing}"),
            _ => format!("{error} while {doing}"),
        };
        Error::new(ErrorKind::Io, message).because(error)
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn sent(mut self, sent: Sent) -> Self {
        self.0.sent = sent;
        self
    }

    /// Marks an error that has spared the connection, unlike others of its kind.
    pub(crate) fn spared(mut self) -> Self {
        self.0.spared = true;
        self
    }

    pub(crate) fn at(mut self, query: Term, frames: Vec<Frame>) -> Self {
        self.0.place = Some(Place { query, frames });
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the type of a runtime error.
    pub fn error_type(&self) -> Option<ErrorType> {
        match self.0.kind {
            ErrorKind::Runtime(kind) => Some(kind),
            _ => None,
        }
    }

    /// Returns the message alone: one line, mostly.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Tells if the query had been sent. With [`Sent::NotSent`] it can be tried again without harm.
    pub fn query_sent(&self) -> Sent {
        self.0.sent
    }

    /// Returns the query that the server complains about.
    pub fn query(&self) -> Option<&Term> {
        self.0.place.as_ref().map(|place| &place.query)
    }

    /// Returns the steps from the query to the part of it that the server complains about.
    pub fn backtrace(&self) -> &[Frame] {
        self.0.place.as_ref().map_or(&[], |place| &place.frames)
    }

    /// Tells if the connection can't be used any more.
    pub fn is_fatal(&self) -> bool {
        use ErrorKind::*;
        !self.0.spared
            && matches!(
                self.0.kind,
                Refused(_) | Impostor | Tls | Io | Timeout | Protocol | TooLarge | Closed
            )
    }
}

impl ErrorType {
    pub(crate) fn from_number(number: Option<i64>) -> Self {
        match number {
            Some(1_000_000) => ErrorType::Internal,
            Some(2_000_000) => ErrorType::ResourceLimit,
            Some(3_000_000) => ErrorType::QueryLogic,
            Some(3_100_000) => ErrorType::NonExistence,
            Some(4_100_000) => ErrorType::OpFailed,
            Some(4_200_000) => ErrorType::OpIndeterminate,
            Some(5_000_000) => ErrorType::User,
            Some(6_000_000) => ErrorType::PermissionDenied,
            other => ErrorType::Other(other.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            None => f.write_str(&self.0.message),
            Some(place) => {
                let message = self.0.message.trim_end_matches('.');
                write!(f, "{message} in:\n{place}")
            }
        }
    }
}

/// The bytes of a query that are shown before and after the part to blame, and of that part itself.
const AROUND: usize = 240;
const PART: usize = 720;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, part) = Printer::print(&self.query, &self.frames);
        let part = part.start..part.end.min(text.floor_char_boundary(part.start + PART));
        let shown = text.floor_char_boundary(part.start.saturating_sub(AROUND))
            ..text.floor_char_boundary(part.end.saturating_add(AROUND).min(text.len()));
        let cut = |range: Range<usize>| text.get(range).unwrap_or_default();
        let before = if shown.start > 0 { "…" } else { "" };
        let after = if shown.end < text.len() { "…" } else { "" };
        writeln!(f, "{before}{}{after}", cut(shown.clone()))?;
        let indent = before.chars().count() + cut(shown.start..part.start).chars().count();
        for _ in 0..indent {
            f.write_char(' ')?;
        }
        for _ in cut(part).chars() {
            f.write_char('^')?;
        }
        Ok(())
    }
}

/// Shows no query: there may be secrets in it, and it may be long.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = f.debug_struct("Error");
        error.field("kind", &self.0.kind).field("message", &self.0.message).field("sent", &self.0.sent);
        if let Some(place) = &self.0.place {
            error.field("backtrace", &place.frames);
        }
        error.finish_non_exhaustive()
    }
}

/// The most bytes of a server's words in an error.
const WORDS: usize = 16 << 10;

/// Returns the words of a server for an error: cut, and without characters that control terminals.
pub(crate) fn told(words: &str) -> String {
    let (kept, rest) = words.split_at(words.floor_char_boundary(WORDS));
    let is_harmless = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let kept = kept.chars().map(|c| Some(c).filter(is_harmless).unwrap_or(char::REPLACEMENT_CHARACTER));
    kept.chain((!rest.is_empty()).then_some('…')).collect()
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
