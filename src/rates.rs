//! Rate limits for clients, with the [GCRA]: a client can make a burst of requests after a pause, and then
//! one request per emission interval.
//!
//! [GCRA]: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::settings::Rate;
use crate::shares::Client;

/// The number of clients that are remembered, a power of two. Each takes 16 bytes.
const CLIENTS: usize = 1 << 16;
/// The number of clients among which one is forgotten when too many come.
const WAYS: usize = 8;

/// The origin of a request, for which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker<'a> {
    /// A client known by its address only.
    Client(IpAddr),
    /// An authenticated user.
    User(&'a str),
}

impl From<Client> for Asker<'_> {
    fn from(client: Client) -> Self {
        Asker::Client(client.network())
    }
}

/// The remaining quota of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// The most requests at once.
    pub(crate) burst: u32,
    /// The time after which a used burst is available again.
    pub(crate) window: Duration,
    /// The requests that it may make now.
    pub(crate) requests: u32,
    /// The time until one more request is available.
    pub(crate) wait: Duration,
}

impl Left {
    /// Returns the value of the header `RateLimit-Policy`: a quota of requests (`q`) per window in seconds
    /// (`w`).
    pub(crate) fn policy(&self) -> String {
        format!("\"default\";q={};w={}", self.burst, up(self.window))
    }
}

/// Writes the value of the header `RateLimit`: remaining requests (`r`), and seconds until one more is
/// available (`t`).
impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"default\";r={};t={}", self.requests, up(self.wait))
    }
}

/// Rounds up to whole seconds.
fn up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A counter of requests per client, in constant memory.
pub(crate) struct Rates {
    limiter: RateLimiter<u64, Slots, Ticks, StateInformationMiddleware>,
    clock: Ticks,
    hasher: RandomState,
    each: Duration,
    burst: NonZeroU32,
}

impl Rates {
    /// Allows each caller this rate, and a burst of `burst` requests.
    pub(crate) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        let each = rate.each();
        // `with_period` fails only for a period of 0, which no rate has.
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(rate.count)).allow_burst(burst);
        let clock = Ticks(Instant::now());
        let limiter = RateLimiter::new(quota, Slots::new(CLIENTS), clock.clone());
        Rates { limiter, clock, hasher: RandomState::new(), each, burst }
    }

    /// Counts a request. Returns `Err`, without counting it, if it exceeds the rate.
    pub(crate) fn count(&self, asker: Asker<'_>) -> Result<Left, Left> {
        let left = |requests, wait| {
            let window = self.each.saturating_mul(self.burst.get());
            Left { burst: self.burst.get(), window, requests, wait }
        };
        match self.limiter.check_key(&self.hasher.hash_one(asker)) {
            Ok(state) => Ok(left(state.remaining_burst_capacity(), self.each)),
            Err(until) => Err(left(0, until.wait_time_from(self.clock.now()))),
        }
    }
}

/// A clock on tokio's time, which tests can pause.
#[derive(Debug, Clone)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The theoretical arrival time (TAT) of each caller, by the caller's hash.
///
/// It works like a set-associative cache. In a full set, the caller with the earliest TAT is forgotten, which
/// is the one that has used least of its burst. No caller is ever refused because of others.
struct Slots(Box<[Mutex<[Slot; WAYS]>]>);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    caller: u64,
    paid_off: u64,
}

impl Slots {
    fn new(callers: usize) -> Self {
        Slots((0..callers / WAYS).map(|_| Mutex::default()).collect())
    }
}

impl StateStore for Slots {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, caller: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let set = &self.0[*caller as usize % self.0.len()];
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let known = set.iter().position(|slot| slot.caller == *caller && slot.paid_off != 0);
        let (outcome, paid_off) = decide(known.map(|i| set[i].paid_off.into()))?;
        let slot = match known {
            Some(i) => Some(&mut set[i]),
            None => set.iter_mut().min_by_key(|slot| slot.paid_off),
        };
        if let Some(slot) = slot {
            *slot = Slot { caller: *caller, paid_off: paid_off.into() };
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::*;

    fn rates(rate: &str, burst: u32) -> Rates {
        Rates::new(rate.parse().unwrap(), NonZeroU32::new(burst).unwrap())
    }

    fn client(i: u32) -> Asker<'static> {
        Asker::Client(Ipv4Addr::from_bits(i).into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_followed_by_the_rate() {
        let rates = rates("10/s", 3);
        let left: Vec<_> = (0..3).map(|_| rates.count(client(1)).unwrap().requests).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = rates.count(client(1)).unwrap_err();
        assert_eq!((refused.requests, refused.wait), (0, Duration::from_millis(100)));
        assert!(rates.count(client(2)).is_ok() && rates.count(Asker::User("bob")).is_ok());
        advance(Duration::from_millis(100)).await;
        assert!(rates.count(client(1)).is_ok() && rates.count(client(1)).is_err());
        advance(Duration::from_secs(60)).await;
        assert_eq!(rates.count(client(1)).unwrap().requests, 2, "it saves up for no more than a burst");
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_addresses_each_get_what_is_theirs() {
        const SECONDS: u32 = 30;
        let (rates, mut passed) = (rates("20/s", 20), vec![0_u32; 1000]);
        // Each asks five times as often as it may.
        for _ in 0..SECONDS * 100 {
            advance(Duration::from_millis(10)).await;
            for (i, passed) in passed.iter_mut().enumerate() {
                *passed += u32::from(rates.count(client(i as u32)).is_ok());
            }
        }
        let due = f64::from(20 * SECONDS);
        for passed in passed {
            let ratio = f64::from(passed) / due;
            assert!((0.9..=1.1).contains(&ratio), "{passed} of {due}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_addresses_takes_the_same_memory_and_harms_nobody() {
        let rates = rates("10/s", 5);
        for i in 0..1_000_000 {
            assert!(rates.count(client(i)).is_ok(), "who comes first is let in");
            if i % 10_000 == 0 {
                advance(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(size_of::<Slot>() * CLIENTS, 1 << 20, "a megabyte");
    }
}
