//! The depth to which changes may nest a document.

use serde_json::Value;

use crate::http::strict::DEPTH_MAX;

/// Checks that a value below so many names and arrays doesn't nest its document too deeply.
///
/// # Errors
///
/// The reason, in words.
pub(super) fn check_depth(above: usize, value: &Value) -> Result<(), &'static str> {
    match above + depth(value) > DEPTH_MAX {
        true => Err("the document would be nested more than 100 deep"),
        false => Ok(()),
    }
}

/// Returns the depth of a value. It is recursive: documents are at most 128 deep when read, and
/// [`check_depth`] limits their growth.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
