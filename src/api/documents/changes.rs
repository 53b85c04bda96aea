//! Atomic updates of a document, which the database applies in one step: counters, arrays, single fields.
//!
//! ```json
//! {"inc": {"n": 1}, "push": {"log": "x"}, "add": {"tags": "x"}, "pull": {"tags": "y"},
//!  "set": {"a.b": 1}, "unset": ["c"], "now": ["at"]}
//! ```

use std::collections::BTreeMap;

use reql::{Term, args, r};
use serde::Serialize;
use serde_json::Value;

use super::depth::check_depth;
use crate::error::{Code, Error};
use crate::http::body::document;
use crate::json;
use crate::query::Path;

/// The most fields that are changed at once.
pub(crate) const MOST: usize = 100;
/// The prefix of the error that a query throws if a change can't be applied to a value.
pub(super) const UNDONE: &str = "warp-reql: change: ";

/// Changes of fields, none of which is a part of another.
#[derive(Debug, Clone)]
pub(crate) struct Changes(Vec<(Path, Change)>);

/// The change of one field.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    /// Adds a number. A missing field counts as 0.
    Inc(Value),
    /// Appends a member to an array.
    Push(Value),
    /// Appends a member to an array, unless the array contains it already.
    Add(Value),
    /// Removes all occurrences of a member from an array.
    Pull(Value),
    Set(Value),
    Unset,
    /// Sets the field to the time of the change.
    Now,
}

/// Values for the fields of a document.
#[derive(Serialize)]
#[serde(untagged)]
enum Tree {
    Leaf(Term),
    Branch(BTreeMap<String, Tree>),
}

impl Changes {
    /// Parses the changes in a body.
    ///
    /// # Errors
    ///
    /// `bad-json`, or `bad-request` if there is an unknown kind of change, more than [`MOST`] fields, or two
    /// changes of one field.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut changes: Vec<(Path, Change)> = Vec::new();
        for (name, operand) in document(body)? {
            for (path, change) in Change::read(&name, operand)? {
                if changes.iter().any(|(other, _)| path.begins(other) || other.begins(&path)) {
                    return Err(Error::bad_request(format!("`{path}` is changed twice.")));
                }
                changes.push((path, change));
                if changes.len() > MOST {
                    return Err(Error::bad_request(format!("At most {MOST} fields are changed at once.")));
                }
            }
        }
        Ok(Changes(changes))
    }

    /// Returns whether it changes this top-level field.
    pub(crate) fn touches(&self, field: &str) -> bool {
        self.0.iter().any(|(path, _)| path.begins_with(field))
    }

    /// Returns the fields that it changes.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path)
    }

    /// Returns the term of the changed document.
    pub(crate) fn apply(&self, row: &Term) -> Term {
        let unset: Vec<_> = self.of(|change| *change == Change::Unset).cloned().collect();
        let mut tree = BTreeMap::new();
        for (path, change) in &self.0 {
            if let Some(value) = change.value(path, row) {
                graft(&mut tree, path.names(), value);
            }
        }
        let kept = if unset.is_empty() { row.clone() } else { row.without(Path::tree(&unset)) };
        let merged = if tree.is_empty() { kept } else { kept.merge(Tree::Branch(tree)) };
        self.0.iter().fold(merged, |document, (path, change)| match change {
            Change::Pull(member) => document.do_(|document: Term| pulled(path, member, &document)),
            _ => document,
        })
    }

    fn of(&self, which: impl Fn(&Change) -> bool) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(move |(_, change)| which(change)).map(|(path, _)| path)
    }
}

impl Change {
    /// Parses the changes of one kind.
    fn read(name: &str, operand: Value) -> Result<Vec<(Path, Change)>, Error> {
        let known = ["inc", "push", "add", "pull", "set", "unset", "now"];
        if !known.contains(&name) {
            return Err(Error::bad_request(format!(
                "There is no change `{name}`: use {}.",
                known.map(|name| format!("`{name}`")).join(", ")
            )));
        }
        match (name, operand) {
            ("unset" | "now", Value::Array(fields)) => fields
                .iter()
                .map(|field| {
                    let field = field.as_str().ok_or_else(|| wrong(name, "its fields are strings"))?;
                    Ok((path(name, field)?, if name == "now" { Change::Now } else { Change::Unset }))
                })
                .collect(),
            ("unset" | "now", _) => Err(wrong(name, "it is an array of fields")),
            (_, Value::Object(fields)) => fields
                .into_iter()
                .map(|(field, value)| {
                    let path = path(name, &field)?;
                    // A member is in an array.
                    let names = path.names().len() + usize::from(["push", "add"].contains(&name));
                    check_depth(names, &value).map_err(|reason| wrong(name, reason))?;
                    Ok((path, Change::of(name, value)?))
                })
                .collect(),
            _ => Err(wrong(name, "it is an object of fields and values")),
        }
    }

    fn of(name: &str, value: Value) -> Result<Self, Error> {
        Ok(match name {
            "inc" if value.is_number() => Change::Inc(value),
            "inc" => return Err(wrong(name, "it takes numbers")),
            "push" => Change::Push(value),
            "add" => Change::Add(value),
            "pull" => Change::Pull(value),
            _ => Change::Set(value),
        })
    }

