//! JSON merge patches (RFC 7396) in ReQL.
//!
//! ReQL's `merge` differs from RFC 7396 in null, which it stores instead of removing the field. So the fields
//! that a patch removes are removed first, by `without`, and the rest is merged.

use reql::Term;
use serde_json::{Map, Value};

use super::large::value;
use crate::names::PSEUDO_TYPE;

/// A merge patch.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    removed: Map<String, Value>,
    merged: Map<String, Value>,
}

impl Patch {
    pub(crate) fn new(patch: Map<String, Value>) -> Self {
        let mut removed = Map::new();
        let merged = split(patch, &mut removed);
        Patch { removed, merged }
    }

    /// Returns the term of the patched document.
    pub(crate) fn apply(&self, document: &Term) -> Term {
        match self.removed.is_empty() {
            true => document.merge(value(&self.merged)),
            false => document.without(&self.removed).merge(value(&self.merged)),
        }
    }

    /// Returns whether it changes this top-level field.
    pub(crate) fn touches(&self, field: &str) -> bool {
        self.removed.contains_key(field) || self.merged.contains_key(field)
    }
}

/// Collects the fields to remove, in the form that `without` takes, and returns the object to merge.
fn split(patch: Map<String, Value>, removed: &mut Map<String, Value>) -> Map<String, Value> {
    let mut merged = Map::new();
    for (name, value) in patch {
        match value {
            Value::Null => {
                removed.insert(name, Value::Bool(true));
            }
            Value::Object(inner) if !inner.contains_key(PSEUDO_TYPE) => {
                let mut inner_removed = Map::new();
                merged.insert(name.clone(), Value::Object(split(inner, &mut inner_removed)));
                if !inner_removed.is_empty() {
                    removed.insert(name, Value::Object(inner_removed));
                }
            }
            value => {
                // A value of a pseudo-type must replace the old value instead of being merged with it.
                if value.is_object() {
                    removed.insert(name.clone(), Value::Bool(true));
                }
                merged.insert(name, value);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(value: Value) -> Patch {
        Patch::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn nulls_are_removed_and_the_rest_is_merged() {
        let patch = patch(json!({"a": null, "b": {"c": null, "d": 1}, "e": [null], "f": {}}));
        assert_eq!(Value::Object(patch.removed), json!({"a": true, "b": {"c": true}}));
        assert_eq!(Value::Object(patch.merged), json!({"b": {"d": 1}, "e": [null], "f": {}}));
    }

    #[test]
    fn values_of_reql_types_replace() {
        let time = json!({"$reql_type$": "TIME", "epoch_time": 0, "timezone": "+00:00"});
        let patch = patch(json!({"t": time}));
        assert_eq!(Value::Object(patch.removed), json!({"t": true}));
        assert_eq!(Value::Object(patch.merged), json!({"t": time}));
    }
}
