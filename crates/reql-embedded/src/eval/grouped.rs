//! Grouped streams become grouped data: by collecting their rows, or by an accumulator for each group.

use std::collections::BTreeMap;

use super::env::Env;
use super::stream::{Stream, too_many_groups};
use super::val::{Groups, Val};
use crate::datum::Datum;
use crate::error::{At, Bt, Error, ErrorKind, Result};

/// The rows of each group as an array.
pub fn collect(mut stream: Stream, env: &Env) -> Result<Groups> {
    stream.check_finite()?;
    let mut groups: BTreeMap<Datum, Vec<Datum>> = BTreeMap::new();
    let mut count = 0;
    while let Some(row) = stream.next_row(env)? {
        count += 1;
        check_size(count, env)?;
        groups.entry(row.group.unwrap_or_default()).or_default().push(row.value);
    }
    groups.into_iter().map(|(group, rows)| Ok((group, env.limits.array(rows)?))).collect()
}

fn check_size(count: usize, env: &Env) -> Result<()> {
    if count <= env.limits.array {
        return Ok(());
    }
    let message = format!(
        "Grouped data over size limit `{}`.  Try putting a reduction (like `.reduce` or `.count`) on the end.",
        env.limits.array
    );
    Err(Error::new(ErrorKind::ResourceLimit, message).at(Bt::default()))
}

/// Boils the rows of a stream, or of each of its groups, down to one value.
pub trait Accumulator {
    /// What it keeps of the rows seen so far; one for each group.
    type State: Default;

    /// Takes a row in. False means that the row doesn't count; a group without any that does is left out.
    fn add(&self, env: &Env, state: &mut Self::State, row: Datum) -> Result<bool>;

    /// The value in the end.
    fn finish(&self, state: Self::State) -> Result<Datum>;
}

/// Runs an accumulator over a stream, or over each of its groups at once.
pub fn accumulate<A: Accumulator>(mut stream: Stream, env: &Env, bt: Bt, accumulator: &A) -> Result<Val> {
    if !stream.is_grouped() {
        let mut state = A::State::default();
        while let Some(row) = stream.next_row(env)? {
            accumulator.add(env, &mut state, row.value)?;
        }
        return Ok(Val::datum(accumulator.finish(state).at(bt)?, bt));
    }
    let mut groups: BTreeMap<Datum, A::State> = BTreeMap::new();
    while let Some(row) = stream.next_row(env)? {
        let group = row.group.unwrap_or_default();
        if let Some(state) = groups.get_mut(&group) {
            accumulator.add(env, state, row.value)?;
            continue;
        }
        let mut state = A::State::default();
        if accumulator.add(env, &mut state, row.value)? {
            groups.insert(group, state);
            if groups.len() > env.limits.array {
                return Err(too_many_groups(env.limits.array));
            }
        }
    }
    let finished = groups.into_iter().map(|(group, state)| Ok((group, accumulator.finish(state)?)));
    Ok(Val::grouped(finished.collect::<Result<_>>().at(bt)?, bt))
}
