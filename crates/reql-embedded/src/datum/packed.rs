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
use super::pseudo::{LITERAL, REQL_TYPE};
use super::{Array, Datum, Object};

pub(super) const NULL: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
pub(super) const DOUBLE: u8 = 3;
pub(super) const INT: u8 = 4;
pub(super) const STR: u8 = 5;
pub(super) const BINARY: u8 = 6;
pub(super) const ARRAY: u8 = 7;
pub(super) const OBJECT: u8 = 8;

/// Up to so many fields are looked through one by one: most keys differ in their length, which is told at
/// once.
const FEW_FIELDS: usize = 8;

/// A value over bytes that [`pack`](super::pack) made. Containers stay packed.
pub fn from_bytes(bytes: Arc<[u8]>) -> Datum {
    value_at(&bytes, 0)
}

#[inline]
fn read_length(bytes: &[u8], at: &mut usize) -> usize {
    // Nearly all lengths are of one or two bytes.
    let first = bytes[*at];
    if first < 0x80 {
        *at += 1;
        return first.into();
    }
    let second = bytes[*at + 1];
    if second < 0x80 {
        *at += 2;
        return usize::from(first & 0x7f) | usize::from(second) << 7;
    }
    read_long_length(bytes, at)
}

fn read_long_length(bytes: &[u8], at: &mut usize) -> usize {
    let mut length = 0;
    let mut shift = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return length;
        }
        shift += 7;
    }
}

#[inline]
fn read_bytes<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let length = read_length(bytes, at);
    let start = *at;
    *at += length;
    &bytes[start..*at]
}

fn read_array<const N: usize>(bytes: &[u8], at: &mut usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[*at..*at + N]);
    *at += N;
    array
}

fn value_at(buffer: &Arc<[u8]>, at: usize) -> Datum {
    match buffer[at] {
        ARRAY => Datum::Array(Array::packed(Packed::new(buffer, at))),
        OBJECT => Datum::Object(Object::packed(Packed::new(buffer, at))),
        _ => match read_scalar(buffer, &mut { at }) {
            Scalar::Null => Datum::Null,
            Scalar::Bool(value) => Datum::Bool(value),
            Scalar::Int(value) => Datum::Num(value.into()),
            Scalar::Double(value) => Datum::Num(value),
            Scalar::Str(bytes) => Datum::Str(Arc::from(text(bytes))),
            Scalar::Binary(bytes) => Datum::Binary(Arc::from(bytes)),
        },
    }
}

/// A packed value that is no container, seen in place.
#[derive(Debug)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i32),
    Double(f64),
    /// The bytes of a [`text`].
    Str(&'a [u8]),
    Binary(&'a [u8]),
}

fn read_scalar<'a>(bytes: &'a [u8], at: &mut usize) -> Scalar<'a> {
    let tag = bytes[*at];
    *at += 1;
    match tag {
        FALSE => Scalar::Bool(false),
        TRUE => Scalar::Bool(true),
        DOUBLE => Scalar::Double(f64::from_le_bytes(read_array(bytes, at))),
        INT => Scalar::Int(i32::from_le_bytes(read_array(bytes, at))),
        STR => Scalar::Str(read_bytes(bytes, at)),
        BINARY => Scalar::Binary(read_bytes(bytes, at)),
        _ => Scalar::Null,
    }
}

/// Only valid text is ever packed; bytes damaged on disk show as an empty string rather than a crash.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A container inside packed bytes.
#[derive(Clone)]
pub(super) struct Packed {
    buffer: Arc<[u8]>,
    start: u32,
}

/// Where the parts of a packed container are.
struct Layout {
    width: usize,
    count: usize,
    offsets: usize,
    body: usize,
    end: usize,
}

impl Packed {
    fn new(buffer: &Arc<[u8]>, start: usize) -> Self {
        Packed { buffer: buffer.clone(), start: start as u32 }
    }

    fn layout(&self) -> Layout {
        layout(&self.buffer, self.start as usize)
    }

    /// Its bytes, tag included.
    pub(super) fn raw(&self) -> &[u8] {
        &self.buffer[self.start as usize..self.layout().end]
    }

    /// Returns a number of levels that it has at most, this one included. See [`Datum::max_levels`].
    pub(super) fn max_levels(&self) -> usize {
        // Each level takes at least this many bytes, with what leads to the container within.
        const SMALLEST: usize = 5;
        self.raw().len().div_ceil(SMALLEST).min(MAX_DEPTH + 1)
    }

    /// Returns whether containers are nested more than `limit` levels deep, this one included.
    pub(super) fn is_deeper_than(&self, limit: usize) -> bool {
        is_deeper_than(&self.buffer, &mut (self.start as usize), limit)
    }

