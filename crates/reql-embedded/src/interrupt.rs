//! A flag that ends a query's work or wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// The reason why a query is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The client sent STOP.
    Stopped = 1,
    /// The connection is gone.
    Closed = 2,
    /// The server shuts down.
    Shutdown = 3,
    /// The query's row was deleted from the table `jobs`.
    Killed = 4,
}

/// A flag that ends a query. The first reason stays, and all clones see it. Reading it costs one atomic load.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    reason: AtomicU8,
    notify: Notify,
}

impl Interrupt {
    /// Tells the query to end. The first reason stays.
    pub fn raise(&self, reason: Reason) {
        let first =
            self.0.reason.compare_exchange(0, reason as u8, Ordering::Release, Ordering::Relaxed).is_ok();
        if first {
            self.0.notify.notify_waiters();
        }
    }

    /// Returns true if the query is to end.
    pub fn is_raised(&self) -> bool {
        self.0.reason.load(Ordering::Relaxed) != 0
    }

    /// Returns the reason why the query is to end, if it is.
    pub fn reason(&self) -> Option<Reason> {
        match self.0.reason.load(Ordering::Acquire) {
            1 => Some(Reason::Stopped),
            2 => Some(Reason::Closed),
            3 => Some(Reason::Shutdown),
            4 => Some(Reason::Killed),
            _ => None,
        }
    }

    /// Waits until the query is to end.
    pub async fn raised(&self) {
        let mut notified = std::pin::pin!(self.0.notify.notified());
        // Enlisting before looking leaves no moment in which a signal could pass unseen.
        notified.as_mut().enable();
        if !self.is_raised() {
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.reason(), None);
        interrupt.clone().raise(Reason::Stopped);
        interrupt.raise(Reason::Closed);
        assert_eq!(interrupt.reason(), Some(Reason::Stopped));
    }

    #[tokio::test]
    async fn wakes_who_waits_and_who_comes_late() {
        let interrupt = Interrupt::default();
        let waiter = tokio::spawn({
            let interrupt = interrupt.clone();
            async move { interrupt.raised().await }
        });
        tokio::task::yield_now().await;
        interrupt.raise(Reason::Closed);
        waiter.await.expect("the waiter ends");
        interrupt.raised().await;
    }
}
