//! Random writes against a model in memory: all selections, all writes, sizes around the limits of batches.
//!
//! A short run is part of `cargo test`. `WRITES_ROUNDS=10000` makes it long, with a fresh seed, which it
//! prints. When a write goes wrong, it prints the seed of its table. With `WRITES_SEED` that table comes
//! first, and fails again.

use std::env;
use std::panic::{self, AssertUnwindSafe};

use crate::support::asking::Asking;
use crate::support::writes::{Chance, Model, Round, Shown};
use serde_json::{Value, json};

/// The number of writes if `WRITES_ROUNDS` is not set.
const ROUNDS: u64 = 80;
/// The number of writes to a table before it is filled anew.
const OF_A_TABLE: u64 = 8;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

#[test]
fn writes_do_what_a_model_does() {
    let rounds = number("WRITES_ROUNDS").unwrap_or(ROUNDS);
    let first = number("WRITES_SEED").unwrap_or_else(|| if rounds > ROUNDS { rand::random() } else { 1 });
    println!("{rounds} rounds from WRITES_SEED={first}");
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Asking::new(Some(directory.path()));
    for query in [
        "r.tableCreate('t')",
        "r.tableCreate('s')",
        "r.table('t').indexCreate('v')",
        "r.table('t').indexCreate('m', {multi: true})",
        "r.table('t').indexCreate('c', d => [d('g'), d('v')])",
        "r.table('t').indexWait()",
    ] {
        server.get(query);
    }
    let mut written = 0;
    for seed in (0..rounds.div_ceil(OF_A_TABLE)).map(|table| first.wrapping_add(table)) {
        let mut chance = Chance::new(seed);
        let mut model = Model::random(&mut chance);
        fill(&mut server, &model);
        for _ in 0..OF_A_TABLE {
            let round = Round::random(&mut chance, &model);
            let index = chance.one_of(&["v", "m", "c"]);
            let played =
                panic::catch_unwind(AssertUnwindSafe(|| play(&mut server, &mut model, &round, index)));
            written += played.unwrap_or_else(|panic| {
                println!("WRITES_SEED={seed}: {}", round.query);
                panic::resume_unwind(panic);
            });
        }
    }
    println!("{written} documents were written");
    assert!(written > rounds, "hardly anything was written");
}

/// Fills the tables with the rows of the model.
fn fill(server: &mut Asking, model: &Model) {
    for (table, rows) in [("t", &model.t), ("s", &model.s)] {
        server.get(&format!("r.table('{table}').delete({{durability: 'soft'}})"));
        let rows: Vec<Value> = rows.iter().map(|(id, row)| row.to_json(*id)).collect();
        let text = json!(rows).to_string();
        server.get(&format!("r.table('{table}').insert(r.json('{text}'), {{durability: 'soft'}})"));
    }
}

/// Applies a write to the server and to the model, and compares their answers and their contents then.
/// Returns the number of documents that were written.
fn play(server: &mut Asking, model: &mut Model, round: &Round, index: &str) -> u64 {
    let expected = model.apply(&round.write);
    let answer = server.get(&round.query);
    for count in ["inserted", "replaced", "unchanged", "deleted", "skipped", "errors"] {
        let counted = answer.get(count).cloned().unwrap_or(json!(0));
        assert_eq!(counted.as_u64(), Some(expected.get(count)), "{count}");
    }
    let shown = answer.get("changes").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    match round.shown {
        Shown::Unknown => {}
        Shown::Changed => assert_eq!(shown, expected.changed(), "changes"),
        Shown::All => assert_eq!(shown, expected.total(), "changes"),
    }
    let rows = server.get("r.table('t').orderBy({index: 'id'})");
    let rows = rows.as_array().expect("rows");
    let model_rows = model.t.iter().map(|(id, row)| row.to_json(*id));
    for (row, model_row) in rows.iter().zip(model_rows) {
        assert_eq!(*row, model_row);
    }
    assert_eq!(rows.len(), model.t.len());
    assert_eq!(server.get("r.table('t').count()"), json!(rows.len()));
    let entries = server.get(&format!("r.table('t').orderBy({{index: '{index}'}})('id')"));
    assert_eq!(entries, json!(model.by_index(index)), "the index {index}");
    expected.changed()
}
