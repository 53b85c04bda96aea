//! Feeds of the first documents of an order: `order_by(index).limit(n)`, and `min` and `max` by an index.
//!
//! The window goes from change to change and holds exactly the first entries that the table held then. If
//! more entries leave than there are spare ones, further ones are read. The snapshot for that is ahead of the
//! window by the changes that are still to be made. So these are taken along with the snapshot, and its
//! versions of their documents are replaced by the versions before the changes.
//!
//! | file | contents |
//! |---|---|
//! | `ordered` | entries by their places and by their offsets |
//! | `known` | the entries that are known, and the moves that result from steps |
//! | `steps` | the steps that a changed document takes, one for each of its entries |
//! | `squash` | one move of many |

mod known;
mod ordered;
mod squash;
mod steps;

use std::collections::HashMap;
use std::sync::Arc;

use self::known::{Known, Move, Placed, SPARE, count};
use self::ordered::Entry;
use self::steps::Places;
use super::extent::{Extent, Place};
use super::followed::Followed;
use super::queue::{Change, Taken};
use super::row::Side;
use super::{Feed, Options, Transform, Wake};
use crate::datum::Datum;
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::storage::{Direction, Snapshot};

/// The documents that are read at most in search of spare entries.
const LOOK: usize = 256;

/// The part of a queue's bytes that the changes may have which a window has taken and not made yet: 4 MiB by
/// default. Beyond that, it makes up for all of them at once.
const PENDING: usize = 16;

/// The factor by which a window may get larger than its queue, in bytes: 256 MiB by default.
const WINDOW: usize = 4;

/// A feed of the first documents of an order.
pub struct Window {
    followed: Followed,
    known: Known,
}

impl Window {
    /// Starts to listen, and reads the window.
    pub fn open(
        extent: Extent,
        transform: Box<dyn Transform>,
        options: Options,
        wake: Arc<Wake>,
        order: (Direction, usize),
    ) -> Result<Self> {
        let (followed, snapshot) = Followed::listen(extent, transform, options, wake)?;
        let known = first_of(&followed, &snapshot, order)?;
        let mut window = Window { followed, known };
        window.show_initial();
        Ok(window)
    }

    fn show_initial(&mut self) {
        let form = self.followed.options.form;
        if self.followed.options.include_initial {
            self.followed.tell_state("initializing");
            let entries = self.known.window().enumerate();
            self.followed.tell(entries.map(|(at, entry)| form.initial(entry.value.clone(), Some(at))));
        }
        self.followed.tell_state("ready");
    }

    fn take_in(&mut self, taken: Taken) -> Result<()> {
        if taken.skipped > 0 {
            let (snapshot, _) = self.followed.snapshot()?;
            let moves = self.catch_up(&snapshot)?;
            self.show(moves);
        } else {
            self.followed.pending.extend(taken.changes);
        }
        Ok(())
    }

    /// Makes the next change; all of them if they are sent as one.
    fn advance(&mut self) -> Result<()> {
        if self.followed.options.squash.is_none() {
            let moves = self.make_next()?;
            self.show(moves);
            return Ok(());
        }
        let before = self.followed.options.form.offsets.then(|| self.known.shown());
        let mut moves = Vec::new();
        while !self.followed.pending.is_empty() {
            moves.extend(self.make_next()?);
        }
        let mut moves = squash::squash(moves);
        if let Some(before) = before {
            count(before, &mut moves);
        }
        self.show(moves);
        Ok(())
    }

    fn make_next(&mut self) -> Result<Vec<Move>> {
        let Some(change) = self.followed.pending.front().cloned() else { return Ok(Vec::new()) };
        let places = Places::of(&change, &self.followed);
        let mut moves = Vec::new();
        if places.concern(&self.known) {
            let value = self.followed.shown(change.after())?;
            if self.known.is_short_of(places.demand(&self.known))
                && let Some(moves) = self.read_more(places.demand(&self.known))?
            {
                return Ok(moves);
            }
            let steps = places.steps(&self.known, value);
            moves.extend(steps.into_iter().filter_map(|step| self.known.step(step)));
        }
        self.followed.pending.pop_front();
        if self.followed.pending.is_empty() {
            self.known.trim();
        }
        Ok(moves)
    }

    /// Reads on until `demand` entries are known, and some spare ones. If changes are lost meanwhile, makes
    /// up for all of them at once instead.
    fn read_more(&mut self, demand: usize) -> Result<Option<Vec<Move>>> {
        let (snapshot, taken) = self.followed.snapshot()?;
        self.followed.pending.extend(taken.changes);
        if taken.skipped > 0 || self.has_too_many() {
            return self.catch_up(&snapshot).map(Some);
        }
        let mut before: HashMap<&[u8], Option<&Datum>> = HashMap::new();
        for change in &self.followed.pending {
            before.entry(change.key()).or_insert(change.before());
        }
        let (mut entries, horizon) = self.beyond(&snapshot, demand, &before)?;
        for (key, document) in before {
            let Some(document) = document else { continue };
            let Some(value) = self.followed.shown(Some(document))? else { continue };
            let places = self.followed.places(key, Some(document)).into_iter();
            let places = places.filter(|place| {
                let is_before = |horizon| self.known.compare(place, horizon).is_le();
                self.known.is_beyond(place) && horizon.as_ref().is_none_or(is_before)
            });
            entries.extend(places.map(|place| Entry { place, value: value.clone() }));
        }
        entries.sort_by(|a, b| self.known.compare(&a.place, &b.place));
        self.known.extend(entries, horizon);
        Ok(None)
    }

