//! JSON merge patches (RFC 7396) in ReQL.
//!
//! ReQL's `merge` differs from RFC 7396 in null, which it stores instead of removing the field. So the fields
//! that a patch removes are removed first, by `without`, and the rest is merged.

use std::collections::BTreeSet;

use reql::{Term, r};
use serde_json::{Map, Value};

use super::large::value;
use crate::names::PSEUDO_TYPE;

/// A merge patch.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    /// The fields that are removed first, if there are any.
    removed: Option<Term>,
    merged: Term,
    /// The top-level fields that it changes.
    names: BTreeSet<String>,
}

impl Patch {
    pub(crate) fn new(patch: Map<String, Value>) -> Self {
        let names = patch.keys().cloned().collect();
        let mut removed = Map::new();
        let merged = value(&split(patch, &mut removed));
        Patch { removed: (!removed.is_empty()).then(|| r.expr(removed)), merged, names }
    }

    /// Returns the term of the patched document.
    pub(crate) fn apply(&self, document: &Term) -> Term {
        match &self.removed {
            None => document.merge(&self.merged),
            Some(removed) => document.without(removed).merge(&self.merged),
        }
    }

    /// Returns true if it changes this top-level field.
    pub(crate) fn touches(&self, field: &str) -> bool {
        self.names.contains(field)
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

    /// The fields that a patch removes, and those that it merges.
    fn parts(patch: Value) -> (Value, Value) {
        let mut removed = Map::new();
        let merged = split(serde_json::from_value(patch).unwrap(), &mut removed);
        (Value::Object(removed), Value::Object(merged))
    }

    #[test]
    fn nulls_are_removed_and_the_rest_is_merged() {
        let (removed, merged) = parts(json!({"a": null, "b": {"c": null, "d": 1}, "e": [null], "f": {}}));
        assert_eq!(removed, json!({"a": true, "b": {"c": true}}));
        assert_eq!(merged, json!({"b": {"d": 1}, "e": [null], "f": {}}));
    }

    #[test]
    fn values_of_reql_types_replace() {
        let time = json!({"$reql_type$": "TIME", "epoch_time": 0, "timezone": "+00:00"});
        assert_eq!(parts(json!({"t": time})), (json!({"t": true}), json!({"t": time})));
    }

    #[test]
    fn fields_are_touched_whatever_is_done_to_them() {
        let patch = json!({"a": null, "b": {"c": null}, "d": 1});
        let patch = Patch::new(serde_json::from_value(patch).unwrap());
        assert_eq!(["a", "b", "c", "d"].map(|name| patch.touches(name)), [true, true, false, true]);
    }
}
