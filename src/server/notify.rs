//! Telling systemd how the service does ([sd_notify(3)]). Does nothing where nobody asked for it.
//!
//! [sd_notify(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

use std::future::pending;

use sd_notify::NotifyState;
use tokio::time::interval;

/// The service serves, with its settings as they are.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The service takes its settings anew, and will say when it is ready.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The service finishes what runs.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says, twice in the time that systemd waits for it, that the runtime still gets to its tasks. Never ends.
pub(super) async fn watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else {
        return pending().await;
    };
    let mut ticks = interval(patience / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("Could not tell systemd: {error}");
    }
}
