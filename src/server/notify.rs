//! Notifying systemd of the service's state ([sd_notify(3)]). Does nothing without `NOTIFY_SOCKET`.
//!
//! [sd_notify(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

use std::future::pending;

use sd_notify::NotifyState;
use tokio::time::interval;

/// Reports that the service is ready, or has finished reloading.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Reports that the service reloads its settings. [`ready`] has to follow.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Reports that the service is shutting down.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Reports twice in systemd's watchdog interval that the runtime still gets to its tasks. Never ends.
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
        log::warn!("Could not notify systemd: {error}");
    }
}
