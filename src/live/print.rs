//! Fingerprints of JSON values, which don't depend on formatting.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::row::Side;

/// A maker of fingerprints. Equal JSON values have the same one, however their fields are ordered and their
/// numbers are written. Others have the same one by chance only: the hash is seeded, so that clients can't
/// cause collisions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Printer(RandomState);

impl Printer {
    /// Returns the fingerprint of a JSON text. For a text that can't be parsed or is nested too deeply, it is
    /// the one of the text itself.
    pub(crate) fn print(&self, json: &str) -> u64 {
        let mut reader = serde_json::Deserializer::from_str(json);
        Value(&self.0).deserialize(&mut reader).unwrap_or_else(|_| self.0.hash_one(json))
    }

    /// Returns the fingerprint of a document and of what related ones are found by.
    pub(crate) fn side(&self, side: Side<'_>) -> u64 {
        let references = side.references.map_or(0, |references| self.print(references));
        self.print(side.document) ^ references.rotate_left(1)
    }
}

/// A visitor that computes the fingerprint of a value.
#[derive(Clone, Copy)]
struct Value<'a>(&'a RandomState);

impl Value<'_> {
    fn of(self, kind: u8, write: impl FnOnce(&mut dyn Hasher)) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u8(kind);
        write(&mut hasher);
        hasher.finish()
    }

    fn number(self, number: f64) -> u64 {
        // 0 and -0 are equal.
        let number = if number == 0.0 { 0.0 } else { number };
        self.of(2, |hasher| hasher.write_u64(number.to_bits()))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(self.of(0, |_| ()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(self.of(1, |hasher| hasher.write_u8(value.into())))
    }

    // ReQL's numbers are doubles.
    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(self.number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(self.number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        Ok(self.number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<u64, E> {
        Ok(self.of(3, |hasher| hasher.write(value.as_bytes())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut prints = Vec::new();
        while let Some(print) = items.next_element_seed(self)? {
            prints.push(print);
        }
        Ok(self.of(4, |hasher| prints.iter().for_each(|print| hasher.write_u64(*print))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<u64, A::Error> {
        // A sum doesn't depend on the order of fields.
        let mut sum = 0_u64;
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            let value = fields.next_value_seed(self)?;
            let field = self.of(5, |hasher| {
                hasher.write(name.as_bytes());
                hasher.write_u64(value);
            });
            sum = sum.wrapping_add(field);
        }
        Ok(self.of(6, |hasher| hasher.write_u64(sum)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_print() {
        let printer = Printer::default();
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b": [true, null], "a": 1.0 }"#),
            ("0", "-0.0"),
            (r#""\u0041""#, r#""A""#),
            ("100", "1e2"),
        ] {
            assert_eq!(printer.print(one), printer.print(other), "{one} {other}");
        }
    }

    #[test]
    fn others_have_others() {
        let printer = Printer::default();
        let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
        let values = [
            "null",
            "false",
            "true",
            "0",
            "1",
            "\"\"",
            "\"0\"",
            "[]",
            "[[]]",
            "{}",
            "[{}]",
            "[1,2]",
            "[2,1]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            &deep(1000),
            &deep(1001),
            "no JSON",
        ];
        for (at, one) in values.iter().enumerate() {
            for other in &values[..at] {
                assert_ne!(printer.print(one), printer.print(other), "{one} {other}");
            }
        }
    }
}
