//! Shared lists whose items hold such lists again, as deep as a client likes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A list that is shared when it is cloned, copied when it is changed while it is shared, and dropped however deep it
/// nests.
///
/// What the compiler makes of dropping takes some stack for each level, and values can get deeper than any stack:
/// `fold` wraps its state once for each row.
///
/// An empty list, as most terms have two of, takes no memory of its own.
#[derive(Debug)]
pub struct Nested<T>(Option<Arc<Items<T>>>);

#[derive(Debug, Clone)]
struct Items<T>(Vec<T>);

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.0.clear());
        }
    }
}

impl<T: Clone> Nested<T> {
    /// The items; copies only when they are shared.
    pub fn into_vec(self) -> Vec<T> {
        match self.0.map(Arc::try_unwrap) {
            None => Vec::new(),
            Some(Ok(mut items)) => std::mem::take(&mut items.0),
            Some(Err(shared)) => shared.0.clone(),
        }
    }

    /// The list, to be added to; copies the items first if they are shared.
    pub fn make_mut(&mut self) -> &mut Vec<T> {
        let items = self.0.get_or_insert_with(|| Arc::new(Items(Vec::new())));
        &mut Arc::make_mut(items).0
    }
}

impl<T> Clone for Nested<T> {
    fn clone(&self) -> Self {
        Nested(self.0.clone())
    }
}

impl<T> Default for Nested<T> {
    fn default() -> Self {
        Nested(None)
    }
}

impl<T> From<Vec<T>> for Nested<T> {
    fn from(items: Vec<T>) -> Self {
        Nested((!items.is_empty()).then(|| Arc::new(Items(items))))
    }
}

impl<T> FromIterator<T> for Nested<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Nested::from(items.into_iter().collect::<Vec<T>>())
    }
}

impl<'a, T> IntoIterator for &'a Nested<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Deref for Nested<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], |items| &items.0)
    }
}

impl<T: Clone> DerefMut for Nested<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], |items| &mut Arc::make_mut(items).0)
    }
}
