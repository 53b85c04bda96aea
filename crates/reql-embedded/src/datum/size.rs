//! The size of values, and other properties that a container knows of all its parts.
//!
//! Values share their parts, so a value that takes little memory can take practically endless time to go
//! through: forty arrays, each of which holds the one before twice, have 2^40 elements. The size of a value
//! counts a part as often as it occurs. It is computed when a container is built, from the sizes of its
//! items. All code that goes through a value counts time by its size.

use std::sync::Arc;

use super::pack::{MAX_ARRAY, as_short, measure_bytes, measure_length, width};
use super::{Datum, damaged, pseudo};
use crate::error::{Error, ErrorKind, Result};

/// The largest value, in bytes as packed.
pub const MAX_VALUE: usize = 256 << 20;

/// The number of levels to which arrays and objects may be nested in a value, the value itself included.
///
/// RethinkDB has no limit of its own, and ends when the stack does. Documents that are stored
/// have a lower one: 512.
pub const MAX_LEVELS: usize = 50_000;

/// The properties that a built container knows of its items.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Summary {
    /// Number of bytes that the items take when packed, keys included, or the greatest number if it is more.
    body: u32,
    /// Number of levels below this one, or the greatest number. See [`Datum::max_levels`].
    levels: u16,
    /// Marks of all values inside, and of the container itself.
    marks: u8,
}

/// A literal that isn't packed.
pub(super) const LITERAL: u8 = 1;
/// `r.minval` or `r.maxval`.
pub(super) const EXTREMUM: u8 = 2;
/// An array longer than one that can be stored.
pub(super) const LONG_ARRAY: u8 = 4;
/// A container that is packed, whose parts are not known.
pub(super) const PACKED: u8 = 8;
/// A value that could not be read.
pub(super) const DAMAGED: u8 = 16;

impl Summary {
    /// Sums up the elements of an array.
    pub(super) fn of_items(items: &[Datum]) -> Self {
        let mut sum = Sum::default();
        items.iter().for_each(|item| sum.add(item));
        sum.marks |= if items.len() > MAX_ARRAY { LONG_ARRAY } else { 0 };
        sum.into()
    }

    /// Sums up the fields of an object, sorted by key.
    pub(super) fn of_fields(fields: &[(Arc<str>, Datum)]) -> Self {
        let mut sum = Sum::default();
        for (key, value) in fields {
            sum.body += measure_bytes(key.len()) as u64;
            sum.add(value);
        }
        sum.marks |= if is_literal(fields) { LITERAL } else { 0 };
        sum.into()
    }

    /// Returns the number of bytes that the items take when packed.
    pub(super) fn body(self) -> usize {
        self.body as usize
    }

    /// Returns the number of levels below this one.
    pub(super) fn levels(self) -> usize {
        self.levels.into()
    }

    /// Returns the marks of all values inside.
    pub(super) fn marks(self) -> u8 {
        self.marks
    }

    /// Returns the number of bytes that a container of `count` items takes when packed.
    pub(super) fn container(self, count: usize) -> usize {
        let body = self.body();
        2 + measure_length(count) + measure_length(body) + count * width(body) + body
    }
}

/// Returns true for the fields of a literal. One comparison tells most others: its key comes before nearly
/// all.
fn is_literal(fields: &[(Arc<str>, Datum)]) -> bool {
    let name = fields.iter().find(|(key, _)| **key >= *pseudo::REQL_TYPE);
    let name = name.filter(|(key, _)| **key == *pseudo::REQL_TYPE).map(|(_, name)| name);
    matches!(name, Some(Datum::Str(name)) if **name == *pseudo::LITERAL)
}

/// A summary that is being built.
#[derive(Default)]
struct Sum {
    body: u64,
    levels: usize,
    marks: u8,
}

impl Sum {
    fn add(&mut self, item: &Datum) {
        self.body += item.size() as u64;
        match item {
            Datum::Array(_) | Datum::Object(_) => {
                self.levels = self.levels.max(item.max_levels());
                self.marks |= item.marks();
            }
            scalar => self.marks |= scalar.marks(),
        }
    }
}

