//! The signals by which a process is asked to stop.

use std::future::Future;
use std::io;

/// Done when the process is asked to stop: by Ctrl-C, by SIGTERM as `docker stop` and `kill` send it, or by
/// SIGHUP, which a terminal sends when it closes.
///
/// # Errors
///
/// If the operating system refuses to tell about signals.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    // Registered now, not at the first poll: a signal during the start must not be lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
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
