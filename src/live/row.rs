//! Rows of changefeeds, parsed without parsing their documents.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Code, Error};

/// The form of a feed's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Documents with their primary key in the field of this name.
    Documents(String),
    /// Objects with a document's primary key in the field `k`, and its visible part in the field `d`. There
    /// may also be what related documents are found by, `r`, and the visible part together with these, `e`.
    Keyed,
}

/// A row of a feed: a change, or a state of the feed itself.
#[derive(Debug, PartialEq)]
pub(crate) enum Row<'a> {
    Change(Change<'a>),
    /// All existing documents have been sent.
    Ready,
    /// The database has dropped changes. Holds their number, if known.
    Gap(Option<u64>),
    /// A row that means nothing to clients.
    Nothing,
}

/// A document that was added, changed or removed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change<'a> {
    pub(crate) kind: Kind,
    pub(crate) old: Option<Side<'a>>,
    pub(crate) new: Option<Side<'a>>,
    /// The places in the list, where it has an order.
    pub(crate) old_place: Option<usize>,
    pub(crate) new_place: Option<usize>,
}

/// A document before or after a change, as JSON, and the JSON of its primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side<'a> {
    pub(crate) key: &'a str,
    pub(crate) document: &'a str,
    /// The values that related documents are found by, where the document doesn't tell them.
    pub(crate) references: Option<&'a str>,
    /// The document with related ones, where they are told.
    pub(crate) expanded: Option<&'a str>,
}

/// The kind of a change, which is the name of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Initial,
    Add,
    Change,
    Remove,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    old_val: Option<&'a RawValue>,
    #[serde(default, borrow)]
    new_val: Option<&'a RawValue>,
    #[serde(default)]
    old_offset: Option<usize>,
    #[serde(default)]
    new_offset: Option<usize>,
}

#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    k: &'a RawValue,
    #[serde(borrow)]
    d: &'a RawValue,
    #[serde(default, borrow)]
    r: Option<&'a RawValue>,
    #[serde(default, borrow)]
    e: Option<&'a RawValue>,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Initial => "initial",
            Kind::Add => "add",
            Kind::Change => "change",
            Kind::Remove => "remove",
        }
    }
}

impl<'a> Row<'a> {
    /// Parses a row of a feed with `include_states` and `include_types`.
    ///
    /// # Errors
    ///
    /// [`Code::UnexpectedDocument`] if it is none.
    pub(crate) fn read(text: &'a str, shape: &Shape) -> Result<Row<'a>, Error> {
        let raw: Raw<'a> = serde_json::from_str(text).map_err(unreadable)?;
        if let Some(message) = &raw.error {
            return Ok(Row::Gap(skipped(message)));
        }
        if let Some(state) = &raw.state {
            return Ok(if state == "ready" { Row::Ready } else { Row::Nothing });
        }
        let kind = match raw.kind.as_deref() {
            Some("initial") => Kind::Initial,
            Some("add") => Kind::Add,
            Some("change") => Kind::Change,
            // A document that was sent as initial has moved to a place where it will be sent again.
            Some("remove" | "uninitial") => Kind::Remove,
            _ => return Ok(Row::Nothing),
        };
        let side = |value: Option<&'a RawValue>| value.map(|value| Side::of(value.get(), shape)).transpose();
        let (old, new) = (side(raw.old_val)?, side(raw.new_val)?);
        Ok(Row::Change(Change { kind, old, new, old_place: raw.old_offset, new_place: raw.new_offset }))
    }
}

impl<'a> Side<'a> {
    fn of(text: &'a str, shape: &Shape) -> Result<Side<'a>, Error> {
        match shape {
            // A row that isn't a document, which only another client can have stored, is its own key.
            Shape::Documents(field) => Ok(Side::plain(field_of(text, field).unwrap_or(text), text)),
            Shape::Keyed => {
                let keyed: Keyed<'a> = serde_json::from_str(text).map_err(unreadable)?;
                let (references, expanded) = (keyed.r.map(RawValue::get), keyed.e.map(RawValue::get));
                Ok(Side { key: keyed.k.get(), document: keyed.d.get(), references, expanded })
            }
        }
    }

    /// Returns a document that is told as it is.
    pub(crate) fn plain(key: &'a str, document: &'a str) -> Side<'a> {
        Side { key, document, references: None, expanded: None }
    }

