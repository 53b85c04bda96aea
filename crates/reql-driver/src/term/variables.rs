//! Variables of functions: unique where they are made, numbered from 1 where a query is written.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A parameter of a function. No two functions of a process share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Variable(u64);

impl Variable {
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Variable(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The numbers of the variables of one query, in the order in which they are met.
#[derive(Debug, Default)]
pub(crate) struct Numbers(RefCell<HashMap<Variable, usize>>);

impl Numbers {
    pub(crate) fn of(&self, variable: Variable) -> usize {
        let mut known = self.0.borrow_mut();
        let next = known.len() + 1;
        *known.entry(variable).or_insert(next)
    }
}
