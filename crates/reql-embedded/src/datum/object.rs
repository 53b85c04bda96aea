//! Objects: a shared map from strings to values, sorted by key, built or packed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Datum;
use super::container::Container;
use super::packed::Packed;
use super::size::Summary;
use crate::budget::fuel;
use crate::nested::Nested;

/// A map sorted by the bytes of its keys. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Object(Container<Field>);

impl Object {
    /// Returns the object without fields.
    pub fn empty() -> Self {
        Object(Container::Built(Nested::default()))
    }

    pub(super) fn packed(view: Packed) -> Self {
        Object(Container::Packed(view))
    }

    pub(super) fn container(&self) -> &Container<Field> {
        &self.0
    }

    pub(super) fn as_packed(&self) -> Option<&Packed> {
        self.0.as_packed()
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the object has no fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value of a field.
    pub fn get(&self, key: &str) -> Option<Datum> {
        match &self.0 {
            Container::Built(fields) => find(fields, key).ok().map(|at| fields[at].1.clone()),
            Container::Packed(view) => view.find(key),
        }
    }

    /// Returns the value of a field whose key sorts before nearly all others.
    pub(super) fn get_early(&self, key: &str) -> Option<Datum> {
        match &self.0 {
            Container::Built(_) => self.get(key),
            Container::Packed(view) => view.find_early(key),
        }
    }

    /// Returns true if the object has the field.
    pub fn contains_key(&self, key: &str) -> bool {
        match &self.0 {
            Container::Built(fields) => find(fields, key).is_ok(),
            Container::Packed(view) => view.has(key),
        }
    }

    /// Returns the fields in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, Datum)> + ExactSizeIterator {
        (0..self.len()).map(|index| match &self.0 {
            Container::Built(fields) => (&*fields[index].0, fields[index].1.clone()),
            Container::Packed(view) => view.field(index),
        })
    }

    /// Returns the keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| match &self.0 {
            Container::Built(fields) => &*fields[index].0,
            Container::Packed(view) => view.key(index),
        })
    }

    /// Returns a copy with this field set.
    pub fn with(self, key: impl Into<Arc<str>>, value: Datum) -> Self {
        let mut builder = ObjectBuilder::from(self);
        builder.insert(key, value);
        builder.build()
    }

    /// Returns a copy without this field.
    pub fn without(self, key: &str) -> Self {
        let mut builder = ObjectBuilder::from(self);
        builder.remove(key);
        builder.build()
    }
}

impl FromIterator<(Arc<str>, Datum)> for Object {
    /// Collects fields; later ones replace earlier ones of the same key.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Datum)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut builder = ObjectBuilder::with_capacity(fields.size_hint().0);
        for (key, value) in fields {
            builder.insert(key, value);
        }
        builder.build()
    }
}

/// A field of an object.
type Field = (Arc<str>, Datum);

/// An object that is being built.
///
/// Fields mostly come in order, or are few. So they are a list until keeping the list in order has taken more
/// time than making a tree of it.
#[derive(Debug)]
pub struct ObjectBuilder(Fields);

#[derive(Debug)]
enum Fields {
    /// Sorted by key, with the number of fields that were moved to keep it so.
    List {
        fields: Vec<Field>,
        moved: usize,
    },
    Tree(BTreeMap<Arc<str>, Datum>),
}

impl Default for ObjectBuilder {
    fn default() -> Self {
        ObjectBuilder::of(Vec::new())
    }
}

impl ObjectBuilder {
    /// Returns a builder without fields.
    pub fn new() -> Self {
        ObjectBuilder::default()
    }

    /// Returns a builder with room for this many fields. Without it, an object of one field takes the memory
    /// of four.
    pub fn with_capacity(fields: usize) -> Self {
        ObjectBuilder::of(Vec::with_capacity(fields))
    }

    fn of(fields: Vec<Field>) -> Self {
        ObjectBuilder(Fields::List { fields, moved: 0 })
    }

