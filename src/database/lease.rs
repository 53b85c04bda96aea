//! [`Lease`]: a session while a request has it, and what becomes of it afterwards.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::counters::Held;
use super::{Link, Session, Shared, Source};

/// A session for the use of one request, and the permit to have it.
pub(crate) struct Lease {
    // The order of the fields is the order of their drop: the socket closes before the next request may open
    // one.
    pub(super) link: Link,
    pub(super) source: Source,
    pub(super) _in_use: Held,
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) refill: Refill,
}

/// Wakes the keeper when it is dropped, so that the stock is filled up.
pub(super) struct Refill(pub(super) Arc<Shared>);

impl Lease {
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.link.session
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Returns whether a later request may be served on this session, as far as its age is concerned.
    pub(crate) fn is_reusable(&self) -> bool {
        self.source != Source::Personal && self.link.opened.elapsed() < self.refill.0.settings.max_age
    }

    /// Closes the session as soon as the task that runs now has done what it can. That is an answer, as a
    /// rule, and it shouldn't wait for a socket to close.
    pub(crate) fn close_on(self, runtime: &Handle) {
        let Lease { link, refill, _in_use: in_use, _permit: permit, .. } = self;
        drop(in_use);
        runtime.spawn(async move {
            drop(link);
            drop(permit);
            drop(refill);
        });
    }

    /// Leaves the session, which must be idle, to a later request. Dropping the lease closes it instead.
    pub(crate) fn give_back(self) {
        let Lease { mut link, refill, _in_use, _permit, .. } = self;
        link.ready = Instant::now();
        let shared = &refill.0;
        let is_news = shared.ready().give_back(link, shared.settings.max_age);
        if is_news {
            shared.keeper.wake();
        }
    }
}

impl Drop for Refill {
    fn drop(&mut self) {
        if self.0.ready().missing() > 0 {
            self.0.keeper.wake();
        }
    }
}
