//! The limits of a connection's queries in flight.

use super::dispatcher::LONG_QUERY;
use crate::protocol::handshake::Dialect;

/// The queries of a connection that are worked on at once, as in RethinkDB; feeds that wait don't count.
const MAX_QUERIES: usize = 1024;

/// The length of the texts of queries that are being started, in bytes. A longer one has to be the only one.
const MAX_BYTES: usize = 128 << 20;

/// Counts a connection's queries in flight. A query that finds no room stays in the socket.
pub(super) struct Room {
    limit: usize,
    queries: usize,
    bytes: usize,
}

impl Room {
    pub(super) fn new(dialect: Dialect) -> Self {
        let limit = match dialect {
            Dialect::Sequential => 1,
            Dialect::Parallel => MAX_QUERIES,
        };
        Room { limit, queries: 0, bytes: 0 }
    }

    /// Returns true if a query of this length may be taken in. A short one may be a STOP, so it doesn't wait
    /// for long ones.
    pub(super) fn has_room_for(&self, size: usize) -> bool {
        let fits = size <= LONG_QUERY || self.bytes == 0 || self.bytes + size <= MAX_BYTES;
        fits && self.queries < self.limit
    }

    /// Counts a query or a follow-up, and `size` bytes.
    pub(super) fn take(&mut self, size: usize) {
        self.queries += 1;
        self.bytes += size;
    }

    /// Takes back one count of [`Room::take`].
    pub(super) fn give_back(&mut self, size: usize) {
        self.queries -= 1;
        self.bytes -= size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_queries_wait_for_each_other_and_short_ones_do_not() {
        let mut room = Room::new(Dialect::Parallel);
        assert!(room.has_room_for(2 * MAX_BYTES), "one alone has room");
        room.take(MAX_BYTES - LONG_QUERY);
        assert!(!room.has_room_for(LONG_QUERY + 1));
        assert!(room.has_room_for(LONG_QUERY));
        room.give_back(MAX_BYTES - LONG_QUERY);
        assert!(room.has_room_for(2 * MAX_BYTES));
    }

    #[test]
    fn queries_are_counted() {
        for (dialect, limit) in [(Dialect::Sequential, 1), (Dialect::Parallel, MAX_QUERIES)] {
            let mut room = Room::new(dialect);
            for _ in 0..limit {
                assert!(room.has_room_for(5));
                room.take(0);
            }
            assert!(!room.has_room_for(5));
        }
    }
}
