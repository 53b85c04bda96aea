//! Paths of fields, nested ones written `a.b`.

use std::fmt::{self, Display, Formatter};

use reql::{Term, args, r};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::parameters::bad;
use super::syntax::{DEPTH, NAME_MAX, Name, Reader, written};
use crate::error::Error;
use crate::names::PSEUDO_TYPE;

/// The sortable types, by the database's names, in their order.
pub(super) const SORTABLE: [&str; 5] = ["BOOL", "NUMBER", "PTYPE<BINARY>", "PTYPE<TIME>", "STRING"];
/// The deepest nesting of an indexed field. The database's description of an index is cut off below that.
const INDEXED_DEPTH: usize = 12;
/// The most objects within the first one on the way to a field that are looked at one by one.
const FEW: usize = 3;
/// The operators of conditions, which are unlikely names of fields.
const OPERATORS: [&str; 7] = ["eq", "ne", "lt", "lte", "gt", "gte", "not"];
/// The characters that end an unquoted name in a list of fields.
pub(super) const IN_LIST: &str = ",";

/// A field of a document; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// A regular expression for fields in URLs.
    pub(crate) const PATTERN: &str = concat!(
        r#"^(\s*[^\s."\x00][^."\x00]*|\s*"([^"\\\x00-\x1f]|\\["\\/bfnrt])*"\s*)"#,
        r#"(\.(\s*[^\s."\x00][^."\x00]*|\s*"([^"\\\x00-\x1f]|\\["\\/bfnrt])*"\s*)){0,31}$"#
    );
    /// A regular expression for the fields of indexes, as [`Path::parse_indexed`] reads them.
    pub(crate) const INDEXED_PATTERN: &str = concat!(
        r#"^(\s*[^\s."\x00][^."\x00]*|\s*"([^"\\\x00-\x1f]|\\[\\/bfnrt])*"\s*)"#,
        r#"(\.(\s*[^\s."\x00][^."\x00]*|\s*"([^"\\\x00-\x1f]|\\[\\/bfnrt])*"\s*)){0,11}$"#
    );
    /// The most fields of an index.
    pub(crate) const INDEXED: usize = 32;

    /// Parses a field. `parameter` names the place for errors.
    pub(crate) fn parse(text: &str, parameter: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(text, parameter);
        let names = reader.names("")?;
        reader.finish()?;
        Ok(Path::from(names))
    }

    /// Parses the fields of an index, each of which is a separate text.
    pub(crate) fn parse_indexed(fields: &[String], parameter: &str) -> Result<Vec<Self>, Error> {
        if fields.len() > Path::INDEXED {
            return Err(bad(parameter, format!("an index may be over {} fields at most", Path::INDEXED)));
        }
        let fields: Vec<_> =
            fields.iter().map(|field| Path::parse(field, parameter)).collect::<Result<_, _>>()?;
        // The database's description of an index, from which its fields are read later, lacks these.
        let untold =
            |Path(names): &&Path| names.len() > INDEXED_DEPTH || names.iter().any(|name| name.contains('"'));
        match fields.iter().find(untold) {
            Some(_) => {
                let depth = format!("in an index a field may be {INDEXED_DEPTH} levels deep at most");
                Err(bad(parameter, format!("{depth}, and no name may hold a quote")))
            }
            None => Ok(fields),
        }
    }

    /// Parses a comma-separated list of fields.
    pub(crate) fn parse_list(text: &str, parameter: &str, most: usize) -> Result<Vec<Self>, Error> {
        let mut reader = Reader::new(text, parameter);
        let fields = reader.separated(most, |reader| Path::read(reader, IN_LIST))?;
        reader.finish()?;
        Ok(fields)
    }

    /// Parses a field in a list or in brackets.
    pub(super) fn read(reader: &mut Reader<'_>, ends: &str) -> Result<Self, Error> {
        let start = reader.at();
        let names = reader.names(ends)?;
        Path::check_listed(&names, reader, start)?;
        Ok(Path::from(names))
    }

    /// Checks that names in a list of fields aren't a condition, such as `eq.3`, which would be meant for a
    /// field with the name of the parameter.
    pub(super) fn check_listed(names: &[Name], reader: &Reader<'_>, start: usize) -> Result<(), Error> {
        match names {
            [first, _, ..] if first.bare().is_some_and(|name| OPERATORS.contains(&name)) => {
                let reason = "a field is expected, not a condition: that on a field which is called like a \
                              parameter has the name in quotes, and so does a field which is called like an \
                              operator";
                Err(reader.wrong(start, reason))
            }
            _ => Ok(()),
        }
    }

    /// Returns the path of a top-level field of any name.
    pub(crate) fn whole(name: &str) -> Self {
        Path(vec![name.to_owned()])
    }

    /// Returns the path with these names; `None` if it can't be written in a URL.
    pub(crate) fn of_names(names: Vec<String>) -> Option<Self> {
        let sane = |name: &String| name.len() <= NAME_MAX && !name.contains('\0');
        let fits = (1..=DEPTH).contains(&names.len()) && names.iter().all(sane);
        fits.then_some(Path(names))
    }

    /// Returns whether it is the top-level field of this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.0.len() == 1 && self.0.iter().all(|own| own == name)
    }

    /// Returns whether it leads into the value of a field.
    pub(crate) fn is_nested(&self) -> bool {
        self.0.len() > 1
    }

    /// Returns a term for the field's value, which fails if the field is missing.
    pub(crate) fn of(&self, row: &Term) -> Term {
        self.0.iter().fold(row.clone(), |value, name| value.g(name))
    }

    /// Returns the entry of a row in an index over these fields: one field's value, or an array of several.
    pub(crate) fn entry(fields: &[Path], row: &Term) -> Term {
        match fields {
            [field] => field.of(row),
            fields => r.expr(fields.iter().map(|field| field.of(row)).collect::<Vec<_>>()),
        }
    }

    /// Returns a term that is true if there is a value other than null. Unlike [`Path::of`], it doesn't fail
    /// if a value on the path isn't an object.
    pub(crate) fn is_in(&self, row: &Term) -> Term {
        let has = row.has_fields(Path::tree(std::slice::from_ref(self)));
        // It looks into times and geometries, too, in which a bracket then finds nothing but fails.
        let is_object = |value: &Term| value.type_of().eq("OBJECT");
        match &self.0[..] {
            // With all the ways to the field, the term would grow with the square of its depth.
            [first, within @ .., _] if within.len() > FEW => {
                let into = |value: Term, name: Term| r.branch(args![is_object(&value), value.g(name), ()]);
                has & is_object(&r.expr(within).fold(row.g(first), into).into())
            }
            _ => self.ways().fold(has, |is_in, way| is_in & is_object(&way.of(row))),
        }
    }

    /// Returns the field's value, or null.
    pub(crate) fn or_null(&self, row: &Term) -> Term {
        r.branch(args![self.is_in(row), self.of(row), ()])
    }

    /// Returns the field's value if it is of a sortable type, and so has an entry in an index; else null.
    /// Arrays have an entry only if all of their members can have one, so they are treated as unsortable.
    pub(crate) fn sortable_or_null(&self, row: &Term) -> Term {
        let sortable = r.expr(SORTABLE).contains(self.of(row).type_of());
        r.branch(args![self.is_in(row) & sortable, self.of(row), ()])
    }

    /// Returns whether it equals another path, or is a prefix of it.
    pub(crate) fn begins(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Returns whether a document or a merge patch sets the field, or replaces an object that contains it.
    pub(crate) fn is_touched_by(&self, sent: &Map<String, Value>) -> bool {
        let mut inside = sent;
        for name in &self.0 {
            match inside.get(name) {
                None => return false,
                Some(Value::Object(inner)) if !inner.contains_key(PSEUDO_TYPE) => inside = inner,
                Some(_) => return true,
            }
        }
        true
    }

    /// Sets the field of a document. Values on the path that aren't objects are replaced by objects.
    pub(crate) fn overwrite(&self, mut document: &mut Map<String, Value>, value: Value) {
        let Some((last, before)) = self.0.split_last() else { return };
        for name in before {
            let inner = document.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            let Value::Object(inner) = inner else { return };
            document = inner;
        }
        document.insert(last.clone(), value);
    }

    /// Takes the field out of a document. A value on the path that has no fields, other than null, is taken
    /// out as a whole.
    pub(super) fn remove(&self, mut document: &mut Map<String, Value>) {
        let Some((last, before)) = self.0.split_last() else { return };
        for name in before {
            let is_object = match document.get(name) {
                None | Some(Value::Null) => return,
                Some(Value::Object(inner)) => !inner.contains_key(PSEUDO_TYPE),
                Some(_) => false,
            };
            if !is_object {
                document.remove(name);
                return;
            }
            let Some(Value::Object(inner)) = document.get_mut(name) else { return };
            document = inner;
        }
        document.remove(last);
    }

    /// Returns an object with this field only.
    pub(crate) fn nested(&self, value: Term) -> Term {
        let object = |value, name: &String| Term::object([(name.clone(), value)]);
        self.0.iter().rev().fold(value, object)
    }

    /// Returns it as a field of what is in a field of the document; `None` if it is that itself.
    pub(super) fn below(&self) -> Option<Self> {
        self.0.get(1..).filter(|names| !names.is_empty()).map(|names| Path(names.to_vec()))
    }

    /// Returns it as a field of what is in this field of the document.
    pub(super) fn within(&self, name: &str) -> Self {
        Path([name.to_owned()].into_iter().chain(self.0.iter().cloned()).collect())
    }

    /// Returns the names of the path.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Returns whether its first name is this one.
    pub(crate) fn begins_with(&self, name: &str) -> bool {
        self.0.first().is_some_and(|first| first == name)
    }

    /// Returns the field of a document.
    pub(crate) fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, name| value.get(name.as_str()))
    }

    /// Returns several fields in the form that `pluck`, `without` and `has_fields` take.
    pub(crate) fn tree(paths: &[Path]) -> Value {
        let mut tree = Map::new();
        for Path(names) in paths {
            graft(&mut tree, names);
        }
        Value::Object(tree)
    }

    /// Returns several fields of a document in the form that `pluck` and `without` take. On the way to a
    /// field, a value that is neither an object nor null stands for it: those terms would go through arrays.
    pub(super) fn tree_in(paths: &[Path], document: &Term) -> Term {
        let Value::Object(tree) = Path::tree(paths) else { return r.expr(()) };
        branches(&tree, &[], document)
    }

    /// Returns a term that is true if there is a value that has no fields, other than null.
    pub(super) fn is_dead_end(&self, document: &Term) -> Term {
        self.is_in(document) & self.of(document).type_of().ne("OBJECT")
    }

    /// Returns the paths that lead to it, the shortest first.
    pub(super) fn ways(&self) -> impl Iterator<Item = Path> {
        (1..self.0.len()).filter_map(|length| self.0.get(..length)).map(|names| Path(names.to_vec()))
    }
}

