//! Random writes, and their outcome: a table as a map, changed one row after the other.

mod model;
mod round;
mod selection;

pub use model::{Counts, Model, Row};
pub use round::{Round, Shown, Write};
pub use selection::Selection;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Random choices that follow from a seed.
pub struct Chance(StdRng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(StdRng::seed_from_u64(seed))
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: i64) -> i64 {
        self.0.random_range(0..end.max(1))
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.random_range(0..choices.len())]
    }

    pub fn is(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }
}
