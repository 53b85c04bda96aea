//! The signals that end the daemon.

use std::io;

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) name: &'static str,
    number: u8,
}

impl Received {
    /// Returns the exit code by which shells tell that a signal ended a process.
    pub(super) fn exit_code(self) -> i32 {
        128 + i32::from(self.number)
    }
}

const INTERRUPT: Received = Received { name: "SIGINT", number: 2 };

#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Takes over SIGTERM and SIGINT, from now on.
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Received {
        const TERMINATE: Received = Received { name: "SIGTERM", number: 15 };
        tokio::select! {
            _ = self.terminate.recv() => TERMINATE,
            _ = self.interrupt.recv() => INTERRUPT,
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Waits for Ctrl-C from the first call of [`Signals::next`] on.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Received {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        INTERRUPT
    }
}
