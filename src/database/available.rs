//! The sessions that are open and ready for a request.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::standby::StandbySize;
use super::{OpenSession, Source};

/// The time for which a stock of which most is left stays as it is. Sessions that are dialled together wake
/// both sides less often than as many that are dialled one by one, and get in the way of fewer requests.
const LATER: Duration = Duration::from_millis(10);

/// The state of the dials that replace what was taken of the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    Full,
    At(Instant),
    Now,
}

/// Open sessions that no request holds.
pub(super) struct Available {
    /// Unused sessions, the newest last.
    standby: VecDeque<OpenSession>,
    /// Sessions that have been used, the most recently used last.
    idle: Vec<OpenSession>,
    /// The number of sessions that should stand by.
    stock: StandbySize,
    filling: Filling,
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
            filling: Filling::Full,
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

    /// Decides whether the missing sessions are dialled now: if at least half are gone, or others have been
    /// missing for a while.
    pub(super) fn plan_filling(&mut self) {
        let now = Instant::now();
        self.filling = match self.filling {
            _ if self.missing() == 0 => Filling::Full,
            _ if self.is_low() => Filling::Now,
            Filling::Full => Filling::At(now + LATER),
            Filling::At(at) if at <= now => Filling::Now,
            planned => planned,
        };
    }

    /// Returns whether sessions are missing, and the maintainer has to be told of that.
    pub(super) fn is_news(&self) -> bool {
        self.missing() > 0 && (self.is_low() || !matches!(self.filling, Filling::At(_)))
    }

    /// Returns whether the missing sessions are dialled now.
    pub(super) fn is_filling(&self) -> bool {
        self.filling == Filling::Now
    }

    /// Returns whether at least half of the sessions that should stand by are gone, so that they are replaced
    /// at once.
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

    /// Returns the time at which [`Available::expire`] will next have something to do.
    pub(super) fn next_expiry(&self, max_age: Duration) -> Option<Instant> {
        let idle = self.idle.iter().filter_map(|link| link.opened.checked_add(max_age)).min();
        let filling = match self.filling {
            Filling::At(at) => Some(at),
            Filling::Full | Filling::Now => None,
        };
        idle.into_iter().chain(self.stock.next_review()).chain(filling).min()
    }

    /// Adds a used session for later requests. Returns whether the maintainer's next check would be too late
    /// for it.
    pub(super) fn give_back(&mut self, link: OpenSession, max_age: Duration) -> bool {
        let end = link.opened.checked_add(max_age);
        self.idle.push(link);
        end.is_some_and(|end| self.next_look.is_none_or(|look| end < look))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stock_is_filled_when_half_is_gone_or_after_a_while() {
        let mut ready = Available::new(4);
        ready.plan_filling();
        assert!(ready.is_filling(), "all are missing");
        ready.expected = 4;
        ready.plan_filling();
        assert!(!ready.is_filling() && !ready.is_news(), "none is missing");
        ready.expected = 3;
        assert!(ready.is_news());
        ready.plan_filling();
        assert!(!ready.is_filling() && !ready.is_news(), "most are left");
        assert_eq!(ready.next_expiry(Duration::ZERO), Some(Instant::now() + LATER));
        ready.expected = 2;
        assert!(ready.is_news(), "half are gone");
        ready.expected = 3;
        tokio::time::advance(LATER).await;
        ready.plan_filling();
        assert!(ready.is_filling() && ready.is_news(), "it has been missing for a while");
    }
}
