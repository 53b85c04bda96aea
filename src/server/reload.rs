//! Reloading the settings while serving.

use std::future::pending;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::http::Patience;
use super::notify;
use super::signals::Hangups;
use super::tls::Acceptor;
use crate::access::Access;
use crate::app::App;
use crate::logger;
use crate::settings::{Settings, SettingsError};

/// Reads the settings.
pub(super) type Load = Arc<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>;

/// The signals to reload settings at, and the way to load them.
pub(super) struct Source {
    pub(super) load: Load,
    pub(super) hangups: Hangups,
}

/// The parts of the running service that change with the settings.
pub(super) struct Running {
    /// The settings as they were last loaded.
    pub(super) asked: Settings,
    pub(super) app: App,
    pub(super) tls: Option<Acceptor>,
    pub(super) patience: watch::Sender<Patience>,
    pub(super) descriptors: Option<u64>,
}

impl Running {
    /// Reloads the settings at each signal, and passes the new state to `serve`. Never ends.
    pub(super) async fn follow(mut self, source: Option<Source>, serve: impl Fn(App)) {
        let Some(mut source) = source else { return pending().await };
        loop {
            source.hangups.next().await;
            notify::reloading();
            // Reading files may block, on a network file system for example.
            let load = Arc::clone(&source.load);
            let read = spawn_blocking(move || load().map_err(io::Error::other)).await;
            let read = read.map_err(io::Error::other).flatten();
            match read.and_then(|settings| self.change(settings)) {
                Ok(kept) => {
                    serve(self.app.clone());
                    log::info!("The settings were reloaded.");
                    if !kept.is_empty() {
                        log::warn!("These changes need a restart: {}.", kept.join(", "));
                    }
                }
                Err(error) => {
                    log::error!("The new settings aren't taken up, and the old ones stay in force: {error}")
                }
            }
            notify::ready();
        }
    }

    /// Applies new settings. Returns the names of those that need a restart, which stay as they were.
    fn change(&mut self, settings: Settings) -> io::Result<Vec<&'static str>> {
        let (mut settings, kept) = self.asked.followed_by(settings).map_err(io::Error::other)?;
        Access::check(&settings).map_err(io::Error::other)?;
        if let Some(tls) = &self.tls {
            tls.renew(settings.tls.clone())?;
        }
        self.asked = settings.clone();
        // These were completed at the start, with the embedded database's address for example.
        settings.rdb = self.app.settings().rdb.clone();
        logger::change(settings.log_level, settings.log_format);
        let connections = self.patience.borrow().connections.clone();
        self.patience.send_replace(Patience::of(connections, &settings.limits, self.descriptors));
        self.app = self.app.with_settings(settings);
        self.app.access().start(self.app.settings());
        Ok(kept)
    }
}
