//! Answers on their way to a client: JSON text, and the memory that it counts for.

use crate::budget::memory::Reservation;
use crate::error::Result;

/// The length in bytes from which on a text counts against memory. Shorter ones are copied into the
/// connection's output, which has a limit of its own.
const COUNTED: usize = 64 << 10;

/// JSON text. A long one is counted against the memory of its query until it is sent.
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    /// The text's memory, given back when the text is dropped.
    _held: Option<Reservation>,
}

impl Text {
    /// Counts a text, against the reservation that `reserve` makes.
    ///
    /// # Errors
    ///
    /// If the query, or all queries together, may hold no more.
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

    /// Returns true if the text is too long to be copied.
    pub(crate) fn is_long(&self) -> bool {
        self.bytes.len() >= COUNTED
    }

    /// Returns the text for more to be appended to. The counted bytes stay the same.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Text { bytes, _held: None }
    }
}
