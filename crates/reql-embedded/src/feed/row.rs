//! The rows of a feed: changes, states, errors.

use crate::datum::{Datum, ObjectBuilder};

/// The form of a feed's rows.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// True if rows name their type.
    pub types: bool,
    /// True if there are rows for the feed's states.
    pub states: bool,
    /// True if rows tell the position of a document in the order.
    pub offsets: bool,
}

/// One side of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Side {
    /// A value that the client doesn't know yet: it is sent later, or never.
    Unread,
    /// The document's value, if there is one, and its position in the order.
    Value(Option<Datum>, Option<usize>),
}

impl Side {
    /// Returns the side of a value without a position.
    pub fn value(value: Option<Datum>) -> Side {
        Side::Value(value, None)
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Side::Unread | Side::Value(None, _))
    }
}

impl Form {
    /// Returns the row of a change; `None` if there is nothing on either side.
    pub fn change(&self, old: Side, new: Side) -> Option<Datum> {
        if old.is_nothing() && new.is_nothing() {
            return None;
        }
        let kind = match (&old, &new) {
            (Side::Unread, _) => "initial",
            (_, Side::Unread) => "uninitial",
            (Side::Value(None, _), _) => "add",
            (_, Side::Value(None, _)) => "remove",
            _ => "change",
        };
        let mut row = ObjectBuilder::new();
        self.put(&mut row, ["new_offset", "new_val"], new);
        self.put(&mut row, ["old_offset", "old_val"], old);
        Some(self.finish(row, kind))
    }

    /// Returns the row of an initial document; `null` stands for one that doesn't exist.
    pub fn initial(&self, value: Datum, offset: Option<usize>) -> Datum {
        let mut row = ObjectBuilder::new();
        self.put(&mut row, ["new_offset", "new_val"], Side::Value(Some(value), offset));
        self.finish(row, "initial")
    }

    /// Returns the row of a state, if the feed reports states.
    pub fn state(&self, state: &str) -> Option<Datum> {
        let mut row = ObjectBuilder::new();
        row.insert("state", Datum::str(state));
        self.states.then(|| self.finish(row, "state"))
    }

    fn put(&self, row: &mut ObjectBuilder, [offset, value]: [&str; 2], side: Side) {
        let Side::Value(datum, place) = side else { return };
        if self.offsets {
            row.insert(offset, place.map_or(Datum::Null, |place| (place as u64).into()));
        }
        row.insert(value, datum.unwrap_or_default());
    }

    fn finish(&self, mut row: ObjectBuilder, kind: &str) -> Datum {
        if self.types {
            row.insert("type", Datum::str(kind));
        }
        Datum::Object(row.build())
    }
}

/// Returns the row that reports lost changes.
pub fn skipped(count: usize) -> Datum {
    let message = format!("Changefeed cache over array size limit, skipped {count} elements.");
    Datum::object([("error", Datum::str(message))])
}
