//! The state of the database's disk, as far as writes have shown it: full, or not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which a write that failed says something of others. Only another write could tell that there
/// is room again.
const SAYS: Duration = Duration::from_secs(60);

/// The time at which a write last found no room.
#[derive(Debug, Default)]
pub(crate) struct Full(Mutex<Option<Instant>>);

impl Full {
    /// Notes that there was no room for a write.
    pub(crate) fn noticed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns whether there was none within the last minute.
    pub(crate) fn lasts(&self) -> bool {
        let noticed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.is_some_and(|noticed| noticed.elapsed() < SAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_for_a_minute_after_the_last_write_that_found_no_room() {
        let full = Full::default();
        assert!(!full.lasts());
        full.noticed();
        tokio::time::advance(SAYS / 2).await;
        full.noticed();
        tokio::time::advance(SAYS / 2).await;
        assert!(full.lasts());
        tokio::time::advance(SAYS / 2).await;
        assert!(!full.lasts());
    }
}