    /// Sets a field and returns the value that it replaces.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, value: Datum) -> Option<Datum> {
        let key = key.into();
        match &mut self.0 {
            Fields::List { fields, .. } if fields.last().is_none_or(|(last, _)| **last < *key) => {
                fields.push((key, value));
                None
            }
            Fields::List { fields, moved } => match find(fields, &key) {
                Ok(at) => Some(std::mem::replace(&mut fields[at].1, value)),
                Err(at) => {
                    *moved += fields.len() - at;
                    fields.insert(at, (key, value));
                    self.settle();
                    None
                }
            },
            Fields::Tree(fields) => fields.insert(key, value),
        }
    }

    /// Removes a field and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Datum> {
        match &mut self.0 {
            Fields::List { fields, moved } => {
                let at = find(fields, key).ok()?;
                *moved += fields.len() - at;
                let (_, value) = fields.remove(at);
                self.settle();
                Some(value)
            }
            Fields::Tree(fields) => fields.remove(key),
        }
    }

    /// Replaces the list by a tree if it has taken too long to keep in order.
    fn settle(&mut self) {
        const FEW_MOVES: usize = 4096;
        if let Fields::List { fields, moved } = &mut self.0
            && *moved > FEW_MOVES + 4 * fields.len()
        {
            self.0 = Fields::Tree(std::mem::take(fields).into_iter().collect());
        }
    }

    /// Returns the value of a field set so far.
    pub fn get(&self, key: &str) -> Option<&Datum> {
        match &self.0 {
            Fields::List { fields, .. } => find(fields, key).ok().map(|at| &fields[at].1),
            Fields::Tree(fields) => fields.get(key),
        }
    }

    /// Returns the finished object.
    pub fn build(self) -> Object {
        let fields = match self.0 {
            Fields::List { fields, .. } => fields,
            Fields::Tree(fields) => fields.into_iter().collect(),
        };
        fuel::burn(1 + fields.len() / 8);
        let summary = Summary::of_fields(&fields);
        Object(Container::Built(Nested::with_summary(fields, summary)))
    }
}

impl From<Object> for ObjectBuilder {
    fn from(object: Object) -> Self {
        ObjectBuilder::of(match object.0 {
            Container::Built(fields) => fields.into_vec(),
            Container::Packed(view) => (0..view.len())
                .map(|index| {
                    let (key, value) = view.field(index);
                    (Arc::from(key), value)
                })
                .collect(),
        })
    }
}

fn find(fields: &[Field], key: &str) -> Result<usize, usize> {
    fields.binary_search_by(|(probe, _)| (**probe).cmp(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns keys in an order that is neither up nor down.
    fn keys(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(move |n| format!("{:06}", n * 7919 % count))
    }

    #[test]
    fn fields_in_any_order_are_sorted_and_the_last_of_a_key_counts() {
        for count in [0, 1, 5, 200, 20_000] {
            let mut builder = ObjectBuilder::new();
            let mut model = BTreeMap::new();
            for (n, key) in keys(count).chain(keys(count / 2)).enumerate() {
                let value = Datum::from(n);
                assert_eq!(builder.insert(key.as_str(), value.clone()), model.insert(key, value));
            }
            for key in keys(count).step_by(3).chain(keys(count).step_by(5)) {
                assert_eq!(builder.get(&key), model.get(&key));
                assert_eq!(builder.remove(&key), model.remove(&key));
            }
            let object = builder.build();
            assert!(object.iter().eq(model.iter().map(|(key, value)| (key.as_str(), value.clone()))));
        }
    }

    #[test]
    fn keys_in_falling_order_take_no_quadratic_time() {
        const COUNT: usize = 200_000;
        let mut builder = ObjectBuilder::new();
        for n in (0..COUNT).rev() {
            builder.insert(format!("{n:06}"), Datum::Null);
        }
        assert!(matches!(&builder.0, Fields::Tree(fields) if fields.len() == COUNT));
        let mut builder = ObjectBuilder::from(builder.build());
        for n in 0..COUNT - 1 {
            builder.remove(&format!("{n:06}"));
        }
        assert!(matches!(&builder.0, Fields::Tree(fields) if fields.len() == 1));
    }
}
