//! The codes of the database's errors.
//!
//! The protocol has only a handful of error types. What is missing, or exists already, can only be told from
//! the message. This is the one place that parses messages.

use std::ops::RangeInclusive;

use reql::error::Frame;
use reql::{ErrorKind, ErrorType, Sent};

use super::{Code, Error, REPEAT};

/// The error codes of a handshake with a wrong user or password.
const BAD_CREDENTIALS: RangeInclusive<i64> = 10..=20;

/// The beginning of what the embedded server says when it has no room for what it is to write.
const FULL: &str = "The disk is full";

/// Returns the code of an error of the database or of the driver.
fn code_of(error: &reql::Error) -> Code {
    match error.kind() {
        ErrorKind::Runtime(kind) => code_of_runtime(kind, error.message()),
        ErrorKind::TooLarge => Code::ResourceLimit,
        ErrorKind::Decode => Code::UnexpectedDocument,
        _ if error.is_fatal() && error.query_sent() == Sent::Sent => Code::OutcomeUnknown,
        _ if error.is_fatal() => Code::DatabaseUnreachable,
        _ => Code::DatabaseError,
    }
}

fn code_of_runtime(kind: ErrorType, message: &str) -> Code {
    match kind {
        ErrorType::OpFailed | ErrorType::OpIndeterminate if message.starts_with(FULL) => Code::StorageFull,
        ErrorType::OpFailed => code_of_failure(message),
        ErrorType::OpIndeterminate => Code::OutcomeUnknown,
        ErrorType::NonExistence => Code::NoSuchDocument,
        ErrorType::PermissionDenied => Code::Forbidden,
        ErrorType::ResourceLimit => Code::ResourceLimit,
        ErrorType::QueryLogic if is_refusal(message) => Code::Refused,
        ErrorType::QueryLogic | ErrorType::User => Code::QueryLogic,
        // A feed of one document reports missing permissions as an internal error.
        ErrorType::Internal if message.contains("does not have the required `") => Code::Forbidden,
        // The database reports an outage of all of a table's servers as an internal error.
        ErrorType::Internal if message.contains("none of the servers were accessible") => {
            Code::DatabaseUnavailable
        }
        _ => Code::DatabaseError,
    }
}

/// The start of the message about a table that has more replicas than there are servers.
const TOO_FEW_SERVERS: &str = "Can't put";

fn code_of_failure(message: &str) -> Code {
    if message.contains("already exists") {
        return Code::Conflict;
    }
    if message.starts_with(TOO_FEW_SERVERS) {
        return Code::Refused;
    }
    let missing = message.contains("does not exist") || message.contains("was not found");
    match message {
        _ if !missing => Code::DatabaseUnavailable,
        _ if message.starts_with("Database") => Code::NoSuchDatabase,
        _ if message.starts_with("Index") => Code::NoSuchIndex,
        _ => Code::NoSuchTable,
    }
}

