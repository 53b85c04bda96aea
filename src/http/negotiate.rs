//! Content negotiation (`Accept`, `Content-Type`) and preferences (`Prefer`).

use warp::http::HeaderMap;
use warp::http::header::{ACCEPT, CONTENT_TYPE};

use super::context::Context;
use super::encoded::{ENCODINGS, Encoding};
use super::headers::PREFER;
use crate::error::{Code, Error};

/// The type of ordinary answers.
pub(crate) const JSON: &str = "application/json";
/// The type of pages for people.
pub(crate) const HTML: &str = "text/html";
/// The type of plain text.
pub(crate) const TEXT: &str = "text/plain";
/// The type of answers and bodies that have one JSON document in each line.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// The type of live answers.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// The type of a JSON merge patch (RFC 7396).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The type of CSV (RFC 4180).
pub(crate) const CSV: &str = "text/csv";
/// The type of a JSON Patch (RFC 6902).
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// The type of atomic updates: counters, arrays, single fields.
pub(crate) const CHANGES: &str = "application/vnd.warp-reql.changes+json";

/// The type of features with a place (RFC 7946).
pub(crate) const GEO_JSON: &str = "application/geo+json";

impl Context {
    /// Checks that the request has no parameters, and accepts JSON.
    pub(crate) fn plain(&self) -> Result<(), Error> {
        self.parameters()?.finish()?;
        self.accept(&[JSON]).map(|_| ())
    }

    /// Returns the offered type with the highest quality in `Accept`, the first one of equal ones.
    pub(crate) fn accept<'a>(&self, offered: &[&'a str]) -> Result<&'a str, Error> {
        let accepted = accepted(self.headers());
        let mut best = (None, 0.0);
        for name in offered {
            let quality = quality(&accepted, name);
            if quality > best.1 {
                best = (Some(*name), quality);
            }
        }
        best.0.ok_or_else(|| Error::about(Code::NotAcceptable, offered.join(", ")))
    }

    /// Returns whether the request asks for documents as lines rather than as one.
    pub(crate) fn wants_lines(&self) -> bool {
        favourite(self.headers(), &[NDJSON]) == NDJSON
    }

    /// Returns whether the request asks for documents as CSV.
    pub(crate) fn wants_csv(&self) -> bool {
        favourite(self.headers(), &[NDJSON, CSV]) == CSV
    }

    /// Returns whether the request asks for documents as features with a place.
    pub(crate) fn wants_features(&self) -> bool {
        favourite(self.headers(), &[GEO_JSON, NDJSON, CSV]) == GEO_JSON
    }

    /// Returns whether the request asks for a stream of events rather than for an answer that ends.
    pub(crate) fn wants_events(&self) -> bool {
        favourite(self.headers(), &[EVENT_STREAM, NDJSON]) == EVENT_STREAM
    }

    /// Checks that `Content-Type` is one of these types, and that `Content-Encoding` is a known one. A
    /// missing type is refused, since a browser sends such a body for any page without a preflight.
    pub(crate) fn body_is(&self, expected: &[&str]) -> Result<(), Error> {
        self.body_among(expected).map(|_| ())
    }

    /// Does what [`Context::body_is`] does, and returns the type.
    pub(crate) fn body_among<'a>(&self, expected: &[&'a str]) -> Result<&'a str, Error> {
        if Encoding::of(self.headers()).is_err() {
            return Err(Error::unsupported_encoding(ENCODINGS));
        }
        let sent = self.headers().get(CONTENT_TYPE).and_then(|sent| sent.to_str().ok()).unwrap_or_default();
        let kind = media_type(sent);
        let found =
            expected.iter().find(|expected| **expected == kind && (kind != CSV || is_usual_csv(sent)));
        found.copied().ok_or_else(|| Error::about(Code::UnsupportedMediaType, expected.join(", ")))
    }

    /// Returns whether the request has a preference, without a value.
    pub(crate) fn wants(&self, name: &str) -> bool {
        preferences(self.headers(), name).any(|value| value.is_none_or(str::is_empty))
    }

    /// Returns the value of a preference.
    pub(crate) fn prefers(&self, name: &str) -> Option<&str> {
        preference(self.headers(), name)
    }

    /// Returns the value of a preference, which is empty if it has none (RFC 7240, section 2); `None` without
    /// the preference.
    pub(crate) fn preferred(&self, name: &str) -> Option<&str> {
        preferences(self.headers(), name).next().map(Option::unwrap_or_default)
    }
}

/// Returns whether an answer with these headers is a stream of events.
pub(crate) fn is_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|sent| sent.as_bytes() == EVENT_STREAM.as_bytes())
}

/// Returns the value of a preference (`Prefer: name=value`, RFC 7240).
pub(crate) fn preference<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    preferences(headers, name).flatten().next()
}

/// Returns the values of all preferences of a name. Parameters, which follow a semicolon, belong to the
/// preference before it.
fn preferences<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Option<&'a str>> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let parts = values.flat_map(|value| outside_quotes(value, ','));
    parts.filter_map(move |part| {
        let preference = outside_quotes(part, ';').next()?;
        let (key, value) = match preference.split_once('=') {
            Some((key, value)) => (key, Some(value.trim().trim_matches('"'))),
            None => (preference, None),
        };
        key.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Returns the type that a request prefers: one of the special types if `Accept` names it explicitly and
/// doesn't prefer JSON, else JSON.
fn favourite<'a>(headers: &HeaderMap, special: &[&'a str]) -> &'a str {
    let accepted = accepted(headers);
    let mut best = (JSON, quality(&accepted, JSON));
    // The last of equal ones wins, so the list is read backwards to prefer its first.
    for name in special.iter().rev() {
        let named = ranges(&accepted).any(|part| media_type(part) == *name);
        let quality = quality(&accepted, name);
        if named && quality > 0.0 && quality >= best.1 {
            best = (name, quality);
        }
    }
    best.0
}

