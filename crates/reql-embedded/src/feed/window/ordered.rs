//! Entries in order, each of which can be found by its place or by its offset without counting them all.
//!
//! They are kept in blocks. An insertion moves the entries of one block, and an offset is the sum of the
//! lengths of the blocks before: with 100,000 entries that is 400 additions at most. Blocks are shared by
//! copies until one of them is changed, so that a copy costs as much as an offset does.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::datum::Datum;
use crate::feed::extent::Place;
use crate::storage::Direction;

/// The number of entries in a block that is new; one with twice as many is split.
const BLOCK: usize = 256;

/// A document at one of its places in the order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// Value of the document, as the feed shows it.
    pub(super) value: Datum,
}

/// Entries in the order of their places.
#[derive(Clone)]
pub(super) struct Ordered {
    direction: Direction,
    /// None of them is empty.
    blocks: Vec<Arc<Vec<Entry>>>,
    len: usize,
    bytes: usize,
}

/// The memory that an entry takes besides its value and its place, in bytes.
const OVERHEAD: usize = 96;

impl Entry {
    /// Returns the bytes of memory that the entry takes.
    pub(super) fn size(&self) -> usize {
        OVERHEAD + self.place.bytes.len() + self.value.size()
    }
}

impl Ordered {
    /// Makes the list of entries that are in order already.
    pub(super) fn new(direction: Direction, entries: Vec<Entry>) -> Self {
        let mut ordered = Ordered { direction, blocks: Vec::new(), len: 0, bytes: 0 };
        ordered.append(entries);
        ordered
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes of memory that the entries take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    pub(super) fn last(&self) -> Option<&Entry> {
        self.blocks.last()?.last()
    }

    pub(super) fn compare(&self, a: &Place, b: &Place) -> Ordering {
        match self.direction {
            Direction::Forward => a.cmp(b),
            Direction::Backward => b.cmp(a),
        }
    }

    pub(super) fn contains(&self, place: &Place) -> bool {
        self.find(place).is_ok()
    }

    /// Returns the entry at an offset.
    pub(super) fn get(&self, mut offset: usize) -> Option<&Entry> {
        for block in &self.blocks {
            if let Some(entry) = block.get(offset) {
                return Some(entry);
            }
            offset -= block.len();
        }
        None
    }

    /// Adds entries that come after all others and are in order.
    pub(super) fn append(&mut self, entries: Vec<Entry>) {
        self.len += entries.len();
        self.bytes += size(&entries);
        let mut entries = entries.into_iter();
        loop {
            let block: Vec<_> = entries.by_ref().take(BLOCK).collect();
            if block.is_empty() {
                return;
            }
            self.blocks.push(Arc::new(block));
        }
    }

    /// Adds an entry and returns its offset.
    pub(super) fn insert(&mut self, entry: Entry) -> usize {
        let (number, at) = self.find(&entry.place).unwrap_or_else(|spot| spot);
        let offset = self.before(number) + at;
        self.len += 1;
        self.bytes += entry.size();
        let Some(block) = self.blocks.get_mut(number) else {
            self.blocks.push(Arc::new(vec![entry]));
            return offset;
        };
        let block = Arc::make_mut(block);
        block.insert(at, entry);
        if block.len() >= 2 * BLOCK {
            let rest = block.split_off(BLOCK);
            self.blocks.insert(number + 1, Arc::new(rest));
        }
        offset
    }

    /// Removes the entry at a place, and returns it with the offset that it had.
    pub(super) fn remove(&mut self, place: &Place) -> Option<(Entry, usize)> {
        let (number, at) = self.find(place).ok()?;
        let offset = self.before(number) + at;
        let block = Arc::make_mut(self.blocks.get_mut(number)?);
        let entry = block.remove(at);
        if block.is_empty() {
            self.blocks.remove(number);
        }
        self.len -= 1;
        self.bytes -= entry.size();
        Some((entry, offset))
    }

    /// Keeps only the first `len` entries.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.len > len {
            let Some(last) = self.blocks.last_mut() else { return };
            let excess = self.len - len;
            if last.len() <= excess {
                self.len -= last.len();
                self.bytes -= size(last);
                self.blocks.pop();
            } else {
                let left = last.len() - excess;
                self.bytes -= last.get(left..).map_or(0, size);
                Arc::make_mut(last).truncate(left);
                self.len = len;
            }
        }
    }

    /// Returns the number of entries before a block.
    fn before(&self, number: usize) -> usize {
        self.blocks.iter().take(number).map(|block| block.len()).sum()
    }

    /// Returns the block and the position in it of a place, or the position where it would be.
    fn find(&self, place: &Place) -> Result<(usize, usize), (usize, usize)> {
        let begins_after = |block: &Arc<Vec<Entry>>| {
            block.first().is_some_and(|first| self.compare(&first.place, place).is_gt())
        };
        let number = self.blocks.partition_point(|block| !begins_after(block)).saturating_sub(1);
        let Some(block) = self.blocks.get(number) else { return Err((number, 0)) };
        match block.binary_search_by(|entry| self.compare(&entry.place, place)) {
            Ok(at) => Ok((number, at)),
            Err(at) => Err((number, at)),
        }
    }
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(Entry::size).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(number: u8) -> Entry {
        let bytes = vec![number];
        Entry { place: Place { value_length: 1, bytes }, value: Datum::from(u64::from(number)) }
    }

    proptest! {
        /// Compares it, for numbers from 0 to 255 in a few blocks, to a plain vector.
        #[test]
        fn is_a_sorted_vector(
            direction in prop_oneof![Just(Direction::Forward), Just(Direction::Backward)],
            steps in prop::collection::vec((any::<u8>(), 0..8u8), 0..2000),
        ) {
            let mut ordered = Ordered::new(direction, Vec::new());
            let mut plain: Vec<Entry> = Vec::new();
            for (number, step) in steps {
                let entry = entry(number);
                let found = plain.binary_search_by(|other| ordered.compare(&other.place, &entry.place));
                match (step, found) {
                    (0, _) => {
                        let copy = ordered.clone();
                        ordered.truncate(usize::from(number));
                        prop_assert!(copy.iter().eq(&plain), "a copy doesn't change");
                        plain.truncate(usize::from(number));
                    }
                    (1..3, Ok(at)) => {
                        prop_assert_eq!(ordered.remove(&entry.place), Some((plain.remove(at), at)));
                    }
                    (1..3, Err(_)) => prop_assert_eq!(ordered.remove(&entry.place), None),
                    (_, found) => {
                        let at = found.unwrap_or_else(|at| at);
                        if found.is_err() {
                            prop_assert_eq!(ordered.insert(entry.clone()), at);
                            plain.insert(at, entry);
                        }
                    }
                }
                prop_assert_eq!((ordered.len(), ordered.bytes()), (plain.len(), size(&plain)));
                prop_assert_eq!(ordered.last(), plain.last());
                prop_assert_eq!(ordered.get(usize::from(number)), plain.get(usize::from(number)));
            }
            prop_assert!(ordered.iter().eq(&plain));
        }
    }

    fn place(n: u32) -> Place {
        Place { value_length: 4, bytes: n.to_be_bytes().to_vec() }
    }

    #[test]
    fn a_copy_shares_all_but_the_blocks_that_change() {
        let entry = |n| Entry { place: place(n), value: Datum::Null };
        let ordered = Ordered::new(Direction::Forward, (0..100_000).map(|n| entry(2 * n)).collect());
        let mut changed = ordered.clone();
        assert_eq!(changed.insert(entry(100_001)), 50_001);
        assert_eq!(changed.remove(&place(100_000)), Some((entry(100_000), 50_000)));
        let blocks = ordered.blocks.iter().zip(&changed.blocks);
        assert_eq!(blocks.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
    }

    #[test]
    fn blocks_are_split_and_go_away() {
        let mut ordered = Ordered::new(Direction::Forward, Vec::new());
        for n in (0..10_000).rev() {
            assert_eq!(ordered.insert(Entry { place: place(n), value: Datum::Null }), 0);
        }
        assert!(ordered.blocks.len() > 19, "{} blocks", ordered.blocks.len());
        assert_eq!(ordered.get(7_777).map(|entry| &entry.place), Some(&place(7_777)));
        for n in (0..10_000).step_by(2) {
            assert_eq!(ordered.remove(&place(n)).map(|(_, at)| at), Some(n as usize / 2));
        }
        ordered.truncate(0);
        assert!(ordered.blocks.is_empty());
    }
}
