//! Fuel: the work that a thread may do before it checks if it should go on.
//!
//! Evaluating a term takes one unit, and so does looking at an element of a value, or at some bytes of a
//! text. Each thread counts by itself, so counting costs three instructions. A thread whose fuel has run out
//! checks more:
//!
//! - Where it must not wait, work ends there, with [`WouldBlock`](crate::error::ErrorKind::WouldBlock). It
//!   has changed nothing then, and is done again on a thread that may take its time.
//! - Where it may wait, it gets more fuel, unless the query's [interrupt](Budget::interrupt) has been raised.
//! - Outside of any query there is always more.
//!
//! Some work can't fail, such as comparing two values for a map. It stops early, and its result is then
//! arbitrary. That does no harm: fuel that has run out stays so, and [`within`] discards every result that
//! was made after that.
//!
//! RethinkDB's coroutines yield in much the same way (`EVALS_BEFORE_YIELD` in `term.cc`).

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::Budget;
use super::memory::{LARGE, Reservation};
use crate::error::{Error, Result};

/// The units that a query may use on a thread that must not wait: some hundreds of microseconds.
pub const LIGHT: usize = 20_000;

/// The most units between two looks at the interrupt: as a rule, less than a millisecond.
const STEP: usize = 20_000;

/// The units before the first look, when nothing is known of how long they take.
const FIRST_STEP: usize = 1_000;

/// The longest time between two looks. Units that take longer than they are meant to, on a slow
/// machine or in a term that counts too little, are looked at more often.
const BETWEEN: Duration = Duration::from_millis(5);

/// The bytes of a text that are copied or compared for a unit.
pub const BYTES: usize = 64;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(0) };
    static KEPT: Cell<u64> = const { Cell::new(0) };
    /// True if large values count.
    static COUNTS: Cell<bool> = const { Cell::new(true) };
    static METER: RefCell<Option<Meter>> = const { RefCell::new(None) };
}

/// The thread on which work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The task of a connection, whose other queries wait for it: little work can be done, and none that
    /// waits.
    Inline,
    /// The thread that commits, for which all other writes wait: as little work, and none that waits.
    Writer,
    /// A thread that may take its time.
    Worker,
}

/// The query that a thread works for.
struct Meter {
    budget: Budget,
    place: Place,
    /// The units of the last refill.
    given: usize,
    /// The time of the last refill, on a thread that may take its time.
    since: Option<Instant>,
    has_failed: bool,
    /// The memory of the large values that the query works with.
    values: Option<Reservation>,
}

impl Meter {
    fn new(budget: &Budget, place: Place) -> Self {
        let given = if place == Place::Worker { FIRST_STEP } else { LIGHT };
        let since = (place == Place::Worker).then(Instant::now);
        Meter { budget: budget.clone(), place, given, since, has_failed: false, values: None }
    }

    /// Counts the units that have been used, and `units` beyond them.
    fn settle(&self, units: usize) {
        self.budget.count(self.given.saturating_sub(LEFT.get()).saturating_add(units));
    }

    fn look(&mut self, units: usize) -> Result<()> {
        let next = self.next();
        let looked = match self.place {
            Place::Worker => self.budget.check_interrupt(),
            _ => self.budget.check_interrupt().and_then(|()| Err(Error::would_block())),
        };
        self.has_failed = looked.is_err();
        self.settle(if self.has_failed { 0 } else { units });
        self.given = if self.has_failed { 0 } else { next };
        self.since = Some(Instant::now());
        LEFT.set(self.given);
        looked
    }

    /// Returns the units until the next look, by how long the last ones took.
    fn next(&self) -> usize {
        let took = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        let next = if took > BETWEEN {
            self.given as f64 * BETWEEN.as_secs_f64() / took.as_secs_f64()
        } else {
            self.given as f64 * 2.0
        };
        (next as usize).clamp(1, STEP)
    }
}

/// Counts work that is about to be done. Fails if the work is not to be done on this thread, or not at all
/// any more.
#[inline]
pub fn spend(units: usize) -> Result<()> {
    match LEFT.get().checked_sub(units) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => look_further(units),
    }
}

/// Counts work on a text of `bytes` bytes.
#[inline]
pub fn spend_bytes(bytes: usize) -> Result<()> {
    spend(1 + bytes / BYTES)
}