/// Returns whether the message is about an invalid document or key rather than about an invalid query.
fn is_refusal(message: &str) -> bool {
    ["Primary key too long", "contains NULL byte", "nesting depth", "Nesting depth", "must have primary key"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// Returns whether a row could not be read because it is nested too deeply. Only the message tells.
fn is_too_deep(error: &reql::Error) -> bool {
    error.message().contains("recursion limit exceeded")
}

/// Returns the code of an error of a query that the client has written. It only says whether the query or the
/// database is at fault; the message says the rest.
fn code_of_query(error: &reql::Error) -> Code {
    match error.kind() {
        ErrorKind::Client | ErrorKind::Compile => return Code::BadQuery,
        // The cause may be unavailable replicas, but mostly is the query.
        ErrorKind::Runtime(ErrorType::OpFailed) if !error.message().contains("available") => {
            return Code::QueryFailed;
        }
        _ => {}
    }
    match code_of(error) {
        Code::NoSuchDocument | Code::NoSuchTable | Code::NoSuchDatabase | Code::NoSuchIndex => {
            Code::QueryFailed
        }
        Code::Conflict | Code::Refused | Code::QueryLogic => Code::QueryFailed,
        code => code,
    }
}

impl From<reql::Error> for Error {
    fn from(error: reql::Error) -> Self {
        let code = code_of(&error);
        let known = match code {
            Code::UnexpectedDocument if is_too_deep(&error) => {
                let detail = "The answer holds a document that is nested too deeply to be read.";
                Error::new(code, detail).with_hint(REPEAT)
            }
            Code::Refused if error.message().starts_with(TOO_FEW_SERVERS) => {
                Error::new(code, "There are fewer servers than replicas are asked for.")
            }
            Code::Refused => Error::new(code, "The database refused the document or its id."),
            code => Error::from(code),
        };
        known.caused_by(error)
    }
}

/// The text of the error that a query throws if the caller may not write a document.
pub(crate) const REFUSED: &str = "warp-reql: not allowed";
/// The beginning of the error of an insert whose id is taken, in the database's words.
pub(crate) const DUPLICATE: &str = "Duplicate primary key";

impl Error {
    /// Makes the error of a session that could not be opened. No query has been sent.
    pub(crate) fn connect(error: reql::Error) -> Self {
        match error.kind() {
            ErrorKind::Refused(code) if BAD_CREDENTIALS.contains(&code) => Error::wrong_credentials(error),
            _ => Error::from(Code::DatabaseUnreachable).caused_by(error),
        }
    }

    /// Turns the error about wrong credentials into one about the service's own credentials, which clients
    /// can't change.
    pub(crate) fn into_own(mut self) -> Self {
        if self.code() != Code::Unauthorized {
            return self;
        }
        let mut own = Error::from(Code::DatabaseUnreachable);
        own.0.source = self.0.source.take();
        own
    }

    /// Turns an error of the database into one of the query that the client has written, with the database's
    /// message. `part` finds the place of a backtrace in the query.
    pub(crate) fn of_query(self, part: impl FnOnce(&[Frame]) -> Option<crate::language::Place>) -> Self {
        let source = self.0.source.as_deref().and_then(|source| source.downcast_ref::<reql::Error>());
        let Some(error) = source.filter(|error| error.query().is_some()) else { return self };
        let mut told = Error::new(code_of_query(error), error.message().to_owned());
        told.0.place.part = part(error.backtrace());
        if told.0.place.part.is_none() {
            // The driver appends the query with the place underlined.
            told.0.place.excerpt = error.to_string().split_once(" in:\n").map(|(_, shown)| shown.to_owned());
        }
        told.0.source = self.0.source;
        told
    }

    /// Makes an error out of the `first_error` of a write.
    pub(crate) fn of_write(first_error: String) -> Self {
        if first_error == REFUSED {
            return Error::forbidden();
        }
        if first_error.starts_with(DUPLICATE) {
            return Error::new(Code::Conflict, "There is a document with this id already.");
        }
        if first_error.starts_with("Primary key `") && first_error.contains("cannot be changed") {
            return Error::bad_request("The id in the body is not the one in the path.");
        }
        Error::from(Code::Refused).caused_by(first_error)
    }

    /// Turns the error of a write whose answer is too long to be read into that of an unknown outcome: the
    /// database has answered, so it has written, or tells why not.
    pub(crate) fn of_sent_write(self) -> Self {
        let source = self.0.source.as_deref().and_then(|source| source.downcast_ref::<reql::Error>());
        let is_lost =
            |error: &reql::Error| error.kind() == ErrorKind::TooLarge && error.query_sent() == Sent::Sent;
        if !source.is_some_and(is_lost) {
            return self;
        }
        let mut unknown = Error::from(Code::OutcomeUnknown);
        unknown.0.source = self.0.source;
        unknown.with_detail("The database's answer is too long: a write may or may not have happened.")
    }

    /// Turns the error of a read that fails as a write would into that of the write.
    pub(crate) fn or_of_write(self) -> Self {
        let source = self.0.source.as_deref().and_then(|source| source.downcast_ref::<reql::Error>());
        match source.map(reql::Error::message) {
            Some(reason) if reason == REFUSED || reason.starts_with(DUPLICATE) => {
                Error::of_write(reason.to_owned())
            }
            _ => self,
        }
    }

    /// Returns whether the cause is a row that isn't a document, or is nested too deeply to be read. The
    /// query may succeed without that row, or with it as text.
    pub(crate) fn is_about_a_row(&self) -> bool {
        let source = self.0.source.as_deref().and_then(|source| source.downcast_ref::<reql::Error>());
        source.is_some_and(|error| match error.kind() {
            ErrorKind::Decode => is_too_deep(error),
            ErrorKind::Runtime(ErrorType::QueryLogic) => {
                error.message().contains("on objects of type `PTYPE<")
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(message: &str) -> Code {
        code_of_runtime(ErrorType::OpFailed, message)
    }

    #[test]
    fn messages_tell_what_is_missing() {
        assert_eq!(failed("Table `test.nope` does not exist."), Code::NoSuchTable);
        assert_eq!(failed("Database `nope` does not exist."), Code::NoSuchDatabase);
        assert_eq!(failed("Index `i` does not exist on table `test.t`."), Code::NoSuchIndex);
        assert_eq!(failed("Index `i` was not found on table `test.t`."), Code::NoSuchIndex);
        assert_eq!(failed("Table `test.t` already exists."), Code::Conflict);
        assert_eq!(failed("Cannot perform read: primary replica not available"), Code::DatabaseUnavailable);
    }

    #[test]
    fn an_answer_that_is_nested_too_deeply_says_nothing_of_the_connection() {
        let of = |kind, message: &str| Error::from(reql::Error::new(kind, message.to_owned()));
        let deep = serde_json::from_str::<serde_json::Value>(&"[".repeat(1000)).unwrap_err();
        let deep = of(ErrorKind::Decode, &deep.to_string());
        assert!(deep.is_about_a_row());
        assert_eq!(deep.code(), "unexpected-document");
        assert!(!of(ErrorKind::Decode, "a number was expected").is_about_a_row());
        assert_eq!(of(ErrorKind::Io, "the server closed the connection").code(), "database-unreachable");
    }

    #[test]
    fn a_refusal_is_one_even_as_an_exception() {
        let of = |message: &str| code_of_runtime(ErrorType::Internal, message);
        let refusal = "Unexpected exception: User `bob` does not have the required `read` permission.";
        assert_eq!([of(refusal), of("Unexpected exception: bad")], [Code::Forbidden, Code::DatabaseError]);
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        for kind in [ErrorType::OpFailed, ErrorType::OpIndeterminate] {
            let of = |message: &str| code_of_runtime(kind, message);
            assert_eq!(of("The disk is full: the database file could not be written."), Code::StorageFull);
            assert_ne!(of("The database file could not be read or written."), Code::StorageFull);
        }
    }

    #[test]
    fn an_outage_is_one_even_as_an_internal_error() {
        let message = "The attempt to read or modify the table's configuration failed because none of the \
                       servers were accessible.";
        assert_eq!(code_of_runtime(ErrorType::Internal, message), Code::DatabaseUnavailable);
    }

    #[test]
    fn keys_that_the_database_refuses_are_no_faults_of_the_query() {
        let of = |message: &str| code_of_runtime(ErrorType::QueryLogic, message);
        assert_eq!(of("Primary key too long (max 127 characters): \"x\""), Code::Refused);
        assert_eq!(of("Expected type NUMBER but found STRING."), Code::QueryLogic);
    }
}
