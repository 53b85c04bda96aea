//! The limits of a query that its options set.

use crate::datum::Datum;
use crate::error::{Error, ErrorKind, Result};

/// The limits of a query. Its options set them, up to the [greatest](Limits::GREATEST).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Length of the longest array: 100,000 unless the option `array_limit` sets another.
    pub array: usize,
    /// Changes that a feed keeps for a slow reader: 100,000 unless `changefeed_queue_size` sets another
    /// number.
    pub changefeed_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { array: 100_000, changefeed_queue: 100_000 }
    }
}

impl Limits {
    /// The greatest limits that a query can ask for. Its memory is bounded in bytes too.
    pub const GREATEST: Limits = Limits { array: 10_000_000, changefeed_queue: 1_000_000 };

    /// No limits, for values that come from the store.
    pub const NONE: Limits = Limits { array: usize::MAX, changefeed_queue: usize::MAX };

    /// Makes an array, unless it is too long.
    pub fn array(self, items: Vec<Datum>) -> Result<Datum> {
        self.check_array(items.len())?;
        Ok(Datum::array(items))
    }

    /// Fails if an array would be too long.
    pub fn check_array(self, len: usize) -> Result<()> {
        if len <= self.array {
            return Ok(());
        }
        let message = format!(
            "Array over size limit `{}`.  To raise the number of allowed elements, modify the `array_limit` \
             option to `.run` (not available in the Data Explorer), or use an index.",
            self.array
        );
        Err(Error::new(ErrorKind::ResourceLimit, message))
    }
}