    /// Returns true if the changes that have been taken are too many to be kept for a reader who may stall.
    fn has_too_many(&self) -> bool {
        let (pending, queue) = (&self.followed.pending, self.followed.options.queue);
        let bytes: usize = pending.iter().map(Change::size).sum();
        pending.len() > queue.changes || pending.len() > 1 && bytes > queue.bytes / PENDING
    }

    /// Returns the entries that a snapshot shows beyond the horizon, and the new horizon. Documents that
    /// changed are left out.
    fn beyond(
        &self,
        snapshot: &Snapshot,
        demand: usize,
        changed: &HashMap<&[u8], Option<&Datum>>,
    ) -> Result<(Vec<Entry>, Option<Place>)> {
        let mut entries = Vec::new();
        let Some(horizon) = self.known.horizon() else { return Ok((entries, None)) };
        let mut horizon = horizon.clone();
        let mut walk = self.followed.extent.walk_from(&horizon, self.known.direction());
        // The more changes wait, the more entries they may remove.
        let spare = SPARE.max(changed.len() / 4);
        let mut looked = 0;
        loop {
            let count = self.known.count() + entries.len();
            if count >= demand && (count >= demand.saturating_add(spare) || looked >= LOOK) {
                return Ok((entries, Some(horizon)));
            }
            let Some(found) = walk.next(&self.followed.extent, snapshot)? else { return Ok((entries, None)) };
            if !self.known.is_beyond(&found.place) {
                continue;
            }
            looked += 1;
            horizon.clone_from(&found.place);
            if !changed.contains_key(found.key.as_slice())
                && let Some(value) = self.followed.shown(Some(&found.document))?
            {
                entries.push(Entry { place: found.place, value });
            }
        }
    }

    /// Replaces the window by that of a snapshot at once, after changes were lost.
    fn catch_up(&mut self, snapshot: &Snapshot) -> Result<Vec<Move>> {
        self.followed.pending.clear();
        let order = (self.known.direction(), self.known.limit());
        let fresh = first_of(&self.followed, snapshot, order)?;
        let before = std::mem::replace(&mut self.known, fresh);
        let mut moves = before.moves_to(&self.known);
        if self.followed.options.form.offsets {
            count(before.shown(), &mut moves);
        }
        Ok(moves)
    }

    fn show(&mut self, moves: Vec<Move>) {
        let form = self.followed.options.form;
        let side = |placed: Option<Placed>| match placed {
            Some((entry, offset)) => Side::Value(Some(entry.value), form.offsets.then_some(offset)),
            None => Side::Value(None, None),
        };
        for Move { old, new } in moves {
            let (old, new) = (side(old), side(new));
            if old != new {
                self.followed.tell_change(old, new);
            }
        }
    }
}

/// Returns the first entries in a snapshot. As in changes, a document for which the form fails is left out.
fn first_of(
    followed: &Followed,
    snapshot: &Snapshot,
    (direction, limit): (Direction, usize),
) -> Result<Known> {
    let mut walk = followed.extent.walk(direction);
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let mut horizon = None;
    while entries.len() < limit {
        let Some(found) = walk.next(&followed.extent, snapshot)? else {
            horizon = None;
            break;
        };
        horizon = Some(found.place.clone());
        if let Some(value) = followed.shown(Some(&found.document))? {
            let entry = Entry { place: found.place, value };
            bytes += entry.size();
            check_size(followed, bytes)?;
            entries.push(entry);
        }
    }
    Ok(Known::new(direction, limit, entries, horizon))
}

/// Fails for a window that takes too much memory. It may take as much as [`WINDOW`] full queues.
fn check_size(followed: &Followed, bytes: usize) -> Result<()> {
    let most = followed.options.queue.bytes.saturating_mul(WINDOW);
    if bytes <= most {
        return Ok(());
    }
    let message = format!(
        "The documents that a changefeed shows the first of, with what is needed to keep them, may have \
         {most} bytes."
    );
    Err(Error::new(ErrorKind::ResourceLimit, message).at(Bt::default()))
}

impl Feed for Window {
    fn next(&mut self) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.followed.next_row() {
                return Ok(Some(row));
            }
            if !self.followed.pending.is_empty() {
                self.advance()?;
                check_size(&self.followed, self.known.bytes())?;
                continue;
            }
            let is_squashed = self.followed.options.squash.is_some();
            let Some(taken) = self.followed.poll(is_squashed)? else { return Ok(None) };
            self.take_in(taken)?;
        }
    }
}
