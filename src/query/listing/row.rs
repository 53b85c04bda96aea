//! A row of a page, as the database returns it.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::iter::Peekable;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;

/// A document, and its sort keys for the next page's cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    /// The document as the database writes it; as a string of that in a list that is guarded.
    pub(crate) doc: Box<RawValue>,
    pub(crate) place: Box<RawValue>,
    /// Related documents that aren't in the document yet, by the names of the relations.
    #[serde(default)]
    pub(crate) beside: Beside,
}

/// Related documents, by the names of the relations.
pub(crate) type Beside = BTreeMap<String, Box<RawValue>>;

impl Row {
    /// Returns the document with the related ones; as a string of JSON if the list is guarded.
    ///
    /// # Errors
    ///
    /// If the document can't be read.
    pub(crate) fn into_document(self) -> Result<Box<RawValue>, Error> {
        if self.beside.is_empty() {
            return Ok(self.doc);
        }
        expanded(self.doc.get(), &self.beside)
    }

    /// Writes what [`Row::into_document`] returns.
    ///
    /// # Errors
    ///
    /// If the document can't be read.
    pub(crate) fn write(&self, text: &mut Vec<u8>) -> Result<(), Error> {
        write(self.doc.get(), &self.beside, text)
    }
}

/// Returns a document with the related ones among its fields.
///
/// # Errors
///
/// If the document can't be read.
pub(crate) fn expanded(document: &str, beside: &Beside) -> Result<Box<RawValue>, Error> {
    let mut text = Vec::with_capacity(document.len());
    write(document, beside, &mut text)?;
    let text = String::from_utf8(text).map_err(Error::internal)?;
    RawValue::from_string(text).map_err(Error::internal)
}

fn write(document: &str, beside: &Beside, text: &mut Vec<u8>) -> Result<(), Error> {
    if beside.is_empty() || !document.starts_with('{') {
        text.extend_from_slice(document.as_bytes());
        return Ok(());
    }
    let merging = Merging { text, beside, rest: beside.iter().peekable(), is_first: true };
    serde_json::Deserializer::from_str(document).deserialize_map(merging).map_err(Error::internal)
}

/// Writes the fields of a document and those beside it, which replace fields of the same names.
struct Merging<'a> {
    text: &'a mut Vec<u8>,
    beside: &'a Beside,
    /// The related documents that aren't written yet.
    rest: Peekable<btree_map::Iter<'a, String, Box<RawValue>>>,
    is_first: bool,
}

impl Merging<'_> {
    fn field(&mut self, name: &[u8], value: &RawValue) {
        self.text.push(if self.is_first { b'{' } else { b',' });
        self.is_first = false;
        self.text.extend_from_slice(name);
        self.text.push(b':');
        self.text.extend_from_slice(value.get().as_bytes());
    }

    /// Writes what is beside the document and has its place before this field or instead of it, as the
    /// database sorts fields; without a field, all.
    fn catch_up(&mut self, name: Option<&str>) -> Result<(), serde_json::Error> {
        while let Some((next, related)) =
            self.rest.next_if(|(next, _)| name.is_none_or(|it| next.as_str() <= it))
        {
            self.field(&serde_json::to_vec(next)?, related);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Merging<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        // Names are passed on as they are written.
        while let Some(written) = fields.next_key::<&RawValue>()? {
            let name: Name = serde_json::from_str(written.get()).map_err(A::Error::custom)?;
            self.catch_up(Some(&name.0)).map_err(A::Error::custom)?;
            if self.beside.contains_key(&*name.0) {
                fields.next_value::<IgnoredAny>()?;
            } else {
                self.field(written.get().as_bytes(), fields.next_value()?);
            }
        }
        self.catch_up(None).map_err(A::Error::custom)?;
        self.text.push(b'}');
        Ok(())
    }
}

/// The name of a field, which is copied only if it is written with escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn told(row: &str) -> String {
        serde_json::from_str::<Row>(row).unwrap().into_document().unwrap().get().to_owned()
    }

    #[test]
    fn related_documents_lie_among_the_fields() {
        let row =
            r#"{"place": [1], "doc": {"a": 0, "c": {"z":1,"y":2}, "d": 3}, "beside": {"d": [], "b": null}}"#;
        assert_eq!(told(row), r#"{"a":0,"b":null,"c":{"z":1,"y":2},"d":[]}"#);
    }

    #[test]
    fn names_are_compared_as_they_are_meant() {
        let row = r#"{"place": [1], "doc": {"\u0061": 1, "b\"c": 2, "d": 3},
            "beside": {"a": 0, "b\"c": 4, "z": 5}}"#;
        assert_eq!(told(row), r#"{"a":0,"b\"c":4,"d":3,"z":5}"#);
        assert_eq!(told(r#"{"place": [1], "doc": {}, "beside": {"a": {"b": [ ]}}}"#), r#"{"a":{"b": [ ]}}"#);
        assert!(
            serde_json::from_str::<Row>(r#"{"place": [], "doc": {}}"#).unwrap().write(&mut vec![]).is_ok()
        );
        assert!(expanded("{", &Beside::from([("a".to_owned(), RawValue::NULL.to_owned())])).is_err());
    }

    #[test]
    fn a_row_without_any_is_told_as_it_is() {
        assert_eq!(told(r#"{"place": [1], "doc": {"b":0,"a":1}}"#), r#"{"b":0,"a":1}"#);
        assert_eq!(told(r#"{"place": [1], "doc": "{}"}"#), r#""{}""#);
    }
}
