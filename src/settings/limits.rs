//! Bounds on what clients may ask for, and on how slowly.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units;

/// Bounds on what a request may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The longest body of a request that carries one document, in bytes. Default 1 MiB.
    #[serde(with = "units::size")]
    pub body: u64,
    /// The longest body of a bulk insert, in bytes. Default 64 MiB.
    #[serde(with = "units::size")]
    pub bulk_body: u64,
    /// How many documents a page holds when the request doesn't say. Default 100.
    pub page: usize,
    /// How many documents a page may hold. Default 1000.
    pub page_max: usize,
    /// How many documents a request may skip by `offset`. Default 10,000.
    pub offset_max: usize,
    /// The longest path and query of a URL together, in bytes. Default 8 KiB.
    #[serde(with = "units::size")]
    pub url: u64,
    /// How long the names and values of a request's headers may be together, in bytes. Default 16 KiB.
    #[serde(with = "units::size")]
    pub headers: u64,
    /// How many requests about tables may be answered at once; one more is turned away at once. Default 1024.
    pub requests: usize,
    /// How long a request may take from the end of its head to the head of its answer, its body included. Long enough for
    /// a bulk insert over a slow line; a single query is bounded by [`Rdb::query_timeout`](super::Rdb::query_timeout). Default 5 min.
    #[serde(with = "units::duration")]
    pub request_time: Duration,
    /// How many live queries may be served at once; 0 serves none. Each holds one of `rdb.max_connections`. Default: half of
    /// those, so that as many are left for requests; 128 if they too are built in.
    pub feeds: usize,
    /// How many answers may be streamed as NDJSON at once; 0 streams none. Each holds one of `rdb.max_connections`. Default:
    /// a quarter of those, so that a quarter is left for requests beside live queries; 64 if they too are built in.
    pub streams: usize,
    /// How many changes wait in the database for a client that reads slowly; beyond them it gets a `gap` event instead.
    /// Default 10,000.
    pub feed_queue: u32,
    /// How many clients may be connected at once; one more waits until another one leaves. Each takes a file descriptor, so
    /// what the operating system allows bounds it too. Default 10,000.
    pub connections: usize,
    /// How much of `connections`, `requests`, `streams`, `feeds` and `answers` one client address may hold, in percent, from 1 to 100;
    /// the 64 bits that the addresses of an IPv6 network share count as one address. A service behind a proxy, which is
    /// the only client it sees, wants 100. Default 50.
    pub client_share: u8,
    /// How long a body may pause while it is read. On average over a longer time, 500 bytes must arrive in a second.
    /// Default 30 s.
    #[serde(with = "units::duration")]
    pub body_pause: Duration,
    /// How long a client may leave a part of its answer unread, events of live queries included, before it is
    /// disconnected. Default 60 s.
    #[serde(with = "units::duration")]
    pub send_time: Duration,
    /// The longest answer that is made in memory, such as a page, in bytes. Default 64 MiB.
    #[serde(with = "units::size")]
    pub answer: u64,
    /// How long such answers may be together, from when they are made until they are read, in bytes. Those of less than
    /// 64 KiB don't count. Default 256 MiB.
    #[serde(with = "units::size")]
    pub answers: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 1 << 20,
            bulk_body: 64 << 20,
            page: 100,
            page_max: 1000,
            offset_max: 10_000,
            url: 8 << 10,
            headers: 16 << 10,
            requests: 1024,
            request_time: Duration::from_secs(300),
            feeds: 128,
            streams: 64,
            feed_queue: 10_000,
            connections: 10_000,
            client_share: 50,
            body_pause: Duration::from_secs(30),
            send_time: Duration::from_secs(60),
            answer: 64 << 20,
            answers: 256 << 20,
        }
    }
}
