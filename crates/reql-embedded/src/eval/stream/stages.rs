//! Stages: the steps of a row's way through a stream.

use super::indexed::split_pair;
use super::{ArraySource, Expansion, Flow, Row, Stage, Stream};
use crate::datum::Datum;
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::eval::env::Env;
use crate::eval::func::Func;
use crate::eval::spec::Determinism;
use crate::eval::term::Flags;
use crate::eval::val::{Val, Value};

/// Replaces each row by the result of a function.
pub struct Map(pub Func);

impl Stage for Map {
    fn apply(&self, env: &Env, row: Row) -> Result<Flow> {
        let value = self.0.call(env, &[row.value]).around(self.0.bt)?;
        Ok(Flow::Keep(Row { group: row.group, value }))
    }

    fn check_watchable(&self) -> Result<()> {
        check_deterministic(&self.0)
    }
}

/// Keeps the rows that match.
pub struct Filter(pub Predicate);

impl Stage for Filter {
    fn apply(&self, env: &Env, row: Row) -> Result<Flow> {
        Ok(if self.0.matches(env, &row.value)? { Flow::Keep(row) } else { Flow::Drop })
    }

    fn check_watchable(&self) -> Result<()> {
        match &self.0 {
            Predicate::Equals(_) => Ok(()),
            Predicate::Matches { func, default } => {
                check_deterministic(func)?;
                default.as_ref().map_or(Ok(()), check_deterministic)
            }
        }
    }

    fn is_filter(&self) -> bool {
        true
    }
}

/// A condition on rows.
pub enum Predicate {
    /// The row equals a value.
    Equals(Datum),
    /// The row matches a function; see [`Func::matches`].
    Matches {
        /// Function that the row must match.
        func: Func,
        /// Result for a missing field.
        default: Option<Func>,
    },
}

impl Predicate {
    /// Makes a predicate of an argument that may be a function or a value, for terms that search for
    /// elements.
    pub fn of(val: Val) -> Result<Predicate> {
        Ok(match val.value {
            Value::Func(func) => Predicate::Matches { func, default: None },
            _ => Predicate::Equals(val.into_datum()?),
        })
    }

    /// Returns true if a row matches.
    pub fn matches(&self, env: &Env, row: &Datum) -> Result<bool> {
        match self {
            Predicate::Equals(value) => Ok(row == value),
            Predicate::Matches { func, default } => func.matches(env, row, default.as_ref()).around(func.bt),
        }
    }
}

/// Replaces each row by the elements of the sequence that a function returns for it.
pub struct ConcatMap {
    /// Function that returns the sequence.
    pub func: Func,
}

impl Stage for ConcatMap {
    fn apply(&self, env: &Env, row: Row) -> Result<Flow> {
        let Row { group, value } = row;
        let made = self.func.call_val(env, &[value], Flags::NONE).around(self.func.bt)?;
        let inner = match &made.value {
            Value::Datum(array @ Datum::Array(_)) => Stream::new(ArraySource::returned(array, env)?, made.bt),
            _ => made.into_stream(env).around(self.func.bt)?,
        };
        inner.check_finite()?;
        Ok(Flow::Expand(Expansion::Stream(Box::new(inner), group)))
    }

    fn check_watchable(&self) -> Result<()> {
        Err(Error::logic("Cannot call `changes` after `concat_map`."))
    }

    fn is_pure(&self) -> bool {
        is_pure(&self.func)
    }
}

/// Merges the two sides of each row of a join.
pub struct Zip;

impl Stage for Zip {
    fn apply(&self, _: &Env, row: Row) -> Result<Flow> {
        let sides = row.value.as_object()?;
        let left = sides
            .get("left")
            .ok_or_else(|| Error::logic("ZIP can only be called on the result of a join."))?;
        let value = match sides.get("right") {
            Some(right) => left.merge(&right)?,
            None => left,
        };
        Ok(Flow::Keep(Row { group: row.group, value }))
    }

    fn check_watchable(&self) -> Result<()> {
        Err(Error::logic("Cannot call `changes` after `zip`."))
    }

