//! Entity tags, and the conditions of requests that depend on them.
//!
//! A document's tag is a hash (the first half of SHA-256) of its JSON as the service answers with it. The
//! database keeps the keys of objects sorted and writes numbers in one way, so it is a hash of what is
//! stored.
//!
//! A strong tag stands for exact bytes. So a compressed document has another tag, which names the encoding
//! ([`encoded`]). Conditions accept both as tags of the same document.

use sha2::{Digest, Sha256};
use warp::http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::answer::{empty, json_text, with_header};
use super::context::Context;
use crate::digest::hex;
use crate::error::{Code, Error};

/// Returns the tag of a document, from its JSON.
pub(crate) fn tag(json: &[u8]) -> String {
    hex(&Sha256::digest(json)[..16])
}

/// The encodings in which answers may be compressed.
const ENCODINGS: [&str; 2] = ["gzip", "br"];

/// Returns the tag of a document in an encoding, from the tag without encoding.
pub(crate) fn encoded(tag: &HeaderValue, encoding: &str) -> Option<HeaderValue> {
    let text = tag.to_str().ok().filter(|_| ENCODINGS.contains(&encoding))?;
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    HeaderValue::try_from(format!("\"{text}-{encoding}\"")).ok()
}

/// Returns a tag without its encoding.
fn decoded(tag: &str) -> &str {
    match tag.rsplit_once('-') {
        Some((text, encoding)) if ENCODINGS.contains(&encoding) => text,
        _ => tag,
    }
}

/// Adds a tag to a response.
pub(crate) fn tagged(response: Response, tag: &str) -> Response {
    with_header(response, ETAG, ["\"", tag, "\""].concat())
}

/// Returns a read's answer, which is this JSON, with its tag; or 304 if the client has it already.
///
/// # Errors
///
/// [`Code::PreconditionFailed`] if the client wants another one.
pub(crate) fn unless_known(context: &Context, text: Vec<u8>) -> Result<Response, Error> {
    unless_known_with(context, text, &[])
}

/// Does what [`unless_known`] does for an answer whose headers say something as well.
pub(crate) fn unless_known_with(context: &Context, text: Vec<u8>, said: &[&str]) -> Result<Response, Error> {
    let mut hash = Sha256::new_with_prefix(&text);
    for said in said {
        // No JSON has this byte.
        hash.update([0]);
        hash.update(said);
    }
    let tag = hex(&hash.finalize()[..16]);
    let conditions = Conditions::of(context.headers())?;
    conditions.check_match(Some(&tag))?;
    Ok(conditions.unless_known(&tag, text))
}

/// The conditions of a request (RFC 9110, section 13).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`, which matches any existing document.
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    text: String,
}

impl Conditions {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        Ok(Conditions { if_match: tags(headers, &IF_MATCH)?, if_none_match: tags(headers, &IF_NONE_MATCH)? })
    }

    /// Returns whether a request has any, well formed or not.
    pub(crate) fn are_in(headers: &HeaderMap) -> bool {
        headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH)
    }

    /// Reads the conditions of a change of one document, which are required if `require_match` is set.
    pub(crate) fn of_change(context: &Context) -> Result<Self, Error> {
        let conditions = Conditions::of(context.headers())?;
        if context.app().settings().require_match && conditions == Conditions::default() {
            return Err(Error::from(Code::PreconditionRequired));
        }
        Ok(conditions)
    }

    /// Returns whether `If-Match` holds: without the header always, else only for an existing document with
    /// one of the strong tags.
    pub(crate) fn match_holds(&self, tag: Option<&str>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.have(tag, |own| !own.weak))
    }

    /// Checks `If-Match` for a read.
    ///
    /// # Errors
    ///
    /// [`Code::PreconditionFailed`] unless it holds.
    pub(crate) fn check_match(&self, tag: Option<&str>) -> Result<(), Error> {
        self.match_holds(tag).then_some(()).ok_or_else(|| Error::from(Code::PreconditionFailed))
    }

    /// Returns the answer of a read, which is this JSON, with its tag; or 304 if the client has it already.
    pub(crate) fn unless_known(&self, tag: &str, text: Vec<u8>) -> Response {
        match self.none_match_holds(Some(tag)) {
            true => tagged(json_text(StatusCode::OK, text), tag),
            false => tagged(empty(StatusCode::NOT_MODIFIED), self.known(tag)),
        }
    }

    /// Returns whether `If-None-Match` holds: without the header always, else only for a missing document or
    /// one with none of the tags.
    pub(crate) fn none_match_holds(&self, tag: Option<&str>) -> bool {
        !self.if_none_match.as_ref().is_some_and(|tags| tags.have(tag, |_| true))
    }

    /// Returns the tag in `If-None-Match` that matches this one, in the encoding in which the client has it.
    /// If there is none, returns the given tag.
    fn known<'a>(&'a self, tag: &'a str) -> &'a str {
        match &self.if_none_match {
            Some(Tags::These(tags)) => tags.iter().find(|own| own.is(tag)).map_or(tag, |own| &own.text),
            _ => tag,
        }
    }

    /// Returns whether the conditions name tags, and not only `*`.
    pub(crate) fn name_tags(&self) -> bool {
        [&self.if_match, &self.if_none_match].into_iter().flatten().any(|tags| *tags != Tags::Any)
    }

    /// Returns whether the document must exist, whatever its tag.
    pub(crate) fn need_document(&self) -> bool {
        self.if_match.is_some()
    }

    /// Returns whether the document must not exist, whatever its tag.
    pub(crate) fn forbid_document(&self) -> bool {
        self.if_none_match == Some(Tags::Any)
    }
}