/// Counts work that can't fail. Returns false if the work should stop, with an arbitrary result.
#[inline]
pub fn burn(units: usize) -> bool {
    spend(units).is_ok()
}

/// Counts work on a text of `bytes` bytes that can't fail. Returns false if the work should stop.
#[inline]
pub fn burn_bytes(bytes: usize) -> bool {
    burn(1 + bytes / BYTES)
}

#[cold]
fn look_further(units: usize) -> Result<()> {
    METER.with_borrow_mut(|meter| match meter {
        Some(meter) => meter.look(units),
        None => {
            LEFT.set(STEP);
            Ok(())
        }
    })
}

/// Works for a query. Returns the result of the work only if the fuel has lasted.
pub fn within<T>(budget: &Budget, place: Place, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // This may be a part of work that is metered already.
    let _entered = (!is_metered()).then(|| Entered::new(Some(Meter::new(budget, place))));
    let made = work();
    if METER.with_borrow(|meter| meter.as_ref().is_some_and(|meter| meter.has_failed)) {
        drop(made);
        return Err(spend(1).err().unwrap_or_else(Error::would_block));
    }
    made
}

/// Lets the thread finish its work, wherever it runs: something was done that must not be done once more.
pub fn commit() {
    METER.with_borrow_mut(|meter| {
        if let Some(meter) = meter {
            meter.place = Place::Worker;
        }
    });
}

/// Gives the work up if it runs where it must not wait, and is about to.
pub fn about_to_wait() -> Result<()> {
    METER.with_borrow_mut(|meter| match meter {
        Some(meter) if meter.place != Place::Worker => meter.look(0),
        _ => Ok(()),
    })
}

/// Does work that must not be given up half done, outside of the query that the thread works for.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(None);
    work()
}

/// Returns true if the thread works for a query.
pub fn is_metered() -> bool {
    METER.with_borrow(Option::is_some)
}

/// Does work whose result must not depend on the memory that is left, such as finding the entries of a
/// document in an index. Its large values don't count.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let _uncounted = Uncounted(COUNTS.replace(false));
    work()
}

/// Lets large values count as before when it is dropped.
struct Uncounted(bool);

impl Drop for Uncounted {
    fn drop(&mut self) {
        COUNTS.set(self.0);
    }
}

/// Reserves memory for a large value until the innermost [`Scope`] ends, or else the query's part.
pub fn keep(bytes: usize) -> Result<()> {
    METER.with_borrow_mut(|meter| {
        let Some(meter) = meter.as_mut().filter(|_| COUNTS.get()) else { return Ok(()) };
        let values = meter.values.get_or_insert_with(|| meter.budget.reserve());
        values.add_bytes(bytes)?;
        KEPT.set(values.used());
        Ok(())
    })
}

/// Takes the memory of the large values so far, for one who holds them beyond the query's part.
pub fn take_kept() -> Option<Reservation> {
    KEPT.set(0);
    METER.with_borrow_mut(|meter| meter.as_mut()?.values.take())
}

/// Reserves memory for intermediate data of a large value, until the returned scope is dropped.
pub fn aside(bytes: usize) -> Result<Scope> {
    let scope = Scope::begin();
    if bytes > LARGE {
        keep(bytes)?;
    }
    Ok(scope)
}

/// A part of the work, whose large values are freed when it ends.
pub struct Scope(u64);

impl Scope {
    /// Begins a scope.
    #[inline]
    pub fn begin() -> Self {
        Scope(KEPT.get())
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        if KEPT.get() != self.0 {
            release(self.0);
        }
    }
}

#[cold]
fn release(kept: u64) {
    METER.with_borrow_mut(|meter| {
        if let Some(meter) = meter {
            if let Some(values) = &mut meter.values {
                values.shrink(kept);
            }
            KEPT.set(kept);
        }
    });
}

/// Restores the thread's former work when it is dropped.
struct Entered {
    left: usize,
    kept: u64,
    meter: Option<Meter>,
}

impl Entered {
    fn new(meter: Option<Meter>) -> Self {
        let left = LEFT.replace(meter.as_ref().map_or(0, |meter| meter.given));
        Entered { left, kept: KEPT.replace(0), meter: METER.replace(meter) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ended = METER.replace(self.meter.take());
        if let Some(meter) = &ended {
            meter.settle(0);
        }
        LEFT.set(self.left);
        KEPT.set(self.kept);
    }
}
