//! The beginning of an order, as far as it is known: the entries of a window, and a few spare ones behind it.

use std::cmp::Ordering;

use crate::datum::Datum;
use crate::feed::extent::Place;
use crate::storage::Direction;

/// The number of entries behind the window that are kept when there are more than twice as many.
pub(super) const SPARE: usize = 16;

/// A document at one of its places in the order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// Its value, as the feed shows it.
    pub(super) value: Datum,
}

/// One entry less, one entry more, or one instead of the other.
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
    direction: Direction,
    limit: usize,
    /// In order.
    entries: Vec<Entry>,
    /// The last place before which, and at which, no entry is missing; none when they are all here.
    horizon: Option<Place>,
}

impl Known {
    pub(super) fn new(
        direction: Direction,
        limit: usize,
        entries: Vec<Entry>,
        horizon: Option<Place>,
    ) -> Known {
        Known { direction, limit, entries, horizon }
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the number of entries that are known.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn horizon(&self) -> Option<&Place> {
        self.horizon.as_ref()
    }

    /// The entries that are shown.
    pub(super) fn window(&self) -> &[Entry] {
        self.entries.get(..self.limit).unwrap_or(&self.entries)
    }

    /// Returns whether a place is beyond the horizon, where it is not known which entries there are.
    pub(super) fn is_beyond(&self, place: &Place) -> bool {
        self.horizon.as_ref().is_some_and(|horizon| compare(self.direction, place, horizon).is_gt())
    }

    /// Returns whether fewer entries than `demand` are known although there may be further ones.
    pub(super) fn is_short_of(&self, demand: usize) -> bool {
        self.horizon.is_some() && self.entries.len() < demand
    }

    pub(super) fn has(&self, place: &Place) -> bool {
        find(&self.entries, self.direction, place).is_ok()
    }

    /// Adds entries from beyond the horizon, in order, up to another one.
    pub(super) fn extend(&mut self, entries: Vec<Entry>, horizon: Option<Place>) {
        self.entries.extend(entries);
        self.horizon = horizon;
    }

    /// Lets go of spare entries that have become many.
    pub(super) fn trim(&mut self) {
        if self.entries.len() > self.limit.saturating_add(2 * SPARE) {
            self.entries.truncate(self.limit + SPARE);
            self.horizon = self.entries.last().map(|last| last.place.clone());
        }
    }

    /// Takes a step. Unless everything is known, there has to be one entry more than the window shows.
    pub(super) fn step(&mut self, step: Step) -> Option<Move> {
        let removed = step.old.and_then(|place| self.remove(&place));
        let added = step.new.and_then(|entry| self.add(entry));
        let mut old = removed.filter(|(_, at)| *at < self.limit);
        let mut new = added.filter(|at| *at < self.limit).and_then(|at| self.placed(at, at));
        let last = self.limit.checked_sub(1)?;
        match (&old, &new) {
            (None, None) => return None,
            (Some(_), None) => new = self.placed(last, last),
            (None, Some(_)) => old = self.placed(self.limit, last),
            (Some(_), Some(_)) => {}
        }
        Some(Move { old, new })
    }

    /// Moves that make one window of another.
    pub(super) fn moves_to(&self, after: &Known) -> Vec<Move> {
        let placed = |entry: Option<&Entry>| entry.map(|entry| (entry.clone(), 0));
        let (mut moves, mut left) = (Vec::new(), Vec::new());
        for old in self.window() {
            match after.shown_at(&old.place) {
                Some(new) if new.value == old.value => {}
                Some(new) => moves.push(Move { old: placed(Some(old)), new: placed(Some(new)) }),
                None => left.push(old),
            }
        }
        let came = after.window().iter().filter(|new| self.shown_at(&new.place).is_none());
        let (mut left, mut came) = (left.into_iter(), came);
        loop {
            match (left.next(), came.next()) {
                (None, None) => break,
                (old, new) => moves.push(Move { old: placed(old), new: placed(new) }),
            }
        }
        count(self.window().to_vec(), self.direction, &mut moves);
        moves
    }

    fn shown_at(&self, place: &Place) -> Option<&Entry> {
        let at = find(&self.entries, self.direction, place).ok()?;
        self.window().get(at)
    }

    fn remove(&mut self, place: &Place) -> Option<Placed> {
        let at = find(&self.entries, self.direction, place).ok()?;
        Some((self.entries.remove(at), at))
    }

    fn add(&mut self, entry: Entry) -> Option<usize> {
        if self.is_beyond(&entry.place) {
            return None;
        }
        let at = find(&self.entries, self.direction, &entry.place).unwrap_or_else(|at| at);
        self.entries.insert(at, entry);
        Some(at)
    }

    fn placed(&self, at: usize, offset: usize) -> Option<Placed> {
        self.entries.get(at).map(|entry| (entry.clone(), offset))
    }
}

pub(super) fn compare(direction: Direction, a: &Place, b: &Place) -> Ordering {
    match direction {
        Direction::Forward => a.cmp(b),
        Direction::Backward => b.cmp(a),
    }
}

fn find(entries: &[Entry], direction: Direction, place: &Place) -> Result<usize, usize> {
    entries.binary_search_by(|entry| compare(direction, &entry.place, place))
}

/// Counts the offsets of moves anew, as they follow each other from this window on.
pub(super) fn count(mut window: Vec<Entry>, direction: Direction, moves: &mut [Move]) {
    for Move { old, new } in moves {
        if let Some((entry, offset)) = old
            && let Ok(at) = find(&window, direction, &entry.place)
        {
            window.remove(at);
            *offset = at;
        }
        if let Some((entry, offset)) = new {
            let at = find(&window, direction, &entry.place).unwrap_or_else(|at| at);
            window.insert(at, entry.clone());
            *offset = at;
        }
    }
}
