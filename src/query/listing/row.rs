//! A row of a page, as the database returns it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Error;

/// A document, and its sort keys for the next page's cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    /// The document as the database writes it; as a string of that in a list that is guarded.
    pub(crate) doc: Box<RawValue>,
    pub(crate) place: Box<RawValue>,
    /// Related documents that aren't in the document yet, by the names of the relations.
    #[serde(default)]
    pub(crate) beside: BTreeMap<String, Box<RawValue>>,
}

impl Row {
    /// Returns the document with the related ones; as a string of JSON if the list is guarded.
    ///
    /// # Errors
    ///
    /// If the document isn't an object.
    pub(crate) fn into_document(self) -> Result<Box<RawValue>, Error> {
        if self.beside.is_empty() || !self.doc.get().starts_with('{') {
            return Ok(self.doc);
        }
        // Sorted by name, as the database sorts fields.
        let mut fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.doc.get()).map_err(Error::internal)?;
        for (name, related) in &self.beside {
            fields.insert(name.clone(), related);
        }
        to_raw_value(&fields).map_err(Error::internal)
    }
}

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
    fn a_row_without_any_is_told_as_it_is() {
        assert_eq!(told(r#"{"place": [1], "doc": {"b":0,"a":1}}"#), r#"{"b":0,"a":1}"#);
        assert_eq!(told(r#"{"place": [1], "doc": "{}"}"#), r#""{}""#);
    }
}
