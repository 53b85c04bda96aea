//! Staying awake for a client that asks one query after another.
//!
//! To such a client most of a small query's time is the server's thread going to sleep and waking up. So after an answer its
//! session doesn't wait but looks at the socket again and again for a moment, as hypervisors do for a halted guest (Linux's
//! `halt_poll_ns`). Other tasks of the runtime run in between; but the processor is not free meanwhile for other threads,
//! so at most one session is watchful, and only while no other is asked anything.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How soon a client has to ask again, and how long it is watched for that.
const MOMENT: Duration = Duration::from_micros(60);

/// How long it is watched before other tasks of the runtime have their turn, and
const GAZE: Duration = Duration::from_micros(20);
/// how many times in a row that may end with a query: however quick a client is, others have their turn too.
const GAZES: u32 = 8;

/// How many times in a row a client must have asked so soon.
const STREAK: u32 = 4;

/// The session that was asked last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A watcher on the only processor would keep its client from asking.
static CAN_WATCH: LazyLock<bool> =
    LazyLock::new(|| available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// What a session knows of its client's pace.
pub(super) struct Attention {
    session: u64,
    last: &'static AtomicU64,
    answered: Option<Instant>,
    streak: u32,
    /// How many times in a row watching ended with a query.
    gazes: u32,
}

impl Attention {
    pub(super) fn new() -> Self {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        Attention::of(SESSIONS.fetch_add(1, Ordering::Relaxed), &LAST)
    }

    fn of(session: u64, last: &'static AtomicU64) -> Self {
        Attention { session, last, answered: None, streak: 0, gazes: 0 }
    }

    /// The client has got an answer.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// The client has sent something.
    pub(super) fn asked(&mut self, now: Instant) {
        let soon = self.answered.take().is_some_and(|answered| now - answered < MOMENT);
        let alone = self.last.swap(self.session, Ordering::Relaxed) == self.session;
        self.streak = if soon && alone { self.streak.saturating_add(1) } else { 0 };
    }

    /// Looks again and again for a while, until `look` finds something. If it doesn't, others are to have their turn.
    pub(super) fn gaze<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let gazes = std::mem::take(&mut self.gazes);
        if self.streak < STREAK || gazes == GAZES {
            return None;
        }
        let began = Instant::now();
        let mut now = began;
        while now - began < GAZE && self.is_watchful(now) {
            if let Some(found) = look() {
                self.gazes = gazes + 1;
                return Some(found);
            }
            now = Instant::now();
        }
        None
    }

    /// Whether the next query is worth watching for.
    pub(super) fn is_watchful(&self, now: Instant) -> bool {
        self.streak >= STREAK
            && *CAN_WATCH
            && self.answered.is_some_and(|answered| now - answered < MOMENT)
            && self.last.load(Ordering::Relaxed) == self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks and answers at this pace, beginning now; returns when the last answer was given.
    fn converse(attention: &mut Attention, queries: u32, pause: Duration) -> Instant {
        let mut now = Instant::now();
        for _ in 0..queries {
            attention.asked(now);
            attention.answered(now);
            now += pause;
        }
        now - pause
    }

    #[test]
    fn a_client_that_asks_at_once_is_watched_for_a_moment() {
        static ONLY: AtomicU64 = AtomicU64::new(0);
        let mut attention = Attention::of(1, &ONLY);
        let now = converse(&mut attention, STREAK, MOMENT / 2);
        assert!(!attention.is_watchful(now), "the first query follows no answer");
        let now = converse(&mut attention, STREAK + 1, MOMENT / 2);
        assert_eq!(attention.is_watchful(now + MOMENT / 2), *CAN_WATCH);
        assert!(!attention.is_watchful(now + MOMENT));
        attention.asked(now + MOMENT);
        attention.answered(now + MOMENT);
        assert!(!attention.is_watchful(now + MOMENT), "it was slow once");
    }

    #[test]
    fn a_client_however_quick_leaves_others_their_turn() {
        static ONLY: AtomicU64 = AtomicU64::new(0);
        let mut attention = Attention::of(1, &ONLY);
        converse(&mut attention, STREAK + 1, Duration::ZERO);
        let finds = (0..GAZES * 2 + 2).map(|_| {
            // Not yet given, so that nothing on the machine can make it long ago.
            attention.answered(Instant::now() + Duration::from_secs(1));
            attention.gaze(|| Some(())).is_some()
        });
        let turns = finds.filter(|found| !found).count();
        assert_eq!(turns, if *CAN_WATCH { 2 } else { GAZES as usize * 2 + 2 });
    }

    #[test]
    fn nobody_is_watched_while_others_ask() {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let [mut one, mut other] = [1, 2].map(|session| Attention::of(session, &LAST));
        let now = converse(&mut one, STREAK + 1, Duration::ZERO);
        assert_eq!(one.is_watchful(now), *CAN_WATCH);
        other.asked(now);
        assert!(!one.is_watchful(now) && !other.is_watchful(now));
    }
}
