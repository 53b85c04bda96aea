//! Kills a process that writes, at random instants, and checks its files.
//!
//! The process is this test binary itself, started with a directory in its environment. It prints its
//! progress, so that the contents of the file after the kill are known:
//!
//! - Each writer follows a script: step `n` always does the same. After each acknowledged step it prints the
//!   step's number. A hard writer's file has all printed steps, or one more; a soft writer's file has the
//!   outcome of some prefix.
//! - Counters increment one document that they share, hard, and print each increment.
//! - The catalog's thread prints that a name is uncertain before it creates or drops it, and the outcome
//!   afterwards.
//! - A scribbler writes into tables while they are dropped.
//!
//! `REQL_CRASH_ROUNDS` sets how many rounds there are (default 20).
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::*;
use reql_embedded::datum::Datum;
use reql_embedded::storage::{
    self, Direction, Durability, IndexSpec, KeyRange, Mutation, Store, Table, TableOptions,
};

const DIRECTORY: &str = "REQL_CRASH_DIRECTORY";
const STEPS: &str = "REQL_CRASH_STEPS";
const ROUNDS: &str = "REQL_CRASH_ROUNDS";

/// Writers with an even number write hard, the others soft.
const WRITERS: usize = 6;
/// Documents of each writer.
const KEYS: i64 = 24;
/// Threads that increment one document.
const COUNTERS: usize = 2;
/// The key of the document that is incremented; it is below those of the writers.
const COUNTED: i64 = -1;

fn durability(writer: usize) -> Durability {
    if writer.is_multiple_of(2) { Durability::Hard } else { Durability::Soft }
}

/// Returns step `n` of a writer: the document that it puts or deletes.
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

/// Returns a writer's documents after this many steps.
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
                say(&format!("@{writer} {}", step + 1));
            }
        });
    }
    for _ in 0..COUNTERS {
        let table = table.clone();
        thread::spawn(move || {
            loop {
                write_as(&table, vec![increment(COUNTED)], Durability::Hard);
                say("@counted");
            }
        });
    }
    let scribbled = store.clone();
    thread::spawn(move || {
        for n in 0.. {
            // The table may be missing, or be dropped during the write.
            let written = scribbled.table("test", &format!("extra{}", n % 3));
            match written {
                Ok(table) => drop(table.write(vec![put(&document(n % 50, n))], durability(n as usize))),
                Err(_) => thread::sleep(Duration::from_micros(100)),
            }
        }
    });
    // The catalog changes all the while, and indexes are built and dropped during the writes.
    for n in 0.. {
        let name = format!("extra{}", n % 3);
        let index = IndexSpec { name: name.clone(), ..simple("step") };
        change("index", &name, true, || table.create_index(index, true).unwrap());
        let extra = change("table", &name, true, || {
            store.create_table("test", &name, TableOptions::default()).unwrap()
        });
        // The index may be ready, or dropped, or written to at any time from here on.
        extra.create_index(simple("a"), false).unwrap();
        if n % 2 == 0 {
            ready(&table, &name);
            change("index", &name, false, || table.drop_index(&name).unwrap());
        }
        if n % 3 == 0 {
            ready(&extra, "a");
        }
        change("table", &name, false, || store.drop_table(extra.id()).unwrap());
    }
}

/// Prints a line in one write, which a kill can't tear.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// Prints that a name in the catalog is uncertain, changes it, and prints the outcome.
fn change<T>(kind: &str, name: &str, is_there: bool, run: impl FnOnce() -> T) -> T {
    say(&format!("@{kind} {name} maybe"));
    let changed = run();
    say(&format!("@{kind} {name} {is_there}"));
    changed
}

/// The victim's output before it was killed.
struct Heard {
    /// Acknowledged steps of each writer.
    steps: Vec<i64>,
    /// Increments in this run.
    counted: i64,
    /// Indexes and tables that certainly exist, or don't, by `kind name`.
    catalog: BTreeMap<String, bool>,
}

