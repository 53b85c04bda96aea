//! JSON as bodies have to be: not too deep, and without names that would get lost.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The number of levels to which arrays and objects may be nested. An answer has a few more levels around the
/// document, and its readers, this service among them, are likely to stop at 128.
pub(crate) const DEPTH_MAX: usize = 100;
/// The most characters of a name that an error shows.
const SHOWN: usize = 40;

/// Reads a value that is nothing but JSON.
///
/// # Errors
///
/// A syntax error where it isn't JSON. A data error
///
/// - where it is nested more than [`DEPTH_MAX`] deep;
/// - where an object has two fields of one name, of which readers would take one or the other
///   ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259#section-4), section 4);
/// - where the name of a field holds a NUL, at which the database would cut it.
pub(crate) fn read(json: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value at some depth.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            let reason = format!("it has arrays and objects nested more than {DEPTH_MAX} deep");
            return Err(E::custom(reason));
        }
        Ok(Strict { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        // Many objects have one field only, for which the map would take room for three.
        let mut read = Map::with_capacity(1);
        while let Some(name) = fields.next_key::<String>()? {
            if name.contains('\0') {
                let reason = "the name of a field holds a NUL character, which can't be stored";
                return Err(A::Error::custom(reason));
            }
            if read.contains_key(&name) {
                let name: String = name.chars().take(SHOWN).collect();
                return Err(A::Error::custom(format!("an object has the field `{name}` twice")));
            }
            read.insert(name, fields.next_value_seed(inner)?);
        }
        Ok(read.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> Option<String> {
        let error = read(json.as_bytes()).err().filter(serde_json::Error::is_data)?;
        Some(error.to_string())
    }

    #[test]
    fn json_is_read_as_serde_json_reads_it() {
        for json in
            [r#"{"b":[1,-2,3.5,1e300,18446744073709551615,null,true],"a":{"":"\u0000ä\n"}}"#, "\"x\"", " 1 "]
        {
            assert_eq!(read(json.as_bytes()).unwrap(), serde_json::from_str::<Value>(json).unwrap());
        }
        for json in ["", "{", "[1,]", "1 2", "{\"a\":1,}", "nul", "1e999", "\"\u{1}\"", "'x'"] {
            assert!(read(json.as_bytes()).is_err_and(|error| !error.is_data()), "{json}");
        }
    }

    #[test]
    fn names_stand_once_in_an_object() {
        for json in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"a":3}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(refused(json).is_some_and(|reason| reason.contains("the field `a` twice")), "{json}");
        }
        for json in [r#"{"a":1,"A":1}"#, r#"[{"a":1},{"a":2}]"#, r#"{"a":{"a":{"a":1}}}"#] {
            assert_eq!(refused(json), None, "{json}");
        }
    }

    #[test]
    fn names_that_would_be_cut_are_refused() {
        assert!(refused(r#"{"a\u0000b": 1}"#).is_some());
        assert!(refused(r#"[{"a": {"\u0000": 1}}]"#).is_some());
        assert_eq!(refused(r#"{"a": "x\u0000y", "b\\u0000": 2}"#), None);
    }
}
