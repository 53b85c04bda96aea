//! Values as RethinkDB stores them (`serialize_datum.cc`), for the captures of stored functions.

use std::sync::Arc;

use super::bytes::{Broken, Reader, varint};
use crate::datum::pseudo::{self, Literals};
use crate::datum::syntax::MAX_DEPTH;
use crate::datum::{Datum, ObjectBuilder, as_integer, json};

const ARRAY_IN_SEQUENCE: u8 = 1;
const BOOL: u8 = 2;
const NULL: u8 = 3;
const DOUBLE: u8 = 4;
const OBJECT_IN_SEQUENCE: u8 = 5;
const STR: u8 = 6;
const NEGATIVE: u8 = 7;
const POSITIVE: u8 = 8;
const BINARY: u8 = 9;
const ARRAY: u8 = 10;
const OBJECT: u8 = 11;
const MINVAL: u8 = 13;
const MAXVAL: u8 = 14;

/// Reads a value.
pub fn read(reader: &mut Reader<'_>) -> Result<Datum, Broken> {
    read_at(reader, 0)
}

fn read_at(reader: &mut Reader<'_>, depth: usize) -> Result<Datum, Broken> {
    if depth > MAX_DEPTH {
        return Err(Broken::Range);
    }
    match reader.byte()? {
        MINVAL => Ok(Datum::MinVal),
        MAXVAL => Ok(Datum::MaxVal),
        NULL => Ok(Datum::Null),
        BOOL => reader.flag().map(Datum::Bool),
        DOUBLE => Datum::num(f64::from_le_bytes(reader.array()?)).map_err(|_| Broken::Range),
        POSITIVE => integer(reader).map(Datum::Num),
        NEGATIVE => integer(reader).map(|value| Datum::Num(-value)),
        STR => text(reader).map(Datum::Str),
        BINARY => Ok(Datum::Binary(reader.counted()?.into())),
        kind @ (ARRAY_IN_SEQUENCE | OBJECT_IN_SEQUENCE) => {
            let count = reader.varint()?;
            read_items(reader, kind == OBJECT_IN_SEQUENCE, count, depth)
        }
        kind @ (ARRAY | OBJECT) => {
            let mut inner = Reader::new(reader.counted()?);
            let width = width(inner.remaining());
            let count = inner.varint()?;
            // Items follow one another: their offsets are only for finding a single one.
            inner.take(count.saturating_sub(1).saturating_mul(width))?;
            let value = read_items(&mut inner, kind == OBJECT, count, depth)?;
            if inner.is_empty() { Ok(value) } else { Err(Broken::Range) }
        }
        _ => Err(Broken::Range),
    }
}

fn read_items(reader: &mut Reader<'_>, are_fields: bool, count: u64, depth: usize) -> Result<Datum, Broken> {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
        if !are_fields {
            let items = (0..count).map(|_| read_at(reader, depth + 1));
            return Ok(Datum::array(items.collect::<Result<_, _>>()?));
        }
        let mut object = ObjectBuilder::new();
        for _ in 0..count {
            let key = text(reader)?;
            if object.insert(key, read_at(reader, depth + 1)?).is_some() {
                return Err(Broken::Range);
            }
        }
        pseudo::sanitize(object.build(), Literals::Allowed).map_err(|_| Broken::Range)
    })
}

fn integer(reader: &mut Reader<'_>) -> Result<f64, Broken> {
    let value = reader.varint()? as f64;
    as_integer(value).map(|_| value).ok_or(Broken::Range)
}

fn text(reader: &mut Reader<'_>) -> Result<Arc<str>, Broken> {
    json::utf8(reader.counted()?).map(Arc::from).map_err(|_| Broken::Range)
}