    /// Returns the document as clients are told of it.
    pub(crate) fn told(&self) -> &'a str {
        self.expanded.unwrap_or(self.document)
    }

    /// Returns the bytes of all that is known of it.
    pub(crate) fn len(&self) -> usize {
        self.document.len() + self.expanded.map_or(0, str::len)
    }
}

/// Returns the JSON of a field of an object.
fn field_of<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut json = serde_json::Deserializer::from_str(object);
    Field(name).deserialize(&mut json).ok().flatten().map(RawValue::get)
}

struct Field<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            if found.is_none() && name == self.0 {
                found = Some(fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::from(Code::UnexpectedDocument).caused_by(error)
}

/// Returns the number of lost changes, from the database's message.
fn skipped(message: &str) -> Option<u64> {
    message.split_once("skipped ")?.1.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_keys_and_its_places() {
        let text = r#"{"type":"change","old_val":{"id":1,"x":[{}]},"new_val":{"a":null,"id":"\u0031"}}"#;
        let Row::Change(change) = Row::read(text, &Shape::Documents("id".into())).unwrap() else { panic!() };
        assert_eq!((change.kind, change.old_place), (Kind::Change, None));
        assert_eq!(change.old, Some(Side::plain("1", r#"{"id":1,"x":[{}]}"#)));
        assert_eq!(change.new.unwrap().key, r#""\u0031""#);

        let text = r#"{"type":"add","new_val":{"k":[1],"d":{"n":2}},"old_val":null,"new_offset":3}"#;
        let Row::Change(change) = Row::read(text, &Shape::Keyed).unwrap() else { panic!() };
        assert_eq!((change.old, change.new_place), (None, Some(3)));
        assert_eq!(change.new, Some(Side::plain("[1]", r#"{"n":2}"#)));

        let text = r#"{"type":"add","new_val":{"k":[1],"d":{"n":2},"e":{"m":[],"n":2}},"old_val":null}"#;
        let Row::Change(change) = Row::read(text, &Shape::Keyed).unwrap() else { panic!() };
        let new = change.new.unwrap();
        assert_eq!((new.document, new.told()), (r#"{"n":2}"#, r#"{"m":[],"n":2}"#));
    }

    #[test]
    fn what_is_no_document_stands_for_itself() {
        let text = r#"{"type":"add","new_val":"a","old_val":null}"#;
        let Row::Change(change) = Row::read(text, &Shape::Documents("id".into())).unwrap() else { panic!() };
        assert_eq!(change.new, Some(Side::plain("\"a\"", "\"a\"")));
        let text = r#"{"type":"initial","new_val":null}"#;
        let Row::Change(change) = Row::read(text, &Shape::Keyed).unwrap() else { panic!() };
        assert_eq!((change.kind, change.new), (Kind::Initial, None));
    }

    #[test]
    fn the_feed_speaks_of_itself() {
        let read = |text| Row::read(text, &Shape::Keyed).unwrap();
        assert_eq!(read(r#"{"type":"state","state":"ready"}"#), Row::Ready);
        assert_eq!(read(r#"{"type":"state","state":"initializing"}"#), Row::Nothing);
        assert_eq!(read(r#"{"type":"of tomorrow","new_val":1}"#), Row::Nothing);
        let message = r#"{"error":"Changefeed cache over array size limit, skipped 22 elements."}"#;
        assert_eq!(read(message), Row::Gap(Some(22)));
        assert_eq!(read(r#"{"error":"?"}"#), Row::Gap(None));
        assert!(Row::read("[", &Shape::Keyed).is_err());
        assert!(Row::read(r#"{"type":"add","new_val":{"k":1}}"#, &Shape::Keyed).is_err());
    }
}
