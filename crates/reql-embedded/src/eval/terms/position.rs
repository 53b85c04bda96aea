//! Elements by position: `nth` and `slice`.

use std::sync::Arc;

use crate::budget::fuel;
use crate::datum::{Array, Datum};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::stream::{Slice, Stream};
use crate::eval::{Arity, Call, Grouping, Groups, SingleSelection, Spec, Val, Value, grouped};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Nth, Arity::exactly(2), nth).grouping(Grouping::Stream),
    Spec::new(TermType::Slice, Arity::between(2, 3), slice).optargs(&["left_bound", "right_bound"]),
];

/// Returns the place of an element counted from the start, given one that may count from the end; `None` if
/// it lies before the start.
pub fn from_start(index: i64, size: usize) -> Option<u64> {
    match u64::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => (size as u64).checked_sub(index.unsigned_abs()),
    }
}

/// Returns the error of a position without an element.
pub fn out_of_bounds(index: i64) -> Error {
    Error::missing(format!("Index out of bounds: {index}"))
}

/// Returns a position as `nth` and `limit` take it: an integer of 32 bits.
pub fn position(number: Val) -> Result<i32> {
    let bt = number.bt;
    let value = number.into_int()?;
    i32::try_from(value).map_err(|_| Error::logic(format!("Integer too large: {value}")).at(bt))
}

fn nth(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let index = call.arg(1)?;
    nth_of(call, sequence, index)
}

/// Returns the element at a position of an array or a stream, or of each group. The position is only checked
/// once the sequence is known to be one.
pub fn nth_of(call: &Call<'_>, sequence: Val, index: Val) -> Result<Val> {
    match sequence.value {
        Value::Stream(stream) if stream.is_grouped() => {
            let groups = grouped::collect(stream, call.env)?;
            if groups.is_empty() {
                return Ok(Val::grouped(groups, call.bt()));
            }
            let index = position(index)?;
            let nth = |(group, items): (Datum, Datum)| Ok((group, nth_element(items.as_array()?, index)?));
            Ok(Val::grouped(groups.into_iter().map(nth).collect::<Result<Groups>>()?, call.bt()))
        }
        Value::Datum(Datum::Array(items)) => Ok(call.val(nth_element(&items, position(index)?)?)),
        Value::Table(_) | Value::Slice(_) | Value::Selection(..) => {
            let (table, rows) = sequence.into_selection(call.env)?;
            let row = SingleSelection::of_row(table, nth_row(call, rows, position(index)?)?)?;
            Ok(Val { value: Value::Single(row), bt: call.bt() })
        }
        Value::Datum(_) | Value::Stream(_) => {
            let rows = sequence.into_stream(call.env)?;
            Ok(call.val(nth_row(call, rows, position(index)?)?))
        }
        Value::Single(row) => {
            let index = position(index)?;
            Ok(call.val(nth_element(row.get()?.as_array()?, index)?))
        }
        _ => {
            position(index)?;
            Err(sequence.wrong_type("SEQUENCE"))
        }
    }
}

fn nth_element(items: &Array, index: i32) -> Result<Datum> {
    let place = from_start(index.into(), items.len()).and_then(|place| usize::try_from(place).ok());
    place.and_then(|place| items.get(place)).ok_or_else(|| out_of_bounds(index.into()))
}

/// Reads a stream up to the row; -1 is the last one.
fn nth_row(call: &Call<'_>, mut rows: Stream, index: i32) -> Result<Datum> {
    if index < -1 {
        return Err(call.fail(format!("Cannot use an index < -1 ({index}) on a stream.")));
    }
    rows.check_finite()?;
    if let Ok(index) = u64::try_from(index) {
        rows.expect_at_most(index + 1);
    }
    let mut last = None;
    let mut left = index;
    while let Some(row) = rows.next(call.env)? {
        if left == 0 {
            return Ok(row);
        }
        left = if index < 0 { -1 } else { left - 1 };
        last = Some(row);
    }
    last.filter(|_| index < 0)
        .ok_or_else(|| call.fail_as(ErrorKind::NonExistence, format!("Index out of bounds: {index}")))
}

/// The arguments of `slice`, with its bounds as they were given.
#[derive(Debug, Clone, Copy)]
struct Range {
    left: i64,
    is_left_open: bool,
    right: i64,
    is_right_open: bool,
}

