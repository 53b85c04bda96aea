//! Squashing of moves, for feeds that tell only the sum of several moves.

use std::collections::BTreeMap;

use super::known::{Move, Placed};
use crate::feed::extent::Place;

/// Joins moves: one where an entry comes and then leaves again, or leaves and another one comes later.
pub(super) fn squash(moves: Vec<Move>) -> Vec<Move> {
    let mut merged: Vec<Move> = Vec::with_capacity(moves.len());
    // The moves that brought an entry which is still there, and the moves that left a gap.
    let mut brought: BTreeMap<Place, usize> = BTreeMap::new();
    let mut gaps = Vec::new();
    let place = |placed: &Option<Placed>| placed.as_ref().map(|(entry, _)| entry.place.clone());
    for Move { old, new } in moves {
        let earlier = match place(&old) {
            Some(was) => brought.remove(&was),
            None => gaps.pop(),
        };
        let at = earlier.unwrap_or(merged.len());
        match place(&new) {
            Some(is) => drop(brought.insert(is, at)),
            None => gaps.push(at),
        }
        match merged.get_mut(at) {
            Some(earlier) => earlier.new = new,
            None => merged.push(Move { old, new }),
        }
    }
    merged.retain(|step| step.old.is_some() || step.new.is_some());
    merged
}
