//! Bounds on what clients may ask for, and on how slowly.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Rate, units};
use crate::query::PageLimits;

/// Bounds on what a request may ask for.
///
/// ```
/// use warp_reql::settings::{Limits, Settings};
///
/// let limits = Limits { page: 20, page_max: 200, ..Limits::default() };
/// let settings = Settings { limits, ..Settings::default() };
/// assert_eq!(settings.limits.body, 1 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The longest body of a request that carries one document, in bytes. Default 1 MiB.
    #[serde(with = "units::size")]
    pub body: u64,
    /// The longest body of a bulk insert, in bytes. Default 64 MiB.
    #[serde(with = "units::size")]
    pub bulk_body: u64,
    /// The number of documents in a page when the request doesn't say. Default 100.
    pub page: usize,
    /// The most documents that a page may hold. Default 1000.
    pub page_max: usize,
    /// The most related documents that `expand` may tell of for each document of a list, those of related
    /// ones included; 0 tells of none. Default 100.
    pub expand: usize,
    /// The most documents that a request may skip by `offset`. Default 10,000.
    pub offset_max: usize,
    /// The longest path and query of a URL together, in bytes. Default 8 KiB.
    #[serde(with = "units::size")]
    pub url: u64,
    /// The most bytes that the names and values of a request's headers may have together. Default 16 KiB.
    #[serde(with = "units::size")]
    pub headers: u64,
    /// The most requests about tables that may be answered at the same time. One more is turned away at once.
    /// Default 1024.
    pub requests: usize,
    /// The time that a request may take from the end of its head to the head of its answer, its body
    /// included. It should be long enough for a bulk insert over a slow line; a single query is bounded by
    /// [`Rdb::query_timeout`](super::Rdb::query_timeout). Default 5 min.
    #[serde(with = "units::duration")]
    pub request_time: Duration,
    /// The most clients that may follow live queries at once; 0 serves none. They need no connection to the
    /// database. Default: half of `connections`.
    pub feeds: usize,
    /// The most distinct live queries that may be followed at once. Clients that follow the same list with
    /// the same rights share one, which is one changefeed at the database. Default 1000.
    pub live_queries: usize,
    /// The most tickets that may wait to be used, see `POST /tickets`; 0 gives none. One that takes more than
    /// 1 KiB counts as several. Default 10,000.
    pub tickets: usize,
    /// The most events of one live query that are kept for clients that return. Default 10,000.
    pub replay_events: usize,
    /// The most bytes of events that are kept for clients that return, of all live queries together. One live
    /// query may have a quarter of them. The last 64 KiB of each are kept in any case. Default 32 MiB, but no
    /// more than an eighth of the memory that the process may use.
    #[serde(with = "units::size")]
    pub replay_bytes: u64,
    /// The time for which events are kept for clients that return. Default 5 min.
    #[serde(with = "units::duration")]
    pub replay_time: Duration,
    /// The most answers that may be streamed as NDJSON at once; 0 streams none. Each holds one of
    /// `rdb.max_connections`. Default: a quarter of those, so that a quarter is left for requests beside live
    /// queries; 64 if `rdb.max_connections` isn't set either.
    pub streams: usize,
    /// The most changes of a live query that wait in the database for the service. In place of further ones
    /// its clients get a `gap` event. Default 10,000.
    pub feed_queue: u32,
    /// The most clients that may be connected at the same time. One more is disconnected at once. Each takes
    /// a file descriptor, so what the operating system allows is a bound too. Default 10,000.
    pub connections: usize,
    /// The share of `connections`, `requests`, `streams`, `feeds`, `live_queries`, `tickets`, `answers` and
    /// `rdb.max_connections` that one client address may hold, in percent, from 1 to 100. The 64 bits that
    /// the addresses of an IPv6 network share count as one address. A service behind a proxy, which is the
    /// only client it sees, needs 100. Default 50.
    pub client_share: u8,
    /// The share of `requests`, `streams`, `feeds`, `tickets` and `answers` that one user of the database may
    /// hold, in percent, from 1 to 100, however many addresses it has. Counts with `auth = "database"` only.
    /// Default 50.
    pub user_share: u8,
    /// The requests about tables that one client may make in a second, a minute or an hour, such as
    /// `"100/s"`, `"6000/min"`, `"1000/h"`. A client is the user that it has proved to be, or else its
    /// address, as for `client_share`. Clients that connect by a Unix socket and are told of by no proxy
    /// have no limit. Default: none.
    #[serde(with = "units::optional")]
    pub rate: Option<Rate>,
    /// The requests that one client may make at once after a pause. Default 0: as many as the number in
    /// `rate`.
    pub burst: u32,
    /// The wrong passwords that one client may send for a user of the database before it has to wait 6 s for
    /// each further one, from 1 to 1,000,000. For all users together it may send ten times as many, and then
    /// one in a second. Counts with `auth = "database"` only. Default 10.
    pub guesses: u32,
    /// The time that a body may pause while it is read. On average over a longer time, 500 bytes must arrive
    /// in a second. Default 30 s.
    #[serde(with = "units::duration")]
    pub body_pause: Duration,
    /// The time that a client may leave a part of its answer unread before it is disconnected. Events of live
    /// queries are included. Default 60 s.
    #[serde(with = "units::duration")]
    pub send_time: Duration,
    /// The longest answer that is made in memory, such as a page, in bytes. Default 16 MiB, but no more than
    /// a sixteenth of the memory that the process may use, and no more than `answers`.
    #[serde(with = "units::size")]
    pub answer: u64,
    /// The most bytes that answers made in memory may have together, from when they are made until they are
    /// read. Answers of less than 64 KiB don't count; over HTTP/2, those of less than 4 KiB don't. Default 64
    /// MiB, but no more than an eighth of the memory that the process may use, and no less than `answer`.
    #[serde(with = "units::size")]
    pub answers: u64,
    /// The most bytes that bodies may have together while they are read. Each value in JSON counts as 128
    /// bytes besides, for as long as the request takes, and the memory that decoding takes counts, too.
    /// Bodies of less than 16 KiB don't count. Default 64 MiB, but no more than an eighth of the memory that
    /// the process may use, and no less than `body`.
    #[serde(with = "units::size")]
    pub bodies: u64,
}

