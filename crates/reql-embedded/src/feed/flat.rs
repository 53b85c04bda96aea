//! Feeds that show each change by itself: of a table, a range or a single document.
//!
//! Documents that were there before and changes made meanwhile are joined without a gap or a double. The
//! documents are read in parts, each in a snapshot of its own, so that a slow reader pins no pages. Every
//! snapshot is taken at a known point in the sequence of changes: a change up to there counts only where the
//! reading had come by already, since the snapshot shows the rest of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::extent::{Extent, Place, Walk};
use super::queue::Queue;
use super::row::{Side, skipped};
use super::{Feed, Options, Transform, Wake, shown};
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::{ChangeEvent, Direction, Subscription};

/// How many documents are read in one snapshot.
const PART: usize = 256;

/// How many rows there is room for while there are none.
const KEEP: usize = 16;

/// A feed of changes, one by one.
pub struct Flat {
    extent: Arc<Extent>,
    transform: Box<dyn Transform>,
    options: Options,
    queue: Arc<Queue>,
    phase: Phase,
    /// How far the initial documents have been read.
    read: Read,
    /// Changes whose rows are still to be made.
    events: VecDeque<ChangeEvent>,
    rows: VecDeque<Datum>,
    /// Whether the one document that this is about is still to be shown, if only as `null`.
    owes_document: bool,
    _subscription: Subscription,
}

enum Phase {
    Opening,
    Reading(Box<Walk>),
    Live,
}

enum Read {
    Nothing,
    UpTo(Place),
    Everything,
}

impl Flat {
    /// Starts to listen. A feed of a single document shows that it isn't there, too.
    pub fn open(
        extent: Extent,
        transform: Box<dyn Transform>,
        options: Options,
        wake: Arc<Wake>,
        is_point: bool,
    ) -> Result<Self> {
        let extent = Arc::new(extent);
        let queue = Arc::new(Queue::new(extent.clone(), wake, options.squash, options.queue_size));
        let (subscription, _) = extent.table.subscribe(queue.clone())?;
        Ok(Flat {
            extent,
            transform,
            options,
            queue,
            phase: Phase::Opening,
            read: Read::Nothing,
            events: VecDeque::new(),
            rows: VecDeque::new(),
            owes_document: is_point,
            _subscription: subscription,
        })
    }

    fn open_phase(&mut self) {
        if self.options.include_initial {
            self.rows.extend(self.options.form.state("initializing"));
            self.phase = Phase::Reading(Box::new(self.extent.walk(Direction::Forward)));
        } else {
            self.go_live();
        }
    }

    fn go_live(&mut self) {
        self.read = Read::Everything;
        self.phase = Phase::Live;
        self.rows.extend(self.options.form.state("ready"));
    }

    /// Reads the next part of the initial documents.
    fn read_part(&mut self, mut walk: Box<Walk>) -> Result<()> {
        let (snapshot, taken) = self.queue.snapshot()?;
        self.note_skipped(taken.skipped);
        for event in taken.events {
            self.report(event)?;
        }
        for _ in 0..PART {
            let Some(found) = walk.next(&self.extent, &snapshot)? else {
                if std::mem::take(&mut self.owes_document) {
                    self.rows.push_back(self.options.form.initial(Datum::Null, None));
                }
                self.go_live();
                return Ok(());
            };
            if let Some(value) = self.transform.apply(&found.document)?.filter(|value| !value.is_null()) {
                self.owes_document = false;
                let row = self.options.form.initial(value, None);
                self.rows.extend(std::iter::repeat_n(row, found.copies));
            }
            self.read = Read::UpTo(found.place);
        }
        walk.suspend();
        self.phase = Phase::Reading(walk);
        Ok(())
    }

    fn note_skipped(&mut self, count: usize) {
        if count > 0 {
            self.rows.push_back(skipped(count));
        }
    }

    /// Makes the rows of a change: one for each place where the document was or is.
    fn report(&mut self, event: ChangeEvent) -> Result<()> {
        let ChangeEvent { key, old, new } = event;
        let places = |document: &Option<Datum>| {
            let places = document.as_ref().map(|document| self.extent.places(&key, document));
            places.unwrap_or_default().into_iter()
        };
        let (mut old_places, mut new_places) = (places(&old), places(&new));
        let (old, new) = (shown(&*self.transform, old.as_ref())?, shown(&*self.transform, new.as_ref())?);
        let stays_the_same = old == new;
        loop {
            let places = (old_places.next(), new_places.next());
            match &places {
                (None, None) => return Ok(()),
                // One that moves to where it hasn't been read, or from there, has to be told all the same.
                (Some(was), Some(is)) if stays_the_same && self.has_read(was) == self.has_read(is) => {
                    continue;
                }
                _ => {}
            }
            let (was, is) = places;
            let row = self.options.form.change(self.side(was, &old), self.side(is, &new));
            self.rows.extend(row);
        }
    }

    /// What a client knows, or has to be told, of a document at a place.
    fn side(&self, place: Option<Place>, value: &Option<Datum>) -> Side {
        match place {
            None => Side::value(None),
            Some(place) if self.has_read(&place) => Side::value(value.clone()),
            Some(_) => Side::Unread,
        }
    }

    fn has_read(&self, place: &Place) -> bool {
        match &self.read {
            Read::Nothing => false,
            Read::UpTo(last) => place <= last,
            Read::Everything => true,
        }
    }
}

impl Feed for Flat {
    fn next(&mut self) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            if let Some(event) = self.events.pop_front() {
                self.report(event)?;
                continue;
            }
            match std::mem::replace(&mut self.phase, Phase::Live) {
                Phase::Opening => self.open_phase(),
                Phase::Reading(walk) => self.read_part(walk)?,
                Phase::Live => {
                    let Some(taken) = self.queue.poll()? else {
                        // The first rows were many; what comes now may be little, and far apart.
                        self.rows.shrink_to(KEEP);
                        return Ok(None);
                    };
                    self.note_skipped(taken.skipped);
                    self.events = taken.events.into();
                }
            }
        }
    }
}
