//! [`Error`]: everything that can go wrong with a request, and the status each answers with.

mod database;
mod problem;
mod rejection;

use std::fmt;
use std::time::Duration;

use warp::http::StatusCode;
use warp::reject::Reject;
use warp::reply::{Reply, Response};

use database::Class;
pub(crate) use problem::{Answered, Problem};
pub use rejection::recover;

/// Everything that can go wrong with a request.
///
/// It is a [`Reply`]: a problem document by RFC 9457, with a `code` that stays the same. A handler that ends in
/// `Result<impl Reply, Error>` needs nothing else. What the database said is shown only by a service that runs with
/// `debug`.
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
    /// A condition of the request (`If-Match`, `If-None-Match`) does not hold.
    PreconditionFailed,
    /// The body is longer than allowed.
    BodyTooLarge {
        /// The most bytes it may have.
        limit: u64,
    },
    /// The URL is longer than allowed.
    UriTooLong {
        /// The most bytes it may have.
        limit: usize,
    },
    /// The body's type is not one the request can have.
    UnsupportedMediaType {
        /// The types it can have.
        expected: String,
    },
    /// The database refused the document; says why, in the database's words.
    Refused(String),
    /// No connection to the database could be opened; says why, in the driver's words.
    Unreachable(String),
    /// All connections stayed in use for this long.
    Exhausted(Duration),
    /// As many live queries as this are being served, which is all there may be.
    TooManyFeeds(usize),
    /// Connecting to the database took longer than this.
    ConnectTimeout(Duration),
    /// The database did not answer a query within this time. If the query wrote, the write may or may not have happened.
    QueryTimeout(Duration),
    /// The connection broke after a query was sent. If it wrote, the write may or may not have happened.
    OutcomeUnknown(String),
    /// The database's own answer.
    Database(reql::Error),
    /// A row of a result is not what the handler expected.
    Decode(serde_json::Error),
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

impl Error {
    /// The status it answers with.
    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// Its name for programs, which stays the same.
    pub fn code(&self) -> &'static str {
        self.kind().1
    }

    /// What opening a session said: whatever it was, no query has been sent.
    pub(crate) fn connect(error: reql::Error) -> Self {
        Error::Unreachable(error.to_string())
    }

    /// The same for a request whose whole question is whether the database can be used.
    pub(crate) fn into_unavailable(self) -> Self {
        match self {
            Error::Exhausted(_) => self,
            other => Error::Unreachable(other.to_string()),
        }
    }

    /// Whether the session it happened on must not be used again.
    pub(crate) fn spends_session(&self) -> bool {
        match self {
            Error::OutcomeUnknown(_) | Error::QueryTimeout(_) => true,
            Error::Database(error) => matches!(error, reql::Error::Driver(_)),
            _ => false,
        }
    }

    /// The one place where errors get their status and code.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Error::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request"),
            Error::BadJson { .. } => (StatusCode::BAD_REQUEST, "bad-json"),
            Error::BadParameter { .. } => (StatusCode::BAD_REQUEST, "bad-parameter"),
            Error::BadName(_) => (StatusCode::BAD_REQUEST, "bad-name"),
            Error::NotFound(missing) => (StatusCode::NOT_FOUND, missing.code()),
            Error::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Error::NotAcceptable { .. } => (StatusCode::NOT_ACCEPTABLE, "not-acceptable"),
            Error::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Error::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "precondition-failed"),
            Error::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            Error::UriTooLong { .. } => (StatusCode::URI_TOO_LONG, "url-too-long"),
            Error::UnsupportedMediaType { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
            }
            Error::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Error::Unreachable(_) => (StatusCode::SERVICE_UNAVAILABLE, "database-unreachable"),
            Error::Exhausted(_) => (StatusCode::SERVICE_UNAVAILABLE, "connections-exhausted"),
            Error::TooManyFeeds(_) => (StatusCode::SERVICE_UNAVAILABLE, "feeds-exhausted"),
            Error::ConnectTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "connect-timeout"),
            Error::QueryTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "query-timeout"),
            Error::OutcomeUnknown(_) => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"),
            Error::Database(error) => match Class::of(error) {
                Class::Missing(missing) => (StatusCode::NOT_FOUND, missing.code()),
                Class::Exists => (StatusCode::CONFLICT, "conflict"),
                Class::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
                Class::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
                Class::TooMuch => (StatusCode::UNPROCESSABLE_ENTITY, "resource-limit"),
                Class::Logic => (StatusCode::BAD_REQUEST, "query-logic"),
                Class::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "database-unavailable"),
                Class::Indeterminate => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"),
                Class::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "database-error"),
            },
            Error::Decode(_) => (StatusCode::INTERNAL_SERVER_ERROR, "unexpected-document"),
            Error::Misconfigured(_) => (StatusCode::INTERNAL_SERVER_ERROR, "misconfigured"),
            Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl Missing {
    fn code(self) -> &'static str {
        match self {
            Missing::Path => "no-such-path",
            Missing::Database => "no-such-database",
            Missing::Table => "no-such-table",
            Missing::Index => "no-such-index",
            Missing::Document => "no-such-document",
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
