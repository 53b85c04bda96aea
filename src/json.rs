//! JSON, read into values whatever the names of its fields are.
//!
//! A [`Value`] that serde_json reads by itself is another than what was written where the first field of an
//! object has one of the [`RESERVED`] names. The library takes such an object for something of its own, and
//! reads the JSON that is in the text of the field in place of it, to whatever depth, or fails. So JSON that
//! clients may have written is read here.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The names of fields that serde_json has for its own use.
const RESERVED: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// The rules for arrays, objects and the names of fields. By default there are none.
pub(crate) trait Rules: Copy {
    /// Returns the rules for what is in an array or an object.
    fn within<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    /// Checks the name of a field of an object that has these fields already.
    fn check<E: Error>(self, _name: &str, _before: &Map<String, Value>) -> Result<(), E> {
        Ok(())
    }
}

/// Returns whether serde_json has this name of a field for its own use.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Reads JSON. Of two fields with one name, the last one counts.
///
/// # Errors
///
/// If it isn't JSON, or is nested more than 127 deep.
pub(crate) fn read(json: &str) -> Result<Value, serde_json::Error> {
    all_of(serde_json::Deserializer::from_str(json), Anything)
}

/// Returns whether JSON could not be read because it is nested too deeply. Only the message tells.
pub(crate) fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

/// JSON with fields of any name, for readers that decide on the type of what they read.
pub(crate) struct Read(pub(crate) Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Reader(Anything).deserialize(from).map(Read)
    }
}

/// Reads a value with fields of any name, or null, for a field of a type that is deserialized.
pub(crate) fn value_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Read::deserialize(from).map(|read| Some(read.0).filter(|value| !value.is_null()))
}

/// Does what [`value_or_null`] does for an object.
pub(crate) fn object_or_null<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    match value_or_null(from)? {
        None => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(_) => Err(D::Error::custom("neither an object nor null")),
    }
}

/// Reads JSON that keeps to rules.
///
/// # Errors
///
/// As for [`read`], and where it breaks a rule.
pub(crate) fn read_by(json: &[u8], rules: impl Rules) -> Result<Value, serde_json::Error> {
    all_of(serde_json::Deserializer::from_slice(json), rules)
}

/// Checks that serde_json reads JSON as it is written.
///
/// # Errors
///
/// As for [`read`], and if a field has a reserved name.
pub(crate) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    read_by(json, NothingReserved).map(drop)
}

fn all_of<'de, R>(
    mut reader: serde_json::Deserializer<R>,
    rules: impl Rules,
) -> Result<Value, serde_json::Error>
where
    R: serde_json::de::Read<'de>,
{
    let value = Reader(rules).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Anything;

impl Rules for Anything {}

#[derive(Clone, Copy)]
struct NothingReserved;

impl Rules for NothingReserved {
    fn check<E: Error>(self, name: &str, _: &Map<String, Value>) -> Result<(), E> {
        match is_reserved(name) {
            true => Err(E::custom("the name of a field is reserved")),
            false => Ok(()),
        }
    }
}

/// Reads a value by rules.
struct Reader<R>(R);

impl<'de, R: Rules> DeserializeSeed<'de> for Reader<R> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, R: Rules> Visitor<'de> for Reader<R> {
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
        let inner = self.0.within()?;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(Reader(inner))? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let inner = self.0.within()?;
        // Many objects have one field only, for which the map would take room for three.
        let mut read = Map::with_capacity(1);
        while let Some(name) = fields.next_key::<String>()? {
            self.0.check(&name, &read)?;
            read.insert(name, fields.next_value_seed(Reader(inner))?);
        }
        Ok(read.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_serde_json_reads_it() {
        for json in [
            r#"{"b":[1,-2,3.5,1e300,18446744073709551615,null,true],"a":{"":"\u0000ä\n"}}"#,
            r#"{"a":1,"b":2,"a":{"x":3}}"#,
            "\"x\"",
            " -0.0 ",
            " {} ",
        ] {
            assert_eq!(read(json).unwrap(), serde_json::from_str::<Value>(json).unwrap(), "{json}");
        }
        let deep = "[".repeat(1000);
        for json in ["", "{", "[1,]", "1 2", "{\"a\":1,}", "nul", "1e999", "\"\u{1}\"", "'x'", &deep] {
            assert!(read(json).is_err() && serde_json::from_str::<Value>(json).is_err(), "{json}");
        }
        let nested = |levels: usize| read(&("[".repeat(levels) + &"]".repeat(levels)));
        assert!(nested(127).is_ok() && is_too_deep(&nested(128).unwrap_err()));
        assert!(!is_too_deep(&read("{").unwrap_err()));
    }

    #[test]
    fn reserved_names_are_names_like_others() {
        for name in RESERVED {
            for json in [
                format!("{{\"{name}\":\"[1, 2]\"}}"),
                format!("{{\"{name}\":{{\"a\":1}},\"id\":2}}"),
                format!("[{{\"a\":{{\"{name}\":\"none\"}}}}]"),
                format!("{{\"\\u0024{}\":1}}", &name[1..]),
            ] {
                let told = json.replace("\\u0024", "$").replace(", ", ",");
                assert_eq!(read(&json).unwrap().to_string().replace(", ", ","), told);
                assert!(check(json.as_bytes()).is_err(), "{json}");
            }
        }
        assert!(check(b"{\"a\":[\"$serde_json::private::RawValue\"]}").is_ok());
        // serde_json itself takes it for something else.
        let own = r#"{"$serde_json::private::RawValue":"[1]"}"#;
        assert!(serde_json::from_str::<Value>(own).is_ok_and(|value| value.is_array()));
    }
}
