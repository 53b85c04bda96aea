//! Feeds of the first documents of an order: `order_by(index).limit(n)`, and `min` and `max` by an index.
//!
//! The window holds these documents. A change moves one in, out or within; when one leaves and none comes in its place,
//! the next one is fetched from the table as it is then. The changes that led there may still be on their way: each is
//! ignored until it is about the version of the document that the window holds.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::extent::{Extent, Found, Place};
use super::queue::Queue;
use super::row::Side;
use super::{Feed, Options, Transform, Wake, shown};
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::{ChangeEvent, Direction, Snapshot, Subscription};

/// A feed of the first documents of an order.
pub struct Window {
    extent: Arc<Extent>,
    transform: Box<dyn Transform>,
    options: Options,
    direction: Direction,
    limit: usize,
    queue: Arc<Queue>,
    /// In order.
    entries: Vec<Entry>,
    rows: VecDeque<Datum>,
    _subscription: Subscription,
}

#[derive(Clone)]
struct Entry {
    place: Place,
    key: Arc<[u8]>,
    document: Datum,
    value: Datum,
}

/// A document that entered or left, and its offset.
type Moved = (Datum, Option<usize>);

/// What happened to the window: who left, and who came in its place.
#[derive(Clone, PartialEq)]
struct Move {
    old: Option<Moved>,
    new: Option<Moved>,
}

impl Window {
    /// Starts to listen, and reads the window.
    pub fn open(
        extent: Extent,
        transform: Box<dyn Transform>,
        options: Options,
        wake: Arc<Wake>,
        (direction, limit): (Direction, usize),
    ) -> Result<Self> {
        let extent = Arc::new(extent);
        let queue = Arc::new(Queue::new(extent.clone(), wake, options.squash, options.queue_size));
        let (subscription, snapshot) = extent.table.subscribe(queue.clone())?;
        let mut window = Window {
            extent,
            transform,
            options,
            direction,
            limit,
            queue,
            entries: Vec::new(),
            rows: VecDeque::new(),
            _subscription: subscription,
        };
        window.entries = window.read(&snapshot, None, limit)?;
        window.show_initial();
        Ok(window)
    }

    fn show_initial(&mut self) {
        let form = self.options.form;
        if self.options.include_initial {
            self.rows.extend(form.state("initializing"));
            let entries = self.entries.iter().enumerate();
            self.rows.extend(entries.map(|(at, entry)| form.initial(entry.value.clone(), Some(at))));
        }
        self.rows.extend(form.state("ready"));
    }

    fn compare(&self, a: &Place, b: &Place) -> Ordering {
        match self.direction {
            Direction::Forward => a.cmp(b),
            Direction::Backward => b.cmp(a),
        }
    }

    /// The first documents in a snapshot, or those beyond a place.
    fn read(&self, snapshot: &Snapshot, beyond: Option<&Place>, count: usize) -> Result<Vec<Entry>> {
        let mut walk = match beyond {
            Some(place) => self.extent.walk_from(place, self.direction),
            None => self.extent.walk(self.direction),
        };
        let mut entries = Vec::new();
        while entries.len() < count
            && let Some(Found { key, place, document, .. }) = walk.next(&self.extent, snapshot)?
        {
            if beyond.is_some_and(|beyond| self.compare(&place, beyond).is_le()) {
                continue;
            }
            if let Some(value) = self.transform.apply(&document)? {
                entries.push(Entry { place, key: key.into(), document, value });
            }
        }
        Ok(entries)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        self.extent.table.snapshot().map_err(|error| self.queue.explain(error))
    }

    fn offset(&self, offset: usize) -> Option<usize> {
        self.options.form.offsets.then_some(offset)
    }

    fn apply(&mut self, event: &ChangeEvent) -> Result<Vec<Move>> {
        let known = self.entries.iter().find(|entry| entry.key == event.key);
        if known.is_some_and(|entry| Some(&entry.document) != event.old.as_ref()) {
            return Ok(Vec::new());
        }
        // All documents up to here are in the window; beyond, there may be others.
        let was_full = self.entries.len() >= self.limit;
        let horizon = self.entries.last().filter(|_| was_full).map(|entry| entry.place.clone());
        if was_full && horizon.is_none() {
            return Ok(Vec::new());
        }
        let mut left = self.remove(&event.key);
        let mut came = self.insert(event, horizon.as_ref())?;
        while self.entries.len() > self.limit
            && let Some(last) = self.entries.pop()
        {
            match came.iter().position(|entry| entry.place == last.place) {
                Some(at) => drop(came.remove(at)),
                None => left.push((last.value, self.offset(self.limit - 1))),
            }
        }
        if let Some(horizon) = horizon.filter(|_| self.entries.len() < self.limit) {
            let missing = self.limit - self.entries.len();
            let more = self.read(&self.snapshot()?, Some(&horizon), missing)?;
            came.extend(more.iter().cloned());
            self.entries.extend(more);
        }
        Ok(self.moves(left, came))
    }

