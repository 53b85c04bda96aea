//! Backtraces: the way from the root of a query to the term that failed.

use std::sync::Arc;

use crate::error::{Bt, Error};

/// One step from a term to one of its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The argument at an index from 0.
    Arg(usize),
    /// The optional argument of a name.
    Optarg(Arc<str>),
}

/// The places that most queries have at most.
const USUAL: usize = 16;

/// The places of all terms of a query. The root, which is [`Bt::default`], has no entry.
#[derive(Debug, Default)]
pub struct Backtraces {
    steps: Vec<(Bt, Frame)>,
    is_nowhere: bool,
}

impl Backtraces {
    /// Returns the places of terms that are no part of a query: all errors of theirs blame the query as a
    /// whole.
    pub fn nowhere() -> Self {
        Backtraces { steps: Vec::new(), is_nowhere: true }
    }

    /// Adds the term that one step leads to.
    pub fn child(&mut self, parent: Bt, frame: Frame) -> Bt {
        if self.is_nowhere {
            return parent;
        }
        if self.steps.capacity() == 0 {
            self.steps.reserve(USUAL);
        }
        self.steps.push((parent, frame));
        Bt(self.steps.len() as u32)
    }

    /// Returns the steps from the root to the term that an error blames.
    pub fn blamed(&self, error: &Error) -> Vec<Frame> {
        let mut frames = self.frames(error.bt().unwrap_or_default());
        if error.is_around() {
            frames.pop();
        }
        frames
    }

    fn frames(&self, mut at: Bt) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some((parent, frame)) =
            (at.0 as usize).checked_sub(1).and_then(|index| self.steps.get(index))
        {
            frames.push(frame.clone());
            at = *parent;
        }
        frames.reverse();
        frames
    }
}
