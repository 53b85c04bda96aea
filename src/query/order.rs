//! The order of a list: `order=a.desc,b`.
//!
//! Values are in ReQL's order of types and values: booleans, numbers, binary data, times, strings. Documents
//! without such a value in the field come last, both in ascending and in descending order: an index has no
//! entry for them (but for some arrays), so a list in the order of an index can start without searching for
//! them.

use reql::{Args, Term, r};

use super::filter::{Filter, Near};
use super::path::{IN_LIST, Path};
use super::syntax::{Name, Reader};
use crate::error::Error;

/// The most fields that a list may be sorted by.
const MOST: usize = 32;

/// A total order of documents: a list of sort keys, the last of which is the primary key.
#[derive(Debug, Clone)]
pub(crate) struct Order(Vec<Key>);

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) field: Path,
    pub(super) falling: bool,
    /// `true` for the primary key, which every document has.
    pub(super) primary: bool,
    /// A point; the key is then the distance of the field's geometry from it, instead of the field's value.
    pub(super) near: Option<Near>,
}

impl Order {
    /// Parses the parameter. Default: the order of the primary key. As the last of several keys, the primary
    /// key has the direction of the one before, like entries of equal value in an index that is read in that
    /// direction.
    pub(crate) fn parse(text: Option<&str>, primary_key: &str) -> Result<Self, Error> {
        let mut keys = match text {
            Some(text) => {
                let mut reader = Reader::new(text, "order");
                let keys = reader.separated(MOST, |reader| Key::read(reader, primary_key))?;
                reader.finish()?;
                keys
            }
            None => Vec::new(),
        };
        // Keys after the primary key have no effect, since it is unique.
        match keys.iter().position(|key| key.primary) {
            Some(at) => keys.truncate(at + 1),
            None => {
                let falling = keys.last().is_some_and(|key| key.falling);
                keys.push(Key { falling, ..Key::primary(primary_key) });
            }
        }
        Ok(Order(keys))
    }

    /// Returns the order by distance from a point, for a field that is a geometry in all documents.
    pub(super) fn nearest(field: &Path, near: &Near, primary_key: &str) -> Self {
        let field = field.clone();
        let distance = Key { field, falling: false, primary: false, near: Some(near.clone()) };
        Order(vec![distance, Key::primary(primary_key)])
    }

    /// Returns the order without the keys that are the same in all documents that match a filter, so that an
    /// index over the others has it.
    pub(super) fn unless_fixed(self, filter: &Filter) -> Self {
        let is_open = |key: &Key| key.primary || key.near.is_some() || !filter.fixes(&key.field);
        Order(self.0.into_iter().filter(is_open).collect())
    }

    /// Returns no order.
    pub(super) fn unsorted() -> Order {
        Order(Vec::new())
    }

    /// Returns whether it is the order of the primary key's index, ascending or descending.
    pub(super) fn is_index(&self, name: &str) -> bool {
        matches!(&self.0[..], [key] if key.field.is(name))
    }

    /// Returns whether its first key is descending.
    pub(super) fn falls(&self) -> bool {
        self.0.first().is_some_and(|key| key.falling)
    }

    /// Returns whether all of its keys have the same direction, as those of an index do.
    pub(super) fn is_uniform(&self) -> bool {
        self.0.iter().all(|key| key.falling == self.falls())
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.0
    }

    /// Returns the order without its first key.
    pub(super) fn tail(&self) -> Order {
        Order(self.0.iter().skip(1).cloned().collect())
    }

    /// Sorts rows in the database's memory, within its array limit.
    pub(super) fn sort(&self, rows: &Term) -> Term {
        rows.order_by(Args::from_iter(self.terms(0))).into()
    }

    /// Returns the terms that sort by these keys, without the first `skipped` ones.
    pub(super) fn terms(&self, skipped: usize) -> Vec<Term> {
        self.0.iter().skip(skipped).flat_map(Key::terms).collect()
    }

    /// Returns the sort keys of a row.
    pub(super) fn place(&self, row: &Term) -> Term {
        r.expr(self.0.iter().map(|key| key.value(row)).collect::<Vec<_>>())
    }
}

