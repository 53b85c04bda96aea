//! Keys: values as bytes whose order is the order of the values.
//!
//! Each value starts with a letter for its type, as in RethinkDB's `print_primary`: `A`rray < `B`ool <
//! `N`umber < `P`seudo-type < `S`tring. Inside an array each element is followed by a zero byte, so zero and
//! one bytes of texts are escaped there. Unlike RethinkDB's, these keys are never truncated. Where
//! RethinkDB's limits show (a primary key of more than 127 bytes is refused), the length of RethinkDB's
//! encoding is computed.

use super::size::EXTREMUM;
use super::{Datum, pseudo};
use crate::error::{Error, Result};

/// The longest primary key in RethinkDB's own encoding, its type letter included.
const MAX_PRIMARY_KEY: usize = 128;

/// The length up to which a key here can't be too long for RethinkDB: a number in an array takes 10 bytes
/// here and at most 46 there, and nothing else grows as much.
const SURELY_SHORT: usize = 22;

const MIN: u8 = b'A' - 1;
const MAX: u8 = b'Z' + 1;

/// Returns the key of a document; `minval` and `maxval` have keys that no document has. Fails for null,
/// objects, geometry, texts with a zero byte, and keys longer than RethinkDB takes.
pub fn primary(datum: &Datum) -> Result<Vec<u8>> {
    let key = primary_bound(datum)?;
    let is_surely_short = key.len() <= SURELY_SHORT;
    if !is_surely_short && rethinkdb_length(datum) > MAX_PRIMARY_KEY {
        return Err(Error::logic(format!(
            "Primary key too long (max {} characters): {}",
            MAX_PRIMARY_KEY - 1,
            datum.print()
        )));
    }
    Ok(key)
}

/// Returns a bound of a range over primary keys: any key, of any length, or `minval` or `maxval`.
pub fn primary_bound(datum: &Datum) -> Result<Vec<u8>> {
    match datum {
        Datum::MinVal => return Ok(vec![MIN]),
        Datum::MaxVal => return Ok(vec![MAX]),
        _ => {}
    }
    if !is_indexable(datum) {
        return Err(datum.type_error(format!(
            "Primary keys must be either a number, string, bool, pseudotype or array (got type {}):\n{}",
            datum.type_name(),
            datum.trunc_print()
        )));
    }
    let mut key = Vec::with_capacity(16);
    encode(datum, Nul::Refused, &mut key)?;
    Ok(key)
}

/// Returns the key of a secondary index for a value, to which the row's primary key is appended.
pub fn secondary(datum: &Datum) -> Result<Vec<u8>> {
    if !is_indexable(datum) {
        return Err(datum.type_error(format!(
            "Secondary keys must be a number, string, bool, pseudotype, or array (got type {}):\n{}",
            datum.type_name(),
            datum.trunc_print()
        )));
    }
    if holds_extremum(datum) {
        return Err(Error::logic("Cannot use `r.minval` or `r.maxval` in an index key."));
    }
    secondary_bound(datum)
}

/// Returns a bound of a range over a secondary index.
pub fn secondary_bound(datum: &Datum) -> Result<Vec<u8>> {
    let mut key = Vec::with_capacity(16);
    match datum {
        Datum::MinVal => key.push(MIN),
        Datum::MaxVal => key.push(MAX),
        _ if is_indexable(datum) => encode(datum, Nul::Escaped, &mut key)?,
        _ => {
            return Err(datum.type_error(format!(
                "Secondary keys must be a number, string, bool, pseudotype, or array (got {} of type {}).",
                datum.print(),
                datum.type_name()
            )));
        }
    }
    // The terminator keeps `"a" + primary key` apart from `"ab" + primary key`.
    key.push(0);
    Ok(key)
}

fn is_indexable(datum: &Datum) -> bool {
    match datum {
        Datum::Null | Datum::MinVal | Datum::MaxVal | Datum::Damaged => false,
        Datum::Object(_) => datum.reql_type().is_some(),
        _ => true,
    }
}

fn holds_extremum(datum: &Datum) -> bool {
    if datum.marks() & EXTREMUM == 0 {
        return false;
    }
    match datum {
        Datum::MinVal | Datum::MaxVal => true,
        Datum::Array(items) => {
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || items.iter().any(|item| holds_extremum(&item)))
        }
        _ => false,
    }
}

/// The treatment of zero bytes in texts.
#[derive(Clone, Copy, PartialEq)]
enum Nul {
    /// Primary keys refuse them.
    Refused,
    /// Secondary keys keep them, escaped.
    Escaped,
}

