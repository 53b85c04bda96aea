//! The keys that tokens are checked with, kept and renewed.
//!
//! What is kept is good until something better comes: keys that can't be fetched anew stay. They are renewed
//! by whoever needs them: behind a request that finds them a little old, before one that finds them very old,
//! and before one whose token names a key that isn't among them.

mod remote;
mod set;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::Token;
use remote::Remote;
use set::From;
pub(crate) use set::{Key, KeySet};

/// How often keys are renewed.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The age from which they are renewed, while requests go on with what there is.
    stale: Duration,
    /// The age from which requests wait for that.
    old: Duration,
}

const OF_FILES: Pace = Pace { stale: Duration::from_secs(10), old: Duration::from_secs(60) };
const OF_URLS: Pace = Pace { stale: Duration::from_secs(300), old: Duration::from_secs(900) };
/// The time between two attempts, after one that failed, and for the sake of unknown keys, which anybody can
/// name.
const PAUSE: Duration = Duration::from_secs(10);

/// The keys that tokens are checked with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Shared>);

struct Shared {
    source: Source,
    /// What is fetched is fetched once, however many wait for it.
    fetching: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

enum Source {
    /// A secret, which doesn't change.
    Fixed,
    File(PathBuf),
    Url(String, Box<Remote>),
}

#[derive(Default)]
struct Kept {
    set: Option<Arc<KeySet>>,
    /// When they last came.
    since: Option<Instant>,
    /// When the last attempt to get them ended.
    tried: Option<Instant>,
    /// When they were last asked for on account of an unknown key.
    sought: Option<Instant>,
}

impl Keys {
    /// Reads the keys that settings name; those at a URL are fetched when they are needed.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and why.
    pub(crate) fn of(token: &Token) -> Result<Self, String> {
        let wrong = |key: &str, reason: String| format!("`token.{key}`: {reason}");
        let read = |path: &str| std::fs::read(path).map_err(|error| format!("`{path}`: {error}"));
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
        let kept = Kept { set: set.map(Arc::new), since, ..Kept::default() };
        let fetching = tokio::sync::Mutex::new(());
        Ok(Keys(Arc::new(Shared { source, fetching, kept: Mutex::new(kept) })))
    }

    /// Fetches them for the first time, while the service starts.
    pub(crate) fn fetch_ahead(&self) {
        if self.kept().set.is_none() {
            drop(self.renewal());
        }
    }

    /// Returns the keys to check a token with that names the key of this id; `None` if there are none yet.
    pub(crate) async fn for_id(&self, id: Option<&str>) -> Option<Arc<KeySet>> {
        let Some(pace) = self.0.source.pace() else { return self.kept().set.clone() };
        let (set, age) = {
            let kept = self.kept();
            (kept.set.clone(), kept.since.map(|since| since.elapsed()))
        };
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

    /// Begins to renew them, without anybody who has to wait.
    fn renewal(&self) -> tokio::task::JoinHandle<()> {
        let (keys, asked) = (self.clone(), Instant::now());
        tokio::spawn(async move { keys.renew(asked).await })
    }

    async fn renewed(&self) {
        // Only a runtime that ends ends a task; then there is nobody to tell.
        let _ = self.renewal().await;
    }

    async fn renew(&self, asked: Instant) {
        let _turn = self.0.fetching.lock().await;
        if self.kept().tried.is_some_and(|tried| tried >= asked) {
            return;
        }
        let read = self.0.source.read().await;
        let mut kept = self.kept();
        kept.tried = Some(Instant::now());
        match read {
            Ok(set) => {
                log::debug!("{} has {} keys.", self.0.source.name(), set.len());
                (kept.set, kept.since) = (Some(Arc::new(set)), kept.tried);
            }
            Err(reason) => {
                let left = if kept.set.is_some() { "the old ones stay" } else { "no token can be checked" };
                log::warn!("Can't read the keys for tokens from {}, {left}: {reason}", self.0.source.name());
            }
        }
    }

    /// Returns whether enough time has passed since the last attempt.
    fn has_paused(&self) -> bool {
        self.kept().tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
    }

    /// Returns whether an unknown key may be looked for, and takes that as done.
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
    /// `None` if nothing is ever renewed.
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
                let text = tokio::fs::read(path).await.map_err(|error| error.to_string())?;
                KeySet::read(&text, From::File)
            }
            Source::Url(_, remote) => KeySet::read(&remote.get().await?, From::Elsewhere),
        }
    }
}

/// Takes off the newline that editors put at the end of a file.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}
