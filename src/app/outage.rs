//! Outages of the database in the log. They are told when they begin, now and then while they last, and when
//! they end, rather than once for each request that they cost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Code;

/// The time after which an outage that lasts is told again.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// The time for which no request may have been refused before an outage counts as over. One table may be away
/// while others answer.
const QUIET: Duration = Duration::from_secs(1);

/// Notes which requests an outage of the database costs.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// `true` if there is an outage. A caller who only wants to know that there is none needs no lock.
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

/// News of an outage that is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    Begun,
    Lasts { refused: u64 },
    Over { lasted: Duration, refused: u64 },
}

impl Outage {
    /// Returns whether a problem is the outage's rather than its request's.
    pub(crate) fn explains(code: Code) -> bool {
        matches!(code, Code::DatabaseUnreachable | Code::DatabaseUnavailable | Code::ConnectTimeout)
    }

    /// Notes a request that the database could not be used for.
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

    /// Notes a request that the database answered.
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
    /// Writes it to the log, with what the database or the driver said.
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
