//! The speed of a backup.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// The slowest rate of a backup, in bytes a second.
const SLOWEST: u64 = 64 << 10;

/// The lead that a backup may have over its rate: sleeping for less than this isn't exact.
const AHEAD: Duration = Duration::from_millis(20);

/// The longest sleep before the interrupt is checked.
const SLICE: Duration = Duration::from_millis(50);

/// A rate, and the progress by it.
pub(crate) struct Pace {
    /// Rate in bytes a second.
    rate: f64,
    /// Time at which the bytes moved so far are due.
    due: Mutex<Instant>,
    ended: Interrupt,
}

impl Pace {
    /// Returns a pace of `rate` bytes a second, but at least 64 KiB, until the interrupt is raised.
    pub(crate) fn new(rate: u64, ended: Interrupt) -> Self {
        Pace { rate: rate.max(SLOWEST) as f64, due: Mutex::new(Instant::now()), ended }
    }

    /// Sleeps until `bytes` more bytes are due. Idle time isn't made up for.
    ///
    /// # Errors
    ///
    /// If the backup is to end.
    pub(in crate::storage) fn moved(&self, bytes: usize) -> Result<()> {
        let due = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let step = Duration::from_secs_f64(bytes as f64 / self.rate);
            *due = (*due).max(Instant::now() - AHEAD) + step;
            *due
        };
        loop {
            if self.ended.is_raised() {
                return Err(Error::op_failed("The backup was ended."));
            }
            let wait = due.saturating_duration_since(Instant::now());
            if wait < AHEAD {
                return Ok(());
            }
            thread::sleep(wait.min(SLICE));
        }
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pace({} bytes a second)", self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Reason;

    #[test]
    fn so_many_bytes_take_so_long() {
        let pace = Pace::new(10 << 20, Interrupt::default());
        let begun = Instant::now();
        for _ in 0..64 {
            pace.moved(32 << 10).unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(200 - 40), "{:?}", begun.elapsed());
    }

    #[test]
    fn it_ends_when_it_is_told_to() {
        let ended = Interrupt::default();
        let pace = Pace::new(0, ended.clone());
        ended.raise(Reason::Stopped);
        assert!(pace.moved(1 << 30).is_err());
    }
}