impl Range {
    /// Returns the half-open range of places in a sequence of this size.
    fn within(self, size: usize) -> std::ops::Range<usize> {
        let left = from_start(self.left, size).map_or(0, |at| at + u64::from(self.is_left_open));
        let right = from_start(self.right, size).map_or(0, |at| at + u64::from(!self.is_right_open));
        let clamped = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(size);
        let end = clamped(right);
        clamped(left).min(end)..end
    }
}

fn slice(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let has_right = call.len() == 3;
    let is_left_open = is_open(call, "left_bound", false)?;
    let left = call.int(1)?;
    let is_right_open = has_right && is_open(call, "right_bound", true)?;
    let right = if has_right { call.int(2)? } else { -1 };
    let range = Range { left, is_left_open, right, is_right_open };
    if sequence.is_datum() {
        return slice_datum(call, sequence, range);
    }
    if !sequence.is_sequence() {
        return Err(Error::logic("Cannot slice non-sequences.").at(sequence.bt));
    }
    let (skip, limit) = stream_range(call, range)?;
    let bt = call.bt();
    match sequence.value {
        Value::Stream(rows) => call.seq(rows.through(|rows| Slice::new(rows, skip, limit))),
        _ => {
            let (table, rows) = sequence.into_selection(call.env)?;
            let part = rows.through(|rows| Slice::new(rows, skip, limit));
            Ok(Val { value: Value::Selection(table, part), bt })
        }
    }
}

fn is_open(call: &Call<'_>, name: &str, default: bool) -> Result<bool> {
    let Some(bound) = call.optarg(name)? else { return Ok(default) };
    let text = bound.into_str()?;
    match &*text {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => {
            let shown = Datum::Str(text.clone()).trunc_print();
            Err(call.fail(format!("Expected `open` or `closed` for optarg `{name}` (got `{shown}`).")))
        }
    }
}

fn slice_datum(call: &Call<'_>, sequence: Val, range: Range) -> Result<Val> {
    let bt = sequence.bt;
    match sequence.into_datum()? {
        Datum::Array(items) => {
            let places = range.within(items.len());
            fuel::spend(1 + places.len() / 8)?;
            let _aside = fuel::aside(places.len().saturating_mul(size_of::<Datum>()))?;
            call.array(places.filter_map(|place| items.get(place)).collect())
        }
        Datum::Binary(bytes) => {
            let part = bytes.get(range.within(bytes.len())).unwrap_or_default();
            fuel::spend_bytes(part.len())?;
            let _aside = fuel::aside(part.len())?;
            Ok(call.val(Datum::Binary(Arc::from(part))))
        }
        Datum::Str(text) => {
            // Its characters are counted, and gone through up to both ends.
            fuel::spend_bytes(3 * text.len())?;
            let part = slice_text(&text, range);
            let _aside = fuel::aside(part.len())?;
            Ok(call.val(Datum::str(part)))
        }
        other => {
            let found = other.type_name();
            Err(Error::logic(format!("Expected ARRAY, BINARY, or STRING, but found {found}.")).at(bt))
        }
    }
}

/// Returns a part of a text, by characters.
fn slice_text(text: &str, range: Range) -> &str {
    let range = range.within(text.chars().count());
    let offset = |place| text.char_indices().nth(place).map_or(text.len(), |(offset, _)| offset);
    text.get(offset(range.start)..offset(range.end)).unwrap_or_default()
}

/// Returns the number of a stream's rows to skip, and the number to take.
fn stream_range(call: &Call<'_>, range: Range) -> Result<(u64, Option<u64>)> {
    let Ok(left) = u64::try_from(range.left) else {
        return Err(call.fail("Cannot use a negative left index on a stream."));
    };
    let skip = left + u64::from(range.is_left_open);
    let end = match u64::try_from(range.right) {
        Ok(right) => Some(right + u64::from(!range.is_right_open)),
        Err(_) if range.right < -1 => {
            return Err(call.fail("Cannot use a right index < -1 on a stream."));
        }
        Err(_) if range.is_right_open => {
            return Err(call.fail("Cannot slice to an open right index of -1 on a stream."));
        }
        Err(_) => None,
    };
    Ok((skip, end.map(|end| end.saturating_sub(skip))))
}
