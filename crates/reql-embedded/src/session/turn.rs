//! The turns of a session: other tasks of its thread don't wait for all that a client has sent ahead.

use std::time::{Duration, Instant};

/// The time that a session works before others have their turn.
const TURN: Duration = Duration::from_millis(1);

/// The work of a session since others had their turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    worked: Duration,
    since: Option<Instant>,
}

impl Turn {
    /// Goes on with the work, after a wait that doesn't count.
    pub(super) fn go_on(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Returns true if it is others' turn.
    pub(super) fn is_over(&mut self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&mut self, now: Instant) -> bool {
        if let Some(since) = self.since.replace(now) {
            self.worked += now.saturating_duration_since(since);
        }
        self.worked >= TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_work_and_not_waiting() {
        let (mut turn, now) = (Turn::default(), Instant::now());
        turn.since = Some(now);
        assert!(!turn.is_over_at(now + TURN / 2));
        turn.since = Some(now + 9 * TURN);
        assert!(!turn.is_over_at(now + 9 * TURN + TURN / 4));
        assert!(turn.is_over_at(now + 10 * TURN));
    }
}
