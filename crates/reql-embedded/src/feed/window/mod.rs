//! Feeds of the first documents of an order: `order_by(index).limit(n)`, and `min` and `max` by an index.
//!
//! The window goes from change to change and holds exactly what the table held then. When more entries
//! leave than there are spare ones, further ones are read, which show the table as it is by then: ahead of
//! the window by the changes that are still to be made. So these are taken along with the snapshot, and
//! what it shows of their documents is replaced by what they were before.
//!
//! | file | what it holds |
//! |---|---|
//! | `known` | the entries, and the moves that come of steps |
//! | `steps` | the steps that a changed document takes, one for each of its entries |
//! | `squash` | one move of many |

mod known;
mod squash;
mod steps;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use self::known::{Entry, Known, Move, Placed, SPARE, compare, count};
use self::steps::Places;
use super::extent::{Extent, Place};
use super::queue::{Queue, Taken};
use super::row::Side;
use super::{Feed, Options, Transform, Wake, shown};
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::{ChangeEvent, Direction, Snapshot, Subscription};

/// The number of documents read after which no further spare entries are looked for.
const LOOK: usize = 256;

/// A feed of the first documents of an order.
pub struct Window {
    extent: Arc<Extent>,
    transform: Box<dyn Transform>,
    options: Options,
    queue: Arc<Queue>,
    known: Known,
    /// Changes that are still to be made.
    pending: VecDeque<ChangeEvent>,
    rows: VecDeque<Datum>,
    _subscription: Subscription,
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
        let first = |document: &Datum| transform.apply(document);
        let known = first_of(&extent, &snapshot, (direction, limit), first)?;
        let mut window = Window {
            extent,
            transform,
            options,
            queue,
            known,
            pending: VecDeque::new(),
            rows: VecDeque::new(),
            _subscription: subscription,
        };
        window.show_initial();
        Ok(window)
    }

    fn show_initial(&mut self) {
        let form = self.options.form;
        if self.options.include_initial {
            self.rows.extend(form.state("initializing"));
            let entries = self.known.window().iter().enumerate();
            self.rows.extend(entries.map(|(at, entry)| form.initial(entry.value.clone(), Some(at))));
        }
        self.rows.extend(form.state("ready"));
    }

    fn take_in(&mut self, taken: Taken) -> Result<()> {
        if taken.skipped > 0 {
            let (snapshot, _) = self.queue.snapshot()?;
            let moves = self.catch_up(&snapshot)?;
            self.show(moves);
        } else {
            self.pending.extend(taken.events);
        }
        Ok(())
    }

    /// Makes the next change; all of them if they are told as one.
    fn advance(&mut self) -> Result<()> {
        if self.options.squash.is_none() {
            let moves = self.make_next()?;
            self.show(moves);
            return Ok(());
        }
        let before = self.options.form.offsets.then(|| self.known.window().to_vec());
        let mut moves = Vec::new();
        while !self.pending.is_empty() {
            moves.extend(self.make_next()?);
        }
        let mut moves = squash::squash(moves);
        if let Some(before) = before {
            count(before, self.known.direction(), &mut moves);
        }
        self.show(moves);
        Ok(())
    }

    fn make_next(&mut self) -> Result<Vec<Move>> {
        let Some(event) = self.pending.front().cloned() else { return Ok(Vec::new()) };
        let places = Places::of(&event, &self.extent);
        let mut moves = Vec::new();
        if places.concern(&self.known) {
            let value = shown(&*self.transform, event.new.as_ref())?;
            if self.known.is_short_of(places.demand(&self.known))
                && let Some(moves) = self.read_more(places.demand(&self.known))?
            {
                return Ok(moves);
            }
            let steps = places.steps(&self.known, value);
            moves.extend(steps.into_iter().filter_map(|step| self.known.step(step)));
        }
        self.pending.pop_front();
        if self.pending.is_empty() {
            self.known.trim();
        }
        Ok(moves)
    }

    /// Reads on until this many entries are known, and some spare ones. If changes are lost meanwhile,
    /// makes up for all of them at once instead.
    fn read_more(&mut self, demand: usize) -> Result<Option<Vec<Move>>> {
        let (snapshot, taken) = self.queue.snapshot()?;
        self.pending.extend(taken.events);
        if taken.skipped > 0 || self.pending.len() > self.options.queue_size {
            return self.catch_up(&snapshot).map(Some);
        }
        let mut before: HashMap<&[u8], Option<&Datum>> = HashMap::new();
        for event in &self.pending {
            before.entry(&event.key).or_insert(event.old.as_ref());
        }
        let (mut entries, horizon) = self.beyond(&snapshot, demand, &before)?;
        for (key, document) in before {
            let Some(document) = document else { continue };
            let Some(value) = shown(&*self.transform, Some(document))? else { continue };
            let places = self.extent.places(key, document).into_iter();
            let places = places.filter(|place| {
                let is_before = |horizon| compare(self.known.direction(), place, horizon).is_le();
                self.known.is_beyond(place) && horizon.as_ref().is_none_or(is_before)
            });
            entries.extend(places.map(|place| Entry { place, value: value.clone() }));
        }
        entries.sort_by(|a, b| compare(self.known.direction(), &a.place, &b.place));
        self.known.extend(entries, horizon);
        Ok(None)
    }

    /// The entries that a snapshot shows beyond the horizon, and the new horizon, but for documents that
    /// changed.
    fn beyond(
        &self,
        snapshot: &Snapshot,
        demand: usize,
        changed: &HashMap<&[u8], Option<&Datum>>,
    ) -> Result<(Vec<Entry>, Option<Place>)> {
        let mut entries = Vec::new();
        let Some(horizon) = self.known.horizon() else { return Ok((entries, None)) };
        let mut horizon = horizon.clone();
        let mut walk = self.extent.walk_from(&horizon, self.known.direction());
        // The more changes wait, the more entries they may take away.
        let spare = SPARE.max(changed.len() / 4);
        let mut looked = 0;
        loop {
            let count = self.known.count() + entries.len();
            if count >= demand && (count >= demand.saturating_add(spare) || looked >= LOOK) {
                return Ok((entries, Some(horizon)));
            }
            let Some(found) = walk.next(&self.extent, snapshot)? else { return Ok((entries, None)) };
            if !self.known.is_beyond(&found.place) {
                continue;
            }
            looked += 1;
            horizon.clone_from(&found.place);
            if !changed.contains_key(found.key.as_slice())
                && let Some(value) = shown(&*self.transform, Some(&found.document))?
            {
                entries.push(Entry { place: found.place, value });
            }
        }
    }

    /// Goes to what a snapshot shows at once, after changes were lost.
    fn catch_up(&mut self, snapshot: &Snapshot) -> Result<Vec<Move>> {
        self.pending.clear();
        let (direction, limit) = (self.known.direction(), self.known.limit());
        let first = |document: &Datum| shown(&*self.transform, Some(document));
        let fresh = first_of(&self.extent, snapshot, (direction, limit), first)?;
        let before = std::mem::replace(&mut self.known, fresh);
        Ok(before.moves_to(&self.known))
    }

    fn show(&mut self, moves: Vec<Move>) {
        let form = self.options.form;
        let side = |placed: Option<Placed>| match placed {
            Some((entry, offset)) => Side::Value(Some(entry.value), form.offsets.then_some(offset)),
            None => Side::Value(None, None),
        };
        for Move { old, new } in moves {
            let (old, new) = (side(old), side(new));
            if old != new {
                self.rows.extend(form.change(old, new));
            }
        }
    }
}

/// The first entries in a snapshot.
fn first_of(
    extent: &Extent,
    snapshot: &Snapshot,
    (direction, limit): (Direction, usize),
    value: impl Fn(&Datum) -> Result<Option<Datum>>,
) -> Result<Known> {
    let mut walk = extent.walk(direction);
    let mut entries = Vec::new();
    let mut horizon = None;
    while entries.len() < limit {
        let Some(found) = walk.next(extent, snapshot)? else {
            horizon = None;
            break;
        };
        horizon = Some(found.place.clone());
        if let Some(value) = value(&found.document)? {
            entries.push(Entry { place: found.place, value });
        }
    }
    Ok(Known::new(direction, limit, entries, horizon))
}

impl Feed for Window {
    fn next(&mut self) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            if !self.pending.is_empty() {
                self.advance()?;
                continue;
            }
            let Some(taken) = self.queue.poll()? else { return Ok(None) };
            self.take_in(taken)?;
        }
    }
}
