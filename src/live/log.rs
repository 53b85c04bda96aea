//! The log of a hub's last events, limited in number, bytes and age.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::event::Event;

/// The bytes that a hub may store even if all hubs together store too many, so that followers that keep up
/// miss nothing.
const FLOOR: u64 = 64 << 10;

/// The limits of stored events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// The most events of one hub.
    pub(crate) events: usize,
    /// The most bytes of all hubs together, of which one hub may have a quarter.
    pub(crate) bytes: u64,
    /// The longest age of an event.
    pub(crate) time: Duration,
}

/// The bytes that all hubs store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Total(Arc<AtomicU64>);

impl Total {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The fingerprints of a change: of the primary key, and of the document before and after. `None` is a
/// document that isn't in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) key: u64,
    pub(crate) old: Option<u64>,
    pub(crate) new: Option<u64>,
}

/// A stored event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) event: Event,
    /// The fingerprints of the change, which are made only while a follower joins.
    pub(crate) trace: Option<Trace>,
    since: Instant,
}

/// The last events of a hub.
#[derive(Debug)]
pub(crate) struct Log {
    /// The number of the first entry. The first event of a hub is number 1.
    first: u64,
    entries: VecDeque<Entry>,
    bytes: u64,
    keep: Keep,
    total: Total,
}

impl Log {
    pub(crate) fn new(keep: Keep, total: Total) -> Self {
        Log { first: 1, entries: VecDeque::new(), bytes: 0, keep, total }
    }

    /// Returns the number of the first stored event, or of the next event if none is stored.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number of the last event there was; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    /// Returns an event, if it is stored.
    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get(at)
    }

    /// Adds an event, and drops old ones beyond the limits. The last event always stays.
    pub(crate) fn push(&mut self, event: Event, trace: Option<Trace>) {
        let length = event.len() as u64;
        self.bytes += length;
        self.total.0.fetch_add(length, Ordering::Relaxed);
        self.entries.push_back(Entry { event, trace, since: Instant::now() });
        while self.entries.len() > 1 && self.is_too_much() {
            self.drop_first();
        }
    }

    fn is_too_much(&self) -> bool {
        self.entries.len() > self.keep.events
            || self.bytes > self.keep.bytes / 4
            || (self.bytes > FLOOR && self.total.bytes() > self.keep.bytes)
    }

    /// Drops events that are too old, but none from `needed` on.
    pub(crate) fn forget_old(&mut self, needed: Option<u64>) {
        while self.entries.front().is_some_and(|entry| entry.since.elapsed() > self.keep.time)
            && needed.is_none_or(|needed| self.first < needed)
        {
            self.drop_first();
        }
    }

    /// Drops all.
    pub(crate) fn clear(&mut self) {
        while !self.entries.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            let length = entry.event.len() as u64;
            self.bytes -= length;
            self.total.0.fetch_sub(length, Ordering::Relaxed);
            self.first += 1;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(length: usize) -> Event {
        Event::named("x", &"y".repeat(length), None)
    }

    fn log(events: usize, bytes: u64) -> Log {
        Log::new(Keep { events, bytes, time: Duration::from_secs(60) }, Total::default())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_in_number_and_time() {
        let mut log = log(3, 1 << 20);
        assert_eq!((log.first(), log.last()), (1, 0));
        for _ in 0..5 {
            log.push(event(1), None);
        }
        assert_eq!((log.first(), log.last()), (3, 5));
        assert!(log.get(2).is_none() && log.get(3).is_some() && log.get(5).is_some() && log.get(6).is_none());
        tokio::time::advance(Duration::from_secs(50)).await;
        log.push(event(1), None);
        tokio::time::advance(Duration::from_secs(20)).await;
        log.forget_old(Some(5));
        assert_eq!((log.first(), log.last()), (5, 6));
        log.forget_old(None);
        assert_eq!((log.first(), log.last()), (6, 6));
        log.clear();
        assert_eq!((log.first(), log.last(), log.total.bytes()), (7, 6, 0));
    }

    #[tokio::test]
    async fn it_is_bounded_in_bytes_its_own_and_everybodys() {
        let keep = Keep { events: 10_000, bytes: 8 * FLOOR, time: Duration::from_secs(60) };
        let total = Total::default();
        let mut one = Log::new(keep, total.clone());
        for _ in 0..1000 {
            one.push(event(1000), None);
        }
        assert!(one.bytes <= 2 * FLOOR && one.bytes > 2 * FLOOR - 2000, "{}", one.bytes);
        // The last one stays whatever its size.
        one.push(event(10 * FLOOR as usize), None);
        assert_eq!((one.first(), one.last()), (1001, 1001));
        let mut other = Log::new(keep, total.clone());
        for _ in 0..200 {
            other.push(event(1000), None);
        }
        assert!(other.bytes <= FLOOR && other.bytes > FLOOR - 2000, "all together have too much");
        drop((one, other));
        assert_eq!(total.bytes(), 0);
    }
}
