//! The end of a script that takes too long or is interrupted.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Failure;
use crate::interrupt::Interrupt;

/// The limits of a running script. The engine checks them every few thousand operations.
pub struct Watch {
    deadline: Cell<Option<Instant>>,
    verdict: Cell<Option<Verdict>>,
    interrupt: Interrupt,
}

#[derive(Clone, Copy)]
enum Verdict {
    TimedOut,
    Interrupted,
}

impl Watch {
    pub fn new(interrupt: Interrupt) -> Self {
        Watch { deadline: Cell::default(), verdict: Cell::default(), interrupt }
    }

    /// Lets a script run for `timeout` from now on; without a limit if that is beyond the clock's range.
    pub fn start(&self, timeout: Duration) {
        self.deadline.set(Instant::now().checked_add(timeout));
    }

    /// Returns true if the script has to end. The script can't prevent that, and its engine isn't used any
    /// more.
    pub fn must_end(&self) -> bool {
        if self.verdict.get().is_none() {
            if self.interrupt.is_raised() {
                self.verdict.set(Some(Verdict::Interrupted));
            } else if self.deadline.get().is_some_and(|deadline| deadline <= Instant::now()) {
                self.verdict.set(Some(Verdict::TimedOut));
            }
        }
        self.verdict.get().is_some()
    }

    /// Returns the reason why the script was told to end, if it was.
    pub fn failure(&self) -> Option<Failure> {
        self.verdict.get().map(|verdict| match verdict {
            Verdict::TimedOut => Failure::TimedOut,
            Verdict::Interrupted => Failure::Interrupted,
        })
    }
}
