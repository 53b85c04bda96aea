//! Stored values in a row, not decoded yet.

use std::sync::Arc;

use super::{Datum, packed};

/// Packed values one after the other.
#[derive(Debug)]
pub struct PackedRows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl PackedRows {
    /// Returns an empty chunk with room for `count` values of `bytes` bytes in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        PackedRows { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Appends a packed value.
    pub fn push(&mut self, packed: &[u8]) {
        self.bytes.extend_from_slice(packed);
        self.ends.push(self.bytes.len());
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
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(packed::from_bytes(Arc::from(&self.bytes[start..end])))
    }
}
