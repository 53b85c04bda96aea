//! Memory: the bytes that queries hold.
//!
//! Operators that hold rows reserve memory for them: sorts, groups, sets of distinct rows, arrays that are
//! being read, batches that are being written, documents that a write changes, and those that it shows.
//! Functions that make a large value reserve memory for it as long as they run, those of indexes aside. A
//! reservation counts in its query's pool, and that in the server's. It is given back when it is dropped.
//! Rows that only pass through are not counted, nor are the pages of the file.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fuel;
use crate::datum::Datum;
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::memory;

/// The step by which reservations grow at least, so that few rows touch counters that threads share.
const CHUNK: u64 = 64 << 10;

/// The size from which on a single value of a query is counted.
pub const LARGE: usize = 1 << 20;

/// The text by which the errors of full pools are known.
const LIMIT_OF: &str = "the memory limit of";

/// Returns true for the error of a full pool. It says nothing about the value that there was no room for.
pub fn is_shortage(error: &Error) -> bool {
    error.kind() == ErrorKind::ResourceLimit && error.message().contains(LIMIT_OF)
}

/// The memory that a server's queries may hold, or that one of them may hold. Cloning shares it.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    limit: u64,
    used: AtomicU64,
    high_water: AtomicU64,
    /// The server's pool, for that of a query.
    server: Option<Pool>,
}

impl Pool {
    /// Makes the pool of a server, in bytes.
    pub fn new(limit: u64) -> Self {
        Pool::with(limit, None)
    }

    /// Makes the pool of a server without a configured limit: half of the memory that the process may use.
    pub fn of_half_the_memory() -> Self {
        /// The memory to assume if it is unknown.
        const UNKNOWN: u64 = 2 << 30;
        Pool::new(memory::limit().unwrap_or(UNKNOWN) / 2)
    }

    /// Makes the pool of one query, which may take half of the server's.
    #[must_use]
    pub fn for_query(&self) -> Pool {
        Pool::with(self.0.limit / 2, Some(self.clone()))
    }

    fn with(limit: u64, server: Option<Pool>) -> Self {
        Pool(Arc::new(Shared { limit, used: AtomicU64::new(0), high_water: AtomicU64::new(0), server }))
    }

    /// Returns the bytes that may be held.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Returns the bytes that are held.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Returns the most bytes that have been held at a time.
    pub fn high_water(&self) -> u64 {
        self.0.high_water.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let within = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.0.limit);
        let before = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
        let before = before.map_err(|_| self.exceeded())?;
        if let Some(server) = &self.0.server
            && let Err(error) = server.take(bytes)
        {
            self.0.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        self.0.high_water.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(server) = &self.0.server {
            server.give_back(bytes);
        }
    }

    fn exceeded(&self) -> Error {
        let limit = self.0.limit >> 20;
        let message = match self.0.server {
            Some(_) => format!("The query holds more than {limit} MiB, {LIMIT_OF} a query."),
            None => format!("All queries together hold {limit} MiB, {LIMIT_OF} the server."),
        };
        Error::new(ErrorKind::ResourceLimit, message).at(Bt::default())
    }
}

/// A pool without a limit.
impl Default for Pool {
    fn default() -> Self {
        Pool::new(u64::MAX)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {} bytes)", self.used(), self.limit())
    }
}

/// Bytes that are held, until the reservation is dropped.
#[derive(Debug)]
pub struct Reservation {
    pool: Pool,
    taken: u64,
    used: u64,
}

impl Reservation {
    /// Makes an empty reservation.
    pub fn new(pool: &Pool) -> Self {
        Reservation { pool: pool.clone(), taken: 0, used: 0 }
    }

    /// Adds a value. Fails, and changes nothing, if the query or the server may hold no more.
    #[inline]
    pub fn add(&mut self, datum: &Datum) -> Result<()> {
        self.add_bytes(datum.footprint())
    }

    /// Adds bytes. Fails, and changes nothing, if the query or the server may hold no more.
    #[inline]
    pub fn add_bytes(&mut self, bytes: usize) -> Result<()> {
        let used = self.used.saturating_add(bytes as u64);
        if used > self.taken {
            self.grow(used)?;
        }
        self.used = used;
        Ok(())
    }

    /// Adds what is missing to this number of bytes. Fails, and changes nothing, if the query or the server
    /// may hold no more.
    pub fn raise(&mut self, bytes: usize) -> Result<()> {
        self.add_bytes((bytes as u64).saturating_sub(self.used) as usize)
    }

