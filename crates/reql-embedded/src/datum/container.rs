//! The two shapes of arrays and objects: built by a query, or a view into packed bytes.

use super::packed::Packed;
use super::size::{Item, PACKED, Summary};
use crate::budget::memory::LARGE;
use crate::nested::Nested;

/// The items of an array or the fields of an object. Cloning shares them.
#[derive(Debug)]
pub(super) enum Container<T> {
    Built(Nested<T, Summary>),
    Packed(Packed),
}

impl<T> Container<T> {
    /// Returns the packed form, if the container is packed.
    pub(super) fn as_packed(&self) -> Option<&Packed> {
        match self {
            Container::Packed(view) => Some(view),
            Container::Built(_) => None,
        }
    }

    /// Returns the number of items.
    pub(super) fn len(&self) -> usize {
        match self {
            Container::Built(items) => items.len(),
            Container::Packed(view) => view.len(),
        }
    }

    /// Returns the number of bytes that the container takes when packed. See
    /// [`Datum::size`](super::Datum::size).
    pub(super) fn size(&self) -> usize {
        match self {
            Container::Built(items) => items.summary().container(items.len()),
            Container::Packed(view) => view.raw().len(),
        }
    }

    /// Returns about the number of bytes of memory that the container takes. See
    /// [`Datum::footprint`](super::Datum::footprint).
    pub(super) fn footprint(&self) -> usize
    where
        T: Item,
    {
        /// The most items that are looked at one by one.
        const FEW: usize = 64;
        match self {
            // A large document is mostly a few texts, or parts that are still packed.
            Container::Built(items) if items.len() <= FEW && self.size() > LARGE => {
                items.iter().map(Item::bound).fold(0, usize::saturating_add)
            }
            _ => self.bound(),
        }
    }

    /// Returns an upper bound of the bytes of memory that the container takes, by its size alone.
    pub(super) fn bound(&self) -> usize {
        /// A number takes five bytes when packed, and 24 in an array.
        const SPREAD: usize = 5;
        match self {
            Container::Built(_) => SPREAD.saturating_mul(self.size()),
            Container::Packed(view) => view.raw().len(),
        }
    }

    /// Returns an upper bound of the number of levels, this one included.
    pub(super) fn max_levels(&self) -> usize {
        match self {
            Container::Built(items) => 1 + items.summary().levels(),
            Container::Packed(view) => view.max_levels(),
        }
    }

    /// Returns the marks of all values inside.
    pub(super) fn marks(&self) -> u8 {
        match self {
            Container::Built(items) => items.summary().marks(),
            Container::Packed(_) => PACKED,
        }
    }

    /// Returns true if both are one container, which is equal to itself.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Container::Built(a), Container::Built(b)) => a.is_same(b),
            (Container::Packed(a), Container::Packed(b)) => a.is_same(b),
            _ => false,
        }
    }
}

impl<T> Clone for Container<T> {
    fn clone(&self) -> Self {
        match self {
            Container::Built(items) => Container::Built(items.clone()),
            Container::Packed(view) => Container::Packed(view.clone()),
        }
    }
}
