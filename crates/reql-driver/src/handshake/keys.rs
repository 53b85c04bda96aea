//! Keys that were made of passwords and accepted by a server, kept for later connections.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::scram::{Challenge, Keys, hash};
use crate::secret::Secret;

/// The number of keys that are kept at most.
const MAX_KEPT: usize = 256;

/// The time for which an unused key is kept.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Keys by user, password, salt and number of rounds. Of passwords it has only hashes, keyed by random bytes.
///
/// Its `Debug` shows none of it: with the random bytes and a hash, passwords could be tried at one hash each.
pub(crate) struct KeptKeys {
    random: [u8; 32],
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    user: String,
    salt: Vec<u8>,
    rounds: u32,
    password: [u8; 32],
    /// In a box, so that a vector that grows or shrinks leaves no copies of them behind.
    keys: Box<Keys>,
    used: Instant,
}

impl KeptKeys {
    pub(crate) fn new() -> Self {
        let mut random = [0; 32];
        // Without random bytes no handshake gets far enough to keep anything.
        let _ = getrandom::fill(&mut random);
        KeptKeys { random, kept: Mutex::new(Vec::new()) }
    }

    /// Returns the keys, if they are kept.
    pub(crate) fn get(&self, user: &str, password: &Secret, challenge: &Challenge) -> Option<Keys> {
        let password = hash(&self.random, password.expose());
        let mut kept = self.fresh();
        let known = kept.iter_mut().find(|kept| kept.is_of(user, &password, challenge))?;
        known.used = Instant::now();
        Some(Keys::clone(&known.keys))
    }

    /// Keeps keys that a server has accepted.
    pub(crate) fn keep(&self, user: &str, password: &Secret, challenge: &Challenge, keys: Keys) {
        let password = hash(&self.random, password.expose());
        let mut kept = self.fresh();
        kept.retain(|kept| !kept.is_of(user, &password, challenge));
        if kept.len() >= MAX_KEPT {
            let oldest = kept.iter().enumerate().min_by_key(|(_, kept)| kept.used).map(|(at, _)| at);
            oldest.map(|at| kept.swap_remove(at));
        }
        let (salt, rounds, keys) = (challenge.salt.clone(), challenge.rounds, Box::new(keys));
        kept.push(Kept { user: user.to_owned(), salt, rounds, password, keys, used: Instant::now() });
    }

    /// Drops the keys for a user with this password, which the server doesn't accept any more. Keys of other
    /// passwords stay: a wrong guess costs no other user a hash.
    pub(crate) fn forget(&self, user: &str, password: &Secret) {
        let password = hash(&self.random, password.expose());
        self.fresh().retain(|kept| kept.user != user || kept.password != password);
    }

    /// Drops the keys that are too old.
    fn fresh(&self) -> MutexGuard<'_, Vec<Kept>> {
        let mut kept = self.lock();
        kept.retain(|kept| kept.used.elapsed() < LIFETIME);
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeptKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptKeys").field("kept", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Kept {
    fn is_of(&self, user: &str, password: &[u8; 32], challenge: &Challenge) -> bool {
        // The hash is keyed, so that the time of this comparison tells nothing about passwords.
        self.user == user
            && self.password == *password
            && self.salt == challenge.salt
            && self.rounds == challenge.rounds
    }
}

#[cfg(test)]
mod tests {
    use super::super::scram::First;
    use super::*;

    fn challenge(salt: &str) -> Challenge {
        let first = First::new("user").unwrap();
        let message = first.message();
        let nonce = message.rsplit_once("r=").unwrap().1.to_owned();
        first.challenge(&format!("r={nonce}x,s={salt},i=4096")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_of_one_user_password_and_salt_for_a_while() {
        let kept = KeptKeys::new();
        let (password, other) = (Secret::new("pencil"), Secret::new("pen"));
        let keys = || Keys::derive(b"pencil", b"salt", 1);
        kept.keep("ada", &password, &challenge("YQ=="), keys());
        assert!(kept.get("ada", &password, &challenge("YQ==")).is_some());
        assert!(kept.get("ada", &other, &challenge("YQ==")).is_none());
        assert!(kept.get("ada", &password, &challenge("Yg==")).is_none());
        assert!(kept.get("bob", &password, &challenge("YQ==")).is_none());
        kept.forget("ada", &other);
        assert!(kept.get("ada", &password, &challenge("YQ==")).is_some(), "it isn't the one that was wrong");
        kept.forget("ada", &password);
        assert!(kept.get("ada", &password, &challenge("YQ==")).is_none());

        for user in 0..2 * MAX_KEPT {
            kept.keep(&user.to_string(), &password, &challenge("YQ=="), keys());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(kept.lock().len(), MAX_KEPT);
        assert!(kept.get("0", &password, &challenge("YQ==")).is_none());
        tokio::time::advance(LIFETIME).await;
        assert!(kept.get("511", &password, &challenge("YQ==")).is_none(), "too old");
        kept.keep("ada", &password, &challenge("YQ=="), keys());
        tokio::time::advance(LIFETIME).await;
        kept.keep("bob", &password, &challenge("YQ=="), keys());
        assert_eq!(kept.lock().len(), 1, "every login drops those that are too old");
    }

    #[test]
    fn shows_neither_hashes_nor_what_they_are_keyed_by() {
        let (kept, password) = (KeptKeys::new(), Secret::new("pencil"));
        kept.keep("ada", &password, &challenge("YQ=="), Keys::derive(b"pencil", b"salt", 1));
        assert_eq!(format!("{kept:?}"), "KeptKeys { kept: 1, .. }");
    }
}