    /// Returns whether both are one place in the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.buffer, &other.buffer) && self.start == other.start
    }

    /// Returns whether a literal is anywhere inside.
    pub(super) fn holds_literal(&self) -> bool {
        holds_literal(&self.buffer, &mut (self.start as usize))
    }

    /// How many elements or fields it has.
    pub(super) fn len(&self) -> usize {
        let mut at = self.start as usize + 2;
        read_length(&self.buffer, &mut at)
    }

    /// The element of an array. The caller keeps `index` below `len`.
    pub(super) fn element(&self, index: usize) -> Datum {
        value_at(&self.buffer, self.layout().item(&self.buffer, index))
    }

    pub(super) fn key(&self, index: usize) -> &str {
        let mut at = self.layout().item(&self.buffer, index);
        text(read_bytes(&self.buffer, &mut at))
    }

    /// The field of an object. The caller keeps `index` below `len`.
    pub(super) fn field(&self, index: usize) -> (&str, Datum) {
        let mut at = self.layout().item(&self.buffer, index);
        let key = text(read_bytes(&self.buffer, &mut at));
        (key, value_at(&self.buffer, at))
    }

    /// The field of an object with this key.
    pub(super) fn find(&self, key: &str) -> Option<Datum> {
        self.position(key).map(|at| value_at(&self.buffer, at))
    }

    /// The same for a key that sorts before nearly all others, as `$reql_type$` does: as a rule one look
    /// tells that it isn't there.
    pub(super) fn find_early(&self, key: &str) -> Option<Datum> {
        let layout = self.layout();
        for index in 0..layout.count {
            let mut at = layout.item(&self.buffer, index);
            match read_bytes(&self.buffer, &mut at).cmp(key.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value_at(&self.buffer, at)),
                Ordering::Greater => break,
            }
        }
        None
    }

    /// Whether an object has a field with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Where the value of the field is.
    fn position(&self, key: &str) -> Option<usize> {
        let layout = self.layout();
        if layout.count <= FEW_FIELDS {
            return (0..layout.count).find_map(|index| {
                let mut at = layout.item(&self.buffer, index);
                (read_bytes(&self.buffer, &mut at) == key.as_bytes()).then_some(at)
            });
        }
        let (mut low, mut high) = (0, layout.count);
        while low < high {
            let middle = (low + high) / 2;
            let mut at = layout.item(&self.buffer, middle);
            match read_bytes(&self.buffer, &mut at).cmp(key.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(at),
            }
        }
        None
    }

    /// Visits the container in place, without making values: the fast way from the file to JSON.
    pub(super) fn visit<V: Visitor>(&self, visitor: &mut V) {
        visit(&self.buffer, &mut (self.start as usize), visitor);
    }
}

impl Layout {
    #[inline]
    fn item(&self, bytes: &[u8], index: usize) -> usize {
        let at = self.offsets + index * self.width;
        let offset = match self.width {
            1 => bytes[at].into(),
            2 => u16::from_le_bytes([bytes[at], bytes[at + 1]]).into(),
            _ => u32::from_le_bytes(read_array(bytes, &mut { at })) as usize,
        };
        self.body + offset
    }
}

#[inline]
fn layout(bytes: &[u8], start: usize) -> Layout {
    let width = usize::from(bytes[start + 1]);
    let mut at = start + 2;
    let count = read_length(bytes, &mut at);
    let length = read_length(bytes, &mut at);
    let body = at + count * width;
    Layout { width, count, offsets: at, body, end: body + length }
}

/// Receives a packed value part by part.
pub(super) trait Visitor {
    fn scalar(&mut self, value: Scalar<'_>);
    fn open(&mut self, bracket: u8);
    fn separator(&mut self);
    /// The bytes of a [`text`].
    fn key(&mut self, key: &[u8]);
    fn close(&mut self, bracket: u8);
}

/// Goes through a value from `at` to its end: the parts of a container follow each other.
fn visit<V: Visitor>(bytes: &[u8], at: &mut usize, visitor: &mut V) {
    match bytes[*at] {
        tag @ (ARRAY | OBJECT) => {
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
                visit_container(bytes, at, tag == OBJECT, visitor)
            });
        }
        _ => visitor.scalar(read_scalar(bytes, at)),
    }
}

fn visit_container<V: Visitor>(bytes: &[u8], at: &mut usize, is_object: bool, visitor: &mut V) {
    let layout = layout(bytes, *at);
    *at = layout.body;
    visitor.open(if is_object { b'{' } else { b'[' });
    for index in 0..layout.count {
        if index > 0 {
            visitor.separator();
        }
        if is_object {
            visitor.key(read_bytes(bytes, at));
        }
        visit(bytes, at, visitor);
    }
    visitor.close(if is_object { b'}' } else { b']' });
}

/// Returns whether the value at `at` has containers nested more than `limit` levels deep. If not, `at` is
/// then at the end of the value.
fn is_deeper_than(bytes: &[u8], at: &mut usize, limit: usize) -> bool {
    let tag = bytes[*at];
    if !matches!(tag, ARRAY | OBJECT) {
        read_scalar(bytes, at);
        return false;
    }
    let Some(limit) = limit.checked_sub(1) else { return true };
    let layout = layout(bytes, *at);
    *at = layout.body;
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
        (0..layout.count).any(|_| {
            if tag == OBJECT {
                read_bytes(bytes, at);
            }
            is_deeper_than(bytes, at, limit)
        })
    })
}

/// Returns whether the value at `at` has an object with `$reql_type$: LITERAL` in it. If not, `at` is then at the
/// end of the value.
fn holds_literal(bytes: &[u8], at: &mut usize) -> bool {
    let tag = bytes[*at];
    if !matches!(tag, ARRAY | OBJECT) {
        read_scalar(bytes, at);
        return false;
    }
    let layout = layout(bytes, *at);
    *at = layout.body;
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
        (0..layout.count).any(|_| {
            if tag == OBJECT && read_bytes(bytes, at) == REQL_TYPE.as_bytes() && bytes[*at] == STR {
                *at += 1;
                return read_bytes(bytes, at) == LITERAL.as_bytes();
            }
            holds_literal(bytes, at)
        })
    })
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} items)", self.len())
    }
}
