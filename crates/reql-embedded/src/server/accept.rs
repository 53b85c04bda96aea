//! The acceptor: takes connections in, and lets them end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

#[cfg(unix)]
use super::backup_socket::BackupSocket;
use super::closer::Closer;
use super::listener::Listener;
use super::local::LocalListener;
#[cfg(feature = "tls")]
use super::tls::{Identity, TlsListener};
use crate::protocol::handshake;
use crate::session::{self, Incoming, Shared};

/// The wait before the next attempt when the process has run out of file descriptors or the like.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The wait for connections that were cut off. A connection whose thread can't be freed never ends.
pub(super) const CUT_OFF: Duration = Duration::from_secs(1);

/// The interval at which sessions that have ended are forgotten while no connection comes in.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// The time for a connection beyond the limit to be told of its refusal.
const REJECTION: Duration = Duration::from_secs(2);

/// The shared state of all listeners.
pub(super) struct Gate {
    pub(super) sessions: Arc<Shared>,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) max_connections: usize,
    /// The time that a shutdown waits for connections before it cuts them off.
    pub(super) grace: Duration,
}

/// The listeners of a server.
pub(super) struct Listeners {
    pub(super) sockets: Vec<TcpListener>,
    pub(super) local: LocalListener,
    /// The server's identity on its sockets, if TLS is spoken there.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<Identity>>,
    /// Socket on which other processes get backups.
    #[cfg(unix)]
    pub(super) backups: Option<BackupSocket>,
}

/// Serves all listeners until the signal comes and connections have ended, then closes the engine.
pub(super) async fn serve(
    listeners: Listeners,
    gate: Arc<Gate>,
    stopped: watch::Receiver<bool>,
    closer: Arc<Closer>,
) {
    let mut running = JoinSet::new();
    for socket in listeners.sockets {
        #[cfg(feature = "tls")]
        if let Some(identity) = &listeners.tls {
            running.spawn(gate.clone().run(TlsListener::new(socket, identity.clone()), stopped.clone()));
            continue;
        }
        running.spawn(gate.clone().run(socket, stopped.clone()));
    }
    #[cfg(unix)]
    if let Some(backups) = listeners.backups {
        running.spawn(backups.serve(stopped.clone()));
    }
    running.spawn(gate.run(listeners.local, stopped));
    while running.join_next().await.is_some() {}
    closer.sessions_ended();
    closer.close().await;
}

impl Gate {
    /// Serves one listener until the server is told to stop, or is gone. Then lets its connections end,
    /// within a bounded time.
    async fn run<L: Listener>(self: Arc<Self>, mut listener: L, stopped: watch::Receiver<bool>) {
        let mut told_to_stop = pin!(is_set(stopped));
        let (stop, stopping) = watch::channel(false);
        let mut sessions = JoinSet::new();
        // Being woken by each session that ends would cost as much as accepting one. The ticks also keep the
        // timers of handshakes from being the first that are due: the runtime would be woken for each.
        let mut forgotten = interval(FORGOTTEN);
        forgotten.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while sessions.try_join_next().is_some() {}
            tokio::select! {
                biased;
                () = &mut told_to_stop => break,
                _ = forgotten.tick(), if !sessions.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((incoming, peer)) => {
                        match Permit::take(&self.open, self.max_connections) {
                            Some(permit) => {
                                let (sharing, stopping) = (self.sessions.clone(), stopping.clone());
                                sessions.spawn(session::serve(incoming, peer, sharing, stopping, permit))
                            }
                            None => sessions.spawn(reject(incoming, self.max_connections)),
                        };
                    }
                    Err(error) => {
                        log::warn!("Could not accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        drop(listener);
        stop.send_replace(true);
        if timeout(self.grace, all_ended(&mut sessions)).await.is_err() {
            log::warn!("Connections were cut off after {:?}.", self.grace);
            sessions.abort_all();
            if timeout(CUT_OFF, all_ended(&mut sessions)).await.is_err() {
                log::error!("A connection can't be cut off: its thread doesn't come back from a query.");
            }
            sessions.detach_all();
        }
    }
}

/// Waits for the signal, or until its sender is gone.
pub(super) async fn is_set(mut signal: watch::Receiver<bool>) {
    let _ = signal.wait_for(|set| *set).await;
}

async fn all_ended(sessions: &mut JoinSet<()>) {
    while sessions.join_next().await.is_some() {}
}

async fn reject(incoming: impl Incoming, max: usize) {
    let Ok(Ok(mut stream)) = timeout(REJECTION, incoming.open()).await else { return };
    let text = handshake::plain_text(&format!("The server has reached its limit of {max} connections."));
    session::farewell(&mut stream, &text).await;
}

/// A permit for one open connection.
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < max).then_some(count + 1))
            .ok()?;
        Some(Self(open.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
