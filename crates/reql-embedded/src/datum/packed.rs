//! The bytes of a stored value, and views that read single fields out of them.
//!
//! | tag | value | bytes after the tag |
//! |---|---|---|
//! | 0, 1, 2 | null, false, true | |
//! | 3 | number | a little-endian double |
//! | 4 | number that is a 32-bit integer | 4 bytes, little-endian |
//! | 5, 6 | string, binary | length, bytes |
//! | 7 | array | width, count, body length, an offset for each element, the elements |
//! | 8 | object | width, count, body length, an offset for each field, the fields: key length, key, value |
//!
//! Lengths and counts are LEB128; offsets are `width` (1, 2 or 4) bytes each and count from the start of the
//! body. Fields are sorted by key, so one of many is found by bisection without decoding its neighbours.

use std::cmp::Ordering;
use std::sync::Arc;

use super::pack::MAX_DEPTH;
use super::{Array, Datum, Object, packed_json, walk};
use crate::budget::fuel;
use crate::error::Result;

pub(super) const NULL: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
pub(super) const DOUBLE: u8 = 3;
pub(super) const INT: u8 = 4;
pub(super) const STR: u8 = 5;
pub(super) const BINARY: u8 = 6;
pub(super) const ARRAY: u8 = 7;
pub(super) const OBJECT: u8 = 8;

/// A stand-in for a key that is damaged, as [`Datum::Damaged`] is for its value.
const DAMAGED_KEY: &str = "\u{fffd}";

/// The number of fields up to which they are compared one by one: most keys differ in their length, which is
/// compared first.
const FEW_FIELDS: usize = 8;

/// Returns a value over bytes that [`pack`](super::pack) made. Containers stay packed. Damaged bytes are
/// [`Datum::Damaged`] as soon as they are read.
pub fn from_bytes(bytes: Arc<[u8]>) -> Datum {
    value_at(&bytes, 0)
}

// Reading returns `None` if the bytes are damaged.

#[inline]
fn read_length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    // Nearly all lengths are of one or two bytes.
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(first.into());
    }
    let second = *bytes.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        return Some(usize::from(first & 0x7f) | usize::from(second) << 7);
    }
    read_long_length(bytes, at)
}

fn read_long_length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut length = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

#[inline]
pub(super) fn read_bytes<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = read_length(bytes, at)?;
    let start = *at;
    *at = start.checked_add(length)?;
    bytes.get(start..*at)
}

fn read_array<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let array = bytes.get(*at..)?.first_chunk()?;
    *at += N;
    Some(*array)
}

/// Returns the value at a place. Containers stay packed, and keep the buffer in memory.
pub(super) fn value_at(buffer: &Arc<[u8]>, at: usize) -> Datum {
    let value = || match *buffer.get(at)? {
        ARRAY => Some(Datum::Array(Array::packed(Packed::new(buffer, at)?))),
        OBJECT => Some(Datum::Object(Object::packed(Packed::new(buffer, at)?))),
        _ => Some(match read_scalar(buffer, &mut { at })? {
            Scalar::Null => Datum::Null,
            Scalar::Bool(value) => Datum::Bool(value),
            Scalar::Int(value) => Datum::Num(value.into()),
            Scalar::Double(value) => Datum::Num(value),
            Scalar::Str(bytes) if may_copy(bytes) => Datum::Str(Arc::from(text(bytes)?)),
            Scalar::Binary(bytes) if may_copy(bytes) => Datum::Binary(Arc::from(bytes)),
            Scalar::Str(_) | Scalar::Binary(_) => return None,
        }),
    };
    value().unwrap_or(Datum::Damaged)
}

/// Counts the copy of a text. Short ones cost no more than the term that asks for them.
#[inline]
fn may_copy(bytes: &[u8]) -> bool {
    const SHORT: usize = 256;
    bytes.len() <= SHORT || fuel::burn_bytes(bytes.len())
}

/// A packed value that is no container, seen in place.
#[derive(Debug)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i32),
    /// A finite number.
    Double(f64),
    /// The bytes of a [`text`].
    Str(&'a [u8]),
    Binary(&'a [u8]),
}

#[inline]
pub(super) fn read_scalar<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Scalar<'a>> {
    let tag = *bytes.get(*at)?;
    *at += 1;
    Some(match tag {
        NULL => Scalar::Null,
        FALSE => Scalar::Bool(false),
        TRUE => Scalar::Bool(true),
        DOUBLE => Scalar::Double(
            Some(f64::from_le_bytes(read_array(bytes, at)?)).filter(|value| value.is_finite())?,
        ),
        INT => Scalar::Int(i32::from_le_bytes(read_array(bytes, at)?)),
        STR => Scalar::Str(read_bytes(bytes, at)?),
        BINARY => Scalar::Binary(read_bytes(bytes, at)?),
        _ => return None,
    })
}

/// Returns the bytes as text, unless they are damaged: only valid text is ever packed.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A container inside packed bytes, whose layout is known to be within them.
#[derive(Clone)]
pub(super) struct Packed {
    buffer: Arc<[u8]>,
    start: u32,
}

/// The places of the parts of a packed container.
#[derive(Default)]
pub(super) struct Layout {
    width: usize,
    pub(super) count: usize,
    offsets: usize,
    pub(super) body: usize,
    end: usize,
}

impl Packed {
    fn new(buffer: &Arc<[u8]>, start: usize) -> Option<Self> {
        layout(buffer, start)?;
        Some(Packed { buffer: buffer.clone(), start: u32::try_from(start).ok()? })
    }

    fn layout(&self) -> Layout {
        layout(&self.buffer, self.start as usize).unwrap_or_default()
    }