impl From<Sum> for Summary {
    fn from(sum: Sum) -> Self {
        Summary {
            body: u32::try_from(sum.body).unwrap_or(u32::MAX),
            levels: u16::try_from(sum.levels).unwrap_or(u16::MAX),
            marks: sum.marks,
        }
    }
}

/// The bytes that a shared text takes besides its own: two counters, and the overhead of the allocator.
const COUNTED: usize = 32;

impl Datum {
    /// Returns the number of bytes that the value takes when packed, in constant time. Shared parts count as
    /// often as they occur. It is exact up to some four gigabytes, and above [`MAX_VALUE`] for all larger
    /// values.
    pub fn size(&self) -> usize {
        match self {
            Datum::MinVal | Datum::MaxVal | Datum::Damaged | Datum::Null | Datum::Bool(_) => 1,
            Datum::Num(value) => 1 + as_short(*value).map_or(8, |_| 4),
            Datum::Str(text) => 1 + measure_bytes(text.len()),
            Datum::Binary(bytes) => 1 + measure_bytes(bytes.len()),
            Datum::Array(array) => array.container().size(),
            Datum::Object(object) => object.container().size(),
        }
    }

    /// Fails for a value that is larger or nested deeper than any may be, or that is known to be damaged.
    /// Takes constant time.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match self {
            Datum::Null | Datum::Bool(_) | Datum::Num(_) | Datum::MinVal | Datum::MaxVal => Ok(()),
            _ => self.check_closely(),
        }
    }

    fn check_closely(&self) -> Result<()> {
        match self {
            _ if self.marks() & DAMAGED != 0 => Err(damaged()),
            _ if self.size() > MAX_VALUE => Err(too_large()),
            _ if self.max_levels() > MAX_LEVELS => {
                let message = format!("Value nested too deep (max {MAX_LEVELS} levels).");
                Err(Error::new(ErrorKind::ResourceLimit, message))
            }
            _ => Ok(()),
        }
    }

    /// Returns about the number of bytes of memory that the value takes, in constant time. Shared parts count
    /// as often as they occur.
    pub fn footprint(&self) -> usize {
        match self {
            Datum::Array(array) => size_of::<Datum>() + array.container().footprint(),
            Datum::Object(object) => size_of::<Datum>() + object.container().footprint(),
            scalar => scalar.bound(),
        }
    }

    /// Returns an upper bound of the number of levels of the value. Packed containers count as a little
    /// deeper than a document may be, unless they are too small for that.
    pub(super) fn max_levels(&self) -> usize {
        match self {
            Datum::Array(array) => array.container().max_levels(),
            Datum::Object(object) => object.container().max_levels(),
            _ => 0,
        }
    }

    /// Returns the marks of the value and of all values inside.
    pub(super) fn marks(&self) -> u8 {
        match self {
            Datum::MinVal | Datum::MaxVal => EXTREMUM,
            Datum::Damaged => DAMAGED,
            Datum::Array(array) => array.container().marks(),
            Datum::Object(object) => object.container().marks(),
            _ => 0,
        }
    }
}

/// An item of a container.
pub(super) trait Item {
    /// Returns an upper bound of the bytes of memory that the item takes, by its size alone.
    fn bound(&self) -> usize;
}

impl Item for Datum {
    fn bound(&self) -> usize {
        size_of::<Datum>()
            + match self {
                Datum::Str(text) => COUNTED + text.len(),
                Datum::Binary(bytes) => COUNTED + bytes.len(),
                Datum::Array(array) => array.container().bound(),
                Datum::Object(object) => object.container().bound(),
                _ => 0,
            }
    }
}

/// A field of an object.
impl Item for (Arc<str>, Datum) {
    fn bound(&self) -> usize {
        size_of::<Arc<str>>() + COUNTED + self.0.len() + self.1.bound()
    }
}

/// Returns the error of a value, or of a text made from one, that is larger than any may be.
pub(crate) fn too_large() -> Error {
    Error::new(ErrorKind::ResourceLimit, format!("Value too large (max {} MiB).", MAX_VALUE >> 20))
}

