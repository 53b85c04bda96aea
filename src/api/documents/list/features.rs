//! A page as GeoJSON (RFC 7946): a feature for each document, whose geometry is one of its fields.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::api::documents::parts::{part, without};
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

/// A feature whose properties are as they are written.
#[derive(Serialize)]
struct Feature {
    #[serde(rename = "type")]
    kind: &'static str,
    geometry: Option<Value>,
    properties: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
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

    /// Does what [`Features::feature`] does for a document that is nested too deeply to be read.
    fn deep_feature(&self, document: &str) -> Result<Feature, Error> {
        let read = |field: &Path| part(document, field).and_then(|part| json::read(part).ok());
        let geometry = read(&self.field).as_ref().and_then(geometry);
        let rest = geometry.as_ref().and_then(|_| without(document, self.field.names()));
        let properties = match rest {
            Some(rest) => rest,
            None => RawValue::from_string(document.to_owned()).map_err(Error::internal)?,
        };
        let id = read(&Path::whole(&self.primary_key)).filter(|id| id.is_string() || id.is_number());
        Ok(Feature { geometry, id, properties, kind: "Feature" })
    }

    /// Returns the documents of rows as a collection of features. Each is JSON, or a string of the document's
    /// JSON.
    pub(super) fn text(&self, rows: Vec<Row>) -> Result<Vec<u8>, Error> {
        let mut text = Vec::from(r#"{"type":"FeatureCollection","features":["#);
        for (at, row) in rows.into_iter().enumerate() {
            let document = row.into_document()?;
            // Of a guarded list, it is a string of JSON.
            let document = match serde_json::from_str::<String>(document.get()) {
                Ok(inner) => Cow::Owned(inner),
                Err(_) => Cow::Borrowed(document.get()),
            };
            if at > 0 {
                text.push(b',');
            }
            let written = match json::read(&document) {
                Err(error) if json::is_too_deep(&error) => {
                    serde_json::to_writer(&mut text, &self.deep_feature(&document)?)
                }
                read => serde_json::to_writer(&mut text, &self.feature(read.map_err(Error::internal)?)),
            };
            written.map_err(Error::internal)?;
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
    fn a_document_that_is_too_deep_to_be_read_is_a_feature() {
        let features = Features { field: Path::parse("a.place", "f").unwrap(), primary_key: "id".to_owned() };
        let deep = "[".repeat(500) + &"]".repeat(500);
        let point = r#"{"$reql_type$":"GEOMETRY","coordinates":[1,2],"type":"Point"}"#;
        let document = format!(r#"{{"a":{{"b":{deep},"place":{point}}},"id":3}}"#);
        let row = serde_json::from_str(&format!(r#"{{"place":[3],"doc":{}}}"#, json!(document))).unwrap();
        let text = String::from_utf8(features.text(vec![row]).unwrap()).unwrap();
        let geometry = r#"{"coordinates":[1,2],"type":"Point"}"#;
        let properties = format!(r#"{{"a":{{"b":{deep}}},"id":3}}"#);
        let feature =
            [r#"{"type":"Feature","geometry":"#, geometry, r#","properties":"#, &properties, r#","id":3}"#];
        assert_eq!(text, format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, feature.concat()));
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
