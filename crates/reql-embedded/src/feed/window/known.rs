//! The beginning of an order, as far as it is known: the entries of a window, and a few spare ones behind it.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::ordered::{Entry, Ordered};
use crate::feed::extent::Place;
use crate::storage::Direction;

/// The entries behind the window that are kept once there are more than twice as many.
pub(super) const SPARE: usize = 16;

/// A change of one entry: one less, one more, or one instead of the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) old: Option<Place>,
    pub(super) new: Option<Entry>,
}

/// An entry and its offset in the window.
pub(super) type Placed = (Entry, usize);

/// The effect of a step on the window: the entry that leaves it, and the entry that comes into it. The first
/// has its offset from before the step, the second has its offset from after it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Move {
    pub(super) old: Option<Placed>,
    pub(super) new: Option<Placed>,
}

/// The first entries of an order.
pub(super) struct Known {
    limit: usize,
    entries: Ordered,
    /// Last place up to which no entry is missing; `None` if all entries are known.
    horizon: Option<Place>,
}

impl Known {
    pub(super) fn new(
        direction: Direction,
        limit: usize,
        entries: Vec<Entry>,
        horizon: Option<Place>,
    ) -> Known {
        Known { limit, entries: Ordered::new(direction, entries), horizon }
    }

    pub(super) fn direction(&self) -> Direction {
        self.entries.direction()
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the number of entries that are known.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Returns the bytes of memory that the entries take.
    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes()
    }

    pub(super) fn horizon(&self) -> Option<&Place> {
        self.horizon.as_ref()
    }

    pub(super) fn compare(&self, a: &Place, b: &Place) -> Ordering {
        self.entries.compare(a, b)
    }

    /// Returns the entries that are shown.
    pub(super) fn window(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().take(self.limit)
    }

    /// Returns a copy of the entries that are shown.
    pub(super) fn shown(&self) -> Ordered {
        let mut shown = self.entries.clone();
        shown.truncate(self.limit);
        shown
    }

    /// Returns true if a place is beyond the horizon, where the entries are not known.
    pub(super) fn is_beyond(&self, place: &Place) -> bool {
        self.horizon.as_ref().is_some_and(|horizon| self.compare(place, horizon).is_gt())
    }

    /// Returns true if fewer entries than `demand` are known although there may be further ones.
    pub(super) fn is_short_of(&self, demand: usize) -> bool {
        self.horizon.is_some() && self.entries.len() < demand
    }

    pub(super) fn has(&self, place: &Place) -> bool {
        self.entries.contains(place)
    }

    /// Adds entries from beyond the horizon, in order, up to another one.
    pub(super) fn extend(&mut self, entries: Vec<Entry>, horizon: Option<Place>) {
        self.entries.append(entries);
        self.horizon = horizon;
    }

    /// Drops spare entries that have become many.
    pub(super) fn trim(&mut self) {
        if self.entries.len() > self.limit.saturating_add(2 * SPARE) {
            self.entries.truncate(self.limit + SPARE);
            self.horizon = self.entries.last().map(|last| last.place.clone());
        }
    }

    /// Takes a step. Unless everything is known, there has to be one entry more than the window shows.
    pub(super) fn step(&mut self, step: Step) -> Option<Move> {
        let removed = step.old.and_then(|place| self.entries.remove(&place));
        let added = step.new.and_then(|entry| self.add(entry));
        let mut old = removed.filter(|(_, at)| *at < self.limit);
        let mut new = added.filter(|(_, at)| *at < self.limit);
        let last = self.limit.checked_sub(1)?;
        match (&old, &new) {
            (None, None) => return None,
            (Some(_), None) => new = self.placed(last, last),
            (None, Some(_)) => old = self.placed(self.limit, last),
            (Some(_), Some(_)) => {}
        }
        Some(Move { old, new })
    }

    /// Returns moves that make one window of another: the entries whose values differ, then those that leave
    /// and those that come. The same document is a move of its own, as clients that go by its key expect. The
    /// offsets are still to be counted.
    pub(super) fn moves_to(&self, after: &Known) -> Vec<Move> {
        let placed = |entry: Option<&Entry>| entry.map(|entry| (entry.clone(), 0));
        let (mut moves, mut left, mut came) = (Vec::new(), Vec::new(), Vec::new());
        let (mut olds, mut news) = (self.window().peekable(), after.window().peekable());
        while let (Some(old), Some(new)) = (olds.peek(), news.peek()) {
            match self.compare(&old.place, &new.place) {
                Ordering::Less => left.extend(olds.next()),
                Ordering::Greater => came.extend(news.next()),
                Ordering::Equal => {
                    if old.value != new.value {
                        moves.push(Move { old: placed(Some(old)), new: placed(Some(new)) });
                    }
                    olds.next();
                    news.next();
                }
            }
        }
        let mut came: Vec<_> = came.into_iter().chain(news).map(Some).collect();
        let at: HashMap<_, _> =
            came.iter().flatten().enumerate().map(|(at, entry)| (own(&entry.place), at)).collect();
        let mut gone = Vec::new();
        for old in left.into_iter().chain(olds) {
            let again = at.get(own(&old.place)).and_then(|at| came.get_mut(*at)).and_then(Option::take);
            match again {
                Some(new) => moves.push(Move { old: placed(Some(old)), new: placed(Some(new)) }),
                None => gone.push(old),
            }
        }
        let (mut gone, mut came) = (gone.into_iter(), came.into_iter().flatten());
        loop {
            match (gone.next(), came.next()) {
                (None, None) => return moves,
                (old, new) => moves.push(Move { old: placed(old), new: placed(new) }),
            }
        }
    }

    fn add(&mut self, entry: Entry) -> Option<Placed> {
        if self.is_beyond(&entry.place) {
            return None;
        }
        let at = self.entries.insert(entry.clone());
        Some((entry, at))
    }

    fn placed(&self, at: usize, offset: usize) -> Option<Placed> {
        self.entries.get(at).map(|entry| (entry.clone(), offset))
    }
}

/// Returns the part of a place that a document keeps when its value in the index changes.
fn own(place: &Place) -> &[u8] {
    place.bytes.get(place.value_length..).filter(|own| !own.is_empty()).unwrap_or(&place.bytes)
}

/// Counts the offsets of moves anew, as they follow each other from this window on.
pub(super) fn count(mut window: Ordered, moves: &mut [Move]) {
    for Move { old, new } in moves {
        if let Some((entry, offset)) = old
            && let Some((_, at)) = window.remove(&entry.place)
        {
            *offset = at;
        }
        if let Some((entry, offset)) = new {
            *offset = window.insert(entry.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::Datum;

    fn known(entries: &[(u8, u8)]) -> Known {
        let entry = |(value, key): &(u8, u8)| {
            let place = Place { bytes: vec![*value, *key], value_length: 1 };
            Entry { place, value: Datum::from(u64::from(*key)) }
        };
        Known::new(Direction::Forward, 2, entries.iter().map(entry).collect(), None)
    }

    #[test]
    fn a_document_that_stays_is_a_move_of_its_own() {
        let (before, after) = (known(&[(1, 10), (2, 20)]), known(&[(0, 20), (3, 30)]));
        let mut moves = before.moves_to(&after);
        count(before.shown(), &mut moves);
        let side = |placed: &Option<Placed>| placed.as_ref().map(|(entry, at)| (entry.place.bytes[1], *at));
        let moves: Vec<_> = moves.iter().map(|Move { old, new }| (side(old), side(new))).collect();
        assert_eq!(moves, [(Some((20, 1)), Some((20, 0))), (Some((10, 1)), Some((30, 1)))]);
    }
}
