//! What the database's answers mean to a request.
//!
//! The protocol has a handful of error types; what doesn't exist, or exists already, is only told apart by
//! the message. This is the one place that reads messages.

use reql::{ErrorKind, ErrorType, Sent};

use super::{Code, Error, Missing};

/// What a database error means to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Missing(Missing),
    Exists,
    Forbidden,
    /// The database won't have this document or key.
    Refused,
    /// More than a query may take.
    TooMuch,
    Logic,
    Unavailable,
    Indeterminate,
    /// The answer holds a document that is nested more deeply than can be read.
    TooDeep,
    Internal,
}

impl Class {
    pub(super) fn of(error: &reql::Error) -> Self {
        match error.kind() {
            ErrorKind::Runtime(kind) => Class::of_runtime(kind, error.message()),
            ErrorKind::TooLarge => Class::TooMuch,
            ErrorKind::Decode if is_too_deep(error) => Class::TooDeep,
            _ => Class::Internal,
        }
    }

    pub(super) fn code(self) -> Code {
        match self {
            Class::Missing(missing) => missing.code(),
            Class::Exists => Code::Conflict,
            Class::Forbidden => Code::Forbidden,
            Class::Refused => Code::Refused,
            Class::TooMuch => Code::ResourceLimit,
            Class::Logic => Code::QueryLogic,
            Class::Unavailable => Code::DatabaseUnavailable,
            Class::Indeterminate => Code::OutcomeUnknown,
            Class::TooDeep => Code::UnexpectedDocument,
            Class::Internal => Code::DatabaseError,
        }
    }

    fn of_runtime(kind: ErrorType, message: &str) -> Self {
        match kind {
            ErrorType::OpFailed => Class::of_failure(message),
            ErrorType::OpIndeterminate => Class::Indeterminate,
            ErrorType::NonExistence => Class::Missing(Missing::Document),
            ErrorType::PermissionDenied => Class::Forbidden,
            ErrorType::ResourceLimit => Class::TooMuch,
            ErrorType::QueryLogic if is_refusal(message) => Class::Refused,
            ErrorType::QueryLogic | ErrorType::User => Class::Logic,
            // A feed of one document lets the refusal through as an exception that nobody expected.
            ErrorType::Internal if message.contains("does not have the required `") => Class::Forbidden,
            // An outage of all of a table's servers, which the database files under its own errors.
            ErrorType::Internal if message.contains("none of the servers were accessible") => {
                Class::Unavailable
            }
            _ => Class::Internal,
        }
    }

    fn of_failure(message: &str) -> Self {
        if message.contains("already exists") {
            return Class::Exists;
        }
        let missing = message.contains("does not exist") || message.contains("was not found");
        match message {
            _ if !missing => Class::Unavailable,
            _ if message.starts_with("Database") => Class::Missing(Missing::Database),
            _ if message.starts_with("Index") => Class::Missing(Missing::Index),
            _ => Class::Missing(Missing::Table),
        }
    }
}

/// Whether the database says that it won't have a document or a key, rather than that the query makes no
/// sense.
fn is_refusal(message: &str) -> bool {
    ["Primary key too long", "contains NULL byte", "nesting depth", "Nesting depth", "must have primary key"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// Returns whether a row could not be read because it is nested too deeply. Only the message tells that from
/// other faults.
fn is_too_deep(error: &reql::Error) -> bool {
    error.message().contains("recursion limit exceeded")
}

impl Error {
    /// Returns whether the cause is a row that is no document, or is nested too deeply to be read. An answer
    /// without that row, or with it as text, may then succeed.
    pub(crate) fn is_about_a_row(&self) -> bool {
        let Error::Database(error) = self else { return false };
        match error.kind() {
            ErrorKind::Decode => is_too_deep(error),
            ErrorKind::Runtime(ErrorType::QueryLogic) => {
                error.message().contains("on objects of type `PTYPE<")
            }
            _ => false,
        }
    }

    /// What the `first_error` of a write means.
    pub(crate) fn of_write(first_error: String) -> Self {
        if first_error.starts_with("Duplicate primary key") {
            return Error::Conflict("There is a document with this id already.".to_owned());
        }
        if first_error.starts_with("Primary key `") && first_error.contains("cannot be changed") {
            return Error::BadRequest("The id in the body is not the one in the path.".to_owned());
        }
        Error::Refused(first_error)
    }
}

impl From<reql::Error> for Error {
    fn from(error: reql::Error) -> Self {
        match error.kind() {
            ErrorKind::Decode if !is_too_deep(&error) => Error::Decode(error.to_string()),
            ErrorKind::TooLarge => Error::Database(error),
            _ if error.is_fatal() && error.query_sent() == Sent::Sent => {
                Error::OutcomeUnknown(error.to_string())
            }
            _ if error.is_fatal() => Error::Unreachable(error.to_string()),
            _ => Error::Database(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(message: &str) -> Class {
        Class::of_runtime(ErrorType::OpFailed, message)
    }

    #[test]
    fn messages_tell_what_is_missing() {
        assert_eq!(failed("Table `test.nope` does not exist."), Class::Missing(Missing::Table));
        assert_eq!(failed("Database `nope` does not exist."), Class::Missing(Missing::Database));
        assert_eq!(failed("Index `i` does not exist on table `test.t`."), Class::Missing(Missing::Index));
        assert_eq!(failed("Index `i` was not found on table `test.t`."), Class::Missing(Missing::Index));
        assert_eq!(failed("Table `test.t` already exists."), Class::Exists);
        assert_eq!(failed("Cannot perform read: primary replica not available"), Class::Unavailable);
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
        let of = |message: &str| Class::of_runtime(ErrorType::Internal, message);
        let refusal = "Unexpected exception: User `bob` does not have the required `read` permission.";
        assert_eq!([of(refusal), of("Unexpected exception: bad")], [Class::Forbidden, Class::Internal]);
    }

    #[test]
    fn an_outage_is_one_even_as_an_internal_error() {
        let message = "The attempt to read or modify the table's configuration failed because none of the \
                       servers were accessible.";
        assert_eq!(Class::of_runtime(ErrorType::Internal, message), Class::Unavailable);
    }

    #[test]
    fn keys_that_the_database_refuses_are_no_faults_of_the_query() {
        let of = |message: &str| Class::of_runtime(ErrorType::QueryLogic, message);
        assert_eq!(of("Primary key too long (max 127 characters): \"x\""), Class::Refused);
        assert_eq!(of("Expected type NUMBER but found STRING."), Class::Logic);
    }
}
