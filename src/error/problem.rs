//! Problem documents by RFC 9457.

use std::time::Duration;

use serde::Serialize;
use warp::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use super::{Class, Code, Credential, Error};
use crate::names::NAME_MAX;

/// The start of a problem's `type`, which its code completes.
const TYPE: &str = "urn:warp-reql:problem:";

/// What a request without the right credentials is asked for.
const CHALLENGE: &str = "Basic realm=\"warp-reql\", charset=\"UTF-8\"";

/// A problem document before it is known which request it answers. Its response carries it along, so that the
/// outermost layer, which knows the request, can write it out in full.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: String,
    /// What the database or the driver said; for a service with `debug` only.
    pub(crate) cause: Option<String>,
    hint: Option<&'static str>,
    place: Place,
    header: Option<(HeaderName, HeaderValue)>,
}

/// Where in the request the problem is, if it is at one place.
#[derive(Debug, Clone, Default, Serialize)]
struct Place {
    /// The line of the body, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The column in that line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// The name of the parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
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
    #[serde(flatten)]
    place: &'a Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

impl Problem {
    /// A problem that is no [`Error`].
    pub(super) fn bare(code: Code, detail: &str) -> Self {
        let (detail, place) = (detail.to_owned(), Place::default());
        Problem { code, detail, cause: None, hint: None, place, header: None }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
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
        if to.is_some_and(|to| to.method.is_safe()) && self.code == Code::OutcomeUnknown {
            self.code = Code::DatabaseUnavailable;
            self.detail = "The connection to the database broke.".to_owned();
        }
        if to.is_some_and(|to| to.method.is_safe()) && self.hint == Some(REPEAT) {
            self.hint = None;
        }
        self
    }

    fn to_document<'a>(&'a self, to: Option<Answered<'a>>) -> Document<'a> {
        let (status, code) = (self.status(), self.code.as_str());
        Document {
            r#type: format!("{TYPE}{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.detail,
            instance: to.map(|to| to.path),
            code,
            request_id: to.map(|to| to.request_id),
            hint: self.hint,
            place: &self.place,
            cause: self.cause.as_deref().filter(|_| to.is_some_and(|to| to.debug)),
        }
    }

