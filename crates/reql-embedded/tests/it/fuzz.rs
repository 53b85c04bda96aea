//! Random queries against a server in memory: each has an answer or an error, soon.
//!
//! `FUZZ_SECONDS=600` goes on for ten minutes with a fresh seed; `FUZZ_SEED=7` begins with the round that
//! failed. `FUZZ_COMPARED=100000` compares that many queries.

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::fuzz::{Compared, Generator, Ran, Target, compare};

/// The rounds that run by default.
const ROUNDS: u64 = 8;
/// The queries that a server gets before it is replaced by a new one.
const QUERIES: usize = 250;
/// The hostile queries that a server gets, each of which may take a second.
const HOSTILE_QUERIES: usize = 2;
/// The queries after which missing tables are made anew.
const RESTORE: usize = 25;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

#[test]
fn any_query_has_an_answer() {
    let tally = rounds(QUERIES, Generator::frame);
    assert!(tally.answered > tally.failed / 20, "hardly a query gets through: {tally:?}");
}

/// Checks that hostile queries end, mostly with an error.
#[test]
fn the_costliest_query_ends() {
    rounds(HOSTILE_QUERIES, Generator::hostile_frame);
}

#[test]
fn queries_answer_alike_where_they_may_wait_and_where_they_may_not() {
    let count = number("FUZZ_COMPARED").unwrap_or(1_500) as usize;
    let seed = number("FUZZ_SEED").unwrap_or(1);
    println!("FUZZ_SEED={seed}");
    let mut generator = Generator::new(seed);
    let frames = std::iter::repeat_with(|| generator.frame()).take(count);
    let mut alike = 0;
    compare(frames, |_, compared| alike += usize::from(compared == Compared::Alike));
    assert!(alike > count / 20, "hardly a query can be compared: {alike}");
}

/// Goes through rounds of `queries` queries each.
fn rounds(queries: usize, frame: fn(&mut Generator) -> Vec<u8>) -> Tally {
    let duration = number("FUZZ_SECONDS").map(Duration::from_secs);
    let first = number("FUZZ_SEED").unwrap_or_else(|| if duration.is_some() { rand::random() } else { 1 });
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut rounds = 0;
    while duration.map_or(rounds < ROUNDS, |duration| start.elapsed() < duration) {
        round(first.wrapping_add(rounds), queries, frame, &mut tally);
        rounds += 1;
    }
    println!("{rounds} rounds from seed {first}: {tally:?}");
    tally
}

/// The outcomes of the queries.
#[derive(Debug, Default)]
struct Tally {
    answered: usize,
    failed: usize,
    interrupted: usize,
}

/// Runs the queries of a seed on a fresh server.
fn round(seed: u64, queries: usize, frame: fn(&mut Generator) -> Vec<u8>, tally: &mut Tally) {
    let target = Target::new();
    let mut generator = Generator::new(seed);
    for number in 1..=queries {
        if number % RESTORE == 0 {
            target.restore();
        }
        let frame = frame(&mut generator);
        // An overflowing stack takes the process down before anything can be printed.
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("last-query.json");
        fs::write(file, &frame).expect("a file for the query");
        match panic::catch_unwind(AssertUnwindSafe(|| target.run(&frame))) {
            Ok(Ran::Answered) => tally.answered += 1,
            Ok(Ran::Failed) => tally.failed += 1,
            Ok(Ran::Interrupted) => tally.interrupted += 1,
            Err(panic) => {
                println!("FUZZ_SEED={seed}, query {number}:\n{}", String::from_utf8_lossy(&frame));
                panic::resume_unwind(panic);
            }
        }
    }
}
