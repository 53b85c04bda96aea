//! The lane of one connection.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::backlog::Backlog;
use super::{Pool, Queued, Work};
use crate::interrupt::Interrupt;

/// The queue of one connection, or of another source of work, for the threads. Dropping it gives up the work
/// in the queue; work that runs goes on.
pub(crate) struct Lane {
    pub(super) pool: Arc<Pool>,
    pub(super) id: u64,
    pub(super) backlog: Arc<Backlog>,
}

impl Lane {
    pub(super) fn new(pool: Arc<Pool>, id: u64, backlog: Arc<Backlog>) -> Self {
        Lane { pool, id, backlog }
    }

    /// Runs a piece of work when it is its turn. Returns `None` if the work was interrupted before that, or
    /// panicked. Dropping the future gives up the work, unless it has begun.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        interrupt: Interrupt,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let (tell, mut told) = oneshot::channel();
        let work: Work = Box::new(move || {
            // The caller may be gone.
            let _ = tell.send(work());
        });
        let queued = Arc::new(Queued(Mutex::new(Some(work))));
        let given_up = GivenUp(queued.clone());
        self.pool.submit(self.id, queued);
        async move {
            tokio::select! {
                biased;
                done = &mut told => return done.ok(),
                () = interrupt.raised() => {}
            }
            drop(given_up);
            told.await.ok()
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let Some(lane) = state.lanes.get_mut(&self.id) else { return };
        let queue = std::mem::take(&mut lane.queue);
        lane.is_gone = true;
        if lane.running == 0 {
            state.lanes.remove(&self.id);
        }
        drop(state);
        for queued in queue {
            drop(queued.take());
        }
    }
}

/// Takes the work back, unless it has begun.
struct GivenUp(Arc<Queued>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}
