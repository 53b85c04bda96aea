//! A heartbeat of the database, for changefeeds, which wait for it without a timeout.
//!
//! A changefeed without changes looks like one whose server or network is gone without closing the
//! connection: no packet comes from either. So while there are feeds, a query is sent at intervals on a
//! session of its own. If it isn't answered, all feeds end at once. Their clients connect again and start
//! over.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use log::{debug, warn};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Credentials, OpenSession, Server, Shared};

/// The number of heartbeats within a query's timeout. A missing one is noticed two intervals after the last
/// one that was answered.
const SIGNS: u32 = 3;
/// The shortest interval between two heartbeats, and the shortest timeout of one.
const SHORTEST: Duration = Duration::from_millis(100);

/// The heartbeat, which tells all changefeeds when it fails. The value sent is the number of failures so far.
pub(super) struct Pulse {
    lost: watch::Sender<u64>,
    is_felt: Mutex<bool>,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { lost: watch::Sender::new(0), is_felt: Mutex::default() }
    }
}

impl Shared {
    /// Returns a future that is done when a heartbeat has failed.
    pub(super) fn lost(self: &Arc<Self>) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut lost = self.pulse.lost.subscribe();
        let mut is_felt = self.pulse.is_felt.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_felt {
            *is_felt = true;
            tokio::spawn(feel(Arc::downgrade(self), self.pulse.lost.clone()));
        }
        async move {
            // An error means that the sender is gone, which ends the feed as well.
            let _ = lost.changed().await;
        }
    }

    /// Returns whether a changefeed is waiting. If not, notes that the next one has to start the task again.
    fn is_awaited(&self) -> bool {
        let mut is_felt = self.pulse.is_felt.lock().unwrap_or_else(PoisonError::into_inner);
        *is_felt = self.pulse.lost.receiver_count() > 0;
        *is_felt
    }

    /// Sends a heartbeat on the session, or on a new one if there is none yet. Returns the session if it was
    /// answered.
    async fn sign(self: &Arc<Self>, link: Option<OpenSession>, patience: Duration) -> Option<OpenSession> {
        if let Some(mut link) = link {
            return link.answers(patience).await.then_some(link);
        }
        let who = Credentials::of(&self.settings);
        let dial = async {
            for server in self.servers.in_turn().into_iter().take(1) {
                let server: &Server = server;
                match self.dial_one(server, &who).await {
                    Ok(session) => return Some(OpenSession::new(session, Arc::clone(&self.counters))),
                    Err(error) => debug!("No sign of life from the database: {error}"),
                }
            }
            None
        };
        tokio::time::timeout(patience, dial).await.ok().flatten()
    }
}

/// Sends heartbeats as long as there are changefeeds.
async fn feel(shared: Weak<Shared>, lost: watch::Sender<u64>) {
    let mut link = None;
    loop {
        let Some(pause) = shared.upgrade().map(|shared| shared.settings.query_timeout / SIGNS) else {
            return;
        };
        let pause = pause.max(SHORTEST);
        tokio::select! {
            () = sleep(pause) => {}
            () = lost.closed() => {}
        }
        let Some(shared) = shared.upgrade() else { return };
        if !shared.is_awaited() {
            return;
        }
        link = shared.sign(link, pause).await;
        if link.is_none() {
            warn!("The database gave no sign of life for {pause:?}; live queries end.");
            lost.send_modify(|times| *times += 1);
        }
    }
}
