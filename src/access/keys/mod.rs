//! The keys that tokens are verified with, cached and renewed.
//!
//! Keys stay valid until new ones have been read: a failed renewal keeps them. A request that finds them
//! stale starts a renewal in the background. A request that finds them old, or whose token names an unknown
//! key, waits for the renewal.

mod remote;
mod set;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::{Token, bounded};
use remote::Remote;
use set::From;
pub(crate) use set::{Key, KeySet};

/// The ages at which keys are renewed.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The age from which keys are renewed in the background.
    stale: Duration,
    /// The age from which requests wait for the renewal.
    old: Duration,
}

const OF_FILES: Pace = Pace { stale: Duration::from_secs(10), old: Duration::from_secs(60) };
const OF_URLS: Pace = Pace { stale: Duration::from_secs(300), old: Duration::from_secs(900) };
/// The time between two renewals after one that failed, and between two for unknown keys, which any client
/// can name.
const PAUSE: Duration = Duration::from_secs(10);

/// The keys that tokens are verified with. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Shared>);

struct Shared {
    /// Held during a renewal, so that concurrent requests share one.
    fetching: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

enum Source {
    /// A secret, which is read at the start and at a reload.
    Fixed,
    File(PathBuf),
    Url(String, Box<Remote>),
}

struct Kept {
    source: Arc<Source>,
    set: Option<Arc<KeySet>>,
    /// The time of the last successful renewal.
    since: Option<Instant>,
    /// The end of the last attempt at a renewal.
    tried: Option<Instant>,
    /// The time of the last renewal for an unknown key.
    sought: Option<Instant>,
}

impl Keys {
    /// Reads the keys of the settings. Those at a URL are fetched when they are first needed.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and why.
    pub(crate) fn of(token: &Token) -> Result<Self, String> {
        let wrong = |key: &str, reason: String| format!("`token.{key}`: {reason}");
        let read = |path: &str| bounded::read(Path::new(path)).map_err(|error| format!("`{path}`: {error}"));
        let (source, set) = if token.are_remote() {
            let remote = Remote::new(&token.keys, &token.keys_ca).map_err(|why| wrong("keys", why))?;
            (Source::Url(token.keys.clone(), Box::new(remote)), None)
        } else if !token.keys.is_empty() {
            let set = read(&token.keys).and_then(|text| KeySet::read(&text, From::File));
            (Source::File(PathBuf::from(&token.keys)), Some(set.map_err(|why| wrong("keys", why))?))
        } else if !token.secret_file.is_empty() {
            let set = read(&token.secret_file).and_then(|text| KeySet::of_secret(trimmed(&text)));
            (Source::Fixed, Some(set.map_err(|why| wrong("secret_file", why))?))
        } else {
            let set = KeySet::of_secret(token.secret.expose().as_bytes());
            (Source::Fixed, Some(set.map_err(|why| wrong("secret", why))?))
        };
        let since = set.as_ref().map(|_| Instant::now());
        let (source, set) = (Arc::new(source), set.map(Arc::new));
        let kept = Kept { source, set, since, tried: None, sought: None };
        let fetching = tokio::sync::Mutex::new(());
        Ok(Keys(Arc::new(Shared { fetching, kept: Mutex::new(kept) })))
    }

    /// Takes over what the files of the same settings hold now: keys, a secret, or the authorities that are
    /// trusted for a URL. Keys of a URL stay until they are renewed.
    pub(crate) fn adopt(&self, read: &Keys) {
        let (source, set, since) = {
            let read = read.kept();
            (Arc::clone(&read.source), read.set.clone(), read.since)
        };
        let mut kept = self.kept();
        kept.source = source;
        if set.is_some() {
            (kept.set, kept.since) = (set, since);
        }
    }

    /// Starts the first fetch, while the service starts.
    pub(crate) fn fetch_ahead(&self) {
        if self.kept().set.is_none() {
            drop(self.renewal());
        }
    }

    /// Returns the keys for a token that names this key id; `None` if there are none yet.
    pub(crate) async fn for_id(&self, id: Option<&str>) -> Option<Arc<KeySet>> {
        let (pace, set, age) = {
            let kept = self.kept();
            (kept.source.pace(), kept.set.clone(), kept.since.map(|since| since.elapsed()))
        };
        let Some(pace) = pace else { return set };
        let is_due = age.is_none_or(|age| age >= pace.stale) && self.has_paused();
        let is_urgent = age.is_none_or(|age| age >= pace.old);
        match (is_due, is_urgent) {
            (true, true) => self.renewed().await,
            (true, false) => drop(self.renewal()),
            (false, _) if set.is_some_and(|set| !set.knows(id)) && self.may_seek() => self.renewed().await,
            _ => {}
        }
        self.kept().set.clone()
    }

    /// Starts a renewal in the background.
    fn renewal(&self) -> tokio::task::JoinHandle<()> {
        let (keys, asked) = (self.clone(), Instant::now());
        tokio::spawn(async move { keys.renew(asked).await })
    }

    async fn renewed(&self) {
        // It fails only if the runtime is shutting down, which ends this request, too.
        let _ = self.renewal().await;
    }

    async fn renew(&self, asked: Instant) {
        let _turn = self.0.fetching.lock().await;
        if self.kept().tried.is_some_and(|tried| tried >= asked) {
            return;
        }
        let source = Arc::clone(&self.kept().source);
        let read = source.read().await;
        let mut kept = self.kept();
        if !Arc::ptr_eq(&kept.source, &source) {
            // The files were read anew meanwhile.
            return;
        }
        kept.tried = Some(Instant::now());
        match read {
            Ok(set) => {
                log::debug!("{} has {} keys.", source.name(), set.len());
                (kept.set, kept.since) = (Some(Arc::new(set)), kept.tried);
            }
            Err(reason) => {
                let left = if kept.set.is_some() { "the old ones stay" } else { "no token can be checked" };
                log::warn!("Can't read the keys for tokens from {}, {left}: {reason}", source.name());
            }
        }
    }

    /// Returns whether [`PAUSE`] has passed since the last attempt.
    fn has_paused(&self) -> bool {
        self.kept().tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
    }

    /// Returns whether a renewal for an unknown key is allowed now, and notes that it is made.
    fn may_seek(&self) -> bool {
        let mut kept = self.kept();
        let may = kept.sought.is_none_or(|sought| sought.elapsed() >= PAUSE);
        if may {
            kept.sought = Some(Instant::now());
        }
        may
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Returns the pace of renewals; `None` if keys are never renewed.
    fn pace(&self) -> Option<Pace> {
        match self {
            Source::Fixed => None,
            Source::File(_) => Some(OF_FILES),
            Source::Url(..) => Some(OF_URLS),
        }
    }

    fn name(&self) -> String {
        match self {
            Source::Fixed => "the settings".to_owned(),
            Source::File(path) => path.display().to_string(),
            Source::Url(url, _) => url.clone(),
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        match self {
            Source::Fixed => Err("it doesn't change".to_owned()),
            Source::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || bounded::read(&path)).await;
                let text = read.map_err(io::Error::other).and_then(|read| read);
                KeySet::read(&text.map_err(|error| error.to_string())?, From::File)
            }
            Source::Url(_, remote) => KeySet::read(&remote.get().await?, From::Elsewhere),
        }
    }
}

/// Removes the newline that editors put at the end of a file.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}
