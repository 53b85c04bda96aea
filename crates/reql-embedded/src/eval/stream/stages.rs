//! Stages: what happens to each row on its way.

use super::{Flow, Row, Stage};
use crate::datum::Datum;
use crate::error::{At, Bt, Error, Result};
use crate::eval::env::Env;
use crate::eval::func::Func;
use crate::eval::term::Flags;

/// Replaces each row by what a function makes of it.
pub struct Map(pub Func);

impl Stage for Map {
    fn apply(&mut self, env: &Env, row: Row) -> Result<Flow> {
        let value = self.0.call(env, &[row.value])?;
        Ok(Flow::Keep(Row { group: row.group, value }))
    }
}

/// Keeps the rows that match.
pub struct Filter {
    /// What they must match.
    pub predicate: Func,
    /// What a missing field means.
    pub default: Option<Func>,
}

impl Stage for Filter {
    fn apply(&mut self, env: &Env, row: Row) -> Result<Flow> {
        Ok(if self.predicate.matches(env, &row.value, self.default.as_ref())? {
            Flow::Keep(row)
        } else {
            Flow::Drop
        })
    }
}

/// Replaces each row by the elements of the sequence that a function makes of it.
pub struct ConcatMap {
    /// Makes the sequence.
    pub func: Func,
    /// The term to blame when it makes none.
    pub bt: Bt,
}

impl Stage for ConcatMap {
    fn apply(&mut self, env: &Env, row: Row) -> Result<Flow> {
        let Row { group, value } = row;
        let mut inner = self.func.call_val(env, &[value], Flags::NONE)?.into_stream(env).at(self.bt)?;
        if inner.is_infinite() {
            return Err(Error::logic("Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.").at(self.bt));
        }
        let mut rows: Vec<Row> = Vec::new();
        while let Some(item) = inner.next(env)? {
            rows.push(Row { group: group.clone(), value: item });
        }
        Ok(Flow::Expand(rows))
    }
}

/// Groups are never mixed up with values: a row without a group stays without.
impl From<Datum> for Row {
    fn from(value: Datum) -> Self {
        Row { group: None, value }
    }
}
