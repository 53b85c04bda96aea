//! Terms that search for elements: `contains`, `offsets_of`, `is_empty`.

use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::Result;
use crate::eval::stream::{Offsets, Predicate};
use crate::eval::{Arity, Call, Env, Func, Spec, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Contains, Arity::at_least(1), contains),
    Spec::new(TermType::OffsetsOf, Arity::exactly(2), offsets_of),
    Spec::new(TermType::IsEmpty, Arity::exactly(1), is_empty),
];

fn contains(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let mut rows = sequence.into_stream(call.env)?;
    let mut wanted = Wanted::default();
    for index in 1..call.len() {
        let val = call.arg(index)?;
        match val.value {
            Value::Func(func) => wanted.funcs.push(func),
            _ => wanted.add(val.into_datum()?),
        }
    }
    rows.check_finite()?;
    while let Some(row) = rows.next(call.env)? {
        wanted.cross_off(call.env, &row)?;
        if wanted.is_empty() {
            return Ok(call.val(true.into()));
        }
    }
    Ok(call.val(false.into()))
}

/// The values and functions that `contains` has not found yet.
#[derive(Default)]
struct Wanted {
    values: Vec<Datum>,
    /// Sum of the values' [`compared`] bytes.
    bytes: usize,
    funcs: Vec<Func>,
}

/// Returns the bytes for which the comparison of a row with a value counts, beyond what it counts itself.
/// Eight numbers take as long as 64 bytes of text.
fn compared(value: &Datum) -> usize {
    const NUMBER: usize = 8;
    const MOST: usize = 256;
    match value {
        Datum::Null | Datum::Bool(_) | Datum::Num(_) => NUMBER,
        Datum::Str(text) => NUMBER + text.len().min(MOST),
        _ => MOST,
    }
}

impl Wanted {
    fn add(&mut self, value: Datum) {
        self.bytes += compared(&value);
        self.values.push(value);
    }

    /// Removes the first value that equals the row, and the first function that is true for it.
    fn cross_off(&mut self, env: &Env, row: &Datum) -> Result<()> {
        // Few values cost no more than the row.
        fuel::spend(self.bytes / fuel::BYTES + self.funcs.len() / 8)?;
        if let Some(found) = self.values.iter().position(|value| value == row) {
            self.bytes -= compared(&self.values.swap_remove(found));
        }
        for (index, func) in self.funcs.iter().enumerate() {
            if func.call(env, std::slice::from_ref(row))?.is_truthy() {
                self.funcs.swap_remove(index);
                break;
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.funcs.is_empty()
    }
}

fn offsets_of(call: &mut Call<'_>) -> Result<Val> {
    let predicate = Predicate::of(call.arg(1)?)?;
    let rows = call.stream(0)?;
    call.seq(rows.through(|rows| Offsets::new(rows, predicate)))
}

fn is_empty(call: &mut Call<'_>) -> Result<Val> {
    let mut rows = call.stream(0)?;
    rows.expect_at_most(1);
    let first = rows.next(call.env)?;
    Ok(call.val(first.is_none().into()))
}
