//! Binary strings: bytes, written in base64 on the wire.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::REQL_TYPE;
use crate::datum::text::until_nul;
use crate::datum::{Datum, Object};
use crate::error::{Error, Result};

/// The field that holds the base64 text.
pub const DATA: &str = "data";

/// Characters to a line: RethinkDB breaks base64 text as MIME does (`base64.cc`).
const LINE: usize = 76;

/// Reads `{"$reql_type$": "BINARY", "data": base64}`; line breaks in the text are skipped.
pub fn decode(object: &Object) -> Result<Datum> {
    if let Some(key) = object.keys().find(|key| *key != REQL_TYPE && *key != DATA) {
        return Err(Error::logic(format!("Invalid binary pseudotype: illegal `{}` key.", until_nul(key))));
    }
    let data = object
        .get(DATA)
        .ok_or_else(|| Error::logic(format!("Invalid binary pseudotype: lacking `{DATA}` key.")))?;
    Ok(Datum::Binary(decode_text(data.as_str()?)?.into()))
}

/// Decodes base64 as RethinkDB does: padding may be missing, white space doesn't count, and the last
/// character's unused bits are dropped.
fn decode_text(text: &str) -> Result<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone),
    );
    let is_space = |c: char| matches!(c, '\r' | '\n' | ' ' | '\t');
    let (digits, padding) = text.split_at(text.find('=').unwrap_or(text.len()));
    let digits: String = digits.chars().filter(|c| !is_space(*c)).collect();
    if let Some(bad) = digits.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))) {
        return Err(Error::logic(format!("Invalid base64 character found: '{bad}'.")));
    }
    let bytes = LENIENT.decode(&digits).map_err(|_| {
        Error::logic("Invalid base64 length: 1 character remaining, cannot decode a full byte.")
    })?;
    if padding.contains(|c| c != '=' && !is_space(c)) {
        return Err(Error::logic("Invalid base64 format, data found after padding character '='."));
    }
    Ok(bytes)
}

/// Returns the base64 text of bytes.
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
