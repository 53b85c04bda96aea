//! Logging of database outages: at their beginning, at intervals, and at their end, rather than for each
//! request that fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Code;

/// The interval of log lines during an outage.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// The time without a failed request after which an outage is over. One table may be unavailable while others
/// are not.
const QUIET: Duration = Duration::from_secs(1);

/// A monitor of outages, fed with the outcome of requests.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// `true` during an outage. This spares the lock when there is none.
    lasts: AtomicBool,
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    began: Instant,
    told: Instant,
    last: Instant,
    refused: u64,
}

/// An event to log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    Begun,
    Lasts { refused: u64 },
    Over { lasted: Duration, refused: u64 },
}

impl Outage {
    /// Returns whether a problem is caused by an outage rather than by the request.
    pub(crate) fn explains(code: Code) -> bool {
        matches!(code, Code::DatabaseUnreachable | Code::DatabaseUnavailable | Code::ConnectTimeout)
    }

    /// Notes a request that failed because of the database.
    pub(crate) fn refused(&self) -> Option<News> {
        let mut state = self.state();
        self.lasts.store(true, Ordering::Relaxed);
        let now = Instant::now();
        let Some(outage) = state.as_mut() else {
            *state = Some(State { began: now, told: now, last: now, refused: 1 });
            return Some(News::Begun);
        };
        outage.refused += 1;
        outage.last = now;
        if now - outage.told < TELL_AGAIN {
            return None;
        }
        outage.told = now;
        Some(News::Lasts { refused: outage.refused })
    }

    /// Notes a request for which the database has worked.
    pub(crate) fn answered(&self) -> Option<News> {
        if !self.lasts.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state();
        let ended = state.take_if(|outage| outage.last.elapsed() >= QUIET)?;
        self.lasts.store(false, Ordering::Relaxed);
        let State { began, refused, .. } = ended;
        Some(News::Over { lasted: began.elapsed(), refused })
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    /// Logs the event, with the error of the database or the driver.
    pub(crate) fn tell(&self, cause: &str) {
        match self {
            News::Begun => log::error!("The database is unreachable: {cause}"),
            News::Lasts { refused } => {
                log::error!(
                    "The database is still unreachable, {refused} requests have failed so far: {cause}"
                );
            }
            News::Over { lasted, refused } => {
                log::warn!("The database is back after {lasted:.1?}; {refused} requests have failed.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_at_its_ends_and_now_and_then() {
        let outage = Outage::default();
        assert_eq!(outage.answered(), None);
        assert_eq!(outage.refused(), Some(News::Begun));
        assert!((0..1700).all(|_| outage.refused().is_none()));
        tokio::time::advance(TELL_AGAIN).await;
        assert_eq!(outage.refused(), Some(News::Lasts { refused: 1702 }));
        assert_eq!(outage.refused(), None);
        assert_eq!(outage.answered(), None, "others are refused still");
        tokio::time::advance(QUIET).await;
        assert_eq!(outage.answered(), Some(News::Over { lasted: TELL_AGAIN + QUIET, refused: 1703 }));
        assert_eq!(outage.answered(), None);
    }
}
