//! The keys that tokens are verified with, cached and renewed.
//!
//! Keys stay valid until new ones have been read: a failed renewal keeps them. A request that finds them
//! stale starts a renewal in the background, unless one is under way. A request that finds them old waits for
//! it, unless the last one failed. So does one whose token names an unknown key, and one that finds none.

mod remote;
mod set;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
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
    fetching: Arc<tokio::sync::Mutex<()>>,
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

/// The need for a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none.
    Fresh,
    /// The keys may be used meanwhile.
    Stale,
    /// There are no keys, or only old ones.
    Urgent,
}

impl Kept {
    fn state(&self, pace: Pace) -> State {
        if self.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return State::Fresh;
        }
        let Some(since) = self.since else { return State::Urgent };
        let has_failed = self.tried.is_some_and(|tried| tried > since);
        match since.elapsed() {
            age if age >= pace.old && !has_failed => State::Urgent,
            age if age >= pace.stale => State::Stale,
            _ => State::Fresh,
        }
    }
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
        let fetching = Arc::default();
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
        let (set, state) = {
            let kept = self.kept();
            (kept.set.clone(), kept.source.pace().map(|pace| kept.state(pace)))
        };
        let Some(state) = state else { return set };
        match state {
            _ if set.is_some_and(|set| !set.knows(id)) => self.seek(id, state).await,
            State::Fresh => {}
            State::Stale => drop(self.renewal()),
            State::Urgent => self.renewed().await,
        }
        self.kept().set.clone()
    }

    /// Looks for a key that isn't known, by the renewal that is under way or by another one.
    async fn seek(&self, id: Option<&str>, state: State) {
        drop(self.0.fetching.lock().await);
        let is_known = self.kept().set.as_ref().is_some_and(|set| set.knows(id));
        if !is_known && (state != State::Fresh || self.may_seek()) {
            self.renewed().await;
        }
    }

    /// Starts a renewal in the background, unless one is under way.
    fn renewal(&self) -> Option<JoinHandle<()>> {
        let turn = Arc::clone(&self.0.fetching).try_lock_owned().ok()?;
        let keys = self.clone();
        Some(tokio::spawn(async move {
            keys.renew().await;
            drop(turn);
        }))
    }

    /// Waits for a renewal: the one that is under way, or else another one.
    async fn renewed(&self) {
        match self.renewal() {
            // It fails only if the runtime is shutting down, which ends this request, too.
            Some(renewal) => drop(renewal.await),
            None => drop(self.0.fetching.lock().await),
        }
    }

    async fn renew(&self) {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::pin::pin;

    use futures_util::poll;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    /// A set of keys with these ids.
    fn set(ids: &[&str]) -> String {
        let point = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let key = |id: &&str| json!({"kty": "EC", "crv": "P-256", "kid": id, "x": point, "y": point});
        json!({"keys": ids.iter().map(key).collect::<Vec<_>>()}).to_string()
    }

    #[tokio::test]
    async fn all_whose_key_is_unknown_wait_for_the_renewal_under_way() {
        let home = TempDir::new().unwrap();
        let file = home.path().join("keys.json");
        fs::write(&file, set(&["old"])).unwrap();
        let keys = Keys::of(&Token { keys: file.display().to_string(), ..Token::default() }).unwrap();
        assert!(keys.for_id(Some("old")).await.is_some_and(|set| !set.knows(Some("new"))));
        assert!(keys.may_seek(), "somebody looks for a key");
        let turn = Arc::clone(&keys.0.fetching).lock_owned().await;
        assert!(keys.renewal().is_none(), "one is under way");
        let mut waiting = pin!(keys.for_id(Some("new")));
        assert!(poll!(&mut waiting).is_pending());
        assert!(keys.for_id(Some("old")).await.is_some(), "who knows its key waits for nothing");
        fs::write(&file, set(&["old", "new"])).unwrap();
        keys.renew().await;
        drop(turn);
        assert!(waiting.await.is_some_and(|set| set.knows(Some("new"))));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_keys_does_not_wait_for_an_issuer_that_is_away() {
        let url = "http://127.0.0.1:9/keys".to_owned();
        let keys = Keys::of(&Token { keys: url, ..Token::default() }).unwrap();
        assert_eq!(keys.kept().state(OF_URLS), State::Urgent);
        for (age, expected) in [(0, State::Fresh), (300, State::Stale), (900, State::Urgent)] {
            keys.kept().tried = Some(Instant::now());
            keys.kept().since = Some(Instant::now());
            tokio::time::sleep(Duration::from_secs(age)).await;
            assert_eq!(keys.kept().state(OF_URLS), expected, "after {age} s");
        }
        // It was away when the keys had become old.
        keys.kept().tried = Some(Instant::now());
        assert_eq!(keys.kept().state(OF_URLS), State::Fresh);
        tokio::time::sleep(PAUSE).await;
        assert_eq!(keys.kept().state(OF_URLS), State::Stale);
    }
}