    /// Replaces bytes that were added by another number of bytes.
    #[inline]
    pub fn replace(&mut self, before: usize, after: usize) -> Result<()> {
        self.used = self.used.saturating_sub(before as u64);
        self.add_bytes(after)
    }

    /// Gives back bytes that were added. The pool gets them in large steps.
    #[inline]
    pub fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes as u64);
        if self.taken - self.used > 2 * CHUNK {
            self.shrink(self.used);
        }
    }

    #[cold]
    fn grow(&mut self, used: u64) -> Result<()> {
        let wanted = used - self.taken;
        let ample = wanted.max(CHUNK).max(self.taken / 4);
        let taken = self.pool.take(ample).map(|()| ample).or_else(|_| {
            // There may be room for the bytes that are needed now, without the step.
            self.pool.take(wanted).map(|()| wanted)
        })?;
        self.taken += taken;
        Ok(())
    }

    /// Has what is held counted until the innermost [`Scope`](super::fuel::Scope) ends, if it is much.
    pub fn keep(mut self) -> Result<()> {
        let used = self.used;
        self.clear();
        if used > LARGE as u64 { fuel::keep(used as usize) } else { Ok(()) }
    }

    /// The bytes that are counted.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Shrinks the reservation to `used` bytes.
    pub(super) fn shrink(&mut self, used: u64) {
        self.used = used;
        let spare = self.taken.saturating_sub(used.saturating_add(CHUNK));
        self.taken -= spare;
        self.pool.give_back(spare);
    }

    /// Counts one value instead of the one before, if it is large.
    #[inline]
    pub fn hold(&mut self, datum: &Datum) -> Result<()> {
        let bytes = datum.footprint();
        if bytes <= LARGE && self.used == 0 {
            return Ok(());
        }
        self.shrink(0);
        self.add_bytes(bytes)
    }

    /// Gives back all that was added.
    pub fn clear(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.taken));
        self.used = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_given_back() {
        let server = Pool::new(4 << 20);
        let query = server.for_query();
        let mut first = Reservation::new(&query);
        first.add_bytes(10).expect("room");
        assert_eq!((query.used(), server.used()), (CHUNK, CHUNK));
        first.add_bytes(1 << 20).expect("room");
        drop(first);
        assert_eq!((query.used(), server.used()), (0, 0));
        assert!((1 << 20..=2 << 20).contains(&server.high_water()));
    }

    #[test]
    fn what_is_released_is_given_back_in_steps() {
        let pool = Pool::new(4 << 20);
        let mut reservation = Reservation::new(&pool);
        reservation.add_bytes(2 << 20).expect("room");
        let mut steps = 0;
        for left in (0..2048).rev().map(|rows: u64| rows << 10) {
            let before = pool.used();
            reservation.release(1 << 10);
            steps += u32::from(pool.used() != before);
            assert!((left..=left + 2 * CHUNK).contains(&pool.used()), "{left} bytes of {pool:?}");
        }
        assert!(steps <= 64, "{steps} steps");
        reservation.release(10);
        reservation.add_bytes(1 << 20).expect("room");
        assert!(pool.used() >= 1 << 20);
        drop(reservation);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_query_has_half_of_what_the_server_has() {
        let server = Pool::new(4 << 20);
        let (first, second) = (server.for_query(), server.for_query());
        let mut held: Vec<Reservation> = [&first, &second].map(Reservation::new).into();
        for reservation in &mut held {
            reservation.add_bytes(2 << 20).expect("half of the server's");
            let error = reservation.add_bytes(1).expect_err("no more");
            assert_eq!(error.kind(), ErrorKind::ResourceLimit);
            assert!(error.message().contains("limit of a query"), "{error}");
        }
        let third = server.for_query();
        let error = Reservation::new(&third).add_bytes(1).expect_err("nothing left");
        assert!(error.message().contains("limit of the server"), "{error}");
        assert_eq!(third.used(), 0);
        held.pop();
        Reservation::new(&third).add_bytes(1).expect("room again");
    }

    #[test]
    fn the_last_bytes_can_be_had() {
        let pool = Pool::new(CHUNK + 10);
        let mut reservation = Reservation::new(&pool);
        reservation.add_bytes(1).expect("room");
        for _ in 0..CHUNK + 9 {
            reservation.add_bytes(1).expect("room");
        }
        assert!(reservation.add_bytes(1).is_err());
        reservation.clear();
        assert_eq!(pool.used(), 0);
    }
}
