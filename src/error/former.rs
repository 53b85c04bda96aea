//! The former constructors, until all who write now have changed over. To be deleted.
#![allow(non_snake_case, non_upper_case_globals, missing_docs, clippy::wrong_self_convention)]

use std::time::Duration;

use super::{Code, Error};

/// The former names of what is missing.
pub mod Missing {
    use super::Code;

    pub const Path: Code = Code::NoSuchPath;
    pub const Database: Code = Code::NoSuchDatabase;
    pub const Table: Code = Code::NoSuchTable;
    pub const Index: Code = Code::NoSuchIndex;
    pub const Document: Code = Code::NoSuchDocument;
}

#[doc(hidden)]
impl Error {
    pub fn BadRequest(reason: String) -> Self {
        Error::bad_request(reason)
    }
    pub fn Conflict(reason: String) -> Self {
        Error::new(Code::Conflict, reason)
    }
    pub fn NotFound(code: Code) -> Self {
        code.into()
    }
    pub fn Internal(cause: String) -> Self {
        Error::internal(cause)
    }
    pub fn Misconfigured(cause: String) -> Self {
        Error::from(Code::Misconfigured).caused_by(cause)
    }
    pub fn Unreachable(cause: String) -> Self {
        Error::from(Code::DatabaseUnreachable).caused_by(cause)
    }
    pub fn OutcomeUnknown(cause: String) -> Self {
        Error::from(Code::OutcomeUnknown).caused_by(cause)
    }
    pub fn Decode(cause: String) -> Self {
        Error::from(Code::UnexpectedDocument).caused_by(cause)
    }
    pub fn QueryTimeout(limit: Duration) -> Self {
        Error::after(Code::QueryTimeout, limit)
    }
    pub fn RequestTimeout(limit: Duration) -> Self {
        Error::after(Code::RequestTimeout, limit)
    }
    pub fn ConnectTimeout(limit: Duration) -> Self {
        Error::after(Code::ConnectTimeout, limit)
    }
    pub fn Exhausted(limit: Duration) -> Self {
        Error::after(Code::ConnectionsExhausted, limit)
    }
    pub fn TooManyFeeds(limit: usize) -> Self {
        Error::about(Code::FeedsExhausted, limit)
    }
    pub fn TooManyStreams(limit: usize) -> Self {
        Error::about(Code::StreamsExhausted, limit)
    }
}
