//! [`Lease`]: a session that a request holds, and its return or closing afterwards.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::counters::GaugeGuard;
use super::permits::Permit;
use super::{OpenSession, Session, Shared, Source};

/// A session of one request, and its permit.
pub(crate) struct Lease {
    // Fields are dropped in this order: the socket closes before the next request may open one.
    pub(super) link: OpenSession,
    pub(super) source: Source,
    pub(super) _in_use: GaugeGuard,
    pub(super) _permit: Permit,
    pub(super) refill: Refill,
}

/// A guard that wakes the maintainer on drop, so that it replaces the connection that was taken.
pub(super) struct Refill(pub(super) Arc<Shared>);

impl Lease {
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.link.session
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Returns whether the session is young enough to be reused.
    pub(crate) fn is_reusable(&self) -> bool {
        self.source != Source::Personal && self.link.opened.elapsed() < self.refill.0.settings.max_age
    }

    /// Closes the session in a task of its own, so that the answer, which the current task is writing,
    /// doesn't wait for that.
    pub(crate) fn close_on(self, runtime: &Handle) {
        let Lease { link, refill, _in_use: in_use, _permit: permit, .. } = self;
        drop(in_use);
        runtime.spawn(async move {
            drop(link);
            drop(permit);
            drop(refill);
        });
    }

    /// Returns the session, which must be idle, for later requests. Dropping the lease closes it instead.
    pub(crate) fn give_back(self) {
        let Lease { mut link, refill, _in_use, _permit, .. } = self;
        link.ready = Instant::now();
        let shared = &refill.0;
        let is_news = shared.ready().give_back(link, shared.settings.max_age);
        if is_news {
            shared.maintainer.wake();
        }
    }
}

impl Drop for Refill {
    fn drop(&mut self) {
        if self.0.ready().is_news() {
            self.0.maintainer.wake();
        }
    }
}
