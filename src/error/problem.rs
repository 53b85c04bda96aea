//! Problem documents (RFC 9457).

use serde::Serialize;
use warp::http::Method;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::{Reply, Response};

use super::{Code, Error, REPEAT, Violation};

/// The prefix of a problem's `type`. The code follows.
const TYPE: &str = "urn:warp-reql:problem:";

/// The media type of problem documents.
const PROBLEM: &str = "application/problem+json";

/// The place of the problem in the request, if there is one.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Place {
    /// The line of the body, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    /// The number of bytes of that line that were read until the fault was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<usize>,
    /// The fault at that place.
    #[serde(skip)]
    pub(super) reason: String,
    /// The name of the parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    /// The wrong part of a query that was sent as text.
    #[serde(flatten)]
    pub(super) part: Option<crate::language::Place>,
    /// A query that was not sent as text, followed by a line that underlines the wrong part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) excerpt: Option<String>,
    /// The places at which a document violates its table's schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<Violation>,
}

/// The request that a problem document answers.
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
    cause: Option<String>,
}

impl Error {
    /// Returns the response to a request.
    pub(crate) fn answer(&self, to: Answered<'_>) -> Response {
        self.seen_by(to.method).write(Some(to))
    }

    /// Returns the document without a status, for a stream that has begun already.
    pub(crate) fn document(&self, to: Answered<'_>) -> impl Serialize + use<> {
        let error = self.seen_by(to.method);
        serde_json::to_value(error.to_document(Some(to))).unwrap_or_default()
    }

    /// Replaces an unknown outcome, which only matters for writes, if the method is a read.
    fn seen_by(&self, method: &Method) -> Error {
        let mut error = self.clone();
        if method.is_safe() && error.code() == Code::OutcomeUnknown {
            error.0.code = Code::DatabaseUnavailable;
            error.0.detail = "The connection to the database broke.".into();
        }
        if method.is_safe() && error.hint() == Some(REPEAT) {
            error.0.hint = None;
        }
        error
    }

    fn to_document<'a>(&'a self, to: Option<Answered<'a>>) -> Document<'a> {
        let (status, code) = (self.status(), self.code().as_str());
        Document {
            r#type: format!("{TYPE}{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
            instance: to.map(|to| to.path),
            code,
            request_id: to.map(|to| to.request_id),
            hint: self.hint(),
            place: &self.0.place,
            cause: self.cause().filter(|_| to.is_some_and(|to| to.debug)),
        }
    }

    fn write(&self, to: Option<Answered<'_>>) -> Response {
        let mut response = warp::reply::json(&self.to_document(to)).into_response();
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response
    }
}

impl Reply for Error {
    fn into_response(self) -> Response {
        self.write(None)
    }
}

/// Formats a number of bytes in the largest unit that divides it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        1.. if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        1.. if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}
