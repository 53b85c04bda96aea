//! JSON Schemas ([2020-12](https://json-schema.org/draft/2020-12)) that the documents of a table have to keep
//! to.
//!
//! A schema is read from its file when the settings are, so that one that is none stops the start. Nothing is
//! ever fetched: a reference leads into the schema itself, or it is wrong.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::bounded;
use crate::error::Violation;

/// The most bytes of a schema's file.
const FILE_MAX: u64 = 1 << 20;
/// The most violations that are told.
const TOLD: usize = 20;
/// The most bytes of a document, as JSON, all of whose violations are looked for. Of a longer one only the
/// first is told, since each costs memory.
const LOOKED_AT: usize = 64 << 10;
/// The bytes of places and messages after which none is told any more.
const ENOUGH: usize = 16 << 10;
/// The most characters of a message.
const MESSAGE: usize = 300;

/// A JSON Schema, given by the name of its file.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use serde_json::json;
/// use warp_reql::settings::Schema;
///
/// let file = std::env::temp_dir().join(format!("schema-{}.json", std::process::id()));
/// std::fs::write(&file, r#"{"required": ["name"]}"#)?;
/// let schema = Schema::read(&file)?;
/// assert!(schema.check(&json!({"name": "Bruce"})).is_ok());
/// assert!(schema.check(&json!({})).is_err());
/// # std::fs::remove_file(file)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Schema {
    path: PathBuf,
    read: Arc<Read>,
}

struct Read {
    json: Value,
    validator: Validator,
}

impl Schema {
    /// Reads a schema from a file, whose path is relative to the working directory.
    ///
    /// Without `$schema` it is taken to be of draft 2020-12. Its regular expressions are those of the crate
    /// `regex`, which take linear time; so there are no look-arounds and no back-references.
    ///
    /// # Errors
    ///
    /// Tells why, in words, if there is no such file, or if what is in it isn't a JSON Schema.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = bounded::read_most(path, FILE_MAX).map_err(|error| error.to_string())?;
        let json = serde_json::from_slice(&text).map_err(|error| format!("it is not JSON: {error}"))?;
        Schema::new(path, json)
    }

    fn new(path: &Path, json: Value) -> Result<Self, String> {
        jsonschema::meta::validate(&json).map_err(|error| {
            let Violation { pointer, message } = violation(&error);
            format!("it is not a JSON Schema: at `{pointer}` {message}")
        })?;
        let mut options = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex());
        if json.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft202012);
        }
        let validator = options.build(&json).map_err(|error| format!("it is not a JSON Schema: {error}"))?;
        Ok(Schema { path: path.to_owned(), read: Arc::new(Read { json, validator }) })
    }

    /// Returns the schema itself.
    pub fn json(&self) -> &Value {
        &self.read.json
    }

    /// Checks a document.
    ///
    /// # Errors
    ///
    /// Returns the places that violate the schema, at most 20 of them, and fewer if they take more than 16
    /// KiB. For a document of more than 64 KiB it is the first one only. The document's own values are left
    /// out.
    pub fn check(&self, document: &Value) -> Result<(), Vec<Violation>> {
        let Err(first) = self.read.validator.validate(document) else { return Ok(()) };
        if document.to_string().len() > LOOKED_AT {
            return Err(vec![violation(&first)]);
        }
        let told = self.read.validator.iter_errors(document).take(TOLD).map(|error| violation(&error));
        let mut length = 0;
        let is_wanted = |told: &Violation| {
            let before = length;
            length += told.pointer.len() + told.message.len();
            before <= ENOUGH
        };
        Err(told.take_while(is_wanted).collect())
    }
}

/// Describes an error without the document's own values.
fn violation(error: &ValidationError<'_>) -> Violation {
    let message: String = error.masked_with("the value").to_string().chars().take(MESSAGE).collect();
    Violation { pointer: error.instance_path().to_string(), message }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.read.json == other.read.json
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({:?})", self.path)
    }
}

/// Writes the name of the file.
impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

/// Reads the file.
impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        Schema::read(&path).map_err(|reason| {
            de::Error::custom(format!("a file that holds a JSON Schema, but of {} {reason}", path.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(text: Value) -> Result<Schema, String> {
        Schema::new(Path::new("test.json"), text)
    }

    #[test]
    fn documents_are_checked() {
        let schema = schema(json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "age": {"type": "integer", "minimum": 0},
                "name": {"type": "string", "pattern": "^[A-Z]"},
                "born": {"format": "date"},
                "team": {"$ref": "#/$defs/team"},
            },
            "$defs": {"team": {"enum": ["a", "b"]}},
        }))
        .unwrap();
        assert_eq!(
            schema.check(&json!({"name": "Bruce", "age": 3, "team": "a", "born": "1970-01-01"})),
            Ok(())
        );
        let told =
            schema.check(&json!({"age": -1, "name": "secret", "team": "c", "born": "soon"})).unwrap_err();
        let mut pointers: Vec<_> = told.iter().map(|told| told.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/age", "/born", "/name", "/team"]);
        assert!(
            told.iter().all(|told| !told.message.contains("secret") && !told.message.is_empty()),
            "{told:?}"
        );
        assert_eq!(schema.check(&json!({})).unwrap_err()[0].pointer, "");
    }

    #[test]
    fn violations_are_bounded() {
        let schema = schema(json!({"items": {"type": "string"}})).unwrap();
        assert_eq!(schema.check(&json!(vec![1; 1000])).unwrap_err().len(), TOLD);
        assert_eq!(schema.check(&json!(vec![1; 100_000])).unwrap_err().len(), 1);
        let long = json!({"n".repeat(30_000): vec![1; 1000]});
        let schema = self::schema(json!({"additionalProperties": {"items": {"type": "string"}}}));
        assert_eq!(schema.unwrap().check(&long).unwrap_err().len(), 1);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for wrong in [
            json!([]),
            json!({"type": "objekt"}),
            json!({"properties": {"a": {"minimum": "x"}}}),
            json!({"$ref": "https://example.com/other.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"$ref": "#/$defs/none"}),
            json!({"pattern": "("}),
            json!({"$schema": "https://example.com/own"}),
        ] {
            assert!(schema(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(schema(json!(true)).is_ok());
        assert!(Schema::read(Path::new("/nonexistent")).is_err());
    }
}
