//! Tickets: each replaces, once and for half a minute, the credentials of the request that asked for it.
//!
//! A browser's `EventSource` can't send credentials. So a page requests a ticket, with credentials, and puts
//! it into the URL of the live query. URLs get into logs and histories, so a spent ticket is worthless. The
//! credentials are checked when the ticket is spent, as if the request itself had them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::{Instant, sleep};
use warp::http::HeaderValue;

use crate::digest::{digest, hex};
use crate::error::{Code, Error};
use crate::shares::{Holder, Percent, Share, Shares};

/// The time for which a ticket is valid.
pub(crate) const LIFE: Duration = Duration::from_secs(30);
/// The interval at which expired tickets are dropped.
const TIDY: Duration = Duration::from_secs(1);
/// The length of a ticket, in bytes before they are made text.
const LENGTH: usize = 16;
/// The amount of memory, in bytes, for which a ticket counts as one.
const ONE: usize = 1 << 10;

/// The tickets that aren't spent yet.
pub(crate) struct Tickets {
    shares: Shares,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    /// The tickets by their digests, so that the time of a lookup reveals nothing about the others.
    tickets: HashMap<[u8; 32], Ticket>,
    /// A task drops expired tickets.
    is_watched: bool,
}

struct Ticket {
    /// The URL that it is for.
    url: Box<str>,
    credentials: Vec<HeaderValue>,
    end: Instant,
    _share: Share,
}

impl Tickets {
    /// Makes a store of at most this many tickets.
    pub(crate) fn new(most: usize, percent: Percent) -> Self {
        Tickets { shares: Shares::new(most, percent), waiting: Arc::default() }
    }

    /// Changes the largest number of tickets.
    pub(crate) fn resize(&self, most: usize, percent: Percent) {
        self.shares.resize(most, percent);
    }

    /// Issues a ticket for these credentials and this URL.
    ///
    /// # Errors
    ///
    /// [`Code::TicketsExhausted`] if there are too many, [`Code::ShareUsedUp`] if this holder has too many.
    pub(crate) fn issue(
        &self,
        holder: Holder,
        url: &str,
        credentials: Vec<HeaderValue>,
    ) -> Result<String, Error> {
        let length = url.len() + credentials.iter().map(HeaderValue::len).sum::<usize>();
        let mut share = self.shares.nothing(holder);
        share
            .grow(1 + length / ONE)
            .map_err(|taken| taken.error("tickets", |limit| Error::about(Code::TicketsExhausted, limit)))?;
        let mut secret = [0; LENGTH];
        SystemRandom::new().fill(&mut secret).map_err(|_| Error::internal("there is no randomness"))?;
        let ticket = hex(&secret);
        let end = Instant::now() + LIFE;
        let kept = Ticket { url: url.into(), credentials, end, _share: share };
        let mut waiting = lock(&self.waiting);
        waiting.tickets.insert(name(&ticket), kept);
        if !std::mem::replace(&mut waiting.is_watched, true) {
            tokio::spawn(watch(Arc::clone(&self.waiting)));
        }
        Ok(ticket)
    }

    /// Spends a ticket, and returns its credentials.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidTicket`] if the ticket is unknown, spent, expired, or for another URL.
    pub(crate) fn spend(&self, ticket: &str, url: &str) -> Result<Vec<HeaderValue>, Error> {
        let kept = lock(&self.waiting).tickets.remove(&name(ticket));
        let counts = |kept: &Ticket| kept.end > Instant::now() && *kept.url == *url;
        kept.filter(counts).map(|kept| kept.credentials).ok_or_else(|| Error::from(Code::InvalidTicket))
    }
}

/// Returns whether a text has the form of a ticket.
pub(crate) fn is_ticket(text: &str) -> bool {
    text.len() == 2 * LENGTH && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn name(ticket: &str) -> [u8; 32] {
    digest(&[ticket.as_bytes()])
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops expired tickets while there are any, so that their credentials don't stay in memory.
async fn watch(waiting: Arc<Mutex<Waiting>>) {
    let mut goes_on = true;
    while goes_on {
        sleep(TIDY).await;
        let (mut waiting, now) = (lock(&waiting), Instant::now());
        waiting.tickets.retain(|_, ticket| ticket.end > now);
        goes_on = !waiting.tickets.is_empty();
        waiting.is_watched = goes_on;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const ALL: Percent = Percent { client: 100, user: 50 };

    fn credentials() -> Vec<HeaderValue> {
        vec![HeaderValue::from_static("Basic x")]
    }

    fn code<T>(outcome: Result<T, Error>) -> Option<Code> {
        outcome.err().map(|error| error.code())
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_counts_once_at_one_url_and_for_a_while() {
        let tickets = Tickets::new(10, ALL);
        let issue = || tickets.issue(Holder::default(), "/a", credentials()).unwrap();
        let ticket = issue();
        assert!(is_ticket(&ticket) && !is_ticket("has") && !is_ticket(&ticket.to_uppercase()));
        assert_eq!(tickets.spend(&ticket, "/a").unwrap(), credentials());
        assert_eq!(code(tickets.spend(&ticket, "/a")), Some(Code::InvalidTicket), "it is spent");
        let ticket = issue();
        assert_eq!(code(tickets.spend(&ticket, "/b")), Some(Code::InvalidTicket), "it is for another");
        assert_eq!(code(tickets.spend(&ticket, "/a")), Some(Code::InvalidTicket), "and spent by that");
        let (early, late) = (issue(), issue());
        advance(LIFE - Duration::from_millis(1)).await;
        assert!(tickets.spend(&early, "/a").is_ok());
        advance(Duration::from_millis(1)).await;
        assert_eq!(code(tickets.spend(&late, "/a")), Some(Code::InvalidTicket), "its time is over");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_have_a_bound_and_are_forgotten() {
        let tickets = Tickets::new(8, ALL);
        let issue = |user, length| {
            let holder = Holder::default().with_user(Some(user));
            tickets.issue(holder, &"x".repeat(length), credentials())
        };
        assert!(issue("a", 3000).is_ok(), "it counts as three");
        assert!(issue("a", 1).is_ok());
        assert_eq!(code(issue("a", 1)), Some(Code::ShareUsedUp));
        assert!(issue("b", 3000).is_ok());
        assert_eq!(code(issue("c", 2000)), Some(Code::TicketsExhausted));
        sleep(LIFE / 2).await;
        assert!(issue("c", 1).is_ok());
        sleep(LIFE / 2 + TIDY).await;
        assert_eq!(lock(&tickets.waiting).tickets.len(), 1);
        assert!(issue("a", 3000).is_ok(), "the others have given back their room");
        sleep(LIFE * 2).await;
        assert_eq!((lock(&tickets.waiting).tickets.len(), tickets.shares.held()), (0, 0));
        assert!(!lock(&tickets.waiting).is_watched);
    }
}
