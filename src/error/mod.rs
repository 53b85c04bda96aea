//! [`Error`]: the errors of requests, with their status.

mod code;
mod database;
mod problem;
mod rejection;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{ACCEPT_ENCODING, ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use warp::reject::Reject;

use crate::names::shown;
pub use code::Code;
use code::REPEAT;
pub(crate) use database::{DUPLICATE, REFUSED};
use problem::Place;
pub(crate) use problem::{Answered, size};
pub use rejection::recover;

/// The value of `WWW-Authenticate` with `auth = "database"` (RFC 7617).
const CHALLENGE: &str = "Basic realm=\"warp-reql\", charset=\"UTF-8\"";
/// The value of `WWW-Authenticate` with `auth = "token"` (RFC 6750, section 3).
const BEARER: &str = "Bearer realm=\"warp-reql\"";
/// The usual value of `Retry-After`.
const SOON: Duration = Duration::from_secs(1);

/// The error of a request.
///
/// It is a [`Reply`](warp::Reply): a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457))
/// with a stable [`Code`]. A handler that returns `Result<impl Reply, Error>` needs nothing else. The error
/// of the database is the [source](StdError::source), which clients only see if the service runs with
/// `debug`.
///
/// ```
/// use warp_reql::Error;
/// use warp_reql::error::Code;
///
/// let error = Error::from(Code::NoSuchDocument);
/// assert_eq!((error.code(), error.status().as_u16()), (Code::NoSuchDocument, 404));
/// assert_eq!(error.to_string(), "There is no such document.");
/// ```
#[derive(Clone)]
pub struct Error(Box<Known>);

#[derive(Clone)]
struct Known {
    code: Code,
    detail: Cow<'static, str>,
    hint: Option<&'static str>,
    place: Place,
    header: Option<(HeaderName, HeaderValue)>,
    wait: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Makes the error of a code, with the code's own texts.
impl From<Code> for Error {
    fn from(code: Code) -> Self {
        let header = match code {
            Code::Unauthorized => Some((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))),
            _ => None,
        };
        let is_for_now =
            [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&code.status());
        Error(Box::new(Known {
            code,
            detail: Cow::Borrowed(code.detail()),
            hint: code.hint(),
            place: Place::default(),
            header,
            wait: (is_for_now || code == Code::KeyInUse).then_some(SOON),
            source: None,
        }))
    }
}

/// A place at which a document violates its table's schema.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use serde_json::json;
/// use warp_reql::settings::Schema;
///
/// let file = std::env::temp_dir().join(format!("violation-{}.json", std::process::id()));
/// std::fs::write(&file, r#"{"properties": {"age": {"type": "integer"}}}"#)?;
/// let violations = Schema::read(&file)?.check(&json!({"age": "old"})).unwrap_err();
/// assert_eq!(violations[0].pointer, "/age");
/// # std::fs::remove_file(file)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Violation {
    /// The place in the document, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// The description of the violation.
    pub message: String,
}