/// Returns the values of all `Accept` headers.
fn accepted(headers: &HeaderMap) -> String {
    let values: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// Returns the media ranges of a list of accepted types, each with its parameters.
fn ranges(accepted: &str) -> impl Iterator<Item = &str> {
    outside_quotes(accepted, ',').map(str::trim).filter(|part| !part.is_empty())
}

/// Returns the quality of a type, from 0 to 1, in the value of `Accept`. The most specific range decides.
fn quality(accepted: &str, name: &str) -> f32 {
    if ranges(accepted).next().is_none() {
        return 1.0;
    }
    let group = name.split('/').next().unwrap_or_default();
    let specific = [name.to_owned(), format!("{group}/*"), "*/*".to_owned()];
    let found = specific.iter().find_map(|range| ranges(accepted).find(|part| media_type(part) == *range));
    found.map_or(0.0, weight)
}

/// Returns the `q` of a media range; 1 if it is missing or invalid.
fn weight(range: &str) -> f32 {
    let mut weights = parameters(range).filter(|(name, _)| name.eq_ignore_ascii_case("q"));
    let weight = weights.next().and_then(|(_, value)| value.parse::<f32>().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0)
}

/// Splits a text at separators outside of quotes.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let literal = std::mem::take(&mut escaped);
        match c {
            '"' if !literal => quoted = !quoted,
            '\\' if quoted && !literal => escaped = true,
            _ => {}
        }
        c == separator && !quoted
    })
}

/// Returns the names and values of a media type's parameters.
fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = outside_quotes(text, ';').skip(1).filter_map(|parameter| parameter.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim()))
}

/// Returns a media type without its parameters.
fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns whether CSV of this type begins with a line of names, and is UTF-8 (RFC 4180, section 3).
fn is_usual_csv(text: &str) -> bool {
    parameters(text).map(|(name, value)| (name, value.trim_matches('"'))).all(|(name, value)| {
        let is = |expected: &[&str]| expected.iter().any(|expected| value.eq_ignore_ascii_case(expected));
        match name {
            _ if name.eq_ignore_ascii_case("header") => is(&["present"]),
            _ if name.eq_ignore_ascii_case("charset") => is(&["utf-8", "utf8", "us-ascii"]),
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_a_line_of_names() {
        let usual = ["text/csv", "text/csv;header=present; charset=\"UTF-8\"", "text/csv; x=1;"];
        assert!(usual.into_iter().all(is_usual_csv));
        let others =
            ["text/csv; Header=absent", "text/csv;charset=windows-1252", "text/csv;header=\"absent\""];
        assert!(!others.into_iter().any(is_usual_csv));
    }

    #[test]
    fn accepted_types_are_weighed() {
        for accepted in [
            "",
            "*/*",
            "text/html, application/*;q=0.1",
            "application/json; charset=utf-8",
            "application/json;q=x",
        ] {
            assert!(quality(accepted, JSON) > 0.0, "{accepted}");
        }
        for accepted in [
            "text/html",
            "application/json;q=0, */*",
            "image/*",
            "application/json;q=0.0",
            "a/b;x=\",application/json\"",
        ] {
            assert_eq!(quality(accepted, JSON), 0.0, "{accepted}");
        }
    }

    #[test]
    fn preferences_are_what_stands_outside_of_quotes() {
        for (sent, explain, tx) in [
            ("explain, tx=rollback", true, Some("rollback")),
            ("Explain=\"\" , TX = \"rollback\";a=b", true, Some("rollback")),
            ("x=\"a;explain;b\"", false, None),
            ("note=\"1,tx=rollback,\"", false, None),
            ("x;explain;tx=rollback", false, None),
            ("explain=yes,tx", false, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, warp::http::HeaderValue::from_static(sent));
            let wants = preferences(&headers, "explain").any(|value| value.is_none_or(str::is_empty));
            assert_eq!((wants, preference(&headers, "tx")), (explain, tx), "{sent}");
        }
    }

    #[test]
    fn the_favourite_is_what_is_named_and_liked_no_less() {
        const EVENTS: &str = EVENT_STREAM;
        for (accepted, expected) in [
            ("", JSON),
            ("*/*", JSON),
            ("application/*", JSON),
            ("application/x-ndjson", NDJSON),
            ("application/json, application/x-ndjson", NDJSON),
            ("application/x-ndjson;q=0.9, application/json", JSON),
            ("application/x-ndjson;q=0.9, */*;q=0.8", NDJSON),
            ("text/event-stream, */*", EVENTS),
            ("text/event-stream;q=0.1, application/json", JSON),
            ("text/event-stream;Q=0.5, application/x-ndjson;q=0.6", NDJSON),
            ("application/x-ndjson, text/event-stream", EVENTS),
            ("text/event-stream;q=0", JSON),
            ("Text/Event-Stream;p=\"a;q=0\"", EVENTS),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, warp::http::HeaderValue::from_static(accepted));
            assert_eq!(favourite(&headers, &[EVENTS, NDJSON]), expected, "{accepted}");
        }
    }
}
