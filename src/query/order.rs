//! In what order: `order=a.desc,b`.

use ql2::term::TermType;
use reql::Command;

use super::parameters::bad;
use super::path::Path;
use super::term::{array, func, term};
use crate::error::Error;

/// A total order of documents: sort keys of which the last is the primary key.
///
/// A field that is missing counts as null, so that a document's place can be written down in a cursor.
#[derive(Debug, Clone)]
pub(crate) struct Order(Vec<Key>);

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) field: Path,
    pub(super) falling: bool,
}

impl Order {
    /// Reads the parameter; without one the order is that of the primary key.
    pub(crate) fn parse(text: Option<&str>, primary_key: &str) -> Result<Self, Error> {
        let mut keys = match text {
            Some(text) => text.split(',').map(|part| Key::parse(part.trim())).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        if !keys.iter().any(|key: &Key| key.field.is(primary_key)) {
            let field = Path::whole(primary_key);
            keys.push(Key { field, falling: false });
        }
        Ok(Order(keys))
    }

    /// Whether it is just the order of the primary key's index.
    pub(super) fn is_index(&self, name: &str) -> bool {
        matches!(&self.0[..], [key] if key.field.is(name) && !key.falling)
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.0
    }

    /// Sorts in memory: on a server, within its array limit.
    pub(super) fn sort(&self, rows: Command) -> Command {
        let key = |key: &Key| {
            let direction = if key.falling { TermType::Desc } else { TermType::Asc };
            term(direction, [func(|row| key.field.or_null(&row))])
        };
        term(TermType::OrderBy, std::iter::once(rows).chain(self.0.iter().map(key)))
    }

    /// The values that give a row its place.
    pub(super) fn place(&self, row: &Command) -> Command {
        array(self.0.iter().map(|key| key.field.or_null(row)))
    }
}

impl Key {
    fn parse(text: &str) -> Result<Self, Error> {
        let (field, falling) = match text.rsplit_once('.') {
            Some((field, "desc")) => (field, true),
            Some((field, "asc")) => (field, false),
            _ => (text, false),
        };
        if field.is_empty() {
            return Err(bad("order", "it must look like `a.desc,b`"));
        }
        Ok(Key { field: Path::parse(field, "order")?, falling })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_key_comes_last_unless_it_is_named() {
        assert!(Order::parse(None, "id").unwrap().is_index("id"));
        assert!(Order::parse(Some("id"), "id").unwrap().is_index("id"));
        assert!(!Order::parse(Some("id.desc"), "id").unwrap().is_index("id"));
        assert_eq!(Order::parse(Some("a.b.desc,c"), "id").unwrap().keys().len(), 3);
        assert!(Order::parse(Some("a,,b"), "id").is_err());
    }
}
