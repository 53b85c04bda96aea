//! The sessions that are ready for a request.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use super::{Link, Source};

/// Sessions that are open and that no request holds.
#[derive(Default)]
pub(super) struct Ready {
    /// Never used, the newest last.
    pub(super) standby: VecDeque<Link>,
    /// Used before, the one that was used last at the end.
    pub(super) idle: Vec<Link>,
    /// How many are being dialled to stand by.
    pub(super) expected: usize,
    /// When the keeper looks again for those that have grown too old, unless it is woken before.
    pub(super) next_look: Option<Instant>,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.standby.len() + self.idle.len()
    }

    /// The one that was used last, so that a few serve all that there is to do and the others grow old; else the one
    /// that has stood by for longest, so that none does until something on its way forgets it.
    pub(super) fn take(&mut self, max_age: Duration) -> Option<(Link, Source)> {
        while let Some(link) = self.idle.pop() {
            if link.opened.elapsed() < max_age {
                return Some((link, Source::Reused));
            }
        }
        self.standby.pop_front().map(|link| (link, Source::Standby))
    }

    /// All of them.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Link> + use<> {
        mem::take(&mut self.standby).into_iter().chain(mem::take(&mut self.idle))
    }

    /// Takes out those that are more than there is room for.
    pub(super) fn surplus(&mut self, room: usize) -> Vec<Link> {
        let surplus = self.len().saturating_sub(room);
        let idle = self.idle.split_off(self.idle.len() - surplus.min(self.idle.len()));
        let rest = surplus - idle.len();
        idle.into_iter().chain(self.standby.drain(..rest)).collect()
    }

    /// Closes those that are too old to serve another request. One that has served none is as good as new.
    pub(super) fn expire(&mut self, max_age: Duration) {
        self.idle.retain(|link| link.opened.elapsed() < max_age);
    }

    /// When the next one is too old.
    pub(super) fn next_expiry(&self, max_age: Duration) -> Option<Instant> {
        self.idle.iter().filter_map(|link| link.opened.checked_add(max_age)).min()
    }

    /// Leaves one to later requests. Tells whether the keeper would look too late for its end.
    pub(super) fn give_back(&mut self, link: Link, max_age: Duration) -> bool {
        let end = link.opened.checked_add(max_age);
        self.idle.push(link);
        end.is_some_and(|end| self.next_look.is_none_or(|look| end < look))
    }
}
