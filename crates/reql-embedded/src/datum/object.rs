//! Objects: a shared map from strings to values, sorted by key, built or packed.

use std::sync::Arc;

use super::Datum;
use super::container::Container;
use super::packed::Packed;
use super::size::Summary;
use crate::nested::Nested;

/// A map sorted by the bytes of its keys. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Object(Container<(Arc<str>, Datum)>);

impl Object {
    /// The object without fields.
    pub fn empty() -> Self {
        Object(Container::Built(Nested::default()))
    }

    pub(super) fn packed(view: Packed) -> Self {
        Object(Container::Packed(view))
    }

    pub(super) fn container(&self) -> &Container<(Arc<str>, Datum)> {
        &self.0
    }

    pub(super) fn as_packed(&self) -> Option<&Packed> {
        self.0.as_packed()
    }

    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<Datum> {
        match &self.0 {
            Container::Built(fields) => find(fields, key).ok().map(|at| fields[at].1.clone()),
            Container::Packed(view) => view.find(key),
        }
    }

    /// The value of a field whose key sorts before nearly all others.
    pub(super) fn get_early(&self, key: &str) -> Option<Datum> {
        match &self.0 {
            Container::Built(_) => self.get(key),
            Container::Packed(view) => view.find_early(key),
        }
    }

    /// Whether the field is there.
    pub fn contains_key(&self, key: &str) -> bool {
        match &self.0 {
            Container::Built(fields) => find(fields, key).is_ok(),
            Container::Packed(view) => view.has(key),
        }
    }

    /// The fields in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, Datum)> + ExactSizeIterator {
        (0..self.len()).map(|index| match &self.0 {
            Container::Built(fields) => (&*fields[index].0, fields[index].1.clone()),
            Container::Packed(view) => view.field(index),
        })
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| match &self.0 {
            Container::Built(fields) => &*fields[index].0,
            Container::Packed(view) => view.key(index),
        })
    }

    /// A copy with this field set.
    pub fn with(self, key: impl Into<Arc<str>>, value: Datum) -> Self {
        let mut builder = ObjectBuilder::from(self);
        builder.insert(key, value);
        builder.build()
    }

    /// A copy without this field.
    pub fn without(self, key: &str) -> Self {
        let mut builder = ObjectBuilder::from(self);
        builder.remove(key);
        builder.build()
    }
}

impl FromIterator<(Arc<str>, Datum)> for Object {
    /// Later fields replace earlier ones of the same key.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Datum)>>(fields: I) -> Self {
        let mut builder = ObjectBuilder::new();
        for (key, value) in fields {
            builder.insert(key, value);
        }
        builder.build()
    }
}

/// An object in the making.
#[derive(Debug, Default)]
pub struct ObjectBuilder {
    fields: Vec<(Arc<str>, Datum)>,
}

impl ObjectBuilder {
    /// No fields yet.
    pub fn new() -> Self {
        ObjectBuilder::default()
    }

    /// Sets a field and returns what it replaces.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, value: Datum) -> Option<Datum> {
        let key = key.into();
        if self.fields.last().is_none_or(|(last, _)| **last < *key) {
            self.fields.push((key, value));
            return None;
        }
        match find(&self.fields, &key) {
            Ok(at) => Some(std::mem::replace(&mut self.fields[at].1, value)),
            Err(at) => {
                self.fields.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, key: &str) -> Option<Datum> {
        find(&self.fields, key).ok().map(|at| self.fields.remove(at).1)
    }

    /// The value of a field set so far.
    pub fn get(&self, key: &str) -> Option<&Datum> {
        find(&self.fields, key).ok().map(|at| &self.fields[at].1)
    }

    /// The finished object.
    pub fn build(self) -> Object {
        let summary = Summary::of_fields(&self.fields);
        Object(Container::Built(Nested::with_summary(self.fields, summary)))
    }
}

impl From<Object> for ObjectBuilder {
    fn from(object: Object) -> Self {
        let fields = match object.0 {
            Container::Built(fields) => fields.into_vec(),
            Container::Packed(view) => (0..view.len())
                .map(|index| {
                    let (key, value) = view.field(index);
                    (Arc::from(key), value)
                })
                .collect(),
        };
        ObjectBuilder { fields }
    }
}

fn find(fields: &[(Arc<str>, Datum)], key: &str) -> Result<usize, usize> {
    fields.binary_search_by(|(probe, _)| (**probe).cmp(key))
}