    /// Returns the field's new value; `None` if the field is removed.
    fn value(&self, path: &Path, row: &Term) -> Option<Term> {
        let own = path.of(row);
        let of_type = |name: &str, what: &str, new: Term| {
            let reason = format!("{UNDONE}`{path}` is no {what}");
            r.branch(args![own.type_of().eq(name), new, r.error(reason)])
        };
        let unless_absent = |absent: Term, present: Term| r.branch(args![path.is_in(row), present, absent]);
        let one = |member: &Value| r.expr([r.expr(member)]);
        let value = match self {
            Change::Inc(by) => unless_absent(r.expr(by), of_type("NUMBER", "number", own.add(by))),
            Change::Push(member) => unless_absent(one(member), of_type("ARRAY", "array", own.append(member))),
            Change::Add(member) => {
                let added = r.branch(args![own.contains(member), &own, own.append(member)]);
                unless_absent(one(member), of_type("ARRAY", "array", added))
            }
            Change::Set(value) => r.expr(value),
            Change::Now => r.now(),
            Change::Unset | Change::Pull(_) => return None,
        };
        // An object replaces the value, instead of being merged with it.
        Some(r.literal(value))
    }
}

/// Removes a member from an array of a document, if it has that.
fn pulled(path: &Path, member: &Value, document: &Term) -> Term {
    let own = path.of(document);
    let reason = format!("{UNDONE}`{path}` is no array");
    let mut tree = BTreeMap::new();
    graft(&mut tree, path.names(), own.difference([r.expr(member)]));
    let is_array = own.type_of().eq("ARRAY");
    let pulled = r.branch(args![is_array, document.merge(Tree::Branch(tree)), r.error(reason)]);
    r.branch(args![path.is_in(document), pulled, document])
}

/// Adds a value to a tree at a path of names.
fn graft(tree: &mut BTreeMap<String, Tree>, names: &[String], value: Term) {
    match names {
        [] => {}
        [name] => {
            tree.insert(name.clone(), Tree::Leaf(value));
        }
        [name, rest @ ..] => {
            let branch = tree.entry(name.clone()).or_insert_with(|| Tree::Branch(BTreeMap::new()));
            // No field is a part of another, so there is no leaf on the path.
            if let Tree::Branch(branch) = branch {
                graft(branch, rest, value);
            }
        }
    }
}

fn path(name: &str, field: &str) -> Result<Path, Error> {
    let path = Path::parse(field, name).ok();
    path.filter(|path| !path.names().iter().any(|name| json::is_reserved(name)))
        .ok_or_else(|| wrong(name, &format!("`{}` is no field", crate::names::shown(field))))
}

fn wrong(name: &str, reason: &str) -> Error {
    Error::bad_request(format!("The change `{name}` is wrong: {reason}."))
}

/// Makes the error of a change that can't be applied, out of the database's error.
pub(super) fn undone(error: Error) -> Error {
    match error.cause().as_deref().and_then(reason) {
        Some(reason) => Error::about(Code::PatchFailed, reason),
        None => error,
    }
}

/// Returns the reason why a change can't be applied, from the database's message.
pub(super) fn reason(text: &str) -> Option<String> {
    let (_, reason) = text.split_once(UNDONE)?;
    let reason = reason.lines().next().unwrap_or_default();
    Some(reason.strip_suffix(" in:").unwrap_or(reason).trim_end_matches(')').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::http::strict::DEPTH_MAX;

    fn read(body: Value) -> Result<Changes, String> {
        Changes::read(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn changes_are_read() {
        let changes =
            read(json!({"inc": {"n": 1}, "set": {"a.b": {"c": 1}}, "unset": ["c"], "now": ["\"a.b\".at"]}));
        let changes = changes.unwrap();
        assert_eq!(changes.0.len(), 4);
        assert!(
            changes.touches("a.b") && changes.touches("a") && changes.touches("n") && !changes.touches("b")
        );
        assert!(read(json!({})).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for body in [
            json!([]),
            json!({"incr": {"n": 1}}),
            json!({"inc": {"n": "1"}}),
            json!({"inc": ["n"]}),
            json!({"unset": {"n": 1}}),
            json!({"now": [1]}),
            json!({"set": {"": 1}}),
            json!({"set": {"a..b": 1}}),
            json!({"set": {"a": 1}, "unset": ["a.b"]}),
            json!({"inc": {"a.b": 1}, "push": {"a": 1}}),
        ] {
            assert!(read(body.clone()).is_err(), "{body}");
        }
        // As deep as the body may be, which has two levels around it.
        let deep = (2..DEPTH_MAX).fold(json!(1), |inner, _| json!([inner]));
        for (name, path, fits) in
            [("set", "a.b", true), ("set", "a.b.c", false), ("push", "a", true), ("add", "a.b", false)]
        {
            assert_eq!(read(json!({name: {path: deep}})).is_ok(), fits, "{name} {path}");
        }
        let fields = |count: usize| (0..count).map(|at| (format!("f{at}"), json!(1))).collect::<Map<_, _>>();
        assert!(
            read(json!({"inc": fields(MOST)})).is_ok() && read(json!({"inc": fields(MOST + 1)})).is_err()
        );
    }
}
