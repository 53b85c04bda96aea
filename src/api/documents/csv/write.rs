//! Writing CSV: documents as lines.

use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use crate::api::documents::parts::part;
use crate::error::Error;
use crate::json;
use crate::names::PSEUDO_TYPE;
use crate::query::{Path, iso8601};

/// A writer of documents as lines.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    separator: u8,
    columns: Vec<Path>,
}

impl Writer {
    pub(crate) fn new(separator: u8, columns: Vec<Path>) -> Self {
        Writer { separator, columns }
    }

    /// Returns the header line.
    pub(crate) fn names(&self) -> Result<String, Error> {
        self.line(self.columns.iter().map(Path::to_string))
    }

    /// Returns the line of a document in JSON.
    pub(crate) fn document(&self, text: &str) -> Result<String, Error> {
        let document = match json::read(text) {
            Err(error) if json::is_too_deep(&error) => return self.deep(text),
            document => document.map_err(Error::internal)?,
        };
        // Other clients may have stored rows that are values of a pseudo-type.
        if document.get(PSEUDO_TYPE).is_some() {
            return Ok(String::new());
        }
        self.line(self.columns.iter().map(|column| cell(column.find(&document))))
    }

    /// Returns the line of a document that is nested too deeply to be read. So are some of its cells, which
    /// are as they are written.
    fn deep(&self, text: &str) -> Result<String, Error> {
        self.line(self.columns.iter().map(|column| {
            let part = part(text, column).unwrap_or_default();
            json::read(part).map_or_else(|_| part.to_owned(), |value| cell(Some(&value)))
        }))
    }

    fn line(&self, cells: impl Iterator<Item = String>) -> Result<String, Error> {
        if self.columns.is_empty() {
            return Ok(String::new());
        }
        let mut writer = WriterBuilder::new()
            .delimiter(self.separator)
            .terminator(Terminator::CRLF)
            .from_writer(Vec::new());
        writer.write_record(cells.map(String::into_bytes)).map_err(Error::internal)?;
        let text = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
        String::from_utf8(text).map_err(Error::internal)
    }
}

/// Returns the text of a cell: empty for a missing field, a string as it is, a time in ISO 8601, and JSON for
/// all other values.
fn cell(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(fields)) if fields.contains_key(PSEUDO_TYPE) => {
            iso8601(fields).unwrap_or_else(|| Value::Object(fields.clone()).to_string())
        }
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let columns = Path::parse_list("a,b.c,\"d.e\"", "select", 9).unwrap();
        let writer = Writer::new(b',', columns);
        assert_eq!(writer.names().unwrap(), "a,b.c,\"\"\"d.e\"\"\"\r\n");
        let time = json!({"$reql_type$": "TIME", "epoch_time": 1.5, "timezone": "+02:00"});
        let documents = [
            json!({"a": "x,\"y\"\n", "b": {"c": [1, {"z": null}]}, "d.e": true}),
            json!({"a": time, "b": 5}),
            json!({"a": null, "d.e": -1.5}),
        ];
        let written = |writer: &Writer, documents: &[Value]| -> String {
            documents.iter().map(|document| writer.document(&document.to_string()).unwrap()).collect()
        };
        assert_eq!(
            written(&writer, &documents),
            "\"x,\"\"y\"\"\n\",\"[1,{\"\"z\"\":null}]\",true\r\n\
             1970-01-01T02:00:01.500+02:00,,\r\n\
             null,,-1.5\r\n"
        );
        let lone = Writer::new(b';', Path::parse_list("a", "select", 9).unwrap());
        assert_eq!(
            written(&lone, &[json!({}), json!({"a": "x;y,"}), json!({"$reql_type$": "TIME"})]),
            "\"\"\r\n\"x;y,\"\r\n"
        );
    }

    #[test]
    fn a_document_that_is_too_deep_to_be_read_is_written() {
        let writer = Writer::new(b',', Path::parse_list("id,a,b.c,d", "select", 9).unwrap());
        let deep = "[".repeat(500) + &"]".repeat(500);
        let document = format!("{{\"id\":3,\"a\":{deep},\"b\":{{\"c\":\"x\",\"d\":{deep}}}}}");
        assert_eq!(writer.document(&document).unwrap(), format!("3,{deep},x,\r\n"));
    }

    #[test]
    fn names_of_fields_have_no_other_meaning() {
        let writer = Writer::new(b',', Path::parse_list("id,a", "select", 9).unwrap());
        for text in ["none", "[1]"] {
            let document = format!(r#"{{"$serde_json::private::RawValue":"{text}","id":1,"a":{{}}}}"#);
            assert_eq!(writer.document(&document).unwrap(), "1,{}\r\n");
        }
        let inner = r#"{"id":2,"a":{"$serde_json::private::RawValue":1}}"#;
        assert_eq!(writer.document(inner).unwrap(), "2,\"{\"\"$serde_json::private::RawValue\"\":1}\"\r\n");
    }
}
