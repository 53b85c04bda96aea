//! Kills a process that writes, at random instants, and looks at what it left.
//!
//! The process is this test binary itself, started with a directory in its environment. Each of its writers follows a script: step `n`
//! always does the same. After each acknowledged step it prints the step's number, so what has to be in the file after the kill is
//! known: for hard writes all that was printed, or one step more; for soft ones the outcome of some prefix.
//!
//! `REQL_CRASH_ROUNDS` sets how many rounds there are (default 10).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use reql_embedded::datum::Datum;
use reql_embedded::storage::{Direction, Durability, KeyRange, Mutation, Store, Table, TableOptions};
use support::*;

const DIRECTORY: &str = "REQL_CRASH_DIRECTORY";
const STEPS: &str = "REQL_CRASH_STEPS";
const ROUNDS: &str = "REQL_CRASH_ROUNDS";

/// Writers with an even number write hard, the others soft.
const WRITERS: usize = 6;
/// Each writer has this many documents.
const KEYS: i64 = 24;

fn durability(writer: usize) -> Durability {
    if writer.is_multiple_of(2) { Durability::Hard } else { Durability::Soft }
}

/// What step `n` of a writer does: puts one of its documents, or deletes it.
fn script(writer: usize, step: i64) -> (i64, Option<Datum>) {
    let key = writer as i64 * 1000 + (step * 7) % KEYS;
    let document = Datum::object([
        ("id", num(key)),
        ("a", num(step % 10)),
        ("step", num(step)),
        ("tags", Datum::array((0..step % 4).map(num).collect())),
        ("pad", Datum::str("x".repeat((step as usize * 37) % 3000))),
    ]);
    (key, (step % 5 != 3).then_some(document))
}

fn mutation(writer: usize, step: i64) -> Mutation {
    match script(writer, step) {
        (_, Some(document)) => put(&document),
        (key, None) => delete(key),
    }
}

/// A writer's documents after this many steps.
fn state(writer: usize, steps: i64) -> BTreeMap<i64, Datum> {
    let mut state = BTreeMap::new();
    for (key, document) in (0..steps).map(|step| script(writer, step)) {
        match document {
            Some(document) => state.insert(key, document),
            None => state.remove(&key),
        };
    }
    state
}

fn found(table: &Table, writer: usize) -> BTreeMap<i64, Datum> {
    let first = writer as i64 * 1000;
    let range =
        KeyRange::new(std::ops::Bound::Included(id(first)), std::ops::Bound::Excluded(id(first + 1000)));
    let documents = scan(table, range, Direction::Forward);
    documents.into_iter().map(|document| (document.get("id").unwrap().as_int().unwrap(), document)).collect()
}

#[test]
#[ignore = "runs in a process of its own, started by the test below"]
fn victim() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let steps: Vec<i64> =
        std::env::var(STEPS).unwrap().split(',').map(|steps| steps.parse().unwrap()).collect();
    let store = Store::open(options().path(&directory)).unwrap();
    let table = store.table("test", "t").unwrap();
    for (writer, first) in steps.into_iter().enumerate() {
        let table = table.clone();
        thread::spawn(move || {
            for step in first.. {
                write_as(&table, vec![mutation(writer, step)], durability(writer));
                // One write for each line, which a kill can't tear.
                std::io::stdout().write_all(format!("@{writer} {}\n", step + 1).as_bytes()).unwrap();
                std::io::stdout().flush().unwrap();
            }
        });
    }
    // The catalog changes all the while, and indexes are built and dropped under the writes.
    for n in 0.. {
        let name = format!("extra{}", n % 3);
        table
            .create_index(reql_embedded::storage::IndexSpec { name: name.clone(), ..simple("step") }, true)
            .unwrap();
        store.create_table("test", &name, TableOptions::default()).unwrap();
        if n % 2 == 0 {
            ready(&table, &name);
            table.drop_index(&name).unwrap();
        }
        store.drop_table("test", &name).unwrap();
    }
}

/// Runs the victim until it has done this many steps, kills it, and says how many steps each writer had acknowledged.
fn run_and_kill(directory: &Path, steps: &[i64], lines: usize) -> Vec<i64> {
    let text: Vec<String> = steps.iter().map(i64::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(STEPS, text.join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = steps.to_vec();
    let mut seen = 0;
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The harness may have put something before it.
        let report = line.trim_end().split_once('@').and_then(|(_, report)| report.split_once(' '));
        if let Some((writer, step)) = report
            && line.ends_with('\n')
        {
            acknowledged[writer.parse::<usize>().unwrap()] = step.parse().unwrap();
            seen += 1;
            if seen == lines {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    assert!(seen >= lines, "the victim ended by itself");
    child.wait().unwrap();
    acknowledged
}

/// How many steps of a writer are in the file.
fn steps_in_file(table: &Table, writer: usize, acknowledged: i64) -> i64 {
    let found = found(table, writer);
    let lowest = if durability(writer) == Durability::Hard { acknowledged } else { 0 };
    let steps = (lowest..=acknowledged + 1).rev().find(|steps| state(writer, *steps) == found);
    steps.unwrap_or_else(|| {
        let wrote = durability(writer).name();
        panic!("writer {writer} ({wrote}) acknowledged {acknowledged} steps, which is not what was found: {found:?}")
    })
}

#[test]
fn a_killed_server_loses_nothing_it_acknowledged() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10);
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(options().path(directory.path())).unwrap();
        let table = table(&store);
        indexed(&table, simple("a"));
        indexed(&table, multi("tags"));
    }
    let mut steps = vec![0; WRITERS];
    for _ in 0..rounds {
        let acknowledged = run_and_kill(directory.path(), &steps, rand::random_range(1..400));
        let store = Store::open(options().path(directory.path())).unwrap();
        let table = store.table("test", "t").unwrap();
        for writer in 0..WRITERS {
            steps[writer] = steps_in_file(&table, writer, acknowledged[writer]);
        }
        table.wait_indexes(&[] as &[&str], &|| Ok(())).unwrap();
        assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
        for extra in store.tables("test").unwrap().iter().filter(|meta| meta.config.name != "t") {
            store.drop_table("test", &extra.config.name).unwrap();
        }
        store.close();
    }
}