/// The bounds on memory that somebody chose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen {
    pub(super) answer: bool,
    pub(super) answers: bool,
    pub(super) bodies: bool,
    pub(super) replay_bytes: bool,
}

impl Limits {
    /// Has what nobody chose follow the memory, in bytes, that the process may use. An answer takes several
    /// times its length while it is made.
    pub(super) fn fit(&mut self, memory: u64, chosen: Chosen) {
        if !chosen.bodies {
            self.bodies = self.bodies.min(memory / 8).max(self.body);
        }
        if !chosen.replay_bytes {
            self.replay_bytes = self.replay_bytes.min(memory / 8);
        }
        if !chosen.answers {
            self.answers = self.answers.min(memory / 8);
        }
        if !chosen.answer {
            self.answer = self.answer.min(memory / 16).min(self.answers);
        } else if !chosen.answers {
            self.answers = self.answers.max(self.answer);
        }
    }
}

impl Limits {
    /// Returns the bounds of the pages of lists.
    pub(crate) fn pages(&self) -> PageLimits {
        PageLimits { page: self.page, page_max: self.page_max, offset_max: self.offset_max }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 1 << 20,
            bulk_body: 64 << 20,
            page: 100,
            page_max: 1000,
            expand: 100,
            offset_max: 10_000,
            url: 8 << 10,
            headers: 16 << 10,
            requests: 1024,
            request_time: Duration::from_secs(300),
            feeds: 5000,
            live_queries: 1000,
            tickets: 10_000,
            replay_events: 10_000,
            replay_bytes: 32 << 20,
            replay_time: Duration::from_secs(300),
            streams: 64,
            feed_queue: 10_000,
            connections: 10_000,
            client_share: 50,
            user_share: 50,
            rate: None,
            burst: 0,
            guesses: 10,
            body_pause: Duration::from_secs(30),
            send_time: Duration::from_secs(60),
            answer: 16 << 20,
            answers: 64 << 20,
            bodies: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Returns the sizes, in MiB, of an answer and of all.
    fn fitted(memory: u64, answer: Option<u64>, answers: Option<u64>) -> (u64, u64) {
        let built_in = Limits::default();
        let mut limits = Limits {
            answer: answer.map_or(built_in.answer, |chosen| chosen * MIB),
            answers: answers.map_or(built_in.answers, |chosen| chosen * MIB),
            ..built_in
        };
        let chosen = Chosen {
            answer: answer.is_some(),
            answers: answers.is_some(),
            bodies: false,
            replay_bytes: false,
        };
        limits.fit(memory * MIB, chosen);
        assert_eq!(limits.bodies, (memory * MIB / 8).clamp(MIB, 64 * MIB));
        (limits.answer / MIB, limits.answers / MIB)
    }

    #[test]
    fn answers_follow_the_memory_unless_they_are_chosen() {
        assert_eq!(fitted(64, None, None), (4, 8));
        assert_eq!(fitted(256, None, None), (16, 32));
        assert_eq!(fitted(1 << 20, None, None), (16, 64));
        assert_eq!(fitted(64, Some(32), None), (32, 32));
        assert_eq!(fitted(64, None, Some(100)), (4, 100));
        assert_eq!(fitted(1 << 20, None, Some(10)), (10, 10));
        assert_eq!(fitted(64, Some(500), Some(600)), (500, 600));
    }
}
