//! Busy polling: staying awake for a client that asks one query after another.
//!
//! For such a client, most of a small query's time goes into putting the server's thread to sleep and waking
//! it up. If the server is set to poll, the session doesn't wait after an answer, but reads from the socket
//! again and again for a while, as hypervisors do for a halted guest (Linux's `halt_poll_ns`). Other tasks of
//! the runtime run in between. The processor is not free for other threads meanwhile, so at most one session
//! of a server polls, and only while no other has a query.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// The time that a session polls before other tasks of the runtime have their turn.
const SPIN_SLICE: Duration = Duration::from_micros(20);

/// The slices in a row that may end with a query. However quick a client is, others have their turn too.
const MAX_SPINS: u32 = 8;

/// The times in a row that a client must have asked within the window.
const STREAK: u32 = 4;

/// True with more than one processor: polling on the only one would keep the client from asking.
static CAN_SPIN: LazyLock<bool> =
    LazyLock::new(|| available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// The state that all sessions of a polling server share.
#[derive(Debug)]
pub(crate) struct Polling {
    /// The time within which a client has to ask again, and for which its session polls.
    window: Duration,
    /// The session that was asked last.
    last: AtomicU64,
    sessions: AtomicU64,
}

impl Polling {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, last: AtomicU64::new(0), sessions: AtomicU64::new(1) }
    }
}

/// The pace of a session's client. Without [`Polling`] a session never polls, and this costs nothing.
pub(super) struct BusyPoll {
    shared: Option<Arc<Polling>>,
    session: u64,
    answered: Option<Instant>,
    streak: u32,
    /// The slices in a row that ended with a query.
    spins: u32,
}

impl BusyPoll {
    pub(super) fn new(shared: Option<Arc<Polling>>) -> Self {
        let session = shared.as_ref().map_or(0, |shared| shared.sessions.fetch_add(1, Ordering::Relaxed));
        BusyPoll { shared, session, answered: None, streak: 0, spins: 0 }
    }

    /// Notes that the client has got an answer.
    pub(super) fn answered(&mut self) {
        if self.shared.is_some() {
            self.answered_at(Instant::now());
        }
    }

    /// Notes that the client has sent something.
    pub(super) fn asked(&mut self) {
        if self.shared.is_some() {
            self.asked_at(Instant::now());
        }
    }

    /// Polls for a slice, until `read` finds something. If it doesn't, other tasks are to have their turn.
    pub(super) fn spin<T>(&mut self, mut read: impl FnMut() -> Option<T>) -> Option<T> {
        let spins = std::mem::take(&mut self.spins);
        if self.streak < STREAK || spins == MAX_SPINS {
            return None;
        }
        let began = Instant::now();
        let mut now = began;
        while now - began < SPIN_SLICE && self.may_spin_at(now) {
            if let Some(found) = read() {
                self.spins = spins + 1;
                return Some(found);
            }
            now = Instant::now();
        }
        None
    }

    /// Returns true if the next query is worth polling for.
    pub(super) fn may_spin(&self) -> bool {
        self.shared.is_some() && self.may_spin_at(Instant::now())
    }

    fn answered_at(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    fn asked_at(&mut self, now: Instant) {
        let Some(shared) = &self.shared else { return };
        let soon = self.answered.take().is_some_and(|answered| now - answered < shared.window);
        let alone = shared.last.swap(self.session, Ordering::Relaxed) == self.session;
        self.streak = if soon && alone { self.streak.saturating_add(1) } else { 0 };
    }

    fn may_spin_at(&self, now: Instant) -> bool {
        let Some(shared) = &self.shared else { return false };
        self.streak >= STREAK
            && *CAN_SPIN
            && self.answered.is_some_and(|answered| now - answered < shared.window)
            && shared.last.load(Ordering::Relaxed) == self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_micros(60);

    fn sessions<const N: usize>() -> [BusyPoll; N] {
        let shared = Arc::new(Polling::new(WINDOW));
        std::array::from_fn(|_| BusyPoll::new(Some(shared.clone())))
    }

    /// Asks and answers at this pace, beginning now; returns the time of the last answer.
    fn converse(session: &mut BusyPoll, queries: u32, pause: Duration) -> Instant {
        let mut now = Instant::now();
        for _ in 0..queries {
            session.asked_at(now);
            session.answered_at(now);
            now += pause;
        }
        now - pause
    }

    #[test]
    fn a_client_that_asks_at_once_is_polled_for() {
        let [mut session] = sessions();
        let now = converse(&mut session, STREAK, WINDOW / 2);
        assert!(!session.may_spin_at(now), "the first query follows no answer");
        let now = converse(&mut session, STREAK + 1, WINDOW / 2);
        assert_eq!(session.may_spin_at(now + WINDOW / 2), *CAN_SPIN);
        assert!(!session.may_spin_at(now + WINDOW));
        session.asked_at(now + WINDOW);
        session.answered_at(now + WINDOW);
        assert!(!session.may_spin_at(now + WINDOW), "it was slow once");
    }

    #[test]
    fn a_client_however_quick_leaves_others_their_turn() {
        let [mut session] = sessions();
        converse(&mut session, STREAK + 1, Duration::ZERO);
        let finds = (0..MAX_SPINS * 2 + 2).map(|_| {
            // In the future, so that no delay of the machine makes it long ago.
            session.answered_at(Instant::now() + Duration::from_secs(1));
            session.spin(|| Some(())).is_some()
        });
        let turns = finds.filter(|found| !found).count();
        assert_eq!(turns, if *CAN_SPIN { 2 } else { MAX_SPINS as usize * 2 + 2 });
    }

    #[test]
    fn nobody_is_polled_for_while_others_ask() {
        let [mut one, mut other] = sessions();
        let now = converse(&mut one, STREAK + 1, Duration::ZERO);
        assert_eq!(one.may_spin_at(now), *CAN_SPIN);
        other.asked_at(now);
        assert!(!one.may_spin_at(now) && !other.may_spin_at(now));
    }

    #[test]
    fn nothing_is_polled_for_unasked() {
        let mut session = BusyPoll::new(None);
        for _ in 0..2 * STREAK {
            session.asked();
            session.answered();
        }
        assert!(!session.may_spin());
        assert!(session.spin(|| Some(())).is_none());
    }
}
