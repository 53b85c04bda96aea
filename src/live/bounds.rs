//! The bounds of live queries.

use std::time::Duration;

use super::log::Keep;

/// How long a hub goes on without followers: long enough for those that lost their link to return.
const LINGER: Duration = Duration::from_secs(20);
/// How much later than a commit a feed tells of it at most, see [`splice`](super::splice).
const SETTLE: Duration = Duration::from_secs(3);
/// How often a follower without events shows that it is alive.
pub(super) const SIGN: Duration = Duration::from_secs(15);

/// The bounds of a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) keep: Keep,
    /// The most bytes of an event, and of a short list.
    pub(crate) bytes: u64,
    /// The time within which the database has to answer, or to be back.
    pub(crate) patience: Duration,
    /// The time for which a hub goes on without followers.
    pub(crate) linger: Duration,
    /// The time after which a follower that has joined knows no less than the hub.
    pub(crate) settle: Duration,
    /// The time that a follower may go without asking for more.
    pub(crate) stall: Duration,
}

impl Bounds {
    /// Bounds for a database that answers within `patience`, and for clients that read within `send_time`.
    pub(crate) fn new(keep: Keep, bytes: u64, patience: Duration, send_time: Duration) -> Self {
        Bounds { keep, bytes, patience, linger: LINGER, settle: SETTLE, stall: SIGN + send_time }
    }
}
