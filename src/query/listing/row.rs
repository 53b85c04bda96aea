//! A row of a page as the database tells it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// A document, and its sort keys for the next page's cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    /// The document; as text if the list is guarded.
    doc: Value,
    pub(crate) place: Value,
    /// Related documents that aren't in the document yet, by the names of the relations.
    #[serde(default)]
    beside: Map<String, Value>,
}

impl Row {
    /// Returns the document with the related ones; as text if the list is guarded.
    pub(crate) fn into_document(self) -> Value {
        let mut document = self.doc;
        if let Value::Object(fields) = &mut document
            && !self.beside.is_empty()
        {
            fields.extend(self.beside);
            // The order in which the database tells fields.
            fields.sort_keys();
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(row: &str) -> String {
        serde_json::from_str::<Row>(row).unwrap().into_document().to_string()
    }

    #[test]
    fn related_documents_lie_among_the_fields() {
        let row = r#"{"place": [1], "doc": {"a": 0, "c": {"z": 1, "y": 2}, "d": 3}, "beside": {"d": [], "b": null}}"#;
        assert_eq!(told(row), r#"{"a":0,"b":null,"c":{"z":1,"y":2},"d":[]}"#);
    }

    #[test]
    fn a_row_without_any_is_told_as_it_is() {
        assert_eq!(told(r#"{"place": [1], "doc": {"b": 0, "a": 1}}"#), r#"{"b":0,"a":1}"#);
        assert_eq!(told(r#"{"place": [1], "doc": "{}"}"#), json!("{}").to_string());
    }
}
