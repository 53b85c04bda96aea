//! Terms that aggregate a sequence, or each of its groups, to one value.

use std::cmp::Ordering;

use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{At, Error, ErrorKind, Result};
use crate::eval::grouped::{Accumulator, accumulate};
use crate::eval::stream::{Filter, Predicate, is_pure};
use crate::eval::table::{SingleSelection, Sorting, TableSlice};
use crate::eval::{Arity, Call, Env, Func, Grouping, Shortcut, Spec, Val, Value};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Count, Arity::between(1, 2), count).grouping(Grouping::Stream),
    Spec::new(TermType::Reduce, Arity::exactly(2), reduce).optargs(&["base"]).grouping(Grouping::Stream),
    Spec::new(TermType::Sum, Arity::between(1, 2), sum).optargs(&["index"]).grouping(Grouping::Stream),
    Spec::new(TermType::Avg, Arity::between(1, 2), avg).optargs(&["index"]).grouping(Grouping::Stream),
    Spec::new(TermType::Min, Arity::between(1, 2), extreme).optargs(&["index"]).grouping(Grouping::Stream),
    Spec::new(TermType::Max, Arity::between(1, 2), extreme).optargs(&["index"]).grouping(Grouping::Stream),
];

/// Runs an accumulator over all rows of a sequence.
fn aggregate(call: &Call<'_>, sequence: Val, accumulator: impl Accumulator) -> Result<Val> {
    let stream = sequence.into_stream(call.env)?;
    stream.check_finite()?;
    accumulate(stream, call.env, call.bt(), accumulator)
}

fn count(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    if call.len() == 2 {
        let predicate = Predicate::of(call.arg(1)?)?;
        let bt = sequence.bt;
        let matching = sequence.into_stream(call.env)?.then(Filter(predicate), call.bt());
        return aggregate(call, Val { value: Value::Stream(matching), bt }, Count);
    }
    if matches!(sequence.value, Value::Table(_) | Value::Slice(_)) {
        return Ok(call.val(sequence.into_slice()?.count(call.env)?.into()));
    }
    let size = match &sequence.value {
        Value::Datum(datum) => size(datum)?,
        Value::Single(row) => size(&row.get()?)?,
        _ => None,
    };
    match size {
        Some(size) => Ok(call.val(size.into())),
        None => aggregate(call, sequence, Count),
    }
}

/// Returns the count of a value that is no sequence. An array is counted without going through it.
fn size(datum: &Datum) -> Result<Option<usize>> {
    Ok(match datum {
        Datum::Binary(bytes) => Some(bytes.len()),
        Datum::Str(text) => {
            fuel::spend_bytes(text.len())?;
            Some(text.chars().count())
        }
        Datum::Object(object) => Some(object.len()),
        Datum::Array(items) => Some(items.len()),
        _ => None,
    })
}

struct Count;

impl Accumulator for Count {
    type Item = ();
    type State = u64;

    fn item(&self, _: &Env, _: Datum) -> Result<Option<()>> {
        Ok(Some(()))
    }

    fn is_pure(&self) -> bool {
        true
    }

    fn add(&self, _: &Env, state: &mut u64, (): ()) -> Result<()> {
        *state += 1;
        Ok(())
    }

    fn finish(&self, state: u64) -> Result<Datum> {
        Ok(state.into())
    }
}

fn reduce(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let bt = sequence.bt;
    let rows = sequence.into_stream(call.env)?;
    let func = call.arg(1)?.into_func(Shortcut::None)?;
    aggregate(call, Val { value: Value::Stream(rows), bt }, Reduce(func))
}

struct Reduce(Func);

impl Accumulator for Reduce {
    type Item = Datum;
    type State = Option<Datum>;

    fn item(&self, _: &Env, row: Datum) -> Result<Option<Datum>> {
        Ok(Some(row))
    }

    fn is_pure(&self) -> bool {
        true
    }

    fn add(&self, env: &Env, state: &mut Self::State, row: Datum) -> Result<()> {
        *state = Some(match state.take() {
            Some(earlier) => self.0.call(env, &[earlier, row]).around(self.0.bt)?,
            None => row,
        });
        Ok(())
    }

    fn held(state: &Self::State) -> usize {
        state.as_ref().map_or(0, Datum::footprint)
    }

    fn finish(&self, state: Self::State) -> Result<Datum> {
        state.ok_or_else(|| Error::missing("Cannot reduce over an empty stream.").at(self.0.bt))
    }
}

/// The part of each row that `sum`, `avg`, `min` and `max` use.
struct Aspect {
    /// Function of the row; `None` for the row itself.
    func: Option<Func>,
}

impl Aspect {
    /// Returns the value, passed through `read`; `None` if either finds nothing in the row: such rows don't
    /// count.
    fn of<T>(&self, env: &Env, row: Datum, read: impl FnOnce(Datum) -> Result<T>) -> Result<Option<T>> {
        let value = match &self.func {
            Some(func) => func.find(env, &row)?,
            None => Some(row),
        };
        match value.map(read).transpose() {
            Err(error) if error.kind() == ErrorKind::NonExistence => Ok(None),
            result => result,
        }
    }

    fn is_pure(&self) -> bool {
        self.func.as_ref().is_none_or(is_pure)
    }
}

