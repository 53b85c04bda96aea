//! Which documents belong to a feed, and where they stand in its order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::storage::{Direction, IndexEntries, IndexEntry, IndexScan, KeyRange, Scan, Snapshot, Table};

/// How often a document counts, where neither its key nor an index tells.
pub type Multiplicity = Arc<dyn Fn(&Datum) -> usize + Send + Sync>;

/// A part of a table, by the primary key or by an index.
pub struct Extent {
    /// The table.
    pub table: Table,
    /// The index whose values the ranges are of; the primary key when there is none.
    pub index: Option<IndexEntries>,
    /// The values.
    pub ranges: Ranges,
    /// How often a document of these counts; once when there is nothing that says otherwise.
    pub multiplicity: Option<Multiplicity>,
}

/// Encoded values.
pub enum Ranges {
    /// Those of a range.
    One(KeyRange),
    /// These, each as often as it says.
    Points(BTreeMap<Vec<u8>, usize>),
}

/// Where a document stands: once for each of its entries in an index. Without an index, that is its key.
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
    /// Whether a document with this key may belong to it. Quick: the writer asks.
    pub fn concerns(&self, key: &[u8]) -> bool {
        self.index.is_some() || self.ranges.count(key) > 0
    }

    /// Returns the keys of the documents that may belong to it, where they are known. For few keys, the
    /// writer need not even ask.
    pub fn keys(&self) -> Option<Vec<Vec<u8>>> {
        match &self.ranges {
            Ranges::Points(points) if self.index.is_none() => Some(points.keys().cloned().collect()),
            _ => None,
        }
    }

    /// Where a document stands, each place as often as it counts.
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

    /// All of it in order, to be read in parts.
    pub fn walk(&self, direction: Direction) -> Walk {
        Walk { ranges: self.ranges.to_list(), direction, scan: None, is_suspended: false }
    }

    /// What may lie beyond a place, that place and those of equal value included.
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

/// What is left of an extent that is being read.
pub struct Walk {
    ranges: VecDeque<KeyRange>,
    direction: Direction,
    scan: Option<AnyScan>,
    is_suspended: bool,
}

/// A document on a walk.
pub struct Found {
    /// Its key, encoded.
    pub key: Vec<u8>,
    /// Where it stands.
    pub place: Place,
    /// How often it counts there.
    pub copies: usize,
    /// The document.
    pub document: Datum,
}

impl Walk {
    /// The next document as a snapshot shows it: the same one until the walk is suspended.
    pub fn next(&mut self, extent: &Extent, snapshot: &Snapshot) -> Result<Option<Found>> {
        loop {
            if self.scan.is_none() {
                let Some(range) = self.ranges.pop_front() else { return Ok(None) };
                self.scan = Some(extent.scan(snapshot, range, self.direction)?);
                self.is_suspended = false;
            }
            let Some(scan) = &mut self.scan else { continue };
            if std::mem::take(&mut self.is_suspended) {
                scan.resume(snapshot)?;
            }
            match scan.next()? {
                Some((key, place, document)) => {
                    let copies = extent.copies(&place, &document);
                    return Ok(Some(Found { key, place, copies, document }));
                }
                None => self.scan = None,
            }
        }
    }

    /// Lets go of the snapshot.
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

    fn next(&mut self) -> Result<Option<(Vec<u8>, Place, Datum)>> {
        Ok(match self {
            AnyScan::Primary(scan) => scan.next()?.map(|document| {
                let key = scan.key().to_vec();
                (key.clone(), Place { value_length: key.len(), bytes: key }, document)
            }),
            AnyScan::Index(scan) => {
                scan.next()?.map(|document| (scan.key().to_vec(), scan.entry(), document))
            }
        })
    }
}
