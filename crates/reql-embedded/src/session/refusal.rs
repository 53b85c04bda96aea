//! Answers to queries that aren't evaluated, or not to their end.

use crate::engine::{Error, ErrorType, Reason};

/// Returns the answer to an interrupted query; `None` is the empty end of a stream, which clients expect
/// after STOP.
pub(super) fn interruption(reason: Option<Reason>) -> Option<Error> {
    let message = match reason {
        Some(Reason::Stopped) => return None,
        Some(Reason::Killed) => "Query terminated by the `rethinkdb.jobs` table.",
        Some(Reason::Shutdown) => "Server is shutting down.",
        Some(Reason::Closed) => "Client closed the connection.",
        None => "Query terminated by an unknown cause.",
    };
    Some(Error::runtime(ErrorType::OpIndeterminate, message))
}

pub(super) fn duplicate(token: i64) -> Error {
    Error::client(format!("ERROR: duplicate token {token}"))
}

pub(super) fn unknown(token: i64) -> Error {
    Error::client(format!("Token {token} not in stream cache."))
}