fn encode(datum: &Datum, nul: Nul, out: &mut Vec<u8>) -> Result<()> {
    match datum {
        Datum::MinVal => out.push(MIN),
        Datum::MaxVal => out.push(MAX),
        Datum::Bool(value) => out.extend_from_slice(if *value { b"Bt" } else { b"Bf" }),
        Datum::Num(value) => {
            out.push(b'N');
            out.extend_from_slice(&sortable(*value));
        }
        Datum::Str(text) => {
            if nul == Nul::Refused {
                refuse_nul(text)?;
            }
            out.push(b'S');
            escape(text.as_bytes(), out);
        }
        Datum::Binary(bytes) => {
            out.extend_from_slice(b"PBINARY:");
            escape(bytes, out);
        }
        Datum::Array(items) => {
            out.push(b'A');
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || encode_items(items, nul, out))?;
        }
        Datum::Object(_) => encode_ptype(datum, out)?,
        Datum::Null | Datum::Damaged => return Err(not_in_array(datum)),
    }
    Ok(())
}

fn encode_items(items: &super::Array, nul: Nul, out: &mut Vec<u8>) -> Result<()> {
    for item in items.iter() {
        if matches!(item, Datum::Null | Datum::Damaged)
            || matches!(item, Datum::Object(_)) && item.reql_type().is_none()
        {
            return Err(not_in_array(&item));
        }
        encode(&item, nul, out)?;
        out.push(0);
    }
    Ok(())
}

fn not_in_array(item: &Datum) -> Error {
    item.type_error(format!(
        "Array keys can only contain numbers, strings, bools,  pseudotypes, or arrays (got {} of type {}).",
        item.print(),
        item.type_name()
    ))
}

fn encode_ptype(datum: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match datum.reql_type().as_deref() {
        Some(pseudo::TIME) => {
            out.extend_from_slice(b"PTIME:");
            out.extend_from_slice(&sortable(pseudo::time::epoch(datum)));
            Ok(())
        }
        Some(pseudo::GEOMETRY) => Err(Error::logic(
            "Cannot use a geometry value as a key value in a primary or non-geospatial secondary index.",
        )),
        _ => Err(Error::logic(format!(
            "Cannot use pseudotype {} as a primary or secondary key value .",
            datum.type_name()
        ))),
    }
}

/// Returns the bits of a double, turned so that their big-endian order is the order of the numbers; -0 equals
/// 0.
fn sortable(value: f64) -> [u8; 8] {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    let sign = 1 << 63;
    (if bits & sign == 0 { bits | sign } else { !bits }).to_be_bytes()
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            0 => out.extend_from_slice(&[1, 1]),
            1 => out.extend_from_slice(&[1, 2]),
            other => out.push(other),
        }
    }
}

fn refuse_nul(text: &str) -> Result<()> {
    let Some(at) = text.bytes().position(|byte| byte == 0) else { return Ok(()) };
    let shown: String = text.bytes().take(20).map(quote_byte).collect();
    Err(Error::logic(format!(
        "String \"{shown}\" (truncated) contains NULL byte at offset {at} in index key."
    )))
}

/// Returns a byte as `debug_print_quoted_string` of RethinkDB's `debug.cc` shows it.
fn quote_byte(byte: u8) -> String {
    match byte {
        b'"' | b'\\' => format!("\\{}", byte as char),
        0x20..=0x7e => (byte as char).to_string(),
        b'\n' => "\\n".into(),
        b'\t' => "\\t".into(),
        b'\r' => "\\r".into(),
        other => format!("\\x{other:02x}"),
    }
}

/// Returns the length of the key in RethinkDB, whose numbers are text (`N%016x#%.20g`).
fn rethinkdb_length(datum: &Datum) -> usize {
    match datum {
        Datum::MinVal | Datum::MaxVal | Datum::Null | Datum::Damaged => 1,
        Datum::Bool(_) => 2,
        Datum::Num(value) => 1 + 16 + 1 + super::display_g20(if *value == 0.0 { 0.0 } else { *value }).len(),
        Datum::Str(text) => 1 + text.len(),
        Datum::Binary(bytes) => 8 + bytes.len() + bytes.iter().filter(|byte| **byte < 2).count(),
        Datum::Array(items) => stacker::maybe_grow(32 * 1024, 1024 * 1024, || {
            1 + items.iter().map(|item| rethinkdb_length(&item) + 1).sum::<usize>()
        }),
        Datum::Object(_) => 6 + rethinkdb_length(&Datum::Num(pseudo::time::epoch(datum))),
    }
}
