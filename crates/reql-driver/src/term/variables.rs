//! Variables of functions: unique where they are made, numbered from 1 where a query is written.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A parameter of a function. No two functions of a process share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variable(u64);

impl Variable {
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Variable(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The numbers of the variables of one query, in the order in which they are met.
#[derive(Debug, Default)]
pub(crate) struct Numbers(RefCell<Vec<Variable>>);

impl Numbers {
    pub(crate) fn of(&self, variable: Variable) -> usize {
        let mut known = self.0.borrow_mut();
        // The functions around are the last that were met.
        match known.iter().rposition(|known| *known == variable) {
            Some(at) => at + 1,
            None => {
                known.push(variable);
                known.len()
            }
        }
    }
}
