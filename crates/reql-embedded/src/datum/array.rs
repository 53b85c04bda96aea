//! Arrays: a shared list of values, built or packed.

use super::Datum;
use super::container::Container;
use super::packed::Packed;
use super::size::Summary;
use crate::budget::fuel;
use crate::nested::Nested;

/// A list of values. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Array(Container<Datum>);

impl Array {
    pub(super) fn packed(view: Packed) -> Self {
        Array(Container::Packed(view))
    }

    pub(super) fn container(&self) -> &Container<Datum> {
        &self.0
    }

    pub(super) fn as_packed(&self) -> Option<&Packed> {
        self.0.as_packed()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the element at an index from 0.
    pub fn get(&self, index: usize) -> Option<Datum> {
        match &self.0 {
            Container::Built(items) => items.get(index).cloned(),
            Container::Packed(view) => (index < view.len()).then(|| view.element(index)),
        }
    }

    /// Returns the elements in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Datum> + ExactSizeIterator + '_ {
        (0..self.len()).map(|index| match &self.0 {
            Container::Built(items) => items[index].clone(),
            Container::Packed(view) => view.element(index),
        })
    }

    /// Returns the elements as an owned list; copies them only if the array is shared or packed.
    pub fn into_vec(self) -> Vec<Datum> {
        match self.0 {
            Container::Built(items) => items.into_vec(),
            Container::Packed(view) => (0..view.len()).map(|index| view.element(index)).collect(),
        }
    }
}

impl From<Vec<Datum>> for Array {
    fn from(items: Vec<Datum>) -> Self {
        fuel::burn(1 + items.len() / 8);
        let summary = Summary::of_items(&items);
        Array(Container::Built(Nested::with_summary(items, summary)))
    }
}

impl FromIterator<Datum> for Array {
    fn from_iter<I: IntoIterator<Item = Datum>>(items: I) -> Self {
        Array::from(items.into_iter().collect::<Vec<_>>())
    }
}