#[cfg(test)]
mod tests {
    use super::super::{Object, ObjectBuilder, pack, packed};
    use super::*;

    fn bytes(datum: &Datum) -> Vec<u8> {
        pack::value(datum).expect("a value that can be packed")
    }

    #[test]
    fn sizes_are_those_of_the_packed_bytes() {
        let mut values =
            vec![Datum::Null, Datum::Bool(true), Datum::Num(0.5), Datum::Num(-0.0), Datum::Num(7.0)];
        for length in [0, 1, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536] {
            values.push(Datum::str("x".repeat(length)));
            values.push(Datum::Binary(vec![0; length].into()));
            values.push(Datum::array(vec![Datum::Null; length]));
            values.push(Datum::object([("k".repeat(length), Datum::str("y".repeat(length)))]));
        }
        values.push(Datum::Object(Object::empty()));
        values.push(Datum::array(values.clone()));
        for value in values {
            let packed = bytes(&value);
            assert_eq!(value.size(), packed.len());
            let view = packed::from_bytes(packed.into());
            assert_eq!(view.size(), value.size());
            let around = Datum::array(vec![view.clone(), view]);
            assert_eq!(around.size(), bytes(&around).len());
        }
    }

    #[test]
    fn a_large_text_counts_once_in_a_document() {
        let text = || Datum::str("x".repeat(2 << 20));
        let stored = packed::from_bytes(bytes(&Datum::object([("text", text())])).into());
        for part in [text(), stored] {
            let document = Datum::object([("id", Datum::Num(1.0)), ("part", part)]);
            assert!((2 << 20..(2 << 20) + 1024).contains(&document.footprint()), "{}", document.footprint());
        }
        let many = Datum::array(vec![Datum::Num(1.0); 1 << 20]);
        let real = size_of::<Datum>() << 20;
        assert!(many.footprint() >= real);
        assert!(Datum::array(vec![many.clone(), many]).footprint() >= 2 * real);
    }

    #[test]
    fn sharing_counts_as_often_as_it_is_there_and_is_refused_at_some_point() {
        let double = |inner: Datum, levels| {
            (0..levels).fold(inner, |inner, _| Datum::array(vec![inner.clone(), inner]))
        };
        assert_eq!(double(Datum::Null, 10).size(), bytes(&double(Datum::Null, 10)).len());
        assert!(double(Datum::Null, 20).check().is_ok());
        for levels in [30, 100, 1000] {
            let value = double(Datum::Null, levels);
            assert_eq!(
                value.check().expect_err("a value too large").message(),
                "Value too large (max 256 MiB)."
            );
            assert!(Datum::object([("a", value)]).check().is_err());
        }
    }

    #[test]
    fn values_may_be_deep_but_not_too_deep() {
        let nested = |levels| (0..levels).fold(Datum::Null, |inner, _| Datum::array(vec![inner]));
        assert!(nested(MAX_LEVELS).check().is_ok());
        for levels in [MAX_LEVELS + 1, 70_000] {
            let error = nested(levels).check().expect_err("a value too deep");
            assert_eq!(error.kind(), ErrorKind::ResourceLimit);
        }
    }

    #[test]
    fn marks_tell_what_is_inside_at_any_depth() {
        let wrap = |inner: Datum| Datum::object([("a", Datum::array(vec![Datum::Null, inner]))]);
        let literal = wrap(wrap(pseudo::literal::literal(None)));
        assert_eq!(literal.marks(), LITERAL);
        assert_eq!(wrap(Datum::MaxVal).marks(), EXTREMUM);
        assert_eq!(wrap(Datum::array(vec![Datum::Null; MAX_ARRAY + 1])).marks(), LONG_ARRAY);
        assert_eq!(wrap(packed::from_bytes(bytes(&wrap(Datum::Null)).into())).marks(), PACKED);
        let mut time = ObjectBuilder::new();
        time.insert("!", Datum::Null);
        time.insert(pseudo::REQL_TYPE, Datum::str(pseudo::TIME));
        assert_eq!(Datum::Object(time.build()).marks(), 0);
    }
}
