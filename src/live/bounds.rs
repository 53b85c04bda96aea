//! The limits of live queries.

use std::time::Duration;

use super::log::Keep;

/// The time that a hub stays without followers, long enough for clients with a broken connection to
/// reconnect.
const LINGER: Duration = Duration::from_secs(20);
/// The longest assumed delay from a commit to its change in a feed, see [`splice`](super::splice).
const SETTLE: Duration = Duration::from_secs(3);
/// The interval of comments in a stream without events, which show that it is alive.
pub(super) const SIGN: Duration = Duration::from_secs(15);

/// The limits of a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) keep: Keep,
    /// The most bytes of an event, and of a short list.
    pub(crate) bytes: u64,
    /// The timeout of the database, both for a query and for an outage.
    pub(crate) patience: Duration,
    /// The time that a hub stays without followers.
    pub(crate) linger: Duration,
    /// The time after which the feed of the hub has reached the state that a joining follower has read.
    pub(crate) settle: Duration,
    /// The time after which a follower that reads nothing is dropped.
    pub(crate) stall: Duration,
}

impl Bounds {
    /// Sets the limits for a database that answers within `patience`, and for clients that read within
    /// `send_time`.
    pub(crate) fn new(keep: Keep, bytes: u64, patience: Duration, send_time: Duration) -> Self {
        Bounds { keep, bytes, patience, linger: LINGER, settle: SETTLE, stall: SIGN + send_time }
    }
}
