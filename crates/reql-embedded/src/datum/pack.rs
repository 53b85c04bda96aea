//! Packing: a value as the bytes that [`packed`](super::packed) reads.
//!
//! The lengths come first in the bytes, and each container knows its own, so a value is written in one pass.

use super::Datum;
use super::container::Container;
use super::packed::{ARRAY, BINARY, DOUBLE, FALSE, INT, NULL, OBJECT, STR, TRUE};
use super::size::{EXTREMUM, LONG_ARRAY, Summary};
use crate::budget::fuel;
use crate::error::{Error, ErrorKind, Result};
use crate::nested::Nested;

/// The longest array that can be stored, whatever a query's own limit is.
pub(super) const MAX_ARRAY: usize = 100_000;

/// The number of levels to which arrays and objects may be nested in a document, the document included.
///
/// RethinkDB stores documents of 500 levels, and the JSON readers of its drivers take about a thousand. A
/// document that is deeper than that would make every list that holds it unreadable.
pub const MAX_DEPTH: usize = 512;

/// Returns the bytes of a value. Fails for values that are too large or damaged, and for `minval` and
/// `maxval`, which can't be stored.
pub fn value(datum: &Datum) -> Result<Vec<u8>> {
    if datum.marks() & EXTREMUM != 0 {
        return Err(Error::logic("`r.minval` and `r.maxval` cannot be written to disk."));
    }
    if datum.marks() & LONG_ARRAY != 0 {
        return Err(Error::logic("Array too large for disk writes (limit 100,000 elements)."));
    }
    datum.check()?;
    fuel::spend_bytes(datum.size())?;
    let mut packer = Packer { out: Vec::with_capacity(datum.size()) };
    packer.write(datum);
    Ok(packer.out)
}

/// Returns the bytes of a document. Fails if it is nested too deep.
pub fn document(datum: &Datum) -> Result<Vec<u8>> {
    datum.check()?;
    if is_deeper_than(datum, MAX_DEPTH) {
        let message = format!("The document is nested too deep to be stored (limit {MAX_DEPTH} levels).");
        return Err(Error::new(ErrorKind::ResourceLimit, message));
    }
    value(datum)
}

/// Returns true if containers are nested more than `limit` levels deep. Visits only the parts whose depth
/// isn't known.
fn is_deeper_than(datum: &Datum, limit: usize) -> bool {
    if datum.max_levels() <= limit {
        return false;
    }
    let Some(below) = limit.checked_sub(1) else { return true };
    match datum {
        Datum::Array(array) => match array.as_packed() {
            Some(view) => view.is_deeper_than(limit),
            None => array.iter().any(|item| is_deeper_than(&item, below)),
        },
        Datum::Object(object) => match object.as_packed() {
            Some(view) => view.is_deeper_than(limit),
            None => object.iter().any(|(_, value)| is_deeper_than(&value, below)),
        },
        _ => false,
    }
}

struct Packer {
    out: Vec<u8>,
}

impl Packer {
    fn write(&mut self, datum: &Datum) {
        match datum {
            // No value that holds extremes or damage gets here.
            Datum::Null | Datum::MinVal | Datum::MaxVal | Datum::Damaged => self.out.push(NULL),
            Datum::Bool(value) => self.out.push(if *value { TRUE } else { FALSE }),
            Datum::Num(value) => self.write_number(*value),
            Datum::Str(text) => {
                self.out.push(STR);
                self.write_bytes(text.as_bytes());
            }
            Datum::Binary(bytes) => {
                self.out.push(BINARY);
                self.write_bytes(bytes);
            }
            Datum::Array(array) => match array.container() {
                Container::Packed(view) => self.out.extend_from_slice(view.raw()),
                Container::Built(items) => {
                    self.write_items(ARRAY, items, |packer, item| packer.write(item));
                }
            },
            Datum::Object(object) => match object.container() {
                Container::Packed(view) => self.out.extend_from_slice(view.raw()),
                Container::Built(fields) => self.write_items(OBJECT, fields, |packer, (key, value)| {
                    packer.write_bytes(key.as_bytes());
                    packer.write(value);
                }),
            },
        }
    }

    fn write_items<T>(&mut self, tag: u8, items: &Nested<T, Summary>, mut write: impl FnMut(&mut Self, &T)) {
        let body = items.summary().body();
        let width = width(body);
        self.out.extend_from_slice(&[tag, width as u8]);
        self.write_length(items.len());
        self.write_length(body);
        let offsets = self.out.len();
        let start = offsets + items.len() * width;
        self.out.resize(start, 0);
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            for (index, item) in items.iter().enumerate() {
                let (place, offset) = (offsets + index * width, self.out.len() - start);
                self.out[place..place + width].copy_from_slice(&(offset as u32).to_le_bytes()[..width]);
                write(self, item);
            }
        });
    }

    fn write_number(&mut self, value: f64) {
        match as_short(value) {
            Some(integer) => {
                self.out.push(INT);
                self.out.extend_from_slice(&integer.to_le_bytes());
            }
            None => {
                self.out.push(DOUBLE);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    fn write_bytes(&mut self, bytes: &[u8]) {
        self.write_length(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn write_length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.out.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.out.push(length as u8);
    }
}

/// Returns the number as a 32-bit integer, if it is one to the bit.
pub(super) fn as_short(value: f64) -> Option<i32> {
    let integer = value as i32;
    (f64::from(integer).to_bits() == value.to_bits()).then_some(integer)
}

/// Returns the number of bytes that each offset takes in a container with a body of `body` bytes.
pub(super) fn width(body: usize) -> usize {
    match body {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

/// Returns the number of bytes that `length` bytes take with their length.
pub(super) fn measure_bytes(length: usize) -> usize {
    measure_length(length) + length
}

/// Returns the number of bytes that a length takes.
pub(super) fn measure_length(length: usize) -> usize {
    (usize::BITS - length.leading_zeros()).div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{MAX_LEVELS, packed};
    use super::*;

    fn nested(depth: usize) -> Datum {
        let wrap = |inner, level: usize| match level % 2 {
            0 => Datum::array(vec![Datum::Null, inner]),
            _ => Datum::object([("a", Datum::Null), ("b", inner)]),
        };
        (0..depth).fold(Datum::Num(1.0), wrap)
    }

    #[test]
    fn documents_are_as_deep_as_they_may_be_and_no_deeper() {
        assert!(document(&nested(MAX_DEPTH)).is_ok());
        let error = document(&nested(MAX_DEPTH + 1)).expect_err("a document too deep");
        assert_eq!(error.kind(), ErrorKind::ResourceLimit);
    }

    #[test]
    fn parts_that_are_packed_already_count_too() {
        let inner = packed::from_bytes(Arc::from(value(&nested(MAX_DEPTH)).expect("a value")));
        assert!(document(&inner).is_ok());
        assert!(document(&Datum::array(vec![Datum::Null, inner])).is_err());
    }

    #[test]
    fn a_value_of_any_depth_takes_time_by_its_size() {
        const DEPTH: usize = MAX_LEVELS;
        let bytes = value(&nested(DEPTH)).expect("a value");
        assert!(bytes.len() > DEPTH * 5);
        assert!(packed::from_bytes(Arc::from(bytes)) == nested(DEPTH));
    }

    #[test]
    fn lengths_are_measured_as_they_are_written() {
        for length in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, usize::MAX] {
            let mut packer = Packer { out: Vec::new() };
            packer.write_length(length);
            assert_eq!(packer.out.len(), measure_length(length));
        }
    }
}
