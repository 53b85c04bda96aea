//! JSON as bodies have to be: not too deep, and without names that would get lost.

use serde::de::Error;
use serde_json::{Map, Value};

use crate::json::{self, Rules};

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
/// - where the name of a field holds a NUL, at which the database would cut it;
/// - where a field has a name that readers which use serde_json, as this service's database does, take for
///   something of the library's own.
pub(crate) fn read(json: &[u8]) -> Result<Value, serde_json::Error> {
    read_below(0, json)
}

/// Does what [`read`] does for a value that is this many levels deep in a document.
///
/// # Errors
///
/// As for [`read`], with the levels of the document counted.
pub(crate) fn read_below(depth: usize, json: &[u8]) -> Result<Value, serde_json::Error> {
    json::read_by(json, Strict { depth })
}

/// Returns the message of an error without its place, which has fields of its own.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// The rules for values at some depth.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Rules for Strict {
    fn within<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            let reason = format!("it has arrays and objects nested more than {DEPTH_MAX} deep");
            return Err(E::custom(reason));
        }
        Ok(Strict { depth: self.depth + 1 })
    }

    fn check<E: Error>(self, name: &str, before: &Map<String, Value>) -> Result<(), E> {
        if name.contains('\0') {
            let reason = "the name of a field holds a NUL character, which can't be stored";
            return Err(E::custom(reason));
        }
        if json::is_reserved(name) {
            return Err(E::custom(format!("no field can have the name `{name}`, which is reserved")));
        }
        if before.contains_key(name) {
            let name: String = name.chars().take(SHOWN).collect();
            return Err(E::custom(format!("an object has the field `{name}` twice")));
        }
        Ok(())
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

    #[test]
    fn names_that_readers_take_for_their_own_are_refused() {
        for name in ["$serde_json::private::RawValue", "\\u0024serde_json::private::Number"] {
            for json in [format!("{{\"{name}\": \"1\"}}"), format!("[{{\"a\": 1, \"{name}\": {{}}}}]")] {
                let reason = refused(&json).unwrap();
                assert!(reason.contains("`$serde_json::private::"), "{reason}");
            }
        }
        assert_eq!(refused(r#"{"$serde_json": "$serde_json::private::RawValue"}"#), None);
    }
}