    fn write(self, to: Option<Answered<'_>>) -> Response {
        let mut response = warp::reply::json(&self.to_document(to)).into_response();
        *response.status_mut() = self.status();
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
            code: error.kind(),
            detail: detail(error),
            cause: cause(error),
            hint: hint(error),
            place: place(error),
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
        Error::BadName(name) => {
            let shown: String = name.chars().take(40).collect();
            let more = if shown.len() < name.len() { "..." } else { "" };
            format!("`{shown}{more}` is not a name: use 1 to {} of the characters A-Z a-z 0-9 _ -.", NAME_MAX)
        }
        Error::NotFound(missing) => missing.to_string(),
        Error::MethodNotAllowed { allow } => format!("This path exists with {allow} only."),
        Error::NotAcceptable { offered } => format!("The answer could have these types: {offered}."),
        Error::Unauthorized(Credential::Missing) => {
            "This needs the name and password of a database user, by HTTP Basic.".to_owned()
        }
        Error::Unauthorized(Credential::Wrong(_)) => {
            "The database knows no such user and password.".to_owned()
        }
        Error::KeyInUse => "A request with this `Idempotency-Key` is being answered.".to_owned(),
        Error::KeyReused => "Another request had this `Idempotency-Key`.".to_owned(),
        Error::PreconditionRequired => "This needs a condition: `If-Match` or `If-None-Match`.".to_owned(),
        Error::PreconditionFailed => "The document is not in the state that the request asks for.".to_owned(),
        Error::BodyTooLarge { limit } => format!("The body is longer than {}.", size(*limit)),
        Error::UriTooLong { limit } => format!("The URL is longer than {}.", size(*limit)),
        Error::HeadersTooLarge { limit } => format!("The headers are longer than {}.", size(*limit)),
        Error::TooManyRequests { limit } => format!("{limit} requests are being answered already."),
        Error::ShareUsedUp { limit } => format!("One client may have {limit} at once, and this one has."),
        Error::TooManyGuesses(wait) => {
            format!("Too many wrong passwords came from this client; wait {}.", seconds(up(*wait)))
        }
        Error::BodyTooSlow(pause) => {
            format!("The body paused for {}, or arrived too slowly on average.", seconds(*pause))
        }
        Error::AnswerTooLarge { limit } => format!("The answer would be longer than {}.", size(*limit)),
        Error::ForeignOrigin => "Pages of this origin may not use the service.".to_owned(),
        Error::ForeignHost => "The request is for another host.".to_owned(),
        Error::RequestTimeout(limit) => format!("The request took longer than {}.", seconds(*limit)),
        Error::UnsupportedMediaType { expected } => format!("The body must be of a type among {expected}."),
        Error::UnsupportedEncoding => "The body must not be encoded.".to_owned(),
        Error::Refused(_) => "The database refused the document.".to_owned(),
        Error::Unreachable(_) => "The database cannot be reached.".to_owned(),
        Error::Exhausted(waited) => {
            format!("All database connections stayed in use for {}.", seconds(*waited))
        }
        Error::TooManyFeeds(limit) => format!("All {limit} live queries that there may be are taken."),
        Error::TooMuchToAnswer(limit) => {
            format!("The answers that others read take all of the {} that there may be.", size(*limit))
        }
        Error::TooMuchToRead(limit) => {
            format!("The bodies that others send take all of the {} that there may be.", size(*limit))
        }
        Error::TooManyStreams(limit) => format!("All {limit} streamed answers that there may be are taken."),
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

const REPEAT: &str = "Read before you repeat a write.";
const OUTCOME_UNKNOWN: &str = "The connection to the database broke: a write may or may not have happened.";

fn of_class(class: Class) -> String {
    let text = match class {
        Class::Missing(missing) => return missing.to_string(),
        Class::Exists => "It exists already.",
        Class::Forbidden => "The database user may not do this.",
        Class::Refused => "The database refused the document or its id.",
        Class::TooMuch => "The query takes more than the database allows.",
        Class::Logic => "The database can make no sense of the query.",
        Class::Unavailable => "The database is not available for this just now.",
        Class::Indeterminate => OUTCOME_UNKNOWN,
        Class::TooDeep => "The answer holds a document that is nested too deeply to be read.",
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
        | Error::Unauthorized(Credential::Wrong(text))
        | Error::Decode(text)
        | Error::Internal(text) => Some(text.clone()),
        Error::Database(error) => Some(error.to_string()),
        _ => None,
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::PreconditionFailed => Some("Read the document again and repeat the change with its new ETag."),
        Error::KeyInUse => Some("Wait for its answer, then repeat the request."),
        Error::KeyReused => Some("Take a new key for each new request."),
        Error::UnsupportedMediaType { .. } => Some("Set the Content-Type header."),
        Error::UnsupportedEncoding => Some("Send the body as it is, without Content-Encoding."),
        Error::AnswerTooLarge { .. } => {
            Some("Ask for fewer documents or fields, or for application/x-ndjson, which is streamed.")
        }
        Error::ForeignOrigin => Some("List the origin in the setting `cors`."),
        Error::ForeignHost => Some("List the host in the setting `hosts`."),
        Error::PreconditionRequired => Some("Read the document, and send its ETag in If-Match."),
        Error::OutcomeUnknown(_) | Error::QueryTimeout(_) | Error::RequestTimeout(_) => Some(REPEAT),
        Error::Database(error) => match Class::of(error) {
            Class::TooMuch => Some("Ask for fewer documents, or filter and sort by an index."),
            Class::Indeterminate | Class::TooDeep => Some(REPEAT),
            _ => None,
        },
        _ => None,
    }
}

fn place(error: &Error) -> Place {
    match error {
        Error::BadJson { line, column, .. } => {
            Place { line: Some(*line), column: Some(*column), parameter: None }
        }
        Error::BadParameter { name, .. } => Place { parameter: Some(name.clone()), ..Place::default() },
        _ => Place::default(),
    }
}

fn header(error: &Error) -> Option<(HeaderName, HeaderValue)> {
    let value = match error {
        Error::MethodNotAllowed { allow } => {
            return HeaderValue::from_str(allow).ok().map(|value| (ALLOW, value));
        }
        Error::UnsupportedEncoding => return Some((ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
        Error::Unauthorized(_) => return Some((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))),
        Error::KeyInUse => HeaderValue::from_static("1"),
        Error::TooManyGuesses(wait) => HeaderValue::from(up(*wait).as_secs()),
        _ if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&error.status()) => {
            HeaderValue::from_static("1")
        }
        _ => return None,
    };
    Some((RETRY_AFTER, value))
}

/// Rounds up to whole seconds.
fn up(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

fn seconds(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A number of bytes, in the largest unit that divides it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        1.. if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        1.. if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}