fn sum(call: &mut Call<'_>) -> Result<Val> {
    let (sequence, aspect) = sequence_and_aspect(call)?;
    aggregate(call, sequence, Sum(aspect))
}

fn avg(call: &mut Call<'_>) -> Result<Val> {
    let (sequence, aspect) = sequence_and_aspect(call)?;
    aggregate(call, sequence, Avg(aspect))
}

/// Returns the arguments of terms that can't use an index, although they know the option.
fn sequence_and_aspect(call: &mut Call<'_>) -> Result<(Val, Aspect)> {
    let sequence = call.arg(0)?;
    let (func, index) = func_or_index(call)?;
    if index.is_some() {
        sequence.into_table()?;
        return Err(call.fail(format!("Cannot call {} on an index.", name(call))));
    }
    Ok((sequence, Aspect { func }))
}

fn func_or_index(call: &mut Call<'_>) -> Result<(Option<Func>, Option<Val>)> {
    let index = call.optarg("index")?;
    if call.len() == 1 {
        return Ok((None, index));
    }
    let func = call.arg(1)?.into_func(Shortcut::GetField)?;
    if index.is_some() {
        return Err(call.fail(format!("Cannot provide both a function and an index to {}.", name(call))));
    }
    Ok((Some(func), None))
}

fn name(call: &Call<'_>) -> String {
    call.kind().name().to_lowercase()
}

struct Sum(Aspect);

impl Accumulator for Sum {
    type Item = f64;
    type State = f64;

    fn item(&self, env: &Env, row: Datum) -> Result<Option<f64>> {
        self.0.of(env, row, |value| value.as_num())
    }

    fn is_pure(&self) -> bool {
        self.0.is_pure()
    }

    fn add(&self, _: &Env, state: &mut f64, number: f64) -> Result<()> {
        *state += number;
        Ok(())
    }

    fn finish(&self, state: f64) -> Result<Datum> {
        Datum::num(state)
    }
}

struct Avg(Aspect);

impl Accumulator for Avg {
    type Item = f64;
    type State = (f64, u64);

    fn item(&self, env: &Env, row: Datum) -> Result<Option<f64>> {
        self.0.of(env, row, |value| value.as_num())
    }

    fn is_pure(&self) -> bool {
        self.0.is_pure()
    }

    fn add(&self, _: &Env, (total, count): &mut Self::State, number: f64) -> Result<()> {
        *total += number;
        *count += 1;
        Ok(())
    }

    fn finish(&self, (total, count): Self::State) -> Result<Datum> {
        match count {
            0 => Err(nothing("average", "avg")),
            _ => Datum::num(total / count as f64),
        }
    }
}

fn nothing(what: &str, term: &str) -> Error {
    Error::missing(format!(
        "Cannot take the {what} of an empty stream.  (If you passed `{term}` a field name, it may be that no \
         elements of the stream had that field.)"
    ))
}

/// Computes `min` and `max`.
fn extreme(call: &mut Call<'_>) -> Result<Val> {
    let sequence = call.arg(0)?;
    let (func, index) = func_or_index(call)?;
    if index.is_some() || func.is_none() && matches!(sequence.value, Value::Table(_)) {
        return first_by_index(call, sequence, index);
    }
    let better = if call.kind() == TermType::Min { Ordering::Less } else { Ordering::Greater };
    let aspect = Aspect { func };
    aggregate(call, sequence, Extreme { aspect, better, name: name(call) })
}

/// Returns the first or the last row of a table in the order of an index or, without one, of the primary key.
fn first_by_index(call: &Call<'_>, table: Val, index: Option<Val>) -> Result<Val> {
    let bt = table.bt;
    let table = table.into_table()?;
    let index = match index {
        Some(index) => index.into_str()?,
        None => table.primary_key().clone(),
    };
    let sorting = if call.kind() == TermType::Min { Sorting::Ascending } else { Sorting::Descending };
    let slice = TableSlice::whole(table, bt).with_sorting(index, sorting)?;
    let message = format!("`{}` found no entries in the specified index.", name(call));
    let (slice, empty) = (Box::new(slice), Box::new((message, call.bt())));
    let single = SingleSelection::First { slice, env: call.env.clone(), empty };
    Ok(Val { value: Value::Single(single), bt: call.bt() })
}

struct Extreme {
    aspect: Aspect,
    /// Order of a value relative to the best one so far that makes it the best.
    better: Ordering,
    name: String,
}

impl Accumulator for Extreme {
    /// A value with its row, and the best one so far.
    type Item = (Datum, Datum);
    type State = Option<(Datum, Datum)>;

    fn item(&self, env: &Env, row: Datum) -> Result<Option<Self::Item>> {
        Ok(self.aspect.of(env, row.clone(), Ok)?.map(|value| (value, row)))
    }

    fn is_pure(&self) -> bool {
        self.aspect.is_pure()
    }

    fn add(&self, _: &Env, state: &mut Self::State, (value, row): Self::Item) -> Result<()> {
        if state.as_ref().is_none_or(|(best, _)| value.compare(best) == self.better) {
            *state = Some((value, row));
        }
        Ok(())
    }

    fn held(state: &Self::State) -> usize {
        state.as_ref().map_or(0, |(value, row)| value.footprint() + row.footprint())
    }

    fn finish(&self, state: Self::State) -> Result<Datum> {
        state.map(|(_, row)| row).ok_or_else(|| nothing(&self.name, &self.name))
    }
}
