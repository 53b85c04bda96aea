//! A page as GeoJSON (RFC 7946): a feature for each document, whose geometry is one of its fields.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::json;
use crate::names::PSEUDO_TYPE;
use crate::query::{Path, Row};

/// The rule by which the documents of a page become features.
pub(super) struct Features {
    /// The field with the geometry.
    pub(super) field: Path,
    pub(super) primary_key: String,
}

impl Features {
    /// Returns a document as a feature. One without a geometry in the field has none.
    pub(super) fn feature(&self, mut document: Value) -> Value {
        let geometry = self.field.find(&document).and_then(geometry);
        let id = document.get(&self.primary_key).cloned();
        if geometry.is_some() {
            remove(&mut document, self.field.names());
        }
        let mut feature = json!({ "type": "Feature", "geometry": geometry, "properties": document });
        // An id is a text or a number there.
        if let (Some(id), Value::Object(fields)) =
            (id.filter(|id| id.is_string() || id.is_number()), &mut feature)
        {
            fields.insert("id".to_owned(), id);
        }
        feature
    }

    /// Returns the documents of rows as a collection of features. Each is JSON, or a string of the document's
    /// JSON.
    pub(super) fn text(&self, rows: Vec<Row>) -> Result<Vec<u8>, Error> {
        let mut text = Vec::from(r#"{"type":"FeatureCollection","features":["#);
        for (at, row) in rows.into_iter().enumerate() {
            let document = match json::read(row.into_document()?.get()).map_err(Error::internal)? {
                Value::String(text) => json::read(&text).map_err(Error::internal)?,
                document => document,
            };
            if at > 0 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &self.feature(document)).map_err(Error::internal)?;
        }
        text.extend_from_slice(b"]}");
        Ok(text)
    }
}

/// Returns a geometry of the database's as GeoJSON has it.
fn geometry(value: &Value) -> Option<Value> {
    let fields =
        value.as_object().filter(|fields| fields.get(PSEUDO_TYPE).is_some_and(|it| it == "GEOMETRY"))?;
    let plain = fields.iter().filter(|(name, _)| *name != PSEUDO_TYPE);
    Some(plain.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into())
}

fn remove(document: &mut Value, names: &[String]) {
    let Some((last, before)) = names.split_last() else { return };
    let inner = before.iter().try_fold(document, |value, name| value.get_mut(name.as_str()));
    if let Some(Value::Object(fields)) = inner {
        fields.remove(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometry_leaves_the_properties() {
        let features = Features { field: Path::parse("a.place", "f").unwrap(), primary_key: "id".to_owned() };
        let point = json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [1, 2]});
        assert_eq!(
            features.feature(json!({"id": 1, "a": {"place": point, "n": 2}})),
            json!({"type": "Feature", "id": 1, "geometry": {"type": "Point", "coordinates": [1, 2]},
                   "properties": {"id": 1, "a": {"n": 2}}})
        );
        assert_eq!(
            features.feature(json!({"id": [1], "a": {"place": "Oslo"}})),
            json!({"type": "Feature", "geometry": null, "properties": {"id": [1], "a": {"place": "Oslo"}}})
        );
    }

    #[test]
    fn names_of_fields_have_no_other_meaning() {
        let features = Features { field: Path::parse("place", "f").unwrap(), primary_key: "id".to_owned() };
        let document = r#"{"$serde_json::private::RawValue":"none","id":1}"#;
        for doc in [document.to_owned(), json!(document).to_string()] {
            let row = serde_json::from_str(&format!(r#"{{"place":[1],"doc":{doc}}}"#)).unwrap();
            let text = String::from_utf8(features.text(vec![row]).unwrap()).unwrap();
            assert!(text.contains(&format!("\"properties\":{document}")), "{text}");
        }
    }
}
