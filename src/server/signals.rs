//! The signals by which a process is asked to stop, or to take its settings anew.

use std::future::Future;
use std::io;

/// Done when the process is asked to stop: by Ctrl-C, or by SIGTERM as `docker stop`, systemd and `kill` send
/// it.
///
/// # Errors
///
/// If the operating system refuses to tell about signals.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    // Registered now, not at the first poll: a signal during the start must not be lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Done when the process is asked to stop by Ctrl-C.
///
/// # Errors
///
/// None on this platform before the future runs.
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// SIGHUP, by which a process is asked to take its settings anew.
#[cfg(unix)]
pub struct Hangups(tokio::signal::unix::Signal);

/// Listens for SIGHUP. From now on the signal no longer ends the process.
///
/// # Errors
///
/// If the operating system refuses to tell about signals.
#[cfg(unix)]
pub fn reload_signal() -> io::Result<Hangups> {
    use tokio::signal::unix::{SignalKind, signal};

    signal(SignalKind::hangup()).map(Hangups)
}

#[cfg(unix)]
impl Hangups {
    /// Waits for the next one. Several that come at once may count as one.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

/// What never comes on this platform.
#[cfg(not(unix))]
pub struct Hangups;

/// Listens for what never comes on this platform.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn reload_signal() -> io::Result<Hangups> {
    Ok(Hangups)
}

#[cfg(not(unix))]
impl Hangups {
    pub(super) async fn next(&mut self) {
        std::future::pending().await
    }
}
