//! Stored values in a row, not decoded yet.

use std::sync::Arc;

use super::{Datum, packed};

/// Packed values one after the other.
#[derive(Debug)]
pub struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Chunk {
    /// An empty chunk with room for so many values, of so many bytes in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Chunk { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Appends a packed value.
    pub fn push(&mut self, packed: &[u8]) {
        self.bytes.extend_from_slice(packed);
        self.ends.push(self.bytes.len());
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// A copy of the value at an index: one that is kept must not keep the others.
    pub fn get(&self, index: usize) -> Option<Datum> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(packed::from_bytes(Arc::from(&self.bytes[start..end])))
    }
}
