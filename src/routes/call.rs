//! What a request says besides its path: parameters, accepted types, preferences.

use std::convert::Infallible;

use warp::Filter;
use warp::http::HeaderMap;
use warp::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};

use super::App;
use super::head::{Head, head};
use crate::error::Error;
use crate::query::Parameters;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The type of ordinary answers.
pub(super) const JSON: &str = "application/json";
/// A page for people.
pub(super) const HTML: &str = "text/html";
/// Plain text.
pub(super) const TEXT: &str = "text/plain";
/// One JSON document in each line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// A request, as far as handlers look at it.
pub(super) struct Call {
    pub(super) app: App,
    head: Head,
}

/// Extracts a [`Call`].
pub(super) fn call(app: &App) -> impl Filter<Extract = (Call,), Error = Infallible> + Clone + use<> {
    let app = app.clone();
    head().map(move |head| Call { app: app.clone(), head })
}

impl Call {
    pub(super) fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    pub(super) fn parameters(&self) -> Result<Parameters, Error> {
        Parameters::parse(self.raw_query())
    }

    /// The parameters as they stand in the URL.
    pub(super) fn raw_query(&self) -> &str {
        self.head.query()
    }

    /// That the request has no parameters, and accepts JSON.
    pub(super) fn plain(&self) -> Result<(), Error> {
        self.parameters()?.finish()?;
        self.accept(&[JSON]).map(|_| ())
    }

    /// The first of these types that the request accepts.
    pub(super) fn accept<'a>(&self, offered: &[&'a str]) -> Result<&'a str, Error> {
        let accepted: Vec<_> =
            self.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let accepted = accepted.join(",");
        let first = offered.iter().find(|name| accepts(&accepted, name));
        first.copied().ok_or_else(|| Error::NotAcceptable { offered: offered.join(", ") })
    }

    /// Whether the request names this type itself among those it accepts.
    pub(super) fn asks_for(&self, name: &str) -> bool {
        names_type(self.headers(), name)
    }

    /// That the body is of one of these types, as far as the request says.
    pub(super) fn body_is(&self, expected: &[&str]) -> Result<(), Error> {
        let Some(sent) = self.headers().get(CONTENT_TYPE) else { return Ok(()) };
        let sent = sent.to_str().map(media_type).unwrap_or_default();
        if expected.contains(&sent.as_str()) {
            return Ok(());
        }
        Err(Error::UnsupportedMediaType { expected: expected.join(", ") })
    }

    /// Whether the request has a preference that needs no value.
    pub(super) fn wants(&self, name: &str) -> bool {
        let values = self.headers().get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split([',', ';'])).any(|part| part.trim().eq_ignore_ascii_case(name))
    }

    /// The value of a preference.
    pub(super) fn prefers(&self, name: &str) -> Option<&str> {
        preference(self.headers(), name)
    }
}

/// The value of a preference (`Prefer: name=value`, RFC 7240).
pub(super) fn preference<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences =
        values.flat_map(|value| value.split([',', ';'])).filter_map(|part| part.split_once('='));
    let found = preferences.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().trim_matches('"'))
}

/// Whether a list of accepted types, as in the `Accept` header, has a type. The most specific range decides.
fn accepts(accepted: &str, name: &str) -> bool {
    if accepted.trim().is_empty() {
        return true;
    }
    let group = name.split('/').next().unwrap_or_default();
    for range in [name.to_owned(), format!("{group}/*"), "*/*".to_owned()] {
        if let Some(part) = accepted.split(',').find(|part| media_type(part) == range) {
            return !refused(part);
        }
    }
    false
}

/// Whether a request names this type itself among those it accepts.
pub(super) fn names_type(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| media_type(part) == name)
}

/// The type without its parameters.
fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a range of types is refused by `q=0`.
fn refused(part: &str) -> bool {
    let quality = part.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    quality.and_then(|quality| quality.trim().parse::<f32>().ok()) == Some(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_types_are_weighed() {
        for accepted in ["", "*/*", "text/html, application/*;q=0.1", "application/json; charset=utf-8"] {
            assert!(accepts(accepted, JSON), "{accepted}");
        }
        for accepted in ["text/html", "application/json;q=0, */*", "image/*"] {
            assert!(!accepts(accepted, JSON), "{accepted}");
        }
    }
}
