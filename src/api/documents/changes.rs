//! Small changes of a document, done by the database in one step: counters, arrays, single fields.
//!
//! ```json
//! {"inc": {"n": 1}, "push": {"log": "x"}, "add": {"tags": "x"}, "pull": {"tags": "y"},
//!  "set": {"a.b": 1}, "unset": ["c"], "now": ["at"]}
//! ```

use std::collections::BTreeMap;

use reql::{Term, args, r};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Code, Error};
use crate::http::body::document;
use crate::query::Path;

/// The most fields that are changed at once.
pub(crate) const MOST: usize = 100;
/// The beginning of what the database says where a change can't be done to what is there.
pub(super) const UNDONE: &str = "warp-reql: change: ";

/// Changes of fields, none of which is a part of another.
#[derive(Debug, Clone)]
pub(crate) struct Changes(Vec<(Path, Change)>);

/// What becomes of one field.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    /// A number is added; a field that isn't there counts as 0.
    Inc(Value),
    /// A member is put at the end of an array.
    Push(Value),
    /// The same, unless it is in there already.
    Add(Value),
    /// A member is taken out wherever it stands.
    Pull(Value),
    Set(Value),
    Unset,
    /// The time of the change.
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
    /// Reads the changes that a body asks for.
    ///
    /// # Errors
    ///
    /// `bad-json`, or `bad-request` if it asks for what there is none of, for more than [`MOST`] fields, or
    /// for two changes of one field.
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

    /// Whether it changes a field of the document itself.
    pub(crate) fn touches(&self, field: &str) -> bool {
        self.0.iter().any(|(path, _)| path.begins_with(field))
    }

    /// An object that has each field that it changes.
    pub(crate) fn touched(&self) -> Map<String, Value> {
        let mut touched = Map::new();
        self.0.iter().for_each(|(path, _)| path.overwrite(&mut touched, Value::Null));
        touched
    }

    /// The document after it.
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
    /// Reads what is asked for by one name.
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
                .map(|(field, value)| Ok((path(name, &field)?, Change::of(name, value)?)))
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

    /// The field's value after it; `None` for what a value doesn't tell.
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
        // An object takes the place of what is there, instead of being merged with it.
        Some(r.literal(value))
    }
}

/// A document without a member of an array, if it has that.
fn pulled(path: &Path, member: &Value, document: &Term) -> Term {
    let own = path.of(document);
    let reason = format!("{UNDONE}`{path}` is no array");
    let mut tree = BTreeMap::new();
    graft(&mut tree, path.names(), own.difference([r.expr(member)]));
    let is_array = own.type_of().eq("ARRAY");
    let pulled = r.branch(args![is_array, document.merge(Tree::Branch(tree)), r.error(reason)]);
    r.branch(args![path.is_in(document), pulled, document])
}

/// Puts a value at the end of names.
fn graft(tree: &mut BTreeMap<String, Tree>, names: &[String], value: Term) {
    match names {
        [] => {}
        [name] => {
            tree.insert(name.clone(), Tree::Leaf(value));
        }
        [name, rest @ ..] => {
            let branch = tree.entry(name.clone()).or_insert_with(|| Tree::Branch(BTreeMap::new()));
            // None of the fields is a part of another, so there is no leaf on the way.
            if let Tree::Branch(branch) = branch {
                graft(branch, rest, value);
            }
        }
    }
}

fn path(name: &str, field: &str) -> Result<Path, Error> {
    Path::parse(field, name)
        .map_err(|_| wrong(name, &format!("`{}` is no field", crate::names::shown(field))))
}

fn wrong(name: &str, reason: &str) -> Error {
    Error::bad_request(format!("The change `{name}` is wrong: {reason}."))
}

/// Tells of a change that can't be done to what is there, by what the database says of it.
pub(super) fn undone(error: Error) -> Error {
    match error.cause().as_deref().and_then(reason) {
        Some(reason) => Error::about(Code::PatchFailed, reason),
        None => error,
    }
}

/// Returns the reason why a change can't be done, out of what the database says.
pub(super) fn reason(text: &str) -> Option<String> {
    let (_, reason) = text.split_once(UNDONE)?;
    let reason = reason.lines().next().unwrap_or_default();
    Some(reason.strip_suffix(" in:").unwrap_or(reason).trim_end_matches(')').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        let fields = |count: usize| (0..count).map(|at| (format!("f{at}"), json!(1))).collect::<Map<_, _>>();
        assert!(
            read(json!({"inc": fields(MOST)})).is_ok() && read(json!({"inc": fields(MOST + 1)})).is_err()
        );
    }
}
