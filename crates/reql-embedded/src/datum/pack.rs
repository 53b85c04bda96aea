//! Packing: a value as the bytes that [`packed`](super::packed) reads.
//!
//! The lengths come first in the bytes, so a value is gone through twice: once to measure its containers, and
//! once to write it. Each takes time in proportion to what is written, however deep the value is.

use super::packed::{ARRAY, BINARY, DOUBLE, FALSE, INT, NULL, OBJECT, STR, TRUE};
use super::{Array, Datum, Object};
use crate::error::{Error, ErrorKind, Result};

/// The longest array that can be stored, whatever a query's own limit is.
const MAX_ARRAY: usize = 100_000;

/// The longest container, in bytes. A value that holds another one many times is small until it is written.
const MAX_LENGTH: usize = 256 << 20;

/// The number of levels to which arrays and objects may be nested in a document, the document included.
///
/// RethinkDB stores documents of 500 levels, and the JSON readers of its drivers take about a thousand. A
/// document that is deeper than that would make every list that holds it unreadable.
pub const MAX_DEPTH: usize = 512;

/// The bytes of a value. Fails for `minval` and `maxval`, which can't be stored.
pub fn value(datum: &Datum) -> Result<Vec<u8>> {
    Packer::pack(datum, usize::MAX)
}

/// The bytes of a document, which must not be nested too deep.
pub fn document(datum: &Datum) -> Result<Vec<u8>> {
    Packer::pack(datum, MAX_DEPTH)
}

struct Packer {
    /// The lengths of the containers' bodies, in the order in which they begin.
    lengths: Vec<u32>,
    /// The number of `lengths` used so far: one for each container that has begun to be written.
    begun: usize,
    out: Vec<u8>,
}

impl Packer {
    fn pack(datum: &Datum, max_depth: usize) -> Result<Vec<u8>> {
        let mut packer = Packer { lengths: Vec::new(), begun: 0, out: Vec::new() };
        let length = packer.measure(datum, max_depth)?;
        packer.out.reserve_exact(length);
        packer.write(datum);
        Ok(packer.out)
    }

    /// Returns the number of bytes that a value takes. Its containers may be nested up to `depth` levels, the
    /// value itself included.
    fn measure(&mut self, datum: &Datum, depth: usize) -> Result<usize> {
        Ok(match datum {
            Datum::MinVal | Datum::MaxVal => {
                return Err(Error::logic("`r.minval` and `r.maxval` cannot be written to disk."));
            }
            Datum::Null | Datum::Bool(_) => 1,
            Datum::Num(value) => 1 + as_short(*value).map_or(8, |_| 4),
            Datum::Str(text) => 1 + measure_bytes(text.len()),
            Datum::Binary(bytes) => 1 + measure_bytes(bytes.len()),
            Datum::Array(array) => self.measure_array(array, depth)?,
            Datum::Object(object) => self.measure_object(object, depth)?,
        })
    }

    fn measure_array(&mut self, array: &Array, depth: usize) -> Result<usize> {
        if let Some(view) = array.as_packed() {
            return if view.is_deeper_than(depth) { Err(too_deep()) } else { Ok(view.raw().len()) };
        }
        if array.len() > MAX_ARRAY {
            return Err(Error::logic("Array too large for disk writes (limit 100,000 elements)."));
        }
        self.measure_items(depth, array.iter(), |packer, item, depth| packer.measure(&item, depth))
    }

    fn measure_object(&mut self, object: &Object, depth: usize) -> Result<usize> {
        if let Some(view) = object.as_packed() {
            return if view.is_deeper_than(depth) { Err(too_deep()) } else { Ok(view.raw().len()) };
        }
        self.measure_items(depth, object.iter(), |packer, (key, value), depth| {
            Ok(measure_bytes(key.len()) + packer.measure(&value, depth)?)
        })
    }

    fn measure_items<T>(
        &mut self,
        depth: usize,
        items: impl ExactSizeIterator<Item = T>,
        mut measure: impl FnMut(&mut Self, T, usize) -> Result<usize>,
    ) -> Result<usize> {
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        let (count, place) = (items.len(), self.lengths.len());
        self.lengths.push(0);
        let mut body = 0;
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            for item in items {
                body += measure(self, item, depth)?;
                if body > MAX_LENGTH {
                    return Err(Error::new(
                        ErrorKind::ResourceLimit,
                        "Value too large to be stored (max 256 MiB).",
                    ));
                }
            }
            Ok(())
        })?;
        self.lengths[place] = body as u32;
        Ok(2 + measure_length(count) + measure_length(body) + count * width(body) + body)
    }

    /// Writes a value that has been measured.
    fn write(&mut self, datum: &Datum) {
        match datum {
            // Measuring fails for the extremes.
            Datum::Null | Datum::MinVal | Datum::MaxVal => self.out.push(NULL),
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
            Datum::Array(array) => match array.as_packed() {
                Some(view) => self.out.extend_from_slice(view.raw()),
                None => self.write_items(ARRAY, array.iter(), |packer, item| packer.write(&item)),
            },
            Datum::Object(object) => match object.as_packed() {
                Some(view) => self.out.extend_from_slice(view.raw()),
                None => self.write_items(OBJECT, object.iter(), |packer, (key, value)| {
                    packer.write_bytes(key.as_bytes());
                    packer.write(&value);
                }),
            },
        }
    }

    fn write_items<T>(
        &mut self,
        tag: u8,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let body = self.lengths.get(self.begun).map_or(0, |length| *length as usize);
        self.begun += 1;
        let width = width(body);
        self.out.extend_from_slice(&[tag, width as u8]);
        self.write_length(items.len());
        self.write_length(body);
        let offsets = self.out.len();
        let start = offsets + items.len() * width;
        self.out.resize(start, 0);
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            for (index, item) in items.enumerate() {
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

fn too_deep() -> Error {
    let message = format!("The document is nested too deep to be stored (limit {MAX_DEPTH} levels).");
    Error::new(ErrorKind::ResourceLimit, message)
}

/// The number as a 32-bit integer, if it is one to the bit.
fn as_short(value: f64) -> Option<i32> {
    let integer = value as i32;
    (f64::from(integer).to_bits() == value.to_bits()).then_some(integer)
}

/// Returns the number of bytes that each offset takes in a container with a body of `body` bytes.
fn width(body: usize) -> usize {
    match body {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

fn measure_bytes(length: usize) -> usize {
    measure_length(length) + length
}

fn measure_length(length: usize) -> usize {
    (usize::BITS - length.leading_zeros()).div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::packed;
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
        const DEPTH: usize = 200_000;
        let bytes = value(&nested(DEPTH)).expect("a value");
        assert!(bytes.len() > DEPTH * 5);
        assert!(packed::from_bytes(Arc::from(bytes)) == nested(DEPTH));
    }

    #[test]
    fn lengths_are_measured_as_they_are_written() {
        for length in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, usize::MAX] {
            let mut packer = Packer { lengths: Vec::new(), begun: 0, out: Vec::new() };
            packer.write_length(length);
            assert_eq!(packer.out.len(), measure_length(length));
        }
    }
}