/// Constructors.
impl Error {
    /// Makes an error with an explanation of its own.
    ///
    /// ```
    /// use warp_reql::Error;
    /// use warp_reql::error::Code;
    ///
    /// let error = Error::new(Code::Conflict, "There is a hero of this name already.");
    /// assert_eq!(error.status(), 409);
    /// ```
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Error::from(code).with_detail(detail)
    }

    /// Makes an error with `what` in the place of `{}` in the code's explanation.
    pub(crate) fn about(code: Code, what: impl fmt::Display) -> Self {
        Error::new(code, code.detail().replacen("{}", &what.to_string(), 1))
    }

    /// Makes an error with a number of bytes in the code's explanation.
    pub(crate) fn beyond(code: Code, bytes: u64) -> Self {
        Error::about(code, size(bytes))
    }

    /// Makes an error with a duration in the code's explanation.
    pub(crate) fn after(code: Code, time: Duration) -> Self {
        Error::about(code, humantime::format_duration(time))
    }

    /// Makes the error of an invalid request.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Code::BadRequest, reason)
    }

    /// Makes the error of a body that isn't valid JSON at this place: a line, counted from 1, and the number
    /// of its bytes that were read.
    pub(crate) fn bad_json(line: usize, column: usize, reason: &str) -> Self {
        let mut error = Error::about(Code::BadJson, format!("{reason} at line {line}, column {column}"));
        let (line, column) = (Some(line), Some(column));
        error.0.place = Place { line, column, reason: reason.to_owned(), ..Place::default() };
        error
    }

    /// Moves the place of an error in a part of a body. The part begins after `lines` lines of the body, and
    /// after `columns` columns of its line.
    pub(crate) fn moved(self, lines: usize, columns: usize) -> Self {
        match self.place() {
            Some((1, column)) => Error::bad_json(lines + 1, columns + column, &self.0.place.reason),
            Some((line, column)) => Error::bad_json(lines + line, column, &self.0.place.reason),
            None => self,
        }
    }

    /// Makes the error of a parameter of the URL.
    pub fn bad_parameter(name: impl Into<String>, reason: impl fmt::Display) -> Self {
        let name = name.into();
        let mut error = Error::about(Code::BadParameter, format!("`{name}` is wrong: {reason}"));
        error.0.place.parameter = Some(name);
        error
    }

    /// Makes the error of a query that can't be parsed, with the part that is wrong.
    pub(crate) fn bad_query(reason: &str, part: Option<crate::language::Place>) -> Self {
        let end = if reason.ends_with(['?', '.']) { "" } else { "." };
        let mut error = Error::about(Code::BadQuery, format!("{reason}{end}"));
        error.0.place.part = part;
        error
    }

    /// Makes the error of a document that violates its table's schema.
    pub(crate) fn invalid(errors: Vec<Violation>) -> Self {
        let mut error = Error::from(Code::InvalidDocument);
        error.0.place.errors = errors;
        error
    }

    /// Makes the error of a value that another document has in a unique field, at this place of the document.
    pub(crate) fn not_unique(field: impl fmt::Display, pointer: String) -> Self {
        let mut error = Error::about(Code::NotUnique, field);
        error.0.place.errors =
            vec![Violation { pointer, message: "another document has this value".to_owned() }];
        error
    }

    /// Makes the error of a name that no table or index can have.
    pub(crate) fn bad_name(name: &str) -> Self {
        Error::about(Code::BadName, format!("`{}`", shown(name)))
    }

    /// Makes the error of a path that exists with these methods only.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        let error = Error::about(Code::MethodNotAllowed, allow);
        match HeaderValue::from_str(allow) {
            Ok(value) => error.with_header(ALLOW, value),
            Err(_) => error,
        }
    }

    /// Makes the error of a body that is compressed or otherwise encoded.
    pub(crate) fn unsupported_encoding(known: &'static str) -> Self {
        Error::new(Code::UnsupportedMediaType, "The body has an encoding that can't be undone.")
            .with_hint("Send the body as it is, without Content-Encoding, or by one of gzip and br.")
            .with_header(ACCEPT_ENCODING, HeaderValue::from_static(known))
    }

    /// Makes the error of a user and password that the database refuses.
    pub(crate) fn wrong_credentials(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::new(Code::Unauthorized, "The database knows no such user and password.").caused_by(cause)
    }

    /// Makes the error of a request that lacks a token. Its challenge has no `error` (RFC 6750, section 3.1).
    pub(crate) fn no_token() -> Self {
        Error::new(Code::Unauthorized, "This needs a token.")
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static(BEARER))
    }

    /// Makes the error of an invalid token.
    pub(crate) fn invalid_token(reason: &'static str) -> Self {
        let said = reason.replace('"', "'");
        let challenge = format!("{BEARER}, error=\"invalid_token\", error_description=\"{said}\"");
        let error = Error::new(Code::Unauthorized, reason);
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => error.with_header(WWW_AUTHENTICATE, challenge),
            Err(_) => error,
        }
    }

    /// Makes the error of an expired token.
    pub(crate) fn expired_token() -> Self {
        Error::invalid_token("The token has expired.")
    }

    /// Makes the error of an action that the rules don't allow.
    pub(crate) fn forbidden() -> Self {
        Error::new(Code::Forbidden, "You may not do this.")
    }

    /// Makes the error of a field that is hidden from the caller.
    pub(crate) fn hidden_field(name: impl fmt::Display) -> Self {
        Error::new(Code::Forbidden, format!("You may not use the field `{name}`."))
    }

    /// Makes the error of a client that may send its next password after this time.
    pub(crate) fn too_many_guesses(wait: Duration) -> Self {
        let mut error = Error::after(Code::TooManyGuesses, up(wait));
        error.0.wait = Some(wait);
        error
    }

    /// Makes the error of a client that may make its next request after this time.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let mut error = Error::after(Code::RateLimited, up(wait));
        error.0.wait = Some(wait);
        error
    }

    /// Makes the error of a fault in the service itself. The cause is logged.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::from(Code::Internal).caused_by(cause)
    }

    /// Sets the explanation.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Sets the hint.
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// Sets the source, which clients only see if the service runs with `debug`.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(cause.into()));
        self
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }
}

/// Accessors.
impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// Returns the explanation for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Returns the hint.
    pub fn hint(&self) -> Option<&'static str> {
        self.0.hint
    }

    /// Returns the places at which a document violates its table's schema.
    pub fn violations(&self) -> &[Violation] {
        &self.0.place.errors
    }

    /// Returns the name of the URL parameter that is wrong.
    pub fn parameter(&self) -> Option<&str> {
        self.0.place.parameter.as_deref()
    }

    /// Returns the line of the body at which it isn't valid JSON, counted from 1, and the number of its bytes
    /// that were read.
    pub(crate) fn place(&self) -> Option<(usize, usize)> {
        self.0.place.line.zip(self.0.place.column)
    }

    /// Returns the time after which the request may be repeated.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.wait
    }

    /// Returns the text of the source: the error of the database, the driver or the service.
    pub(crate) fn cause(&self) -> Option<String> {
        self.0.source.as_ref().map(ToString::to_string)
    }

    /// Returns whether the code is one of these.
    pub(crate) fn is(&self, codes: &[Code]) -> bool {
        codes.contains(&self.code())
    }

    /// Returns the additional header of the response.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let retry = || Some((RETRY_AFTER, HeaderValue::from(up(self.0.wait?).as_secs())));
        self.0.header.clone().or_else(retry)
    }
}

/// Rounds up to whole seconds.
fn up(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)?;
        match &self.0.source {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Known { code, detail, source, .. } = &*self.0;
        f.debug_struct("Error").field("code", code).field("detail", detail).field("source", source).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl Reject for Error {}
