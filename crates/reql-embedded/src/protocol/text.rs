//! Answers on their way to a client: JSON text, and the memory that it counts for.

use crate::budget::memory::Reservation;
use crate::error::Result;

/// From this length on, in bytes, a text counts. Shorter ones are copied into what a connection sends anyway,
/// and that has a limit.
const COUNTED: usize = 64 << 10;

/// JSON text. A long one is counted against the memory of its query until it is sent.
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    /// Given back when the text is dropped.
    _held: Option<Reservation>,
}

impl Text {
    /// Counts a text, against what `reserve` gives.
    ///
    /// # Errors
    ///
    /// If the query, or all together, may hold no more.
    pub(crate) fn counted(bytes: Vec<u8>, reserve: impl FnOnce() -> Reservation) -> Result<Self> {
        if bytes.len() < COUNTED {
            return Ok(bytes.into());
        }
        let mut held = reserve();
        held.add_bytes(bytes.len())?;
        Ok(Text { bytes, _held: Some(held) })
    }

    /// Returns the text.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether it is too long to be copied.
    pub(crate) fn is_long(&self) -> bool {
        self.bytes.len() >= COUNTED
    }

    /// Returns the text for more to be appended to. What is counted stays as it is.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Text { bytes, _held: None }
    }
}
