//! The documents that belong to a feed, and their places in its order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::{
    Direction, IndexEntries, IndexEntry, IndexScan, KeyRange, Scan, Snapshot, Table, Within,
};

/// The number of times that a document counts, if it follows neither from its key nor from an index.
pub type Multiplicity = Arc<dyn Fn(&Datum) -> usize + Send + Sync>;

/// A part of a table, by the primary key or by an index.
pub struct Extent {
    /// The table.
    pub table: Table,
    /// Index whose values the ranges are of; the primary key if there is none.
    pub index: Option<IndexEntries>,
    /// The values.
    pub ranges: Ranges,
    /// Number of times that a document in the ranges counts; once if it is `None`.
    pub multiplicity: Option<Multiplicity>,
}

/// Encoded values.
pub enum Ranges {
    /// The values of a range.
    One(KeyRange),
    /// Single values, each with the number of times that it counts.
    Points(BTreeMap<Vec<u8>, usize>),
}

/// The place of a document: each of its entries in an index. Without an index, its key.
pub type Place = IndexEntry;

impl Ranges {
    fn count(&self, value: &[u8]) -> usize {
        match self {
            Ranges::One(range) => usize::from(range.contains(value)),
            Ranges::Points(points) => points.get(value).copied().unwrap_or_default(),
        }
    }

    fn to_list(&self) -> VecDeque<KeyRange> {
        match self {
            Ranges::One(range) => VecDeque::from([range.clone()]),
            Ranges::Points(points) => points.keys().map(|value| KeyRange::point(value.clone())).collect(),
        }
    }
}

impl Extent {
    /// Returns true if a document with this key may belong to the extent. It is quick, because the writer
    /// calls it.
    pub fn concerns(&self, key: &[u8]) -> bool {
        self.index.is_some() || self.ranges.count(key) > 0
    }

    /// Returns the keys of the documents that may belong to the extent, if they are known. For few keys, the
    /// writer need not even call the listener.
    pub fn keys(&self) -> Option<Vec<Vec<u8>>> {
        match &self.ranges {
            Ranges::Points(points) if self.index.is_none() => Some(points.keys().cloned().collect()),
            _ => None,
        }
    }

    /// Returns the places of a document, each as often as it counts.
    pub fn places(&self, key: &[u8], document: &Datum) -> Vec<Place> {
        let places = match &self.index {
            Some(index) => index.of_document(key, document),
            None => vec![Place { bytes: key.to_vec(), value_length: key.len() }],
        };
        let mut counted = Vec::with_capacity(places.len());
        for place in places {
            let copies = self.copies(&place, document);
            counted.extend(std::iter::repeat_n(place, copies));
        }
        counted
    }

    fn copies(&self, place: &Place, document: &Datum) -> usize {
        match self.ranges.count(place.value()) {
            0 => 0,
            count => count * self.multiplicity.as_ref().map_or(1, |multiplicity| multiplicity(document)),
        }
    }

    /// Begins a walk over the whole extent in order, to be read in parts.
    pub fn walk(&self, direction: Direction) -> Walk {
        Walk { ranges: self.ranges.to_list(), direction, scan: None, is_suspended: false }
    }

    /// Begins a walk over the entries beyond a place, those of that place and of equal values included.
    pub fn walk_from(&self, place: &Place, direction: Direction) -> Walk {
        let mut walk = self.walk(direction);
        if let Some(range) = walk.ranges.front_mut() {
            let value = Bound::Included(place.value().to_vec());
            match direction {
                Direction::Forward => range.lower = value,
                Direction::Backward => range.upper = value,
            }
        }
        walk
    }

    fn scan(&self, snapshot: &Snapshot, range: KeyRange, direction: Direction) -> Result<AnyScan> {
        let Some(index) = &self.index else { return Ok(AnyScan::Primary(snapshot.scan(range, direction)?)) };
        if self.table.index_status(index.name())?.id != index.id() {
            return Err(Error::op_failed(format!(
                "Index `{}` was not found on table `{}`.",
                index.name(),
                self.table.display_name()
            )));
        }
        Ok(AnyScan::Index(snapshot.index_scan(index.name(), range, direction)?))
    }
}

enum AnyScan {
    Primary(Scan),
    Index(IndexScan),
}

/// The rest of an extent that is being read.
pub struct Walk {
    ranges: VecDeque<KeyRange>,
    direction: Direction,
    scan: Option<AnyScan>,
    is_suspended: bool,
}

/// A document on a walk.
pub struct Found {
    /// Key of the document, encoded.
    pub key: Vec<u8>,
    /// Place of the document.
    pub place: Place,
    /// Number of times that the document counts there.
    pub copies: usize,
    /// The document.
    pub document: Datum,
}

/// A step of a walk.
pub enum Step {
    /// The next document.
    Found(Found),
    /// The next document is larger than there is room for. It is still the next one.
    TooLarge,
    /// There are no more.
    End,
}

impl Walk {
    /// Returns the next document as a snapshot shows it: the same one until the walk is suspended.
    pub fn next(&mut self, extent: &Extent, snapshot: &Snapshot) -> Result<Option<Found>> {
        match self.next_within(usize::MAX, extent, snapshot)? {
            Step::Found(found) => Ok(Some(found)),
            Step::TooLarge | Step::End => Ok(None),
        }
    }

    /// Returns the next document, unless it has more than `room` bytes as it is stored. The walk is suspended
    /// then.
    pub fn next_within(&mut self, room: usize, extent: &Extent, snapshot: &Snapshot) -> Result<Step> {
        loop {
            if self.scan.is_none() {
                let Some(range) = self.ranges.pop_front() else { return Ok(Step::End) };
                self.scan = Some(extent.scan(snapshot, range, self.direction)?);
                self.is_suspended = false;
            }
            let Some(scan) = &mut self.scan else { continue };
            if std::mem::take(&mut self.is_suspended) {
                scan.resume(snapshot)?;
            }
            match scan.next_within(room)? {
                Within::Document(document) => {
                    let (key, place) = scan.place();
                    let copies = extent.copies(&place, &document);
                    return Ok(Step::Found(Found { key, place, copies, document }));
                }
                Within::TooLarge => {
                    self.suspend();
                    return Ok(Step::TooLarge);
                }
                Within::End => self.scan = None,
            }
        }
    }

    /// Ends the use of the snapshot.
    pub fn suspend(&mut self) {
        match &mut self.scan {
            Some(AnyScan::Primary(scan)) => scan.suspend(),
            Some(AnyScan::Index(scan)) => scan.suspend(),
            None => {}
        }
        self.is_suspended = true;
    }
}

impl AnyScan {
    fn resume(&mut self, snapshot: &Snapshot) -> Result<()> {
        match self {
            AnyScan::Primary(scan) => scan.resume(snapshot),
            AnyScan::Index(scan) => scan.resume(snapshot),
        }
    }

    fn next_within(&mut self, room: usize) -> Result<Within> {
        match self {
            AnyScan::Primary(scan) => scan.next_within(room),
            AnyScan::Index(scan) => scan.next_within(room),
        }
    }

    /// Returns the key of the last document, and its place.
    fn place(&self) -> (Vec<u8>, Place) {
        match self {
            AnyScan::Primary(scan) => {
                let key = scan.key().to_vec();
                (key.clone(), Place { value_length: key.len(), bytes: key })
            }
            AnyScan::Index(scan) => (scan.key().to_vec(), scan.entry()),
        }
    }
}
