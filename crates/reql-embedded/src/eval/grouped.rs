//! Grouped streams as grouped data: by collecting their rows, or by an accumulator for each group.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::env::Env;
use super::stream::{Row, Stream, too_many_groups};
use super::val::{Groups, Val};
use crate::datum::{Datum, MAX_VALUE, too_large};
use crate::error::{At, Bt, Error, ErrorKind, Result};

/// Returns the rows of each group as an array.
pub fn collect(mut stream: Stream, env: &Env) -> Result<Groups> {
    stream.check_finite()?;
    let mut groups: BTreeMap<Datum, Vec<Datum>> = BTreeMap::new();
    let (mut count, mut size, mut held, mut new) = (0, 0, env.reserve(), 0);
    stream.for_each(
        env,
        true,
        |_, row| Ok(Some(row)),
        |row| {
            count += 1;
            size += row.value.size();
            if size > MAX_VALUE {
                return Err(too_large());
            }
            if count <= env.limits.array {
                held.add(&row.value)?;
                let group = row.group.unwrap_or_default();
                let rows = groups.entry(group).or_insert_with_key(|group| {
                    new = GROUP + group.footprint();
                    Vec::new()
                });
                rows.push(row.value);
                held.add_bytes(std::mem::take(&mut new))?;
            }
            // Errors of the rows around come before that of the size.
            if count < env.limits.array.saturating_add(BATCH) { Ok(()) } else { check_size(count, env) }
        },
    )?;
    check_size(count, env)?;
    held.keep()?;
    groups.into_iter().map(|(group, rows)| Ok((group, env.limits.array(rows)?))).collect()
}

/// The bytes that a group takes besides its key and its rows or its state, roughly: its place in the map, and
/// that in the result, which is an array of arrays.
const GROUP: usize = 256;

/// The rows that RethinkDB groups, roughly, before it checks the size of all groups.
const BATCH: usize = 1000;

fn check_size(count: usize, env: &Env) -> Result<()> {
    if count <= env.limits.array {
        return Ok(());
    }
    let message = format!(
        "Grouped data over size limit `{}`.  Try putting a reduction (like `.reduce` or `.count`) on the \
         end.",
        env.limits.array
    );
    Err(Error::new(ErrorKind::ResourceLimit, message).at(Bt::default()))
}

/// Aggregates the rows of a stream, or of each of its groups, to one value.
pub trait Accumulator: Send + Sync + 'static {
    /// The part of each row that is aggregated.
    type Item: Send;
    /// The state after some rows; one for each group.
    type State: Default;

    /// Returns the part of a row to aggregate; `None` if the row doesn't count. A group without any row that
    /// counts is left out.
    fn item(&self, env: &Env, row: Datum) -> Result<Option<Self::Item>>;

    /// Returns true if [`item`](Self::item) depends on nothing but the row.
    fn is_pure(&self) -> bool;

    /// Adds a row to the state.
    fn add(&self, env: &Env, state: &mut Self::State, item: Self::Item) -> Result<()>;

    /// Returns about the bytes of memory that the rows or values in the state take.
    fn held(_: &Self::State) -> usize {
        0
    }

    /// Returns the final value.
    fn finish(&self, state: Self::State) -> Result<Datum>;
}

/// Runs an accumulator over a stream, or over each of its groups at once.
pub fn accumulate<A: Accumulator>(mut stream: Stream, env: &Env, bt: Bt, accumulator: A) -> Result<Val> {
    let (is_grouped, is_lazy) = (stream.is_grouped(), stream.is_lazy());
    let accumulator = Arc::new(accumulator);
    let items = {
        let accumulator = accumulator.clone();
        move |env: &Env, Row { group, value }: Row| {
            Ok(accumulator.item(env, value)?.map(|item| (group.unwrap_or_default(), item)))
        }
    };
    let mut groups: BTreeMap<Datum, A::State> = BTreeMap::new();
    let mut whole = A::State::default();
    let mut held = env.reserve();
    stream.for_each(env, accumulator.is_pure(), items, |(group, item)| {
        if !is_grouped {
            let before = A::held(&whole);
            accumulator.add(env, &mut whole, item)?;
            return held.replace(before, A::held(&whole));
        }
        if let Some(state) = groups.get_mut(&group) {
            let before = A::held(state);
            accumulator.add(env, state, item)?;
            return held.replace(before, A::held(state));
        }
        if !is_lazy && groups.len() >= env.limits.array {
            return Err(too_many_groups(env.limits.array));
        }
        // Rows of a table are grouped in portions, so the number of groups is only known in the end.
        env.limits.check_array(groups.len() + 1)?;
        held.add(&group)?;
        let state = groups.entry(group).or_default();
        accumulator.add(env, state, item)?;
        held.add_bytes(GROUP + size_of::<A::State>() + A::held(state))
    })?;
    if !is_grouped {
        return Ok(Val::datum(accumulator.finish(whole).at(bt)?, bt));
    }
    held.keep()?;
    let finished = groups.into_iter().map(|(group, state)| Ok((group, accumulator.finish(state)?)));
    Ok(Val::grouped(finished.collect::<Result<_>>().at(bt)?, bt))
}
