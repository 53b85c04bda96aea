//! Feeds that show each change by itself: of a table, a range or a single document.
//!
//! Initial documents and changes made meanwhile are joined without a gap or a double. The documents are read
//! in parts, each in a snapshot of its own, so that a slow reader pins no pages. Every snapshot is taken at a
//! known point in the sequence of changes: a change up to that point counts only for documents that have been
//! read already, since the snapshot shows it for all others. These changes are told before the documents of
//! the part, a few at a time: the others wait where they can be skipped if the reader stalls.
//!
//! A large document begins a batch. After small ones, it would wait with them for a reader who has stalled.

use std::sync::Arc;

use super::extent::{Extent, Place, Step, Walk};
use super::followed::Followed;
use super::queue::{Change, Mark};
use super::row::{Side, skipped};
use super::{Feed, Options, Transform, Wake};
use crate::datum::Datum;
use crate::error::Result;
use crate::storage::Direction;

/// The documents that are read in one snapshot.
const PART: usize = 64;
/// The bytes of documents after which no more of them are read in one snapshot. They wait in memory for the
/// reader, and a reader may stall.
const PART_BYTES: usize = 16 << 10;
/// The bytes from which on a document is a large one.
const LARGE: usize = 32 << 10;

/// A feed of changes, one by one.
pub struct Flat {
    followed: Followed,
    phase: Phase,
    /// Progress of reading the initial documents.
    read: Read,
    /// Part that is to be told once the changes before it have been.
    part: Option<Part>,
    /// True if the single document of the feed is still to be shown, if only as `null`.
    owes_document: bool,
    /// True if initial documents have been told since the last pause.
    has_told: bool,
    /// True if the batch is to end before the next document.
    pauses: bool,
    wake: Arc<Wake>,
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

/// Initial documents that have been read in one snapshot.
struct Part {
    /// End of the changes that the snapshot shows.
    mark: Mark,
    rows: Vec<Datum>,
    /// Last place of these documents, if there are any.
    last: Option<Place>,
    /// Rest of the documents, if there is any.
    walk: Option<Box<Walk>>,
}

impl Flat {
    /// Starts to listen. A feed of a single document also shows that the document doesn't exist.
    pub fn open(
        extent: Extent,
        transform: Box<dyn Transform>,
        options: Options,
        wake: Arc<Wake>,
        is_point: bool,
    ) -> Result<Self> {
        let (followed, _) = Followed::listen(extent, transform, options, Arc::clone(&wake))?;
        Ok(Flat {
            followed,
            phase: Phase::Opening,
            read: Read::Nothing,
            part: None,
            owes_document: is_point,
            has_told: false,
            pauses: false,
            wake,
        })
    }

    fn open_phase(&mut self) {
        if self.followed.options.include_initial {
            self.followed.tell_state("initializing");
            self.phase = Phase::Reading(Box::new(self.followed.extent.walk(Direction::Forward)));
        } else {
            self.go_live();
        }
    }

    fn go_live(&mut self) {
        self.read = Read::Everything;
        self.phase = Phase::Live;
        self.followed.tell_state("ready");
    }

    /// Reads the next part of the initial documents.
    fn read_part(&mut self, mut walk: Box<Walk>) -> Result<()> {
        let (snapshot, mark) = self.followed.marked_snapshot()?;
        let form = self.followed.options.form;
        let (mut documents, mut bytes) = (0, 0);
        let (mut rows, mut last) = (Vec::new(), None);
        while documents < PART && bytes < PART_BYTES {
            let room = if self.has_told { LARGE } else { usize::MAX };
            let found = match walk.next_within(room, &self.followed.extent, &snapshot)? {
                Step::Found(found) => found,
                Step::TooLarge => {
                    (self.pauses, self.has_told) = (true, false);
                    break;
                }
                Step::End => {
                    if std::mem::take(&mut self.owes_document) {
                        rows.push(form.initial(Datum::Null, None));
                    }
                    self.part = Some(Part { mark, rows, last, walk: None });
                    return Ok(());
                }
            };
            documents += 1;
            bytes += found.document.size();
            if let Some(value) = self.followed.form(&found.document)?.filter(|value| !value.is_null()) {
                self.owes_document = false;
                self.has_told = true;
                rows.extend(std::iter::repeat_n(form.initial(value, None), found.copies));
            }
            last = Some(found.place);
        }
        walk.suspend();
        self.part = Some(Part { mark, rows, last, walk: Some(walk) });
        Ok(())
    }

    /// Takes the next changes before a part, or else tells the part.
    fn tell_part(&mut self, part: Part) -> Result<()> {
        let taken = self.followed.take_before(part.mark)?;
        self.note_skipped(taken.skipped);
        if !taken.changes.is_empty() {
            self.followed.pending = taken.changes.into();
            self.part = Some(part);
            return Ok(());
        }
        let Part { rows, last, walk, .. } = part;
        self.followed.tell(rows);
        if let Some(last) = last {
            self.read = Read::UpTo(last);
        }
        match walk {
            Some(walk) => self.phase = Phase::Reading(walk),
            None => self.go_live(),
        }
        Ok(())
    }

    fn note_skipped(&mut self, count: usize) {
        if count > 0 {
            self.followed.tell([skipped(count)]);
        }
    }

    /// Makes the rows of a change: one for each place where the document was or is.
    fn report(&mut self, change: &Change) -> Result<()> {
        let places = |document| self.followed.places(change.key(), document).into_iter();
        let (mut old_places, mut new_places) = (places(change.before()), places(change.after()));
        let (old, new) = (self.followed.told(change.before())?, self.followed.told(change.after())?);
        let stays_the_same = old == new;
        loop {
            let (was, is) = (old_places.next(), new_places.next());
            match (&was, &is) {
                (None, None) => return Ok(()),
                // A document that moves into the part that hasn't been read yet, or out of it, has to be
                // reported all the same.
                (Some(was), Some(is)) if stays_the_same && self.has_read(was) == self.has_read(is) => {}
                _ => self.followed.tell_change(self.side(was, &old), self.side(is, &new)),
            }
        }
    }

    /// Returns one side of a change at a place: [`Side::Unread`] if the place hasn't been read yet.
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
    fn is_light(&self) -> bool {
        matches!(self.phase, Phase::Live) && self.part.is_none() && self.followed.is_light()
    }

    fn next(&mut self) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.followed.next_row() {
                return Ok(Some(row));
            }
            if let Some(change) = self.followed.pending.pop_front() {
                self.report(&change)?;
                continue;
            }
            if let Some(part) = self.part.take() {
                self.tell_part(part)?;
                continue;
            }
            if std::mem::take(&mut self.pauses) {
                // The next batch isn't for news.
                self.wake.wake();
                return Ok(None);
            }
            match std::mem::replace(&mut self.phase, Phase::Live) {
                Phase::Opening => self.open_phase(),
                Phase::Reading(walk) => self.read_part(walk)?,
                Phase::Live => {
                    let Some(taken) = self.followed.poll(false)? else { return Ok(None) };
                    self.note_skipped(taken.skipped);
                    self.followed.pending = taken.changes.into();
                }
            }
        }
    }
}