impl Key {
    fn primary(name: &str) -> Self {
        Key { field: Path::whole(name), falling: false, primary: true, near: None }
    }

    fn read(reader: &mut Reader<'_>, primary_key: &str) -> Result<Self, Error> {
        let start = reader.at();
        let (names, words) = reader.names_and_words(IN_LIST, &["asc", "desc", "nullslast"])?;
        let falling = words.contains(&"desc");
        if falling && words.contains(&"asc") {
            return Err(reader.wrong(start, "an order either rises or falls"));
        }
        Path::check_listed(&names, reader, start)?;
        if names.first().and_then(Name::bare).is_some_and(|name| name.starts_with('-')) {
            let reason = "a falling order is written `a.desc`, and a name that begins so in quotes";
            return Err(reader.wrong(start, reason));
        }
        let is_direction = |name: &str| {
            ["asc", "desc", "nullsfirst", "nullslast"].iter().any(|word| name.eq_ignore_ascii_case(word))
        };
        if names.len() > 1 && names.last().and_then(Name::bare).is_some_and(is_direction) {
            let reason = "behind the field may stand `.asc` or `.desc`, then `.nullslast`; documents without \
                          a value always come last, and a name that is like one of these words has to be \
                          quoted";
            return Err(reader.wrong(start, reason));
        }
        let field = Path::from(names);
        let primary = field.is(primary_key);
        Ok(Key { field, falling, primary, near: None })
    }

    /// Returns the sort key of a row; null if it has none.
    pub(super) fn value(&self, row: &Term) -> Term {
        match &self.near {
            Some(near) => near.distance(&self.field.of(row)),
            None if self.primary => self.field.of(row),
            None => self.field.sortable_or_null(row),
        }
    }

    fn terms(&self) -> Vec<Term> {
        let value = |row: Term| self.value(&row);
        let value = if self.falling { r.desc(value) } else { r.asc(value) };
        if self.primary {
            return vec![value];
        }
        vec![r.asc(|row: Term| self.value(&row).eq(())), value]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_key_comes_last_unless_it_is_named() {
        assert!(Order::parse(None, "id").unwrap().is_index("id"));
        assert!(Order::parse(Some("id"), "id").unwrap().is_index("id"));
        assert!(Order::parse(Some("id,a.desc"), "id").unwrap().is_index("id"));
        assert!(Order::parse(Some("id.desc"), "id").unwrap().is_index("id"));
        for (text, uniform) in [
            ("a.desc", true),
            ("a,b", true),
            ("a.desc,b.desc", true),
            ("a.desc,b", false),
            ("a.desc,id", false),
        ] {
            assert_eq!(Order::parse(Some(text), "id").unwrap().is_uniform(), uniform, "{text}");
        }
        assert_eq!(Order::parse(Some("a.b.desc,c"), "id").unwrap().keys().len(), 3);
        assert!(Order::parse(Some("a,,b"), "id").is_err());
    }

    #[test]
    fn directions_are_words_behind_a_field() {
        let keys = |text: &str| {
            let order = Order::parse(Some(text), "id").map_err(|error| error.to_string())?;
            Ok::<_, String>(
                order.keys().iter().map(|key| (key.field.to_string(), key.falling)).collect::<Vec<_>>(),
            )
        };
        let key = |name: &str, falling| (name.to_owned(), falling);
        let expected = vec![key("a.b", true), key("desc", false), key("a.desc", false), key("id", false)];
        assert_eq!(keys("a.b.desc.nullslast, desc ,a.\"desc\".asc").unwrap(), expected);
        assert_eq!(keys("a.nullslast").unwrap()[0], key("a", false));
        for wrong in [
            "",
            "-a",
            "a.DESC",
            "a.desc.nullsfirst",
            "a.nullsfirst",
            "a.desc.asc",
            "eq.3",
            "not.in.(1)",
            "a.Asc",
        ] {
            assert!(keys(wrong).is_err(), "{wrong}");
        }
        let many = |count: usize| vec!["a"; count].join(",");
        assert!(keys(&many(MOST)).is_ok() && keys(&many(MOST + 1)).is_err());
    }
}
