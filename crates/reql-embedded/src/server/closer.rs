//! Closing the storage: once, on a thread of its own, with a bounded wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::engine::Engine;

/// The progress of a server's shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Serving,
    SessionsEnded,
    Closed,
}

/// Closes an engine once its sessions have ended, or without them.
pub(super) struct Closer {
    /// The engine, until it is closed.
    engine: Mutex<Option<Arc<dyn Engine>>>,
    progress: watch::Sender<Progress>,
    /// The time that closing may take: the queue is written, and the file flushed. Endless work in the
    /// writer's thread, such as that of an index's function, never lets it end.
    patience: Duration,
}

impl Closer {
    pub(super) fn new(engine: Arc<dyn Engine>, patience: Duration) -> Arc<Self> {
        let progress = watch::Sender::new(Progress::Serving);
        Arc::new(Self { engine: Mutex::new(Some(engine)), progress, patience })
    }

    /// Notes that no session is left.
    pub(super) fn sessions_ended(&self) {
        self.progress.send_modify(|progress| *progress = (*progress).max(Progress::SessionsEnded));
    }

    /// Waits until no session is left.
    pub(super) async fn until_sessions_ended(&self) {
        self.reaches(Progress::SessionsEnded).await;
    }

    /// Closes the engine, or waits for the thread that does so already. Gives up waiting after a while.
    pub(super) async fn close(self: &Arc<Self>) {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = engine {
            let closer = self.clone();
            // A thread of the runtime would keep the runtime from ending.
            let closing = thread::Builder::new().name("reql-closer".into()).spawn(move || {
                engine.close();
                closer.progress.send_replace(Progress::Closed);
            });
            if let Err(error) = closing {
                return log::error!("The storage was not closed: {error}");
            }
        }
        if timeout(self.patience, self.reaches(Progress::Closed)).await.is_err() {
            log::error!("The storage did not close within {:?}. The next start recovers it.", self.patience);
        }
    }

    async fn reaches(&self, progress: Progress) {
        // The sender is in `self`.
        let _ = self.progress.subscribe().wait_for(|now| *now >= progress).await;
    }
}
