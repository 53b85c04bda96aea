//! Protection against password guessing: a client with too many wrong passwords has to wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::database::Credentials;
use crate::digest::digest;
use crate::error::Error;
use crate::shares::Client;

/// The burst of wrong passwords that is allowed, and the time after which one more is.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u32,
    each: Duration,
}

/// The time that a client has to wait for each wrong password beyond the burst, for one user and for any.
const EACH_OF_USER: Duration = Duration::from_secs(6);
const EACH_OF_ANY: Duration = Duration::from_secs(1);
/// The burst for all users together, as a multiple of that for one user.
const USERS: u32 = 10;
/// The time for which a password that was right isn't counted as a guess.
const RIGHT_FOR: Duration = Duration::from_secs(3600);
/// The largest number of entries of each map.
const MOST: usize = 10_000;

/// The wrong passwords that clients have sent.
///
/// A password that was right for the same client before always passes, so that a guesser behind the same
/// address can't lock out others who know theirs.
pub(crate) struct Guesses {
    /// The number of wrong passwords for one user before a client has to wait.
    burst: AtomicU32,
    salt: [u8; 16],
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The times at which the guesses so far no longer count (the theoretical arrival time of GCRA).
    debts: HashMap<Debtor, Instant>,
    /// The times at which passwords were last right, by their hash.
    right: HashMap<[u8; 32], Instant>,
}

/// The key that guesses are counted by: a client, with the user whose password it guesses or for all users.
#[derive(PartialEq, Eq, Hash)]
struct Debtor {
    client: Option<Client>,
    user: Option<Arc<str>>,
}

impl Guesses {
    /// Starts without guesses. `burst` is the number of wrong passwords allowed for one user.
    pub(crate) fn new(burst: u32) -> Self {
        Guesses {
            burst: AtomicU32::new(burst),
            salt: fastrand::u128(..).to_be_bytes(),
            known: Mutex::default(),
        }
    }

    /// Changes the number of wrong passwords allowed for one user.
    pub(crate) fn allow(&self, burst: u32) {
        self.burst.store(burst, Ordering::Relaxed);
    }

    /// Checks that a client's password may be tried. Returns whether it was right within the last hour.
    ///
    /// # Errors
    ///
    /// [`Code::TooManyGuesses`](crate::error::Code::TooManyGuesses) if too many have been wrong.
    pub(crate) fn check(&self, client: Option<Client>, who: &Credentials) -> Result<bool, Error> {
        if self.was_right_lately(client, who) {
            return Ok(true);
        }
        let (known, now) = (self.known(), Instant::now());
        let waits = self.debtors(client, who).map(|(debtor, rate)| match known.debts.get(&debtor) {
            Some(end) => end.saturating_duration_since(now).saturating_sub(rate.each * rate.burst),
            None => Duration::ZERO,
        });
        match waits.into_iter().max() {
            Some(wait) if !wait.is_zero() => Err(Error::too_many_guesses(wait)),
            _ => Ok(false),
        }
    }

    fn was_right_lately(&self, client: Option<Client>, who: &Credentials) -> bool {
        let right_at = self.known().right.get(&self.digest(client, who)).copied();
        right_at.is_some_and(|at| at.elapsed() < RIGHT_FOR)
    }

    /// Counts a wrong password.
    pub(crate) fn was_wrong(&self, client: Option<Client>, who: &Credentials) {
        let (mut known, now) = (self.known(), Instant::now());
        make_room(&mut known.debts, |end| *end > now);
        for (debtor, rate) in self.debtors(client, who) {
            let end = known.debts.entry(debtor).or_insert(now);
            *end = (*end).max(now) + rate.each;
        }
    }

    /// Remembers that a password was right.
    pub(crate) fn was_right(&self, client: Option<Client>, who: &Credentials) {
        let (mut known, now) = (self.known(), Instant::now());
        make_room(&mut known.right, |at| now.duration_since(*at) < RIGHT_FOR);
        known.right.insert(self.digest(client, who), now);
    }

    fn digest(&self, client: Option<Client>, who: &Credentials) -> [u8; 32] {
        let client = format!("{:?}", client.map(Client::network));
        digest(&[&self.salt, client.as_bytes(), who.user().as_bytes(), who.password().expose().as_bytes()])
    }

    /// Returns the keys and rates by which a guess is counted.
    fn debtors(&self, client: Option<Client>, who: &Credentials) -> [(Debtor, Rate); 2] {
        let burst = self.burst.load(Ordering::Relaxed);
        let of_user = Debtor { client, user: Some(who.user().into()) };
        let of_any = Debtor { client, user: None };
        [
            (of_user, Rate { burst, each: EACH_OF_USER }),
            (of_any, Rate { burst: burst.saturating_mul(USERS), each: EACH_OF_ANY }),
        ]
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the entries that no longer count if the map is full, or all if it is still full then.
fn make_room<K: Eq + std::hash::Hash>(known: &mut HashMap<K, Instant>, counts: impl Fn(&Instant) -> bool) {
    if known.len() >= MOST {
        known.retain(|_, at| counts(at));
    }
    if known.len() >= MOST {
        known.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::time::advance;

    use super::*;

    const BURST: u32 = 10;

    fn client(address: &str) -> Option<Client> {
        Some(address.parse::<IpAddr>().unwrap().into())
    }

    fn wrong(guesses: &Guesses, client: Option<Client>, user: &str, times: u32) {
        (0..times).for_each(|_| guesses.was_wrong(client, &Credentials::new(user, "guess")));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_are_slow_after_some() {
        let (guesses, here) = (Guesses::new(BURST), client("10.0.0.1"));
        let check = |client, user| guesses.check(client, &Credentials::new(user, "guess"));
        wrong(&guesses, here, "bob", BURST);
        assert!(check(here, "bob").is_ok(), "as many may be wrong");
        wrong(&guesses, here, "bob", 1);
        assert!(check(here, "bob").is_err_and(|error| error.retry_after() == Some(EACH_OF_USER)));
        assert!(check(here, "eve").is_ok() && check(client("10.0.0.2"), "bob").is_ok());
        advance(EACH_OF_USER).await;
        assert!(check(here, "bob").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_at_many_users_are_slow_too() {
        let (guesses, here) = (Guesses::new(BURST), client("10.0.0.1"));
        (0..=BURST * USERS).for_each(|user| wrong(&guesses, here, &user.to_string(), 1));
        assert!(guesses.check(here, &Credentials::new("eve", "guess")).is_err());
        assert!(guesses.check(client("10.0.0.2"), &Credentials::new("eve", "guess")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_knows_a_password_is_not_kept_out_by_who_guesses_it() {
        let (guesses, here, bob) =
            (Guesses::new(BURST), client("10.0.0.1"), Credentials::new("bob", "right"));
        guesses.was_right(here, &bob);
        wrong(&guesses, here, "bob", 1000);
        assert!(guesses.check(here, &bob).is_ok());
        assert!(guesses.check(here, &Credentials::new("bob", "guess")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let guesses = Guesses::new(BURST);
        for n in 0..MOST as u32 * 2 {
            wrong(&guesses, client(&IpAddr::from(n.to_be_bytes()).to_string()), "bob", 1);
        }
        assert!(guesses.known().debts.len() <= MOST + 1);
    }
}