    fn remove(&mut self, key: &[u8]) -> Vec<Moved> {
        let offsets = self.options.form.offsets;
        let mut left = Vec::new();
        let mut at = 0;
        self.entries.retain(|entry| {
            let goes = *entry.key == *key;
            if goes {
                left.push((entry.value.clone(), offsets.then_some(at)));
            }
            at += 1;
            !goes
        });
        left
    }

    /// Puts the new version where it belongs, unless that is beyond the horizon.
    fn insert(&mut self, event: &ChangeEvent, horizon: Option<&Place>) -> Result<Vec<Entry>> {
        let mut came = Vec::new();
        let Some(document) = &event.new else { return Ok(came) };
        let Some(value) = shown(&*self.transform, Some(document))? else { return Ok(came) };
        for place in self.extent.places(&event.key, document) {
            if horizon.is_some_and(|horizon| self.compare(&place, horizon).is_gt()) {
                continue;
            }
            let at = self.entries.partition_point(|entry| self.compare(&entry.place, &place).is_lt());
            let entry =
                Entry { place, key: event.key.clone(), document: document.clone(), value: value.clone() };
            came.push(entry.clone());
            self.entries.insert(at, entry);
        }
        Ok(came)
    }

    /// Pairs those who left with those who came.
    fn moves(&self, left: Vec<Moved>, came: Vec<Entry>) -> Vec<Move> {
        let (mut left, mut came) = (left.into_iter(), came.into_iter());
        let mut moves = Vec::new();
        loop {
            let (old, new) = (left.next(), came.next());
            if old.is_none() && new.is_none() {
                return moves;
            }
            let new = new.map(|entry| {
                let at = self.entries.iter().position(|other| other.place == entry.place);
                (entry.value, at.and_then(|at| self.offset(at)))
            });
            if old != new {
                moves.push(Move { old, new });
            }
        }
    }

    /// Reads the window anew, after changes were lost.
    fn catch_up(&mut self) -> Result<Vec<Move>> {
        let fresh = self.read(&self.snapshot()?, None, self.limit)?;
        let offsets = self.options.form.offsets;
        let same = |a: &Entry, b: &Entry| a.place == b.place && a.value == b.value;
        let before = std::mem::replace(&mut self.entries, fresh);
        let is_in = |entry: &Entry, list: &[Entry]| list.iter().any(|other| same(entry, other));
        let left = before.iter().enumerate().filter(|(_, entry)| !is_in(entry, &self.entries));
        let left = left.map(|(at, entry)| (entry.value.clone(), offsets.then_some(at))).collect();
        let came = self.entries.iter().filter(|entry| !is_in(entry, &before)).cloned().collect();
        Ok(self.moves(left, came))
    }

    fn show(&mut self, Move { old, new }: Move) {
        let side = |moved: Option<Moved>| match moved {
            Some((value, offset)) => Side::Value(Some(value), offset),
            None => Side::Value(None, None),
        };
        self.rows.extend(self.options.form.change(side(old), side(new)));
    }
}

/// Makes one of moves where a document comes and then leaves again.
fn squash(moves: Vec<Move>) -> Vec<Move> {
    let mut merged: Vec<Move> = Vec::with_capacity(moves.len());
    let mut by_new: BTreeMap<Option<Datum>, usize> = BTreeMap::new();
    let value = |moved: &Option<Moved>| moved.as_ref().map(|(value, _)| value.clone());
    for next in moves {
        let new = value(&next.new);
        let earlier = by_new.remove(&value(&next.old));
        let at = earlier.unwrap_or(merged.len());
        match merged.get_mut(at) {
            Some(earlier) => earlier.new = next.new,
            None => merged.push(next),
        }
        by_new.insert(new, at);
    }
    merged.retain(|step| step.old != step.new);
    merged
}

impl Feed for Window {
    fn next(&mut self) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            let Some(taken) = self.queue.poll()? else { return Ok(None) };
            let mut moves = if taken.skipped > 0 { self.catch_up()? } else { Vec::new() };
            for event in &taken.events {
                moves.extend(self.apply(event)?);
            }
            let moves = if self.options.squash.is_some() { squash(moves) } else { moves };
            moves.into_iter().for_each(|step| self.show(step));
        }
    }
}
