//! Random queries: their parts, and their runner.

mod grammar;
mod hostile;
mod literals;
mod mutate;
mod runner;

pub use runner::{Compared, Ran, Target, compare};

use grammar::{Grammar, Sort};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Makes queries, always the same ones for the same seed.
pub struct Generator {
    grammar: Grammar,
    random: StdRng,
}

impl Generator {
    /// Begins with the first of the seed's queries.
    pub fn new(seed: u64) -> Self {
        Generator { grammar: Grammar::new(), random: StdRng::seed_from_u64(seed) }
    }

    /// Returns the next payload of a query that costs as much as it can.
    pub fn hostile_frame(&mut self) -> Vec<u8> {
        hostile::frame(&mut self.random)
    }

    /// Returns the next frame's payload; one in ten is damaged.
    pub fn frame(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let size = random.random_range(1..40);
        let term = self.grammar.term(random, Sort::ANY, size);
        let options = self.grammar.options(random);
        let frame = format!("[1,{term},{{{options}}}]").into_bytes();
        if random.random_ratio(1, 10) { mutate::damage(frame, random) } else { frame }
    }
}
