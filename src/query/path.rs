//! A field of a document, nested ones written `a.b`.

use ql2::term::TermType;
use serde_json::{Map, Value};

use super::parameters::bad;
use super::term::{Node, array, branch, datum, field, null, term};
use crate::error::Error;

/// The types whose values have an order, by the names that the database has for them, in that order.
const SORTABLE: [&str; 5] = ["BOOL", "NUMBER", "PTYPE<BINARY>", "PTYPE<TIME>", "STRING"];

/// A field of a document; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// What fields look like, as a regular expression.
    pub(crate) const PATTERN: &str = r"^[^.\x00]+(\.[^.\x00]+)*$";

    /// Reads a field; `parameter` is where it stands.
    pub(crate) fn parse(text: &str, parameter: &str) -> Result<Self, Error> {
        let names: Vec<_> = text.split('.').map(str::to_owned).collect();
        // The database cuts names where they hold a NUL, so there are none with one.
        if names.iter().any(|name| name.is_empty() || name.contains('\0')) {
            return Err(bad(parameter, format!("`{text}` is not a field")));
        }
        Ok(Path(names))
    }

    /// A field of the document itself, whatever its name.
    pub(crate) fn whole(name: &str) -> Self {
        Path(vec![name.to_owned()])
    }

    /// Reads a list of fields, separated by commas.
    pub(crate) fn parse_list(text: &str, parameter: &str) -> Result<Vec<Self>, Error> {
        text.split(',').map(|part| Path::parse(part.trim(), parameter)).collect()
    }

    /// Whether it is this field of the document itself.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.0.len() == 1 && self.0.iter().all(|own| own == name)
    }

    /// The field's value; an error of the query's if there is none.
    pub(crate) fn of<T: Node>(&self, row: &T) -> T {
        self.0.iter().fold(row.clone(), |value, name| field(value, name))
    }

    /// Whether there is a value, and not null. Unlike [`Path::of`] it is not an error if something on the way to it is no
    /// object.
    pub(crate) fn is_in<T: Node>(&self, row: &T) -> T {
        term(TermType::HasFields, [row.clone(), datum(Path::tree(std::slice::from_ref(self)))])
    }

    /// The field's value, or null.
    pub(crate) fn or_null<T: Node>(&self, row: &T) -> T {
        branch(self.is_in(row), self.of(row), null())
    }

    /// The field's value if it is of a type that gives documents an order, and so a place in an index; or null. Arrays have
    /// a place in an index only if all that is in them does, which makes them too rare a guest to have an order here.
    pub(crate) fn sortable_or_null<T: Node>(&self, row: &T) -> T {
        let types = array(SORTABLE.map(datum));
        let sortable = term(TermType::Contains, [types, term(TermType::TypeOf, [self.of(row)])]);
        branch(term(TermType::And, [self.is_in(row), sortable]), self.of(row), null())
    }

    /// Several fields in the form that `pluck`, `without` and `has_fields` take.
    pub(crate) fn tree(paths: &[Path]) -> Value {
        let mut tree = Map::new();
        for Path(names) in paths {
            graft(&mut tree, names);
        }
        Value::Object(tree)
    }
}

/// Adds a field to a tree; a field whose whole value is there already stays whole.
fn graft(tree: &mut Map<String, Value>, names: &[String]) {
    match names {
        [] => {}
        [last] => {
            tree.insert(last.clone(), Value::Bool(true));
        }
        [first, rest @ ..] => {
            let branch = tree.entry(first.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(branch) = branch {
                graft(branch, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_share_their_branches() {
        let paths = Path::parse_list("name, address.city,address.zip,name.first", "select").unwrap();
        assert_eq!(Path::tree(&paths), json!({"name": true, "address": {"city": true, "zip": true}}));
    }

    #[test]
    fn what_no_document_can_have_is_no_field() {
        for text in ["", ".", "a.", ".a", "a..b", "\0", "a.b\0c"] {
            assert!(Path::parse(text, "select").is_err(), "{text}");
        }
    }
}
