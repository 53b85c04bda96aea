//! Problem documents by RFC 9457.

use std::time::Duration;

use serde::Serialize;
use warp::http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use super::{Class, Error};

/// The start of a problem's `type`, which its code completes.
const TYPE: &str = "urn:warp-reql:problem:";

/// A problem document before it is known which request it answers. Its response carries it along, so that the outermost
/// layer, which knows the request, can write it out in full.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    code: &'static str,
    pub(crate) detail: String,
    /// What the database or the driver said; for a service with `debug` only.
    pub(crate) cause: Option<String>,
    hint: Option<&'static str>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// What a problem document says of the request it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) debug: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

impl Problem {
    /// A problem that is no [`Error`].
    pub(super) fn bare(status: StatusCode, code: &'static str, detail: &str) -> Self {
        Problem { status, code, detail: detail.to_owned(), cause: None, hint: None, header: None }
    }

    /// The response to a request that is known.
    pub(crate) fn answer(self, to: Answered<'_>) -> Response {
        self.seen_by(Some(to)).write(Some(to))
    }

    /// The document alone, for a stream that has begun with another status already.
    pub(crate) fn document(self, to: Option<Answered<'_>>) -> impl Serialize {
        let problem = self.seen_by(to);
        serde_json::to_value(problem.to_document(to)).unwrap_or_default()
    }

    /// Without the doubts that only a request that writes has.
    fn seen_by(mut self, to: Option<Answered<'_>>) -> Self {
        if to.is_some_and(|to| to.method.is_safe()) && self.code == "outcome-unknown" {
            self.code = "database-unavailable";
            self.detail = "The connection to the database broke.".to_owned();
            self.hint = None;
        }
        self
    }

    fn to_document<'a>(&'a self, to: Option<Answered<'a>>) -> Document<'a> {
        Document {
            r#type: format!("{TYPE}{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: to.map(|to| to.path),
            code: self.code,
            request_id: to.map(|to| to.request_id),
            hint: self.hint,
            cause: self.cause.as_deref().filter(|_| to.is_some_and(|to| to.debug)),
        }
    }

    fn write(self, to: Option<Answered<'_>>) -> Response {
        let mut response = warp::reply::json(&self.to_document(to)).into_response();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header.clone() {
            headers.insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }

    pub(crate) fn into_response(self) -> Response {
        self.write(None)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Problem {
            status: error.status(),
            code: error.code(),
            detail: detail(error),
            cause: cause(error),
            hint: hint(error),
            header: header(error),
        }
    }
}

/// What anyone may know.
fn detail(error: &Error) -> String {
    match error {
        Error::BadRequest(reason) | Error::Conflict(reason) => reason.clone(),
        Error::BadJson { line, column, reason } => {
            format!("The body is not JSON: {reason} at line {line}, column {column}.")
        }
        Error::BadParameter { name, reason } => format!("The parameter `{name}` is wrong: {reason}."),
        Error::BadName(name) => format!("`{name}` is not a name: use the characters A-Z a-z 0-9 _ - only."),
        Error::NotFound(missing) => missing.to_string(),
        Error::MethodNotAllowed { allow } => format!("This path exists with {allow} only."),
        Error::NotAcceptable { offered } => format!("The answer could have these types: {offered}."),
        Error::PreconditionFailed => "The document is not in the state that the request asks for.".to_owned(),
        Error::BodyTooLarge { limit } => format!("The body is longer than {limit} bytes."),
        Error::UriTooLong { limit } => format!("The URL is longer than {limit} bytes."),
        Error::UnsupportedMediaType { expected } => format!("The body must be of a type among {expected}."),
        Error::Refused(_) => "The database refused the document.".to_owned(),
        Error::Unreachable(_) => "The database cannot be reached.".to_owned(),
        Error::Exhausted(waited) => {
            format!("All database connections stayed in use for {}.", seconds(*waited))
        }
        Error::TooManyFeeds(limit) => format!("All {limit} live queries that there may be are taken."),
        Error::ConnectTimeout(limit) => {
            format!("Connecting to the database took longer than {}.", seconds(*limit))
        }
        Error::QueryTimeout(limit) => format!("The database did not answer within {}.", seconds(*limit)),
        Error::OutcomeUnknown(_) => OUTCOME_UNKNOWN.to_owned(),
        Error::Database(error) => of_class(Class::of(error)),
        Error::Decode(_) => "A document is not what this request expects it to be.".to_owned(),
        Error::Misconfigured(_) => "The service is set up wrong.".to_owned(),
        Error::Internal(_) => "Something went wrong inside the service.".to_owned(),
    }
}

const OUTCOME_UNKNOWN: &str = "The connection to the database broke: a write may or may not have happened.";

fn of_class(class: Class) -> String {
    let text = match class {
        Class::Missing(missing) => return missing.to_string(),
        Class::Exists => "It exists already.",
        Class::Forbidden => "The service's database user may not do this.",
        Class::Refused => "The database refused the document or its id.",
        Class::TooMuch => "The query takes more than the database allows.",
        Class::Logic => "The database can make no sense of the query.",
        Class::Unavailable => "The database is not available for this just now.",
        Class::Indeterminate => OUTCOME_UNKNOWN,
        Class::Internal => "The database could not answer.",
    };
    text.to_owned()
}

/// What only a developer may know.
fn cause(error: &Error) -> Option<String> {
    match error {
        Error::Refused(text)
        | Error::Unreachable(text)
        | Error::OutcomeUnknown(text)
        | Error::Misconfigured(text)
        | Error::Internal(text) => Some(text.clone()),
        Error::Database(error) => Some(error.to_string()),
        Error::Decode(error) => Some(error.to_string()),
        _ => None,
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::PreconditionFailed => Some("Read the document again and repeat the change with its new ETag."),
        Error::UnsupportedMediaType { .. } => Some("Set the Content-Type header."),
        Error::OutcomeUnknown(_) | Error::QueryTimeout(_) => Some("Read before you repeat a write."),
        Error::Database(error) => match Class::of(error) {
            Class::TooMuch => Some("Ask for fewer documents, or filter and sort by an index."),
            Class::Indeterminate => Some("Read before you repeat a write."),
            _ => None,
        },
        _ => None,
    }
}

fn header(error: &Error) -> Option<(HeaderName, HeaderValue)> {
    let value = match error {
        Error::MethodNotAllowed { allow } => {
            return HeaderValue::from_str(allow).ok().map(|value| (ALLOW, value));
        }
        _ if error.status() == StatusCode::SERVICE_UNAVAILABLE => HeaderValue::from_static("1"),
        _ => return None,
    };
    Some((RETRY_AFTER, value))
}

fn seconds(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