impl From<Vec<Name>> for Path {
    fn from(names: Vec<Name>) -> Self {
        Path(names.into_iter().map(|name| name.text).collect())
    }
}

/// Writes the path so that [`Path::parse`] and lists of fields can read it.
impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            // Without quotes it would be taken for an operator.
            match at == 0 && self.0.len() > 1 && OPERATORS.contains(&name.as_str()) {
                true => write!(f, "{dot}\"{name}\"")?,
                false => write!(f, "{dot}{}", written(name))?,
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Adds a field to a tree, unless the tree has an object that contains it already.
fn graft(mut tree: &mut Map<String, Value>, names: &[String]) {
    let Some((last, before)) = names.split_last() else { return };
    for name in before {
        let branch = tree.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(branch) = branch else { return };
        tree = branch;
    }
    tree.insert(last.clone(), Value::Bool(true));
}

/// Returns what a tree of fields is in a document whose part at `above` it belongs to. It is recursive, as
/// deep as a path is.
fn branches(tree: &Map<String, Value>, above: &[String], document: &Term) -> Term {
    Term::object(tree.iter().map(|(name, inner)| {
        let Value::Object(inner) = inner else { return (name.clone(), r.expr(inner)) };
        let path = Path(above.iter().chain([name]).cloned().collect());
        let below = branches(inner, &path.0, document);
        (name.clone(), r.branch(args![path.is_dead_end(document), true, below]))
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_share_their_branches() {
        let paths = Path::parse_list("name, address.city,address.zip,name.first", "select", 9).unwrap();
        assert_eq!(Path::tree(&paths), json!({"name": true, "address": {"city": true, "zip": true}}));
    }

    #[test]
    fn names_may_be_quoted() {
        let of = |text: &str| Path::parse(text, "f").unwrap().0;
        assert_eq!(of("a.b"), ["a", "b"]);
        assert_eq!(of(r#""a.b".c"#), ["a.b", "c"]);
        assert_eq!(of(r#" a . " b\"" "#), ["a", " b\""]);
        assert_eq!(of("name(s), in full"), ["name(s), in full"]);
        assert_eq!(of(r#""""#), [""]);
        let list = Path::parse_list(r#""a,b".c, "eq".x,d"#, "select", 9).unwrap();
        assert_eq!(list.iter().map(|path| &path.0[0][..]).collect::<Vec<_>>(), ["a,b", "eq", "d"]);
    }

    #[test]
    fn what_no_document_can_have_is_no_field() {
        for text in
            ["", " ", ".", "a.", ".a", "a..b", "\0", "a.b\0c", "\"a", "a\"b", "\"a\"b", r#""a\u0000""#]
        {
            assert!(Path::parse(text, "select").is_err(), "{text}");
        }
        for text in ["", "a,", ",a", "a,,b", "eq.3", "a,lt.3", "a\"b\"", "\"a\" b"] {
            assert!(Path::parse_list(text, "select", 9).is_err(), "{text}");
        }
        assert!(Path::parse_list("a,b,c", "select", 2).is_err());
        assert!(Path::parse_indexed(&vec!["a".to_owned(); Path::INDEXED + 1], "fields").is_err());
    }
}
