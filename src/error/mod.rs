//! [`Error`]: everything that can go wrong with a request, and the status each answers with.

mod code;
mod database;
mod problem;
mod rejection;

use std::fmt;
use std::time::Duration;

use reql::ErrorKind;
use warp::http::StatusCode;
use warp::reject::Reject;
use warp::reply::{Reply, Response};

pub use code::Code;
use database::Class;
pub(crate) use problem::{Answered, Problem, size};
pub use rejection::recover;

/// The codes with which the server refuses credentials, by RethinkDB's `Writing drivers`.
const BAD_CREDENTIALS: std::ops::RangeInclusive<i64> = 10..=20;

/// Everything that can go wrong with a request.
///
/// It is a [`Reply`]: a problem document by RFC 9457, with a `code` that stays the same. A handler that ends
/// in `Result<impl Reply, Error>` needs nothing else. What the database said is shown only by a service that
/// runs with `debug`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request is not what the API asks for; says how.
    BadRequest(String),
    /// The body is not JSON.
    BadJson {
        /// The line of the body, counted from 1.
        line: usize,
        /// The column in that line, counted from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A parameter of the URL is unknown or wrong.
    BadParameter {
        /// The parameter's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The name of a table or index has other characters than `A-Z a-z 0-9 _ -`.
    BadName(String),
    /// What the request is about does not exist.
    NotFound(Missing),
    /// The path exists, but not with this method.
    MethodNotAllowed {
        /// The methods it exists with, as in the `Allow` header.
        allow: String,
    },
    /// The request accepts no type that the answer could have.
    NotAcceptable {
        /// The types it could have.
        offered: String,
    },
    /// What the request would create exists already; says what.
    Conflict(String),
    /// The request needs the credentials of a database user, or those it has are wrong; says which, and why
    /// in the database's words.
    Unauthorized(Credential),
    /// A request with the same `Idempotency-Key` is being answered, or it isn't known how it ended.
    KeyInUse,
    /// Another request had the same `Idempotency-Key`.
    KeyReused,
    /// A condition of the request (`If-Match`, `If-None-Match`) does not hold.
    PreconditionFailed,
    /// The request must have such a condition.
    PreconditionRequired,
    /// The body is longer than allowed.
    BodyTooLarge {
        /// The most bytes it may have.
        limit: u64,
    },
    /// The URL is longer than allowed.
    UriTooLong {
        /// The most bytes it may have.
        limit: u64,
    },
    /// The headers are longer than allowed.
    HeadersTooLarge {
        /// The most bytes they may have.
        limit: u64,
    },
    /// As many requests as allowed are being answered already.
    TooManyRequests {
        /// The number of requests that may be answered at once.
        limit: usize,
    },
    /// This client, or this user of the database, has as much going on as one may.
    ShareUsedUp {
        /// The most that one may have, such as `512 requests`.
        limit: String,
    },
    /// Too many wrong passwords came from this client. The next one may come after this time.
    TooManyGuesses(Duration),
    /// The body paused for this long, or came too slowly on average.
    BodyTooSlow(Duration),
    /// The answer would be longer than allowed.
    AnswerTooLarge {
        /// The most bytes it may have.
        limit: u64,
    },
    /// The request was made by a page of another origin, which may not use the service.
    ForeignOrigin,
    /// The request names a host that isn't this service's.
    ForeignHost,
    /// The request took longer than this as a whole. If it writes, the write may or may not have happened.
    RequestTimeout(Duration),
    /// The body's type is not one the request can have.
    UnsupportedMediaType {
        /// The types it can have.
        expected: String,
    },
    /// The body comes in an encoding such as gzip.
    UnsupportedEncoding,
    /// The database refused the document; says why, in the database's words.
    Refused(String),
    /// No connection to the database could be opened; says why, in the driver's words.
    Unreachable(String),
    /// All connections stayed in use for this long.
    Exhausted(Duration),
    /// As many live queries as this are being served, which is all there may be.
    TooManyFeeds(usize),
    /// The answers that are being made or read take this many bytes, which is all there may be.
    TooMuchToAnswer(u64),
    /// The bodies that are being read take this many bytes, which is all there may be.
    TooMuchToRead(u64),
    /// As many answers as this are being streamed, which is all there may be.
    TooManyStreams(usize),
    /// Connecting to the database took longer than this.
    ConnectTimeout(Duration),
    /// The database did not answer a query within this time. If the query wrote, the write may or may not
    /// have happened.
    QueryTimeout(Duration),
    /// The connection broke after a query was sent. If it wrote, the write may or may not have happened.
    OutcomeUnknown(String),
    /// The database's own answer.
    Database(reql::Error),
    /// A row of a result is not what the handler expected; says why.
    Decode(String),
    /// The service was set up wrong; says how.
    Misconfigured(String),
    /// Something that is this service's own fault; the log says more.
    Internal(String),
}

/// What does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// There is no such path.
    Path,
    /// There is no such database.
    Database,
    /// There is no such table.
    Table,
    /// There is no such index.
    Index,
    /// There is no such document.
    Document,
}

