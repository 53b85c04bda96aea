//! `r.literal`: replaces a nested object in `merge` and `update` where merging would be the rule.

use super::{LITERAL, Literals, REQL_TYPE};
use crate::datum::text::until_nul;
use crate::datum::{Array, Datum, Object, ObjectBuilder, size};
use crate::error::{Error, Result};

const VALUE: &str = "value";

pub(super) fn sanitize(object: Object, literals: Literals) -> Result<Datum> {
    if literals == Literals::Refused {
        return Err(stray());
    }
    if let Some(key) = object.keys().find(|key| *key != REQL_TYPE && *key != VALUE) {
        return Err(Error::logic(format!("Invalid literal term with illegal key `{}`.", until_nul(key))));
    }
    Ok(Datum::Object(object))
}

/// Returns the error of a literal where none is permitted.
pub fn stray() -> Error {
    Error::logic(
        "Stray literal keyword found: literal is only legal inside of the object passed to merge or update \
         and cannot nest inside other literals.",
    )
}

/// Returns `r.literal(value)`. Without a value, the literal removes its field.
pub fn literal(value: Option<Datum>) -> Datum {
    let kind = (REQL_TYPE, Datum::str(LITERAL));
    Datum::object([Some(kind), value.map(|value| (VALUE, value))].into_iter().flatten())
}

impl Datum {
    /// Merges `other` into this value: objects merge field by field, anything else replaces, literals replace
    /// whole. Fails if the result would be a malformed pseudo-type, such as a time with further fields.
    pub fn merge(&self, other: &Datum) -> Result<Datum> {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || match (self, other) {
            (Datum::Object(left), Datum::Object(right)) => merge_objects(left, right),
            _ => Ok(other.drop_literals().unwrap_or_default()),
        })
    }

    /// Returns the value with literals replaced by the values in them; `None` for an empty literal.
    pub fn drop_literals(&self) -> Option<Datum> {
        if !self.holds_literal() {
            return Some(self.clone());
        }
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || match self {
            // Built parts know if they hold literals: each part is searched only once.
            _ if self.is_packed() => self.unpacked().drop_literals(),
            Datum::Object(object) if self.is_ptype(LITERAL) => object.get(VALUE),
            Datum::Object(object) => Some(Datum::Object(
                object.iter().filter_map(|(key, value)| Some((key.into(), value.drop_literals()?))).collect(),
            )),
            Datum::Array(items) => {
                Some(Datum::Array(items.iter().filter_map(|item| item.drop_literals()).collect::<Array>()))
            }
            scalar => Some(scalar.clone()),
        })
    }

    /// Returns true if a literal is anywhere inside. Only packed parts have to be searched for one.
    pub fn holds_literal(&self) -> bool {
        let marks = self.marks();
        if marks & (size::LITERAL | size::PACKED) != size::PACKED {
            return marks & size::LITERAL != 0;
        }
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || match self {
            Datum::Array(items) => match items.as_packed() {
                Some(view) => view.holds_literal(),
                None => items.iter().any(|item| item.holds_literal()),
            },
            Datum::Object(object) => match object.as_packed() {
                Some(view) => view.holds_literal(),
                None => object.iter().any(|(_, value)| value.holds_literal()),
            },
            _ => false,
        })
    }
}

fn merge_objects(left: &Object, right: &Object) -> Result<Datum> {
    let mut merged = ObjectBuilder::from(left.clone());
    for (key, value) in right.iter() {
        let mergeable = matches!(value, Datum::Object(_)) && !value.is_ptype(LITERAL);
        let merged_value = match merged.get(key) {
            Some(old) if mergeable => Some(old.merge(&value)?),
            _ => value.drop_literals(),
        };
        match merged_value {
            Some(value) => merged.insert(key, value),
            None => merged.remove(key),
        };
    }
    super::sanitize(merged.build(), Literals::Refused)
}
