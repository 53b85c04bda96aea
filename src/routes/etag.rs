//! Entity tags, and writes that depend on them.
//!
//! A document's tag is `r.uuid(doc.to_json_string())`: a hash (RFC 4122's version 5, so SHA-1) of the stored document's
//! JSON, whose keys the database keeps sorted. The database computes it, so the tag is taken in the query that reads or
//! writes the document, and a condition on it can be checked inside the write. Both terms are deterministic, as
//! the function of an atomic `replace` has to be.

use ql2::term::TermType;
use reql::{Command, r};
use warp::http::HeaderMap;
use warp::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use warp::reply::Response;

use super::answer::with_header;
use super::call::Call;
use crate::error::Error;
use crate::query::term::{datum, eq, ne, not, null, term};

/// What a write says when its condition doesn't hold. It comes back as the `first_error` of that write.
pub(super) const FAILED: &str = "warp-reql: precondition failed";

/// The tag of a document.
pub(super) fn tag(document: Command) -> Command {
    term(TermType::Uuid, [term(TermType::ToJsonString, [document])])
}

/// Ends a write whose condition doesn't hold.
pub(super) fn fail() -> Command {
    r.error(FAILED)
}

/// Puts a tag on a response.
pub(super) fn tagged(response: Response, tag: Option<&str>) -> Response {
    match tag {
        Some(tag) => with_header(response, ETAG, &format!("\"{tag}\"")),
        None => response,
    }
}

/// The conditions of a request (RFC 9110, section 13).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whether there is a document at all.
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    text: String,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        Ok(Conditions { if_match: tags(headers, &IF_MATCH)?, if_none_match: tags(headers, &IF_NONE_MATCH)? })
    }

    /// Those of a change of one document, which must have some if the settings say so.
    pub(super) fn of_change(call: &Call) -> Result<Self, Error> {
        let conditions = Conditions::of(&call.headers)?;
        if call.app.settings().require_match && conditions == Conditions::default() {
            return Err(Error::PreconditionRequired);
        }
        Ok(conditions)
    }

    /// The condition on the row before a write; `None` if there is none.
    pub(super) fn hold(&self, row: &Command) -> Option<Command> {
        let matches = self.if_match.as_ref().map(|tags| tags.have(row, |tag| !tag.weak));
        let differs = self.if_none_match.as_ref().map(|tags| not(tags.have(row, |_| true)));
        match (matches, differs) {
            (Some(matches), Some(differs)) => Some(term(TermType::And, [matches, differs])),
            (one, other) => one.or(other),
        }
    }

    /// Whether a reader has the document with this tag already.
    pub(super) fn is_known(&self, tag: &str) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.iter().any(|own| own.text == tag),
        }
    }

    /// Whether a reader wants only the document with another tag.
    pub(super) fn exclude(&self, tag: &str) -> bool {
        match &self.if_match {
            None | Some(Tags::Any) => false,
            Some(Tags::These(tags)) => !tags.iter().any(|own| !own.weak && own.text == tag),
        }
    }

    /// Whether a document must exist.
    pub(super) fn need_document(&self) -> bool {
        self.if_match.is_some()
    }
}

impl Tags {
    /// Whether the row exists and has one of these tags.
    fn have(&self, row: &Command, counts: impl Fn(&Tag) -> bool) -> Command {
        let exists = ne(row.clone(), null());
        match self {
            Tags::Any => exists,
            Tags::These(tags) => {
                let texts =
                    tags.iter().filter(|tag| counts(tag)).map(|tag| eq(datum(&tag.text), tag_of(row)));
                term(TermType::And, [exists, term(TermType::Or, texts.chain([datum(false)]))])
            }
        }
    }
}

fn tag_of(row: &Command) -> Command {
    tag(row.clone())
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Error> {
    let wrong = || Error::BadRequest(format!("The header `{name}` must be `*` or tags in quotes."));
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| wrong())?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            all.push(Tag::parse(part).ok_or_else(wrong)?);
        }
    }
    match all.is_empty() {
        false => Ok(Some(Tags::These(all))),
        // A condition that names nothing was meant to name something: no write should go ahead on it.
        true if headers.contains_key(name) => Err(wrong()),
        true => Ok(None),
    }
}

impl Tag {
    fn parse(text: &str) -> Option<Self> {
        let (weak, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
        Some(Tag { weak, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    fn conditions(name: &'static str, value: &'static str) -> Result<Conditions, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Conditions::of(&headers)
    }

    #[test]
    fn readers_know_weak_and_strong_tags() {
        let known = conditions("if-none-match", "\"a\", W/\"b\"").unwrap();
        assert_eq!(["a", "b", "c"].map(|tag| known.is_known(tag)), [true, true, false]);
        assert!(conditions("if-none-match", "*").unwrap().is_known("x"));
    }

    #[test]
    fn writers_need_strong_tags() {
        let wanted = conditions("if-match", "W/\"a\", \"b\"").unwrap();
        assert_eq!(["a", "b"].map(|tag| wanted.exclude(tag)), [true, false]);
        assert!(wanted.need_document());
        for wrong in ["a", "", " , ", "\"a", "\"a\", b"] {
            assert!(conditions("if-match", wrong).is_err(), "{wrong}");
            assert!(conditions("if-none-match", wrong).is_err(), "{wrong}");
        }
    }
}