    /// Returns the container's bytes, tag included.
    pub(super) fn raw(&self) -> &[u8] {
        self.buffer.get(self.start as usize..self.layout().end).unwrap_or_default()
    }

    /// Returns an upper bound of the number of levels, this one included. See [`Datum::max_levels`].
    pub(super) fn max_levels(&self) -> usize {
        // Each level takes at least this many bytes, with the offset of the container within.
        const SMALLEST: usize = 5;
        self.raw().len().div_ceil(SMALLEST).min(MAX_DEPTH + 1)
    }

    /// Returns true if containers are nested more than `limit` levels deep, this one included.
    pub(super) fn is_deeper_than(&self, limit: usize) -> bool {
        walk::is_deeper_than(&self.buffer, &mut (self.start as usize), limit).unwrap_or(false)
    }

    /// Returns true if both are one place in the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.buffer, &other.buffer) && self.start == other.start
    }

    /// Returns true if a literal is anywhere inside.
    pub(super) fn holds_literal(&self) -> bool {
        walk::holds_literal(&self.buffer, &mut (self.start as usize)).unwrap_or(false)
    }

    /// Returns the number of elements or fields.
    pub(super) fn len(&self) -> usize {
        read_length(&self.buffer, &mut (self.start as usize + 2)).unwrap_or(0)
    }

    /// Returns the element of an array. The caller keeps `index` below `len`.
    pub(super) fn element(&self, index: usize) -> Datum {
        match self.layout().item(&self.buffer, index) {
            Some(at) => value_at(&self.buffer, at),
            None => Datum::Damaged,
        }
    }

    pub(super) fn key(&self, index: usize) -> &str {
        self.field_at(index).map_or(DAMAGED_KEY, |(key, _)| key)
    }

    /// Returns the field of an object. The caller keeps `index` below `len`.
    pub(super) fn field(&self, index: usize) -> (&str, Datum) {
        match self.field_at(index) {
            Some((key, at)) => (key, value_at(&self.buffer, at)),
            None => (DAMAGED_KEY, Datum::Damaged),
        }
    }

    /// Returns the key of a field, and the place of its value.
    fn field_at(&self, index: usize) -> Option<(&str, usize)> {
        let mut at = self.layout().item(&self.buffer, index)?;
        let key = text(read_bytes(&self.buffer, &mut at)?)?;
        Some((key, at))
    }

    /// Returns the field of an object with this key.
    pub(super) fn find(&self, key: &str) -> Option<Datum> {
        self.at(self.position(key))
    }

    /// Returns the field of a key that sorts before nearly all others, as `$reql_type$` does: as a rule one
    /// comparison tells that it isn't there.
    pub(super) fn find_early(&self, key: &str) -> Option<Datum> {
        self.at(self.early_position(key))
    }

    /// Returns true if an object has a field with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.position(key) != Some(None)
    }

    fn at(&self, position: Option<Option<usize>>) -> Option<Datum> {
        match position {
            Some(at) => at.map(|at| value_at(&self.buffer, at)),
            None => Some(Datum::Damaged),
        }
    }

    fn early_position(&self, key: &str) -> Option<Option<usize>> {
        let (layout, key) = (self.layout(), key.as_bytes());
        for index in 0..layout.count {
            let mut at = layout.item(&self.buffer, index)?;
            let found = read_bytes(&self.buffer, &mut at)?;
            // The first bytes are nearly always enough.
            match found.first().cmp(&key.first()).then_with(|| found.cmp(key)) {
                Ordering::Less => {}
                Ordering::Equal => return Some(Some(at)),
                Ordering::Greater => break,
            }
        }
        Some(None)
    }

    /// Returns the place of the field's value, if there is one.
    fn position(&self, key: &str) -> Option<Option<usize>> {
        let layout = self.layout();
        if layout.count <= FEW_FIELDS {
            for index in 0..layout.count {
                let mut at = layout.item(&self.buffer, index)?;
                if read_bytes(&self.buffer, &mut at)? == key.as_bytes() {
                    return Some(Some(at));
                }
            }
            return Some(None);
        }
        let (mut low, mut high) = (0, layout.count);
        while low < high {
            let middle = (low + high) / 2;
            let mut at = layout.item(&self.buffer, middle)?;
            match read_bytes(&self.buffer, &mut at)?.cmp(key.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(Some(at)),
            }
        }
        Some(None)
    }

    /// Appends the container as JSON text. Fails if that is longer than a value may be.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) -> Result<()> {
        packed_json::write(&self.buffer, self.start as usize, out)
    }
}

impl Layout {
    #[inline]
    fn item(&self, bytes: &[u8], index: usize) -> Option<usize> {
        let at = self.offsets + index * self.width;
        let offset = match self.width {
            1 => (*bytes.get(at)?).into(),
            2 => u16::from_le_bytes(read_array(bytes, &mut { at })?).into(),
            _ => u32::from_le_bytes(read_array(bytes, &mut { at })?) as usize,
        };
        Some(self.body + offset)
    }
}

#[inline]
pub(super) fn layout(bytes: &[u8], start: usize) -> Option<Layout> {
    let width = usize::from(*bytes.get(start + 1)?);
    let mut at = start + 2;
    let count = read_length(bytes, &mut at)?;
    let length = read_length(bytes, &mut at)?;
    let body = at.checked_add(count.checked_mul(width)?)?;
    let end = body.checked_add(length)?;
    // Each item takes a byte at least.
    let is_sound = matches!(width, 1 | 2 | 4) && count <= length && end <= bytes.len();
    is_sound.then_some(Layout { width, count, offsets: at, body, end })
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} items)", self.len())
    }
}
