//! `format`: texts with the fields of an object in braces.

use crate::datum::{Datum, json};
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

/// A value as `coerce_to("string")` gives it.
fn text_of(value: &Datum) -> Result<String> {
    match value {
        Datum::Str(text) => Ok(text.to_string()),
        Datum::Binary(bytes) => json::utf8(bytes).map(str::to_owned),
        other => json::to_string(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Datum {
        Datum::object([
            ("", Datum::str("empty")),
            ("bytes", Datum::Binary(b"foo".as_slice().into())),
            ("n", Datum::Num(99.12345)),
            ("noun", Datum::str("power")),
        ])
    }

    #[test]
    fn tags_become_fields() {
        for (template, filled) in [
            ("With great {noun} comes {n}.", "With great power comes 99.12345."),
            ("{noun}{noun}", "powerpower"),
            ("{}{bytes}", "emptyfoo"),
            ("no tags", "no tags"),
            ("", ""),
        ] {
            assert_eq!(fill(template, &fields()).unwrap(), filled);
        }
    }

    #[test]
    fn malformed_templates_are_refused() {
        for (template, message) in [
            ("{noun", "Parameter tag must be closed"),
            ("noun}", "No parameter tags to close"),
            ("{{noun}}", "Nested template parameters are not allowed"),
            ("{noun,}", "Formatting separator `,` is not allowed in parameter name"),
            ("{noun\\}", "Reserved escape character `\\` is not allowed in parameter name"),
            ("{noun{", "Nested template parameters are not allowed"),
        ] {
            assert_eq!(fill(template, &fields()).unwrap_err().message(), message);
        }
    }

    #[test]
    fn fields_must_be_there() {
        let missing = fill("{absent}", &fields()).unwrap_err();
        assert!(missing.message().starts_with("No attribute `absent` in object:\n{"));
        assert_eq!(missing.kind(), crate::error::ErrorKind::NonExistence);
        let array = fill("{a}", &Datum::empty_array()).unwrap_err();
        assert_eq!(array.message(), "Expected type OBJECT but found ARRAY.");
        assert_eq!(fill("plain", &Datum::empty_array()).unwrap(), "plain");
    }
}
