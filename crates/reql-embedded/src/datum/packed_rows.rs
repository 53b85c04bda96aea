//! Stored values in a row, not decoded yet.

use std::sync::Arc;

use super::{Datum, packed};

/// Packed values one after the other.
#[derive(Debug)]
pub struct PackedRows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    most: usize,
    most_bytes: usize,
}

impl PackedRows {
    /// Returns an empty chunk that is full with `most` values, or when these take `most_bytes` bytes. They
    /// are expected to take `bytes` bytes.
    pub fn new(most: usize, most_bytes: usize, bytes: usize) -> Self {
        let bytes = Vec::with_capacity(bytes.min(most_bytes));
        PackedRows { bytes, ends: Vec::with_capacity(most), most, most_bytes }
    }

    /// Appends a packed value. Returns true if the chunk is full then.
    pub fn push(&mut self, packed: &[u8]) -> bool {
        self.bytes.extend_from_slice(packed);
        self.ends.push(self.bytes.len());
        self.ends.len() >= self.most || self.bytes.len() >= self.most_bytes
    }

    /// Returns the number of values.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Returns the number of bytes of the values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns a copy of the value at an index: a value that is kept must not keep the others in memory.
    pub fn get(&self, index: usize) -> Option<Datum> {
        let (start, end) = self.place(index)?;
        Some(packed::from_bytes(Arc::from(&self.bytes[start..end])))
    }

    /// Returns a copy of all values, for [`part`](Self::part).
    pub fn buffer(&self) -> Arc<[u8]> {
        Arc::from(&*self.bytes)
    }

    /// Returns the value at an index as a part of the buffer, which the value keeps in memory.
    pub fn part(&self, buffer: &Arc<[u8]>, index: usize) -> Option<Datum> {
        let (start, _) = self.place(index)?;
        Some(packed::value_at(buffer, start))
    }

    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let end = *self.ends.get(index)?;
        Some((index.checked_sub(1).map_or(0, |before| self.ends[before]), end))
    }
}
