//! Ranges of encoded keys, and the direction to walk them in.

use std::ops::Bound;

/// The order of a walk over a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the lowest key up.
    #[default]
    Forward,
    /// From the highest key down.
    Backward,
}

/// A range of keys as bytes, in the encoding of [`datum::key`](crate::datum::key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Lower bound.
    pub lower: Bound<Vec<u8>>,
    /// Upper bound.
    pub upper: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Returns the range of all keys.
    pub fn all() -> Self {
        KeyRange { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    /// Returns the range of just this key.
    pub fn point(key: impl Into<Vec<u8>>) -> Self {
        let key = key.into();
        KeyRange { lower: Bound::Included(key.clone()), upper: Bound::Included(key) }
    }

    /// Returns the range between two bounds. Bounds in the wrong order make an empty range.
    pub fn new(lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> Self {
        KeyRange { lower, upper }
    }

    /// Returns true if no key can be in the range.
    pub fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower >= upper,
            _ => false,
        }
    }

    /// Returns true if the key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        let above = match &self.lower {
            Bound::Included(lower) => key >= lower.as_slice(),
            Bound::Excluded(lower) => key > lower.as_slice(),
            Bound::Unbounded => true,
        };
        above
            && match &self.upper {
                Bound::Included(upper) => key <= upper.as_slice(),
                Bound::Excluded(upper) => key < upper.as_slice(),
                Bound::Unbounded => true,
            }
    }

    /// Returns the bounds as redb takes them.
    pub(super) fn as_bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(Vec::as_slice), self.upper.as_ref().map(Vec::as_slice))
    }

    /// Leaves out the keys that a walk in this direction has passed, up to and including `key`.
    pub(super) fn skip_to(&mut self, key: &[u8], direction: Direction) {
        let passed = Bound::Excluded(key.to_vec());
        match direction {
            Direction::Forward => self.lower = passed,
            Direction::Backward => self.upper = passed,
        }
    }

    /// Returns the range of the entries of an index whose values are in this range.
    ///
    /// An entry is the value followed by the document's key, and a value ends with a zero byte. So all
    /// entries of a value lie between the value itself and the same bytes with the last one turned to 1.
    pub(super) fn of_entries(&self) -> KeyRange {
        let lower = match &self.lower {
            Bound::Included(value) => Bound::Included(value.clone()),
            Bound::Excluded(value) => Bound::Included(after_entries(value)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let upper = match &self.upper {
            Bound::Included(value) => Bound::Excluded(after_entries(value)),
            Bound::Excluded(value) => Bound::Excluded(value.clone()),
            Bound::Unbounded => Bound::Unbounded,
        };
        KeyRange { lower, upper }
    }
}

fn after_entries(value: &[u8]) -> Vec<u8> {
    let mut after = value.to_vec();
    match after.last_mut() {
        Some(last) if *last == 0 => *last = 1,
        _ => after.push(1),
    }
    after
}
