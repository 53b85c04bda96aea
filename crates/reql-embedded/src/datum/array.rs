//! Arrays: a shared list of values, built or packed.

use super::Datum;
use super::packed::Packed;
use crate::nested::Nested;

/// A list of values. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Array(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Built(Nested<Datum>),
    Packed(Packed),
}

impl Array {
    pub(super) fn packed(view: Packed) -> Self {
        Array(Repr::Packed(view))
    }

    pub(super) fn as_packed(&self) -> Option<&Packed> {
        match &self.0 {
            Repr::Packed(view) => Some(view),
            Repr::Built(_) => None,
        }
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Built(items) => items.len(),
            Repr::Packed(view) => view.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at an index from 0.
    pub fn get(&self, index: usize) -> Option<Datum> {
        match &self.0 {
            Repr::Built(items) => items.get(index).cloned(),
            Repr::Packed(view) => (index < view.len()).then(|| view.element(index)),
        }
    }

    /// The elements in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Datum> + ExactSizeIterator + '_ {
        (0..self.len()).map(|index| match &self.0 {
            Repr::Built(items) => items[index].clone(),
            Repr::Packed(view) => view.element(index),
        })
    }

    /// The elements as an owned list; copies only when it is shared or packed.
    pub fn into_vec(self) -> Vec<Datum> {
        match self.0 {
            Repr::Built(items) => items.into_vec(),
            Repr::Packed(view) => (0..view.len()).map(|index| view.element(index)).collect(),
        }
    }
}

impl From<Vec<Datum>> for Array {
    fn from(items: Vec<Datum>) -> Self {
        Array(Repr::Built(items.into()))
    }
}

impl FromIterator<Datum> for Array {
    fn from_iter<I: IntoIterator<Item = Datum>>(items: I) -> Self {
        Array::from(items.into_iter().collect::<Vec<_>>())
    }
}