/// Returns the width in bytes of the offsets in a container whose content has this length.
fn width(length: usize) -> u64 {
    match length {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Returns the bytes of a value, at most `limit`.
pub fn to_bytes(value: &Datum, limit: usize) -> Result<Vec<u8>, TooLarge> {
    let mut out = Backward { bytes: Vec::new(), limit };
    write(value, &mut out)?;
    out.bytes.reverse();
    Ok(out.bytes)
}

/// The error of a value that is too large to be stored.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Bytes from the last to the first: that way, the content of a container is written before its length is.
struct Backward {
    bytes: Vec<u8>,
    limit: usize,
}

impl Backward {
    fn put(&mut self, bytes: impl IntoIterator<Item = u8, IntoIter: DoubleEndedIterator>) {
        self.bytes.extend(bytes.into_iter().rev());
    }

    fn put_counted(&mut self, bytes: &[u8]) {
        self.put(bytes.iter().copied());
        self.put(varint(bytes.len() as u64));
    }
}

fn write(value: &Datum, out: &mut Backward) -> Result<(), TooLarge> {
    let kind = match value {
        Datum::MinVal => MINVAL,
        Datum::MaxVal => MAXVAL,
        // No function captures damage: a term with a damaged result fails.
        Datum::Null | Datum::Damaged => NULL,
        Datum::Bool(flag) => {
            out.put([u8::from(*flag)]);
            BOOL
        }
        Datum::Num(number) => write_number(*number, out),
        Datum::Str(text) => {
            out.put_counted(text.as_bytes());
            STR
        }
        Datum::Binary(bytes) => {
            out.put_counted(bytes);
            BINARY
        }
        Datum::Array(items) => {
            write_items(items.iter(), out, |item, out| write(&item, out))?;
            ARRAY
        }
        Datum::Object(fields) => {
            write_items(fields.iter(), out, |(key, value), out| {
                write(&value, out)?;
                out.put_counted(key.as_bytes());
                Ok(())
            })?;
            OBJECT
        }
    };
    out.put([kind]);
    if out.bytes.len() > out.limit { Err(TooLarge) } else { Ok(()) }
}

fn write_number(number: f64, out: &mut Backward) -> u8 {
    match as_integer(number) {
        Some(integer) => {
            out.put(varint(integer.unsigned_abs()));
            if number.is_sign_negative() { NEGATIVE } else { POSITIVE }
        }
        None => {
            out.put(number.to_le_bytes());
            DOUBLE
        }
    }
}

fn write_items<T>(
    items: impl DoubleEndedIterator<Item = T> + ExactSizeIterator,
    out: &mut Backward,
    mut write_item: impl FnMut(T, &mut Backward) -> Result<(), TooLarge>,
) -> Result<(), TooLarge> {
    let end = out.bytes.len();
    let count = varint(items.len() as u64);
    // All items but the first have an offset.
    let offsets = items.len().saturating_sub(1);
    // The distance of each item's beginning from the end, the last item first.
    let mut starts = Vec::with_capacity(items.len());
    for item in items.rev() {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || write_item(item, out))?;
        starts.push(out.bytes.len() - end);
    }
    let length = out.bytes.len() - end;
    let is_enough = |bytes: &usize| width(count.len() + offsets * bytes + length) <= *bytes as u64;
    let bytes = [1, 2, 4].into_iter().find(is_enough).unwrap_or(8);
    for start in starts.into_iter().take(offsets) {
        out.put(((length - start) as u64).to_le_bytes().into_iter().take(bytes));
    }
    out.put(count);
    out.put(varint((out.bytes.len() - end) as u64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(json: &str) -> Vec<u8> {
        to_bytes(&json::parse(json).expect("JSON"), usize::MAX).expect("small")
    }

    #[test]
    fn values_have_rethinkdbs_bytes() {
        assert_eq!(bytes("5"), [POSITIVE, 5]);
        assert_eq!(bytes("-300"), [NEGATIVE, 0xac, 2]);
        assert_eq!(bytes("-0.0"), [NEGATIVE, 0]);
        assert_eq!(bytes("0.5"), [&[DOUBLE][..], &0.5f64.to_le_bytes()].concat());
        assert_eq!(bytes("\"ab\""), [STR, 2, b'a', b'b']);
        assert_eq!(bytes("[]"), [ARRAY, 1, 0]);
        assert_eq!(bytes("[true,null]"), [ARRAY, 5, 2, 2, BOOL, 1, NULL]);
        assert_eq!(bytes("{\"a\":1}"), [OBJECT, 5, 1, 1, b'a', POSITIVE, 1]);
        assert_eq!(
            bytes("{\"a\":1,\"b\":2}"),
            [OBJECT, 10, 2, 4, 1, b'a', POSITIVE, 1, 1, b'b', POSITIVE, 2]
        );
    }

    #[test]
    fn values_come_back() {
        let long = format!("[\"{}\",{{\"b\":[1,2,3.5],\"a\":[null,true,{{}}]}},-7]", "x".repeat(300));
        let wide = format!("[\"{}\",1,2]", "x".repeat(70_000));
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        for json in ["null", "-0.0", "9007199254740992", &long, &wide, &deep] {
            let value = json::parse(json).expect("JSON");
            let stored = bytes(json);
            let mut reader = Reader::new(&stored);
            assert_eq!(read(&mut reader), Ok(value));
            assert!(reader.is_empty());
        }
        let old = [OBJECT_IN_SEQUENCE, 1, 1, b'a', ARRAY_IN_SEQUENCE, 2, NULL, MINVAL];
        let list = Datum::array(vec![Datum::Null, Datum::MinVal]);
        assert_eq!(read(&mut Reader::new(&old)), Ok(Datum::object([("a", list)])));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(read(&mut Reader::new(&[ARRAY, 5, 2, 2, BOOL])), Err(Broken::End));
        assert_eq!(read(&mut Reader::new(&[ARRAY, 3, 1, NULL, NULL])), Err(Broken::Range));
        assert_eq!(read(&mut Reader::new(&[ARRAY_IN_SEQUENCE, 0xff, 0xff, 0xff, 0x7f])), Err(Broken::End));
        assert_eq!(read(&mut Reader::new(&[STR, 1, 0xff])), Err(Broken::Range));
        assert_eq!(read(&mut Reader::new(&[99])), Err(Broken::Range));
        let too_deep = [ARRAY_IN_SEQUENCE, 1].repeat(MAX_DEPTH + 2);
        assert_eq!(read(&mut Reader::new(&too_deep)), Err(Broken::Range));
        assert_eq!(to_bytes(&Datum::str("long"), 3), Err(TooLarge));
    }
}
