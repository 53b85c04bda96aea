//! In what order: `order=a.desc,b`.
//!
//! Values come in ReQL's order of types and values: booleans, numbers, binary data, times, strings. Documents in which the
//! field has no such value come last, whether the order rises or falls: an index holds none of them (but for some arrays),
//! so that a list in the order of an index can begin without having looked for them.

use ql2::term::TermType;

use super::parameters::bad;
use super::path::Path;
use super::term::{Node, array, eq, func, null, term};
use crate::error::Error;

/// A total order of documents: sort keys of which the last is the primary key.
#[derive(Debug, Clone)]
pub(crate) struct Order(Vec<Key>);

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) field: Path,
    pub(super) falling: bool,
    /// Whether it is the primary key, which every document has.
    pub(super) primary: bool,
}

impl Order {
    /// Reads the parameter; without one the order is that of the primary key.
    pub(crate) fn parse(text: Option<&str>, primary_key: &str) -> Result<Self, Error> {
        let mut keys = match text {
            Some(text) => text
                .split(',')
                .map(|part| Key::parse(part.trim(), primary_key))
                .collect::<Result<Vec<_>, _>>()?,
            None => Vec::new(),
        };
        // No two documents are left for what comes after the primary key to decide.
        match keys.iter().position(|key| key.primary) {
            Some(at) => keys.truncate(at + 1),
            None => keys.push(Key { field: Path::whole(primary_key), falling: false, primary: true }),
        }
        Ok(Order(keys))
    }

    /// No order at all, for those who don't ask for one.
    pub(super) fn unsorted() -> Order {
        Order(Vec::new())
    }

    /// Whether it is just the order of the primary key's index.
    pub(super) fn is_index(&self, name: &str) -> bool {
        matches!(&self.0[..], [key] if key.field.is(name) && !key.falling)
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.0
    }

    /// The order among documents that are alike in the first key.
    pub(super) fn tail(&self) -> Order {
        Order(self.0.iter().skip(1).cloned().collect())
    }

    /// Sorts in memory: on a server, within its array limit.
    pub(super) fn sort<T: Node>(&self, rows: T) -> T {
        term(TermType::OrderBy, std::iter::once(rows).chain(self.terms(0)))
    }

    /// The terms that sort by these keys but for the first ones.
    pub(super) fn terms<T: Node>(&self, skipped: usize) -> Vec<T> {
        self.0.iter().skip(skipped).flat_map(Key::terms).collect()
    }

    /// The values that give a row its place.
    pub(super) fn place<T: Node>(&self, row: &T) -> T {
        array(self.0.iter().map(|key| key.value(row)))
    }
}

impl Key {
    fn parse(text: &str, primary_key: &str) -> Result<Self, Error> {
        let (field, falling) = match text.rsplit_once('.') {
            Some((field, "desc")) => (field, true),
            Some((field, "asc")) => (field, false),
            _ => (text, false),
        };
        if field.is_empty() {
            return Err(bad("order", "it must look like `a.desc,b`"));
        }
        let field = Path::parse(field, "order")?;
        let primary = field.is(primary_key);
        Ok(Key { field, falling, primary })
    }

    /// The value that gives a row its place; null if it has none.
    pub(super) fn value<T: Node>(&self, row: &T) -> T {
        if self.primary { self.field.of(row) } else { self.field.sortable_or_null(row) }
    }

    fn terms<T: Node>(&self) -> Vec<T> {
        let direction = if self.falling { TermType::Desc } else { TermType::Asc };
        let value = term(direction, [func(|row| self.value(&row))]);
        if self.primary {
            return vec![value];
        }
        vec![term(TermType::Asc, [func(|row| eq(self.value(&row), null()))]), value]
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
        assert!(!Order::parse(Some("id.desc"), "id").unwrap().is_index("id"));
        assert_eq!(Order::parse(Some("a.b.desc,c"), "id").unwrap().keys().len(), 3);
        assert!(Order::parse(Some("a,,b"), "id").is_err());
    }
}
