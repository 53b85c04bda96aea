//! The sessions that are open and ready for a request.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::standby::StandbySize;
use super::{OpenSession, Source};

/// Open sessions that no request holds.
pub(super) struct Available {
    /// Unused sessions, the newest last.
    standby: VecDeque<OpenSession>,
    /// Sessions that have been used, the most recently used last.
    idle: Vec<OpenSession>,
    /// The number of sessions that should stand by.
    stock: StandbySize,
    /// The number of sessions that are being dialled to stand by.
    pub(super) expected: usize,
    /// The time of the maintainer's next check for sessions that are too old, unless it is woken before.
    pub(super) next_look: Option<Instant>,
}

impl Available {
    /// Starts without sessions. `standby` should stand by.
    pub(super) fn new(standby: usize) -> Self {
        Available {
            standby: VecDeque::new(),
            idle: Vec::new(),
            stock: StandbySize::new(standby),
            expected: 0,
            next_look: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.standby.len() + self.idle.len()
    }

    /// Takes the most recently used session, so that as few as possible stay in use and the others expire. If
    /// there is none, takes the unused session that has stood by for longest, so that none stands by until a
    /// firewall or NAT on its way drops it.
    pub(super) fn take(&mut self, max_age: Duration) -> Option<(OpenSession, Source)> {
        while let Some(link) = self.idle.pop() {
            if link.opened.elapsed() < max_age {
                return Some((link, Source::Reused));
            }
        }
        let link = self.standby.pop_front();
        match link {
            Some(_) => self.stock.taken(self.standby.len()),
            None => self.stock.missed(),
        }
        link.map(|link| (link, Source::Standby))
    }

    /// Adds a session that was dialled to stand by.
    pub(super) fn arrive(&mut self, link: OpenSession) {
        self.standby.push_back(link);
        self.stock.filled(self.standby.len());
    }

    /// Returns the number of sessions still to be dialled.
    pub(super) fn missing(&self) -> usize {
        self.stock.size().saturating_sub(self.standby.len() + self.expected)
    }

    /// Returns whether at least half of the sessions that should stand by are gone, so that they are replaced
    /// at once instead of after the request.
    pub(super) fn is_low(&self) -> bool {
        self.missing() * 2 >= self.stock.size().max(1)
    }

    /// Notes that a session had ended before it was taken, which says nothing about how many are needed.
    pub(super) fn lost(&mut self) {
        self.stock.lost();
    }

    /// Removes the sessions beyond `room`.
    pub(super) fn surplus(&mut self, room: usize) -> Vec<OpenSession> {
        let surplus = self.len().saturating_sub(room);
        let idle = self.idle.split_off(self.idle.len() - surplus.min(self.idle.len()));
        let rest = surplus - idle.len();
        idle.into_iter().chain(self.standby.drain(..rest)).collect()
    }

    /// Removes used sessions that are too old, and unused ones beyond the number that should stand by.
    pub(super) fn expire(&mut self, max_age: Duration) -> Vec<OpenSession> {
        self.stock.review(self.standby.len());
        let surplus = self.standby.len().saturating_sub(self.stock.size());
        let old = self.idle.extract_if(.., |link| link.opened.elapsed() >= max_age);
        old.chain(self.standby.drain(..surplus)).collect()
    }

    /// Returns the time at which [`Ready::expire`] will next have something to do.
    pub(super) fn next_expiry(&self, max_age: Duration) -> Option<Instant> {
        let idle = self.idle.iter().filter_map(|link| link.opened.checked_add(max_age)).min();
        idle.into_iter().chain(self.stock.next_review()).min()
    }

    /// Adds a used session for later requests. Returns whether the maintainer's next check would be too late
    /// for it.
    pub(super) fn give_back(&mut self, link: OpenSession, max_age: Duration) -> bool {
        let end = link.opened.checked_add(max_age);
        self.idle.push(link);
        end.is_some_and(|end| self.next_look.is_none_or(|look| end < look))
    }
}
