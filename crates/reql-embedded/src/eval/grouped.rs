//! Grouped streams become grouped data: by collecting their rows, or by an accumulator for each group.

use std::collections::BTreeMap;

use super::env::Env;
use super::stream::Stream;
use super::val::{Groups, Val};
use crate::datum::Datum;
use crate::error::{Bt, Error, ErrorKind, Result};

/// The rows of each group as an array.
pub fn collect(mut stream: Stream, env: &Env) -> Result<Groups> {
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
    Err(Error::new(ErrorKind::ResourceLimit, message))
}

/// Boils the rows of a stream, or of each of its groups, down to one value.
pub trait Accumulator {
    /// Takes a row.
    fn add(&mut self, env: &Env, row: Datum) -> Result<()>;
    /// The value in the end.
    fn finish(self, env: &Env) -> Result<Datum>;
}

/// Runs an accumulator over a stream, or one for each group.
pub fn accumulate<A: Accumulator>(
    mut stream: Stream,
    env: &Env,
    bt: Bt,
    start: impl Fn() -> A,
) -> Result<Val> {
    if stream.is_infinite() {
        return Err(Error::logic(
            "Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
        )
        .at(bt));
    }
    if !stream.is_grouped() {
        let mut all = start();
        while let Some(row) = stream.next(env)? {
            all.add(env, row)?;
        }
        return Ok(Val::datum(all.finish(env)?, bt));
    }
    let mut groups: BTreeMap<Datum, A> = BTreeMap::new();
    while let Some(row) = stream.next_row(env)? {
        let group = row.group.unwrap_or_default();
        match groups.get_mut(&group) {
            Some(accumulator) => accumulator.add(env, row.value)?,
            None => {
                let mut accumulator = start();
                accumulator.add(env, row.value)?;
                groups.insert(group, accumulator);
                check_size(groups.len(), env)?;
            }
        }
    }
    let groups =
        groups.into_iter().map(|(group, all)| Ok((group, all.finish(env)?))).collect::<Result<_>>()?;
    Ok(Val::grouped(groups, bt))
}