/// What is wrong with a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// There are none, or none that can be read.
    Missing,
    /// The database doesn't take them; says why, in its words.
    Wrong(String),
}

impl Error {
    /// The status it answers with.
    pub fn status(&self) -> StatusCode {
        self.kind().status()
    }

    /// Its name for programs, which stays the same.
    pub fn code(&self) -> &'static str {
        self.kind().as_str()
    }

    /// What opening a session said: whatever it was, no query has been sent.
    pub(crate) fn connect(error: &reql::Error) -> Self {
        match error.kind() {
            ErrorKind::Refused(code) if BAD_CREDENTIALS.contains(&code) => {
                Error::Unauthorized(Credential::Wrong(error.to_string()))
            }
            _ => Error::Unreachable(error.to_string()),
        }
    }

    /// The same when the credentials were the service's own, which are no request's fault.
    pub(crate) fn into_own(self) -> Self {
        match self {
            Error::Unauthorized(Credential::Wrong(reason)) => Error::Unreachable(reason),
            error => error,
        }
    }

    /// What it says does not exist.
    pub(crate) fn missing(&self) -> Option<Missing> {
        match self {
            Error::NotFound(missing) => Some(*missing),
            Error::Database(error) => match Class::of(error) {
                Class::Missing(missing) => Some(missing),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the query took more than the database allows.
    pub(crate) fn is_resource_limit(&self) -> bool {
        matches!(self, Error::Database(error) if Class::of(error) == Class::TooMuch)
    }

    /// The one place where errors get their code, and with it their status.
    pub(crate) fn kind(&self) -> Code {
        match self {
            Error::BadRequest(_) => Code::BadRequest,
            Error::BadJson { .. } => Code::BadJson,
            Error::BadParameter { .. } => Code::BadParameter,
            Error::BadName(_) => Code::BadName,
            Error::NotFound(missing) => missing.code(),
            Error::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Error::NotAcceptable { .. } => Code::NotAcceptable,
            Error::Conflict(_) => Code::Conflict,
            Error::KeyInUse => Code::KeyInUse,
            Error::KeyReused => Code::KeyReused,
            Error::Unauthorized(_) => Code::Unauthorized,
            Error::PreconditionFailed => Code::PreconditionFailed,
            Error::PreconditionRequired => Code::PreconditionRequired,
            Error::BodyTooLarge { .. } => Code::BodyTooLarge,
            Error::UriTooLong { .. } => Code::UrlTooLong,
            Error::HeadersTooLarge { .. } => Code::HeadersTooLarge,
            Error::TooManyRequests { .. } => Code::TooManyRequests,
            Error::ShareUsedUp { .. } => Code::ShareUsedUp,
            Error::TooManyGuesses(_) => Code::TooManyGuesses,
            Error::BodyTooSlow(_) => Code::BodyTooSlow,
            Error::AnswerTooLarge { .. } => Code::AnswerTooLarge,
            Error::ForeignOrigin => Code::ForeignOrigin,
            Error::ForeignHost => Code::ForeignHost,
            Error::RequestTimeout(_) => Code::RequestTimeout,
            Error::UnsupportedMediaType { .. } | Error::UnsupportedEncoding => Code::UnsupportedMediaType,
            Error::Refused(_) => Code::Refused,
            Error::Unreachable(_) => Code::DatabaseUnreachable,
            Error::Exhausted(_) => Code::ConnectionsExhausted,
            Error::TooManyFeeds(_) => Code::FeedsExhausted,
            Error::TooMuchToAnswer(_) => Code::AnswersExhausted,
            Error::TooMuchToRead(_) => Code::BodiesExhausted,
            Error::TooManyStreams(_) => Code::StreamsExhausted,
            Error::ConnectTimeout(_) => Code::ConnectTimeout,
            Error::QueryTimeout(_) => Code::QueryTimeout,
            Error::OutcomeUnknown(_) => Code::OutcomeUnknown,
            Error::Database(error) => Class::of(error).code(),
            Error::Decode(_) => Code::UnexpectedDocument,
            Error::Misconfigured(_) => Code::Misconfigured,
            Error::Internal(_) => Code::Internal,
        }
    }
}

impl Missing {
    fn code(self) -> Code {
        match self {
            Missing::Path => Code::NoSuchPath,
            Missing::Database => Code::NoSuchDatabase,
            Missing::Table => Code::NoSuchTable,
            Missing::Index => Code::NoSuchIndex,
            Missing::Document => Code::NoSuchDocument,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Path => "There is no such path.",
            Missing::Database => "There is no such database.",
            Missing::Table => "There is no such table.",
            Missing::Index => "There is no such index.",
            Missing::Document => "There is no such document.",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = Problem::from(self);
        f.write_str(&problem.detail)?;
        match &problem.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl Reject for Error {}

impl Reply for Error {
    fn into_response(self) -> Response {
        Problem::from(&self).into_response()
    }
}
