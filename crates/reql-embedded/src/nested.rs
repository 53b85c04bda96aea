//! Shared lists whose items hold such lists again, as deep as a client likes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A list that is shared when it is cloned, copied when it is changed while it is shared, and dropped however
/// deep it nests.
///
/// Dropping as the compiler generates it takes some stack for each level, and values can get deeper than any
/// stack: `fold` wraps its state once for each row.
///
/// An empty list, as most terms have two of, takes no memory of its own.
///
/// A list can carry a summary of its items, which is then made with the list. Only lists without one can be
/// changed.
#[derive(Debug)]
pub struct Nested<T, S = ()>(Option<Arc<Items<T, S>>>);

#[derive(Debug, Clone)]
struct Items<T, S> {
    list: Vec<T>,
    summary: S,
}

impl<T, S> Drop for Items<T, S> {
    fn drop(&mut self) {
        if !self.list.is_empty() {
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.list.clear());
        }
    }
}

impl<T, S> Nested<T, S> {
    /// Makes a list with a summary. An empty list has the default one.
    pub fn with_summary(list: Vec<T>, summary: S) -> Self {
        Nested((!list.is_empty()).then(|| Arc::new(Items { list, summary })))
    }

    /// Returns true if both are one list, and not just equal ones.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl<T, S: Copy + Default> Nested<T, S> {
    /// Returns the summary of the items.
    pub fn summary(&self) -> S {
        self.0.as_ref().map_or_else(S::default, |items| items.summary)
    }
}

impl<T: Clone, S> Nested<T, S> {
    /// Returns the items; copies them only if they are shared.
    pub fn into_vec(self) -> Vec<T> {
        match self.0.map(Arc::try_unwrap) {
            None => Vec::new(),
            Some(Ok(mut items)) => std::mem::take(&mut items.list),
            Some(Err(shared)) => shared.list.clone(),
        }
    }
}

impl<T: Clone> Nested<T> {
    /// Returns the list, to be added to; copies the items first if they are shared.
    pub fn make_mut(&mut self) -> &mut Vec<T> {
        let items = self.0.get_or_insert_with(|| Arc::new(Items { list: Vec::new(), summary: () }));
        &mut Arc::make_mut(items).list
    }
}

impl<T, S> Clone for Nested<T, S> {
    fn clone(&self) -> Self {
        Nested(self.0.clone())
    }
}

impl<T, S> Default for Nested<T, S> {
    fn default() -> Self {
        Nested(None)
    }
}

impl<T> From<Vec<T>> for Nested<T> {
    fn from(items: Vec<T>) -> Self {
        Nested::with_summary(items, ())
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

impl<T, S> Deref for Nested<T, S> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], |items| &items.list)
    }
}

impl<T: Clone> DerefMut for Nested<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], |items| &mut Arc::make_mut(items).list)
    }
}