impl Heard {
    fn take(&mut self, report: &str) {
        let words: Vec<&str> = report.split(' ').collect();
        match words[..] {
            ["counted"] => self.counted += 1,
            [kind, name, "maybe"] => drop(self.catalog.remove(&format!("{kind} {name}"))),
            [kind, name, state] => drop(self.catalog.insert(format!("{kind} {name}"), state == "true")),
            [writer, step] => self.steps[writer.parse::<usize>().unwrap()] = step.parse().unwrap(),
            _ => panic!("the victim said `{report}`"),
        }
    }
}

/// Runs the victim until it has printed this much, kills it, and returns its output.
fn run_and_kill(directory: &Path, steps: &[i64], lines: usize) -> Heard {
    let text: Vec<String> = steps.iter().map(i64::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(STEPS, text.join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut heard = Heard { steps: steps.to_vec(), counted: 0, catalog: BTreeMap::new() };
    let mut seen = 0;
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The harness may have put something before it.
        if let Some((_, report)) = line.split_once('@')
            && line.ends_with('\n')
        {
            heard.take(report.trim_end());
            seen += 1;
            if seen == lines {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    assert!(seen >= lines, "the victim ended by itself");
    child.wait().unwrap();
    heard
}

/// Returns the number of a writer's steps that are in the file.
fn steps_in_file(table: &Table, writer: usize, acknowledged: i64) -> i64 {
    let found = found(table, writer);
    let lowest = if durability(writer) == Durability::Hard { acknowledged } else { 0 };
    let steps = (lowest..=acknowledged + 1).rev().find(|steps| state(writer, *steps) == found);
    steps.unwrap_or_else(|| {
        let wrote = durability(writer).name();
        panic!(
            "writer {writer} ({wrote}) acknowledged {acknowledged} steps, which is not what was found: \
            {found:?}"
        )
    })
}

/// Returns the value of the counter.
fn counted(table: &Table) -> i64 {
    let found = table.get(&id(COUNTED)).unwrap();
    found.map_or(0, |document| document.get("a").unwrap().as_int().unwrap())
}

fn check_catalog(store: &Store, heard: &Heard) {
    let tables = store.tables("test").unwrap().into_iter().map(|meta| format!("table {}", meta.config.name));
    let indexes = store.table("test", "t").unwrap().indexes().unwrap();
    let indexes = indexes.into_iter().map(|index| format!("index {}", index.spec.name));
    let found: Vec<String> = tables.chain(indexes).collect();
    for (name, is_there) in &heard.catalog {
        assert_eq!(found.contains(name), *is_there, "{name} in {found:?}");
    }
}

#[test]
fn a_killed_server_loses_nothing_it_acknowledged() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(options().path(directory.path())).unwrap();
        let table = table(&store);
        indexed(&table, simple("a"));
        indexed(&table, multi("tags"));
    }
    let mut steps = vec![0; WRITERS];
    let mut count = 0;
    for _ in 0..rounds {
        let heard = run_and_kill(directory.path(), &steps, rand::random_range(1..600));
        // In the state that the kill left: nothing has been repaired or rebuilt yet.
        let report = storage::check(directory.path(), options().compiler).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());

        let store = Store::open(options().path(directory.path())).unwrap();
        let table = store.table("test", "t").unwrap();
        steps = (0..WRITERS).map(|writer| steps_in_file(&table, writer, heard.steps[writer])).collect();
        let acknowledged = count + heard.counted;
        count = counted(&table);
        let possible = acknowledged..=acknowledged + COUNTERS as i64;
        assert!(possible.contains(&count), "{acknowledged} increments were acknowledged, {count} are there");
        check_catalog(&store, &heard);
        table.wait_indexes(&[] as &[&str], &|| Ok(())).unwrap();
        assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
        for extra in store.tables("test").unwrap().iter().filter(|meta| meta.config.name != "t") {
            store.drop_table(extra.id).unwrap();
        }
        store.close();
    }
}
