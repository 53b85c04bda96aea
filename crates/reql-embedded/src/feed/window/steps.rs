//! From the change of a document to the steps that its entries take.
//!
//! With a multi index, a document has several places, and one write moves them all. RethinkDB reports these
//! one by one: first the entries that the same element of the index's array has before and after, then the
//! others. Those that leave come in the order of the array, those that come from the last place to the first.

use std::collections::HashMap;

use super::known::{Known, Step};
use super::ordered::Entry;
use crate::datum::Datum;
use crate::feed::extent::Place;
use crate::feed::followed::Followed;
use crate::feed::queue::Change;

/// The places of a document before and after a change.
pub(super) struct Places {
    was: Vec<Place>,
    is: Vec<Place>,
    key_length: usize,
}

impl Places {
    pub(super) fn of(change: &Change, followed: &Followed) -> Places {
        let places = |document| followed.places(change.key(), document);
        Places { was: places(change.before()), is: places(change.after()), key_length: change.key().len() }
    }

    /// Returns true if the change concerns the known entries: the document was one of them, or is now at a
    /// place that is not beyond the horizon.
    pub(super) fn concern(&self, known: &Known) -> bool {
        self.was.iter().any(|place| known.has(place)) || self.is.iter().any(|place| !known.is_beyond(place))
    }

    /// Returns the number of entries that have to be known for the steps.
    pub(super) fn demand(&self, known: &Known) -> usize {
        known.limit().saturating_add(self.was.len())
    }

    /// Returns the steps, once enough entries are known for them. `value` is the document as the feed shows
    /// it now.
    pub(super) fn steps(mut self, known: &Known, value: Option<Datum>) -> Vec<Step> {
        self.was.retain(|place| known.has(place));
        if value.is_none() {
            self.is.clear();
        }
        // Of one document's entries, no more than a window's worth can be in the window.
        self.is.sort_by(|a, b| known.compare(a, b));
        self.is.truncate(known.limit());
        self.pair().into_iter().map(|(old, new)| Step { old, new: entry(new, value.as_ref()) }).collect()
    }

    fn pair(self) -> Vec<(Option<Place>, Option<Place>)> {
        let Places { mut was, is, key_length } = self;
        was.sort_by(|a, b| element(a, key_length).cmp(element(b, key_length)));
        let by_element = is.iter().enumerate().map(|(at, new)| (element(new, key_length).to_vec(), at));
        let by_element: HashMap<_, _> = by_element.collect();
        let mut coming: Vec<_> = is.into_iter().map(Some).collect();
        let (mut pairs, mut leaving) = (Vec::new(), Vec::new());
        for old in was {
            let same = by_element.get(element(&old, key_length));
            match same.and_then(|at| coming.get_mut(*at)?.take()) {
                Some(new) => pairs.push((Some(old), Some(new))),
                None => leaving.push(old),
            }
        }
        let (mut leaving, mut coming) = (leaving.into_iter(), coming.into_iter().flatten().rev());
        loop {
            match (leaving.next(), coming.next()) {
                (None, None) => return pairs,
                pair => pairs.push(pair),
            }
        }
    }
}

fn entry(place: Option<Place>, value: Option<&Datum>) -> Option<Entry> {
    Some(Entry { place: place?, value: value?.clone() })
}

/// Returns the bytes that tell the entries of one document in a multi index apart. They compare in the order
/// of the array. Without a multi index there are none.
fn element(place: &Place, key_length: usize) -> &[u8] {
    place.bytes.get(place.value_length + key_length..).unwrap_or_default()
}
