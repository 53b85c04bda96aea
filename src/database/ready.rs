//! The sessions that are ready for a request.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::stock::Stock;
use super::{Link, Source};

/// Sessions that are open and that no request holds.
pub(super) struct Ready {
    /// Never used, the newest last.
    standby: VecDeque<Link>,
    /// Used before, the one that was used last at the end.
    idle: Vec<Link>,
    /// The number that shall stand by.
    stock: Stock,
    /// The number that are being dialled to stand by.
    pub(super) expected: usize,
    /// When the keeper looks again for those that have grown too old, unless it is woken before.
    pub(super) next_look: Option<Instant>,
}

impl Ready {
    /// Nothing yet; these many are to stand by.
    pub(super) fn new(standby: usize) -> Self {
        Ready {
            standby: VecDeque::new(),
            idle: Vec::new(),
            stock: Stock::new(standby),
            expected: 0,
            next_look: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.standby.len() + self.idle.len()
    }

    /// The one that was used last, so that a few serve all that there is to do and the others grow old; else
    /// the one that has stood by for longest, so that none does until something on its way forgets it.
    pub(super) fn take(&mut self, max_age: Duration) -> Option<(Link, Source)> {
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

    /// One that was expected has come.
    pub(super) fn arrive(&mut self, link: Link) {
        self.standby.push_back(link);
        self.stock.filled(self.standby.len());
    }

    /// Returns how many more are to be dialled.
    pub(super) fn missing(&self) -> usize {
        self.stock.size().saturating_sub(self.standby.len() + self.expected)
    }

    /// Returns whether so few are left that a request had better not be waited for.
    pub(super) fn is_low(&self) -> bool {
        self.missing() * 2 >= self.stock.size().max(1)
    }

    /// One that was taken had ended, for a reason that says nothing of how many are needed.
    pub(super) fn lost(&mut self) {
        self.stock.lost();
    }

    /// Takes out those that are more than there is room for.
    pub(super) fn surplus(&mut self, room: usize) -> Vec<Link> {
        let surplus = self.len().saturating_sub(room);
        let idle = self.idle.split_off(self.idle.len() - surplus.min(self.idle.len()));
        let rest = surplus - idle.len();
        idle.into_iter().chain(self.standby.drain(..rest)).collect()
    }

    /// Takes out those that are too old to serve another request, and of those that have served none what is
    /// more than shall be.
    pub(super) fn expire(&mut self, max_age: Duration) -> Vec<Link> {
        self.stock.review(self.standby.len());
        let surplus = self.standby.len().saturating_sub(self.stock.size());
        let old = self.idle.extract_if(.., |link| link.opened.elapsed() >= max_age);
        old.chain(self.standby.drain(..surplus)).collect()
    }

    /// When there is something to take out again.
    pub(super) fn next_expiry(&self, max_age: Duration) -> Option<Instant> {
        let idle = self.idle.iter().filter_map(|link| link.opened.checked_add(max_age)).min();
        idle.into_iter().chain(self.stock.next_review()).min()
    }

    /// Leaves one to later requests. Tells whether the keeper would look too late for its end.
    pub(super) fn give_back(&mut self, link: Link, max_age: Duration) -> bool {
        let end = link.opened.checked_add(max_age);
        self.idle.push(link);
        end.is_some_and(|end| self.next_look.is_none_or(|look| end < look))
    }
}
