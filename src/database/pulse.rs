//! A check that the database is still there, for changefeeds, which may wait for it any time.
//!
//! A changefeed without changes looks like one whose database, or the network to it, is gone without closing
//! the connection: no packet comes from either. So as long as there are feeds, the database is asked for a
//! sign of life on a session of its own, again and again. When no sign comes, all feeds are told at once.
//! Their clients connect again and get everything anew.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use log::{debug, warn};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Credentials, Link, Server, Shared};

/// The number of times that the database is asked for a sign of life within a query's timeout. A sign that
/// doesn't come is missed two of these pauses after the last one that came.
const SIGNS: u32 = 3;
/// The shortest pause between two signs of life, and the least time to wait for one.
const SHORTEST: Duration = Duration::from_millis(100);

/// Tells all changefeeds when no sign of life has come. The value sent is the number of times that this has
/// happened.
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
    /// Returns a future that is done when the database has given no sign of life.
    pub(super) fn lost(self: &Arc<Self>) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut lost = self.pulse.lost.subscribe();
        let mut is_felt = self.pulse.is_felt.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_felt {
            *is_felt = true;
            tokio::spawn(feel(Arc::downgrade(self), self.pulse.lost.clone()));
        }
        async move {
            // An error says that nobody is left who could tell.
            let _ = lost.changed().await;
        }
    }

    /// Returns whether anybody waits for a missing sign of life. If nobody does, notes that the next one who
    /// waits has to start the task again.
    fn is_awaited(&self) -> bool {
        let mut is_felt = self.pulse.is_felt.lock().unwrap_or_else(PoisonError::into_inner);
        *is_felt = self.pulse.lost.receiver_count() > 0;
        *is_felt
    }

    /// Asks for a sign of life on a session; if there is none yet, opens one. Returns the session if the sign
    /// came.
    async fn sign(self: &Arc<Self>, link: Option<Link>, patience: Duration) -> Option<Link> {
        if let Some(mut link) = link {
            return link.answers(patience).await.then_some(link);
        }
        let who = Credentials::of(&self.settings);
        let dial = async {
            for server in self.servers.in_turn().into_iter().take(1) {
                let server: &Server = server;
                match self.dial_one(server, &who).await {
                    Ok(session) => return Some(Link::new(session, Arc::clone(&self.counters))),
                    Err(error) => debug!("No sign of life from the database: {error}"),
                }
            }
            None
        };
        tokio::time::timeout(patience, dial).await.ok().flatten()
    }
}

/// Asks for signs of life as long as a changefeed waits for a missing one.
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
