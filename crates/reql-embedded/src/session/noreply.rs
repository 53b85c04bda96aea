//! NOREPLY_WAIT: the unanswered queries before it, and if they are done.

use std::collections::{BTreeSet, VecDeque};

/// A query's place in the order of its connection, and if it is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) token: i64,
    pub(super) noreply: bool,
    number: u64,
}

impl Ticket {
    /// Returns the ticket of a query that has been read meanwhile.
    pub(super) fn read(self, noreply: bool) -> Self {
        Ticket { noreply, ..self }
    }
}

/// The order of a connection's queries, as far as NOREPLY_WAIT needs it.
#[derive(Debug, Default)]
pub(super) struct Noreplies {
    issued: u64,
    running: BTreeSet<u64>,
    waiting: VecDeque<Ticket>,
}

impl Noreplies {
    /// Takes in a query. Each ticket is to be given back to [`Noreplies::finish`].
    pub(super) fn issue(&mut self, token: i64, noreply: bool) -> Ticket {
        self.issued += 1;
        let ticket = Ticket { token, noreply, number: self.issued };
        if noreply {
            self.running.insert(ticket.number);
        }
        ticket
    }

    /// Takes in a query before it is known for certain if it is to be answered. NOREPLY_WAIT waits for it
    /// until that is known, see [`Noreplies::read`].
    pub(super) fn issue_unread(&mut self, token: i64) -> Ticket {
        let ticket = self.issue(token, true);
        Ticket { noreply: false, ..ticket }
    }

    /// Notes that a query has been read. If it is to be answered, NOREPLY_WAIT waits for it no longer.
    pub(super) fn read(&mut self, ticket: Ticket) {
        if !ticket.noreply {
            self.running.remove(&ticket.number);
        }
    }

    /// Notes that a query is done.
    pub(super) fn finish(&mut self, ticket: Ticket) {
        if ticket.noreply {
            self.running.remove(&ticket.number);
        }
    }

    /// Adds a waiting NOREPLY_WAIT.
    pub(super) fn wait(&mut self, ticket: Ticket) {
        // NOREPLY_WAIT must not wait for itself.
        self.finish(ticket);
        self.waiting.push_back(ticket);
    }

    /// Returns the next NOREPLY_WAIT that has waited long enough.
    pub(super) fn next_released(&mut self) -> Option<Ticket> {
        let first = self.waiting.front()?;
        let held = self.running.first().is_some_and(|oldest| *oldest < first.number);
        if held { None } else { self.waiting.pop_front() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_what_came_before() {
        let mut noreplies = Noreplies::default();
        let before = noreplies.issue(1, true);
        let wait = noreplies.issue(2, false);
        noreplies.wait(wait);
        let after = noreplies.issue(3, true);
        let second = noreplies.issue(4, false);
        noreplies.wait(second);
        assert_eq!(noreplies.next_released(), None);
        noreplies.finish(before);
        assert_eq!(noreplies.next_released(), Some(wait));
        assert_eq!(noreplies.next_released(), None);
        noreplies.finish(after);
        assert_eq!(noreplies.next_released(), Some(second));
    }

    #[test]
    fn waits_for_what_may_turn_out_to_be_silent() {
        for noreply in [false, true] {
            let mut noreplies = Noreplies::default();
            let unread = noreplies.issue_unread(1);
            let wait = noreplies.issue(2, false);
            noreplies.wait(wait);
            assert_eq!(noreplies.next_released(), None);
            let read = unread.read(noreply);
            noreplies.read(read);
            assert_eq!(noreplies.next_released(), (!noreply).then_some(wait));
            noreplies.finish(read);
            assert_eq!(noreplies.next_released(), noreply.then_some(wait));
        }
    }

    #[test]
    fn a_silent_wait_does_not_wait_for_itself() {
        let mut noreplies = Noreplies::default();
        let wait = noreplies.issue(1, true);
        noreplies.wait(wait);
        assert_eq!(noreplies.next_released(), Some(wait));
    }
}