impl Tags {
    /// Returns whether a document with this tag matches; `None` is a missing document.
    fn have(&self, tag: Option<&str>, counts: impl Fn(&Tag) -> bool) -> bool {
        match (self, tag) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::These(tags), Some(tag)) => tags.iter().any(|own| counts(own) && own.is(tag)),
        }
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Error> {
    let wrong = || Error::bad_request(format!("The header `{name}` must be `*` or tags in quotes."));
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        let text = value.as_bytes().trim_ascii();
        if text == b"*" {
            return Ok(Some(Tags::Any));
        }
        read(text, &mut all).ok_or_else(wrong)?;
    }
    match all.is_empty() {
        false => Ok(Some(Tags::These(all))),
        // An empty condition is probably a mistake of the client, so no write should be done because of it.
        true if headers.contains_key(name) => Err(wrong()),
        true => Ok(None),
    }
}

/// Reads a comma-separated list of tags, which may contain commas themselves.
fn read(mut text: &[u8], tags: &mut Vec<Tag>) -> Option<()> {
    loop {
        text = text.trim_ascii_start();
        if let Some(rest) = text.strip_prefix(b",") {
            text = rest;
            continue;
        }
        if text.is_empty() {
            return Some(());
        }
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let quoted = quoted.strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let (tag, rest) = quoted.split_at_checked(end)?;
        tags.push(Tag { weak, text: String::from_utf8_lossy(tag).into_owned() });
        text = rest.get(1..)?.trim_ascii_start();
        if !text.is_empty() && !text.starts_with(b",") {
            return None;
        }
    }
}

impl Tag {
    /// Returns whether this is the given tag, in any encoding.
    fn is(&self, tag: &str) -> bool {
        decoded(&self.text) == tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: &'static str, value: &'static str) -> Result<Conditions, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Conditions::of(&headers)
    }

    #[test]
    fn equal_documents_have_equal_tags() {
        assert_eq!(tag(b"{}"), "44136fa355b3678a1146ad16f7e8649e");
        assert_ne!(tag(b"{}"), tag(b"[]"));
    }

    #[test]
    fn readers_know_weak_and_strong_tags() {
        let known = conditions("if-none-match", "\"a\", W/\"b\"").unwrap();
        assert_eq!(["a", "b", "c"].map(|tag| known.none_match_holds(Some(tag))), [false, false, true]);
        assert!(known.none_match_holds(None) && known.name_tags());
        let none = conditions("if-none-match", "*").unwrap();
        assert!(!none.none_match_holds(Some("x")) && none.none_match_holds(None) && !none.name_tags());
    }

    #[test]
    fn writers_need_strong_tags() {
        let wanted = conditions("if-match", "W/\"a\", \"b\"").unwrap();
        assert_eq!(["a", "b"].map(|tag| wanted.match_holds(Some(tag))), [false, true]);
        assert!(!wanted.match_holds(None) && wanted.name_tags());
        for wrong in ["a", "", " , ", "\"a", "\"a\", b"] {
            assert!(conditions("if-match", wrong).is_err(), "{wrong}");
            assert!(conditions("if-none-match", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tag_may_hold_a_comma() {
        let known = conditions("if-none-match", "\"a,b\" ,, W/\"c, d\",\"\"").unwrap();
        assert_eq!(
            ["a,b", "c, d", "", "a"].map(|tag| known.none_match_holds(Some(tag))),
            [false, false, false, true]
        );
        for wrong in ["\"a\"b", "\"a\" \"b\"", "\"a\"W/\"b\"", "w/\"a\"", "W/ \"a\"", "\"a\", *"] {
            assert!(conditions("if-match", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_document_has_a_tag_in_each_encoding() {
        let tag = HeaderValue::from_static("\"a\"");
        assert_eq!(encoded(&tag, "gzip").unwrap(), "\"a-gzip\"");
        assert_eq!(encoded(&tag, "zstd"), None);
        let wanted = conditions("if-match", "\"a-br\"").unwrap();
        assert!(wanted.match_holds(Some("a")) && !wanted.match_holds(Some("b")));
        let known = conditions("if-none-match", "\"b\", \"a-gzip\"").unwrap();
        assert_eq!((known.known("a"), known.known("b")), ("a-gzip", "b"));
        assert!(!known.none_match_holds(Some("a")));
    }

    #[test]
    fn without_conditions_everything_goes_on() {
        let none = Conditions::default();
        assert!([None, Some("x")].into_iter().all(|tag| none.match_holds(tag) && none.none_match_holds(tag)));
        assert!(!none.name_tags());
    }
}
