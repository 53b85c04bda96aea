//! The budget of a query: [work](fuel) that it does, and [memory] that it holds.
//!
//! Nothing here is guessed from the text of a query. Work is counted while it is done, and memory is reserved
//! where rows are held.

pub mod fuel;
pub mod memory;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use self::memory::{Pool, Reservation};
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::interrupt::Interrupt;
use crate::workers::checkpoint;

/// The budget of one query. Cloning shares it, also with threads that help.
#[derive(Clone, Default)]
pub struct Budget(Arc<Shared>);

#[derive(Default)]
struct Shared {
    interrupt: Interrupt,
    /// Function that tells of another reason to end.
    is_over: Option<Box<dyn Fn() -> bool + Send + Sync>>,
    spent: AtomicU64,
    memory: OnceLock<Pool>,
    /// The server's memory, of which the query has a part once it needs any.
    server: Option<Pool>,
}

impl Budget {
    /// Makes the budget of a query that ends when `interrupt` is raised, and may hold the memory of this
    /// pool.
    pub fn new(interrupt: Interrupt, memory: Pool) -> Self {
        Budget(Arc::new(Shared { interrupt, memory: memory.into(), ..Shared::default() }))
    }

    /// Makes the budget of a query of a server whose queries may hold together what is in this pool.
    pub fn of_query(interrupt: Interrupt, server: Pool) -> Self {
        Budget(Arc::new(Shared { interrupt, server: Some(server), ..Shared::default() }))
    }

    /// Makes the budget of work that no client asked for, which ends once `is_over` returns true. It is
    /// called now and then.
    pub fn until(is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Budget(Arc::new(Shared { is_over: Some(Box::new(is_over)), ..Shared::default() }))
    }

    /// Returns the flag that ends the query.
    pub fn interrupt(&self) -> &Interrupt {
        &self.0.interrupt
    }

    /// Fails if the answer is no longer wanted. May keep work that takes long waiting for a moment, while it
    /// is others' turn: not to be called with a lock that others need.
    pub fn check_interrupt(&self) -> Result<()> {
        checkpoint(&self.0.interrupt);
        self.check_wanted()
    }

    /// Fails if the answer is no longer wanted. For work that waits for something else, and uses no processor
    /// that it would have to share.
    pub fn check_wanted(&self) -> Result<()> {
        if self.0.interrupt.is_raised() || self.0.is_over.as_ref().is_some_and(|is_over| is_over()) {
            return Err(Error::new(ErrorKind::Interrupted, "Query interrupted.").at(Bt::default()));
        }
        Ok(())
    }

    /// Returns the memory that the query may hold.
    pub fn memory(&self) -> &Pool {
        self.0.memory.get_or_init(|| self.0.server.as_ref().map(Pool::for_query).unwrap_or_default())
    }

    /// Returns an empty reservation, to be added to.
    pub fn reserve(&self) -> Reservation {
        Reservation::new(self.memory())
    }

    /// Returns the units of work that the query has done, as far as its threads have reported them.
    pub fn spent(&self) -> u64 {
        self.0.spent.load(Ordering::Relaxed)
    }

    fn count(&self, units: usize) {
        self.0.spent.fetch_add(units as u64, Ordering::Relaxed);
    }
}
