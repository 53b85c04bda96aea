//! Errors by class, as RethinkDB reports them: client, compile, or one of the runtime types.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::datum::shorten;

/// The result of anything that can fail as a query can.
pub type Result<T> = std::result::Result<T, Error>;

/// Names a term of the query that is running; its frames are in [`Backtraces`](crate::term::Backtraces). The
/// default is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bt(pub(crate) u32);

/// The class and type of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The client sent something that is not a query.
    Client,
    /// The query does not compile: a wrong argument count, an unknown term.
    Compile,
    /// The server failed in a way it should not have.
    Internal,
    /// A limit, such as the array size, was exceeded.
    ResourceLimit,
    /// The query asks for something that makes no sense.
    QueryLogic,
    /// A field, an element or a row is not there; `default` catches it.
    NonExistence,
    /// An operation is known not to have happened.
    OpFailed,
    /// The outcome of an operation is unknown: it may have happened.
    OpIndeterminate,
    /// `r.error` with a message.
    User,
    /// `r.error` without a message: only meaningful inside `default`.
    EmptyUser,
    /// The user may not do this.
    Permission,
    /// The answer is no longer wanted.
    Interrupted,
    /// A changefeed has no row yet, or a query would have to wait where it must not. This is no failure. The
    /// reader of a feed tries again later. The query has done nothing, and is run again on a thread that may
    /// wait.
    WouldBlock,
}

/// The reason why a file can't be used as a server's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The file is open already.
    InUse,
    /// The file was a server's data, and no longer makes sense.
    Damaged,
    /// A newer version has written the file.
    Newer,
    /// The file is something else.
    Foreign,
}

/// A failed query: the kind, the text, and the term to blame once that is known.
///
/// An error is born without a place where only values are at hand (a datum does not know its term); the
/// first term it passes on its way out gives it one, see [`Error::at`].
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Message,
    bt: Option<Bt>,
    is_around: bool,
    unusable: Option<Unusable>,
}

/// A text, or the function that makes it: most errors about missing fields are caught and never shown.
#[derive(Clone)]
enum Message {
    Text(String),
    Lazy(Arc<dyn Fn() -> String + Send + Sync>, OnceLock<String>),
}

/// The longest text of an error, in bytes. RethinkDB has no such limit.
const MAX_MESSAGE: usize = 1 << 20;

fn shortened(mut message: String) -> String {
    shorten(&mut message, MAX_MESSAGE);
    message
}

impl Error {
    /// Returns an error without a place yet.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: Message::Text(shortened(message.into())),
            bt: None,
            is_around: false,
            unusable: None,
        }))
    }

    /// Returns a non-existence error without a place yet, whose text is only made when it is read.
    pub fn missing_lazily(message: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Error::lazily(ErrorKind::NonExistence, message)
    }

    /// Returns an error without a place yet, whose text is only made when it is read.
    pub fn lazily(kind: ErrorKind, message: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let message = Message::Lazy(Arc::new(message), OnceLock::new());
        Error(Box::new(Inner { kind, message, bt: None, is_around: false, unusable: None }))
    }

    /// Returns a query-logic error without a place yet.
    pub fn logic(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::QueryLogic, message)
    }

    /// Returns a non-existence error without a place yet.
    pub fn missing(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::NonExistence, message)
    }

    /// Returns a failed operation (a missing table, a name taken) without a place yet.
    pub fn op_failed(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::OpFailed, message)
    }

    /// Returns an internal error: the server's fault, not the query's.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// Returns the error of a result that isn't there yet, for a caller that must not wait.
    pub fn would_block() -> Self {
        Error::new(ErrorKind::WouldBlock, "This would have to wait.")
    }

    /// Blames this term, unless a term nearer to the cause was blamed already.
    #[must_use]
    pub fn at(mut self, bt: Bt) -> Self {
        self.0.bt.get_or_insert(bt);
        self
    }

    /// Blames the term that this one is a part of, unless a term nearer to the cause was blamed already.
    #[must_use]
    pub fn around(mut self, bt: Bt) -> Self {
        if self.0.bt.is_none() {
            self.0.bt = Some(bt);
            self.0.is_around = true;
        }
        self
    }

    /// Blames this term, in place of any other.
    #[must_use]
    pub fn moved_to(mut self, bt: Bt) -> Self {
        self.0.bt = Some(bt);
        self.0.is_around = false;
        self
    }

    /// Returns the failure with another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Says why the file, which the error is about, can't be used.
    #[must_use]
    pub fn about_file(mut self, unusable: Unusable) -> Self {
        self.0.unusable = Some(unusable);
        self
    }

    /// Returns why the file, which the error is about, can't be used.
    pub fn unusable(&self) -> Option<Unusable> {
        self.0.unusable
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns true if the error ends the whole query, wherever in it the error came: the answer is no longer
    /// wanted, or the query has to be run on another thread.
    pub fn ends_query(&self) -> bool {
        matches!(self.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
    }

    /// Returns the text, as RethinkDB words it.
    pub fn message(&self) -> &str {
        match &self.0.message {
            Message::Text(text) => text,
            Message::Lazy(make, text) => text.get_or_init(|| shortened(make())),
        }
    }

    /// Returns the term to blame, or a part of it, if known.
    pub fn bt(&self) -> Option<Bt> {
        self.0.bt
    }

    /// Returns true if the term to blame is not [`Error::bt`] itself, but the one that it is a part of.
    pub fn is_around(&self) -> bool {
        self.0.is_around
    }
}

/// Shorthand to blame a term for a failure below it.
pub trait At<T> {
    /// Calls [`Error::at`] on the error.
    fn at(self, bt: Bt) -> Result<T>;
    /// Calls [`Error::around`] on the error.
    fn around(self, bt: Bt) -> Result<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, bt: Bt) -> Result<T> {
        self.map_err(|error| error.at(bt))
    }

    fn around(self, bt: Bt) -> Result<T> {
        self.map_err(|error| error.around(bt))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind(), self.message())
    }
}

impl std::error::Error for Error {}
