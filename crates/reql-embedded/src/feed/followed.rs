//! The state that is common to feeds of a table's rows: the documents, their form, and the rows to tell.

use std::collections::VecDeque;
use std::sync::Arc;

use super::extent::{Extent, Place};
use super::queue::{Capacity, Change, Mark, Queue, Taken};
use super::row::Side;
use super::{Options, Transform, Wake};
use crate::budget::memory;
use crate::datum::Datum;
use crate::error::{ErrorKind, Result};
use crate::storage::{Snapshot, Subscription};

/// The rows that there is room for while there are none.
const KEEP: usize = 16;

/// The changes after which a feed takes no more from its queue at a time. What is taken stays in memory while
/// the reader stalls. The rest of the queue is skipped if it grows too much.
const PART: Capacity = Capacity { changes: 64, bytes: 64 << 10 };

/// A part of a table that is followed.
pub(super) struct Followed {
    pub(super) extent: Arc<Extent>,
    transform: Box<dyn Transform>,
    pub(super) options: Options,
    queue: Arc<Queue>,
    /// Changes whose rows are still to be made.
    pub(super) pending: VecDeque<Change>,
    rows: VecDeque<Datum>,
    _subscription: Subscription,
}

impl Followed {
    /// Starts to listen. The snapshot shows the table at exactly this moment.
    pub(super) fn listen(
        extent: Extent,
        transform: Box<dyn Transform>,
        options: Options,
        wake: Arc<Wake>,
    ) -> Result<(Self, Snapshot)> {
        let extent = Arc::new(extent);
        let queue = Arc::new(Queue::new(extent.clone(), wake, options.squash, options.queue));
        let (subscription, snapshot) = extent.table.subscribe(queue.clone())?;
        let followed = Followed {
            extent,
            transform,
            options,
            queue,
            pending: VecDeque::new(),
            rows: VecDeque::new(),
            _subscription: subscription,
        };
        Ok((followed, snapshot))
    }

    /// Returns the form of a document that the feed shows; `None` if it leaves the document out.
    pub(super) fn form(&self, document: &Datum) -> Result<Option<Datum>> {
        self.transform.apply(document)
    }

    /// Returns the form of a document in a change. A document for which the form fails is left out, as by an
    /// index.
    pub(super) fn shown(&self, document: Option<&Datum>) -> Result<Option<Datum>> {
        shown(&*self.transform, document)
    }

    /// Returns the row of a document in a change of a feed without an order.
    pub(super) fn told(&self, document: Option<&Datum>) -> Result<Option<Datum>> {
        told(&*self.transform, document)
    }

    /// Returns the places of a document, each as often as it counts.
    pub(super) fn places(&self, key: &[u8], document: Option<&Datum>) -> Vec<Place> {
        document.map(|document| self.extent.places(key, document)).unwrap_or_default()
    }

    /// Returns the table at one moment, with the changes up to that moment that haven't been taken yet.
    pub(super) fn snapshot(&self) -> Result<(Snapshot, Taken)> {
        self.queue.snapshot()
    }

    /// Returns the table at one moment, and the end of the changes that the snapshot shows.
    pub(super) fn marked_snapshot(&self) -> Result<(Snapshot, Mark)> {
        self.queue.marked_snapshot()
    }

    /// Takes changes before a mark; none if there are no more.
    pub(super) fn take_before(&self, mark: Mark) -> Result<Taken> {
        self.queue.take_before(mark, PART)
    }

    /// Returns true if a few changes wait, and can be shown as they are. The functions of an index, or of a
    /// document's multiplicity, may take any time.
    pub(super) fn is_light(&self) -> bool {
        self.transform.is_identity()
            && self.extent.index.is_none()
            && self.extent.multiplicity.is_none()
            && self.pending.is_empty()
            && self.rows.is_empty()
            && self.queue.holds_little()
    }

    /// Takes changes that are due; `None` if there are none. With `is_taken_as_one`, takes all of them.
    pub(super) fn poll(&mut self, is_taken_as_one: bool) -> Result<Option<Taken>> {
        let taken = self.queue.poll(if is_taken_as_one { Capacity::ALL } else { PART })?;
        if taken.is_none() {
            // The first rows may have been many; later ones may be few, and far apart.
            self.rows.shrink_to(KEEP);
        }
        Ok(taken)
    }

    /// Adds rows to send.
    pub(super) fn tell(&mut self, rows: impl IntoIterator<Item = Datum>) {
        self.rows.extend(rows);
    }

    /// Adds a change to send.
    pub(super) fn tell_change(&mut self, old: Side, new: Side) {
        self.rows.extend(self.options.form.change(old, new));
    }

    /// Adds a state to send, if the feed reports states.
    pub(super) fn tell_state(&mut self, state: &str) {
        self.rows.extend(self.options.form.state(state));
    }

    /// Takes the next row to send.
    pub(super) fn next_row(&mut self) -> Option<Datum> {
        self.rows.pop_front()
    }
}

/// Returns the form of a document in a change. A document for which the form fails is left out, as by an
/// index. Fails if the form can't be known now.
fn shown(transform: &dyn Transform, document: Option<&Datum>) -> Result<Option<Datum>> {
    let Some(document) = document else { return Ok(None) };
    match transform.apply(document) {
        Err(error) if error.kind() != ErrorKind::Interrupted && !memory::is_shortage(&error) => Ok(None),
        result => result,
    }
}

/// Returns the row of a document in a change. One that is `null` is none (`changefeed.cc`).
pub(super) fn told(transform: &dyn Transform, document: Option<&Datum>) -> Result<Option<Datum>> {
    Ok(shown(transform, document)?.filter(|row| !row.is_null()))
}
