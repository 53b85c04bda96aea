//! The signals that stop a process, or make it reload its settings.

use std::future::Future;
use std::io;

/// Returns a future that is done when the process is asked to stop: by Ctrl-C, or by SIGTERM, which
/// `docker stop`, systemd and `kill` send.
///
/// # Errors
///
/// If the signal handler can't be installed.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// warp_reql::server::stop_signal()?.await;
/// println!("Stopping.");
/// # Ok(())
/// # }
/// ```
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

/// Returns a future that is done when the process is asked to stop by Ctrl-C.
///
/// # Errors
///
/// None on this platform before the future runs.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// warp_reql::server::stop_signal()?.await;
/// println!("Stopping.");
/// # Ok(())
/// # }
/// ```
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// A stream of SIGHUPs, each of which makes the process reload its settings.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::server::{self, Service};
/// use warp_reql::settings::{Settings, SettingsError};
///
/// let load = || -> Result<Settings, SettingsError> { Ok(Settings::load(&Default::default())?.settings) };
/// let service = Service::bind(load()?).await?.reloading(server::reload_signal()?, load);
/// service.run(server::stop_signal()?).await?;
/// # Ok(())
/// # }
/// ```
#[cfg(unix)]
#[derive(Debug)]
pub struct Hangups(tokio::signal::unix::Signal);

/// Listens for SIGHUP. From now on the signal no longer ends the process.
///
/// # Errors
///
/// If the signal handler can't be installed.
///
/// ```no_run
/// # fn run() -> std::io::Result<()> {
/// use warp_reql::server::{Hangups, reload_signal};
///
/// let hangups: Hangups = reload_signal()?;
/// # let _ = hangups;
/// # Ok(())
/// # }
/// ```
#[cfg(unix)]
pub fn reload_signal() -> io::Result<Hangups> {
    use tokio::signal::unix::{SignalKind, signal};

    signal(SignalKind::hangup()).map(Hangups)
}

#[cfg(unix)]
impl Hangups {
    /// Waits for the next SIGHUP. Several that come at once may count as one.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

/// A stream without signals, since this platform has no SIGHUP.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::server::{self, Service};
/// use warp_reql::settings::{Settings, SettingsError};
///
/// let load = || -> Result<Settings, SettingsError> { Ok(Settings::load(&Default::default())?.settings) };
/// let service = Service::bind(load()?).await?.reloading(server::reload_signal()?, load);
/// service.run(server::stop_signal()?).await?;
/// # Ok(())
/// # }
/// ```
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Hangups;

/// Returns a stream without signals, since this platform has no SIGHUP.
///
/// # Errors
///
/// None.
///
/// ```no_run
/// # fn run() -> std::io::Result<()> {
/// use warp_reql::server::{Hangups, reload_signal};
///
/// let hangups: Hangups = reload_signal()?;
/// # let _ = hangups;
/// # Ok(())
/// # }
/// ```
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
