//! The stored form of a password, as SCRAM-SHA-256 (RFC 5802, RFC 7677) wants it: never the password.

use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::budget::fuel;

/// The length of a SHA-256 digest, and of every key made of one.
pub const KEY_LEN: usize = 32;

/// The length of a salt, as in RethinkDB.
pub const SALT_LEN: usize = 16;

/// The iteration count of a password that is set without one, as in RethinkDB.
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// The most iterations of a password: several seconds. RethinkDB takes more, and then stretches for an hour.
pub const MAX_ITERATIONS: u32 = 10_000_000;

/// The units of work of an iteration.
const ITERATION: usize = 16;

/// The stored form of a user's password: enough to check a client's proof, too little to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Random bytes that make equal passwords differ.
    pub salt: [u8; SALT_LEN],
    /// Iterations of the hash.
    pub iterations: u32,
    /// The hash of the key that the client proves to know.
    pub stored_key: [u8; KEY_LEN],
    /// The key by which the server proves that it knows the password's hash too.
    pub server_key: [u8; KEY_LEN],
}

impl Credentials {
    /// Stretches a password with a fresh random salt. This is slow on purpose: about a microsecond for each
    /// iteration.
    pub fn derive(password: &str, iterations: u32) -> Self {
        Self::with_salt(password, rand::random(), iterations)
    }

    /// Returns the credentials of `admin` on a new database. An empty password needs no stretching, so
    /// connecting stays cheap until one is set.
    pub fn initial(password: &str) -> Self {
        Self::derive(password, if password.is_empty() { 1 } else { DEFAULT_ITERATIONS })
    }

    /// Stretches a password with a given salt; no iterations count as one. Within a query this is work that
    /// can be ended, with an arbitrary result.
    pub fn with_salt(password: &str, salt: [u8; SALT_LEN], iterations: u32) -> Self {
        let iterations = iterations.max(1);
        let salted = stretched(password, &salt, iterations);
        let client_key = hmac_sha256(&salted, b"Client Key");
        Self {
            salt,
            iterations,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }

    /// Returns credentials to show for an unknown user, so that the exchange's first answer doesn't tell
    /// which users exist. No proof is to be accepted for them.
    pub fn unknown() -> Self {
        Self {
            salt: rand::random(),
            iterations: DEFAULT_ITERATIONS,
            stored_key: [0; KEY_LEN],
            server_key: [0; KEY_LEN],
        }
    }

    /// Checks a password that a client sends as it is, as older protocols do. As slow as
    /// [`Credentials::derive`].
    pub fn matches(&self, password: &str) -> bool {
        let given = Self::with_salt(password, self.salt, self.iterations);
        same(given.stored_key, self.stored_key)
    }

    /// Checks a client's proof over the messages of the exchange, in constant time.
    pub fn verify_proof(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let Ok(mut client_key) = <[u8; KEY_LEN]>::try_from(proof) else { return false };
        let signature = hmac_sha256(&self.stored_key, auth_message);
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        same(Sha256::digest(client_key).into(), self.stored_key)
    }

    /// Returns the server's own proof over the messages of the exchange.
    pub fn server_signature(&self, auth_message: &[u8]) -> [u8; KEY_LEN] {
        hmac_sha256(&self.server_key, auth_message)
    }
}

/// Keys stay out of logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Returns the first block of PBKDF2 (RFC 8018).
fn stretched(password: &str, salt: &[u8], iterations: u32) -> [u8; KEY_LEN] {
    let keyed = Hmac::<Sha256>::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length");
    let first = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes());
    let mut last: [u8; KEY_LEN] = first.finalize().into_bytes().into();
    let mut salted = last;
    for _ in 1..iterations {
        if !fuel::burn(ITERATION) {
            break;
        }
        last = keyed.clone().chain_update(last).finalize().into_bytes().into();
        for (byte, other) in salted.iter_mut().zip(last) {
            *byte ^= other;
        }
    }
    salted
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; KEY_LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Compares two keys, in the same time wherever the first difference is.
fn same(a: [u8; KEY_LEN], b: [u8; KEY_LEN]) -> bool {
    CtOutput::<Sha256>::new(a.into()) == CtOutput::<Sha256>::new(b.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::budget::fuel::Place;
    use crate::budget::memory::Pool;
    use crate::interrupt::{Interrupt, Reason};

    #[test]
    fn matches_its_own_password_only() {
        let credentials = Credentials::derive("hunter2", 10);
        assert!(credentials.matches("hunter2"));
        assert!(!credentials.matches("hunter3"));
        assert!(!credentials.matches(""));
    }

    #[test]
    fn passwords_are_stretched_as_pbkdf2_does_it() {
        for (password, iterations) in [("", 1), ("x", 2), ("a long password".repeat(9).as_str(), 1000)] {
            let expected: [u8; KEY_LEN] =
                pbkdf2::pbkdf2_hmac_array::<Sha256, KEY_LEN>(password.as_bytes(), b"salt", iterations);
            assert_eq!(stretched(password, b"salt", iterations), expected);
        }
    }

    #[test]
    fn stretching_ends_when_its_query_does() {
        let interrupt = Interrupt::default();
        interrupt.raise(Reason::Closed);
        let budget = Budget::new(interrupt, Pool::default());
        let ended = fuel::within(&budget, Place::Worker, || Ok(stretched("x", b"salt", u32::MAX)));
        assert!(ended.is_err());
    }

    #[test]
    fn salts_differ() {
        assert_ne!(Credentials::derive("x", 1), Credentials::derive("x", 1));
    }

    #[test]
    fn an_empty_initial_password_is_cheap() {
        assert_eq!(Credentials::initial("").iterations, 1);
        assert_eq!(Credentials::initial("x").iterations, DEFAULT_ITERATIONS);
    }

    #[test]
    fn proofs_of_the_wrong_length_fail() {
        let credentials = Credentials::derive("x", 1);
        assert!(!credentials.verify_proof(b"message", b"short"));
        assert!(!credentials.verify_proof(b"message", &[0; KEY_LEN]));
    }
}