    fn is_pure(&self) -> bool {
        true
    }
}

/// Gives each row its group: the result of one function, or those of several as an array.
pub struct GroupBy {
    /// Functions to group by. If one of them finds no value in a row, the value is `null`.
    pub by: Vec<Func>,
    /// True if rows come in [`Pairs`](super::Pairs), whose values are to group by too.
    pub by_index: bool,
    /// True if a row whose value is an array belongs to a group for each element.
    pub multi: bool,
}

impl Stage for GroupBy {
    fn apply(&self, env: &Env, row: Row) -> Result<Flow> {
        if let ([by], false, false) = (&self.by[..], self.by_index, self.multi) {
            let group = Some(value_or_null(by, env, &row.value)?);
            return Ok(Flow::Keep(Row { group, ..row }));
        }
        let (index_value, value) = if self.by_index {
            let (index_value, value) = split_pair(&row.value)?;
            (Some(index_value), value)
        } else {
            (None, row.value)
        };
        let mut values =
            self.by.iter().map(|by| value_or_null(by, env, &value)).collect::<Result<Vec<_>>>()?;
        values.extend(index_value);
        if !self.multi {
            if values.len() > 1 {
                env.limits.check_array(values.len())?;
            }
            return Ok(Flow::Keep(Row { group: Some(group_of(values)), value }));
        }
        let combinations = combinations(values, env.limits.array)?;
        let rows =
            combinations.map(move |values| Row { group: Some(group_of(values)), value: value.clone() });
        Ok(Flow::Expand(Expansion::Rows(Box::new(rows))))
    }

    fn check_watchable(&self) -> Result<()> {
        Err(Error::logic("Cannot call `changes` after `group`."))
    }

    fn is_pure(&self) -> bool {
        self.by.iter().all(is_pure)
    }

    fn may_grow(&self) -> bool {
        self.multi
    }
}

fn value_or_null(by: &Func, env: &Env, row: &Datum) -> Result<Datum> {
    Ok(by.find(env, row).around(by.bt)?.unwrap_or_default())
}

fn group_of(mut values: Vec<Datum>) -> Datum {
    match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            Datum::array(values)
        }
        None => Datum::empty_array(),
    }
}

/// Returns all ways to take one element of each value, made as they are asked for. A value that is no array,
/// or an empty one, leaves no choice.
fn combinations(values: Vec<Datum>, limit: usize) -> Result<impl Iterator<Item = Vec<Datum>> + Send> {
    let mut count = 1_usize;
    for value in &values {
        count = count.saturating_mul(choices(value));
        if count > limit {
            return Err(too_many_groups(limit));
        }
    }
    Ok((0..count).map(move |number| {
        let mut left = number;
        // The last one changes first.
        let chosen = values.iter().rev().map(|value| {
            let at = left % choices(value);
            left /= choices(value);
            match value {
                Datum::Array(items) => items.get(at).unwrap_or_default(),
                other => other.clone(),
            }
        });
        let mut chosen: Vec<Datum> = chosen.collect();
        chosen.reverse();
        chosen
    }))
}

/// Returns the number of choices that a value leaves.
fn choices(value: &Datum) -> usize {
    match value {
        Datum::Array(items) => items.len().max(1),
        _ => 1,
    }
}

/// Returns the error of more groups than the array limit. It blames the whole query.
pub fn too_many_groups(limit: usize) -> Error {
    Error::new(ErrorKind::ResourceLimit, format!("Too many groups (> {limit}).")).at(Bt::default())
}

/// Returns true if a function returns the same for the same row throughout a query.
pub fn is_pure(func: &Func) -> bool {
    func.determinism().holds_despite(Determinism::ONE_SERVER.join(Determinism::CONSTANT_NOW))
}

/// Fails if a function on the way to `changes` could return different results for the same row.
pub fn check_deterministic(func: &Func) -> Result<()> {
    if is_pure(func) {
        return Ok(());
    }
    Err(Error::logic("Cannot call `changes` after a non-deterministic function.").at(func.bt))
}
