//! `format`: texts with the fields of an object in braces.

use super::super::{Datum, json};
use crate::error::{Error, Result};

/// The template with each `{name}` replaced by that field of the object, as text.
pub fn fill(template: &str, fields: &Datum) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(brace) = rest.find(['{', '}']) {
        let (plain, tag) = rest.split_at(brace);
        filled.push_str(plain);
        let Some(tag) = tag.strip_prefix('{') else { return Err(Error::logic("No parameter tags to close")) };
        let end = tag.find('}');
        let name = &tag[..end.unwrap_or(tag.len())];
        check_name(name)?;
        let end = end.ok_or_else(|| Error::logic("Parameter tag must be closed"))?;
        filled.push_str(&text_of(&fields.field(name)?)?);
        rest = &tag[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Commas and backslashes are kept for later, RethinkDB says.
fn check_name(name: &str) -> Result<()> {
    let message = match name.chars().find(|c| matches!(c, '{' | ',' | '\\')) {
        None => return Ok(()),
        Some('{') => "Nested template parameters are not allowed".to_owned(),
        Some(',') => "Formatting separator `,` is not allowed in parameter name".to_owned(),
        Some(escape) => format!("Reserved escape character `{escape}` is not allowed in parameter name"),
    };
    Err(Error::logic(message))
}

/// A value as `coerce_to("string")` gives it: strings as they are, bytes as UTF-8, all else as JSON.
pub fn text_of(value: &Datum) -> Result<String> {
    match value {
        Datum::Str(text) => Ok(text.to_string()),
        Datum::Binary(bytes) => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|error| super::invalid_utf8(bytes, error.valid_up_to())),
        other => json::to_string(other),
    }
}
