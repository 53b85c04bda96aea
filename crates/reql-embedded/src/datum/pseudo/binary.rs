//! Binary strings: bytes, written in base64 on the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::REQL_TYPE;
use crate::datum::{Datum, Object};
use crate::error::{Error, Result};

/// The field that holds the base64 text.
pub const DATA: &str = "data";

/// Characters to a line: RethinkDB breaks base64 text as MIME does (`base64.cc`).
const LINE: usize = 76;

/// Reads `{"$reql_type$": "BINARY", "data": base64}`; line breaks in the text are skipped.
pub fn decode(object: &Object) -> Result<Datum> {
    if let Some(key) = object.keys().find(|key| *key != REQL_TYPE && *key != DATA) {
        return Err(Error::logic(format!("Invalid binary pseudotype: illegal `{key}` key.")));
    }
    let data = object
        .get(DATA)
        .ok_or_else(|| Error::logic(format!("Invalid binary pseudotype: lacking `{DATA}` key.")))?;
    let text: String = data.as_str()?.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))) {
        return Err(Error::logic(format!("Invalid base64 character found: '{bad}'.")));
    }
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| {
        let length = text.trim_end_matches('=').len();
        Error::logic(format!("Invalid base64 length: {} characters remaining.", length % 4))
    })?;
    Ok(Datum::Binary(bytes.into()))
}

/// The base64 text of bytes.
pub fn encode(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() <= LINE {
        return text;
    }
    let mut lines = String::with_capacity(text.len() + text.len() / LINE * 2);
    for (index, c) in text.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            lines.push_str("\r\n");
        }
        lines.push(c);
    }
    lines
}
