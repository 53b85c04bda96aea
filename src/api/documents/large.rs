//! Large values on their way to the database.

use reql::{Term, r};
use serde::Serialize;

/// The length of JSON, in bytes, from which on it goes to the database as text.
const LARGE: usize = 16 << 10;

/// Returns a value as a term. With a term for each number in it, a large one would take a hundred times its
/// length in memory, here and in the database.
pub(super) fn value<T: Serialize + ?Sized>(value: &T) -> Term {
    match serde_json::to_string(value) {
        Ok(text) if text.len() >= LARGE => r.json(text),
        _ => r.expr(value),
    }
}
