//! Feeds of every kind that come and go while many clients write: the rows of each feed add up to the final
//! result of its query.
//!
//! `FEEDS_ROUNDS` and `FEEDS_WRITES` make it run longer than the one short round that it is by default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::feed::{Reader, run};
use reql_embedded::Server;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

const WRITERS: u64 = 8;
/// The most documents besides the one that is written last: more than a feed reads at once.
const DOCUMENTS: u64 = 700;
/// The document that is written last, and that every feed shows: nothing comes after it.
const LAST: &str = "last";
/// The longest silence of a feed; only a test that fails waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

fn table() -> Value {
    json!([15, ["t"]])
}

fn by(index: &str) -> Value {
    json!([41, [table()], { "index": index }])
}

/// Returns twenty queries that can be followed. The document that is written last is a row of each.
fn queries() -> Vec<Value> {
    let t = table;
    let rank = |low: i64, high: i64| json!([182, [t(), low, high], { "index": "rank" }]);
    let falling = |index: &str| json!([41, [t()], { "index": [74, [index]] }]);
    let flagged = |rows: Value| json!([39, [rows, { "flag": true }]]);
    let top = |rows: Value, count: u64| json!([71, [rows, count]]);
    let tags = |names: &[&str]| {
        let keys: Vec<Value> = std::iter::once(t()).chain(names.iter().map(|name| json!(name))).collect();
        json!([78, keys, { "index": "tags" }])
    };
    let doubled =
        json!([69, [[2, [1]], [35, [[10, [1]], { "twice": [24, [[170, [[10, [1]], "rank"]], 2]] }]]]]);
    vec![
        t(),
        flagged(t()),
        json!([33, [flagged(t()), "id", "flag", "mark"]]),
        json!([38, [t(), doubled]]),
        json!([34, [[32, [t(), "size"]], "tags"]]),
        json!([78, [t(), 1, 2, 3, LAST, 60]]),
        json!([78, [t(), -1, 7, 8, 9], { "index": "rank" }]),
        tags(&["a", "b"]),
        tags(&["b", "b"]),
        json!([182, [t(), 100, [181, []]]]),
        json!([33, [rank(-5, 40), "id", "mark"]]),
        flagged(rank(-1, 40)),
        top(by("rank"), 10),
        top(falling("size"), 5),
        top(json!([41, [rank(-1, 30)], { "index": "rank" }]), 12),
        top(falling("id"), 7),
        top(json!([33, [flagged(by("rank")), "id", "rank", "mark"]]), 8),
        json!([147, [t()], { "index": "rank" }]),
        json!([148, [t()], { "index": "size" }]),
        json!([44, [flagged(t()), top(by("rank"), 6), rank(-1, 10)]]),
    ]
}

fn last() -> Value {
    json!({ "id": LAST, "rank": -1, "size": 1_000_000, "flag": true, "tags": ["a", "b"], "mark": true })
}

/// Pseudo-random numbers that are the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

async fn write(addr: SocketAddr, seed: u64, writes: u64) {
    let mut client = Client::connect(addr).await;
    let mut chance = Chance(seed);
    for step in 0..writes {
        let id = match chance.below(DOCUMENTS) {
            0 => json!(LAST),
            id => json!(id),
        };
        let row = json!([16, [table(), id]]);
        let tags = [json!([]), json!(["a"]), json!(["a", "b"]), json!(["b", "c"])];
        let (rank, size) = (chance.below(50), chance.below(100));
        let (flag, tags) = (chance.below(3) > 0, &tags[chance.below(4) as usize]);
        let term = match chance.below(10) {
            0..=2 => json!([54, [row]]),
            3..=4 => json!([53, [row, { "rank": rank, "flag": flag }]]),
            _ => {
                let document = json!({
                    "id": id, "rank": rank, "size": size, "flag": flag, "tags": [2, tags],
                    "by": [2, [seed, step]],
                });
                json!([56, [table(), document], { "conflict": "replace" }])
            }
        };
        run(&mut client, term).await;
    }
}

/// The rows that a client knows, each with the number of its occurrences.
#[derive(Debug, Default, PartialEq)]
struct Known(BTreeMap<String, usize>);

impl Known {
    fn of(result: Value) -> Known {
        let mut known = Known::default();
        match result {
            Value::Array(rows) => rows.iter().for_each(|row| known.add(row)),
            row => known.add(&row),
        }
        known
    }

    fn add(&mut self, row: &Value) {
        *self.0.entry(row.to_string()).or_default() += 1;
    }

    fn remove(&mut self, row: &Value) -> bool {
        let text = row.to_string();
        let Some(count) = self.0.get_mut(&text) else { return false };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&text);
        }
        true
    }

    /// Counts the occurrences of the document that was written last.
    fn marks(&self) -> usize {
        self.0.iter().filter(|(row, _)| row.contains("\"mark\":true")).map(|(_, count)| count).sum()
    }

    /// Applies a row of a feed. A feed that reports the end of a row must have reported the row.
    fn follow(&mut self, row: &Value, query: &Value) {
        let side = |name: &str| row.get(name).filter(|row| !row.is_null());
        if let Some(old) = side("old_val") {
            assert!(self.remove(old), "{query} had no such row: {row}");
        }
        if let Some(new) = side("new_val") {
            self.add(new);
        }
    }
}

/// Runs a client that opens a feed, leaves it and opens it anew some times, and stays in the end until it has
/// seen it all.
async fn read(addr: SocketAddr, query: Value, seed: u64, mut expected: watch::Receiver<Option<Value>>) {
    let mut chance = Chance(seed);
    let changes = json!([152, [query], { "include_initial": true, "include_states": true }]);
    let batch = json!({ "max_batch_rows": chance.below(20) + 1 });
    for _ in 0..chance.below(4) {
        let mut feed = Reader::open(addr, changes.clone(), batch.clone()).await;
        let mut known = Known::default();
        for _ in 0..chance.below(150) {
            let row = tokio::select! {
                row = feed.next() => row,
                _ = expected.wait_for(Option::is_some) => break,
            };
            known.follow(&row, &query);
        }
    }
    let mut feed = Reader::open(addr, changes, batch).await;
    let (mut known, mut ready) = (Known::default(), false);
    let mut result: Option<Known> = None;
    while !ready || result.as_ref().is_none_or(|result| known.marks() < result.marks()) {
        if known.marks() > 0 && result.is_none() {
            let last = expected.wait_for(Option::is_some).await.expect("a result").clone();
            result = last.map(Known::of);
            continue;
        }
        let row = timeout(PATIENCE, feed.next()).await;
        let row = row.unwrap_or_else(|_| panic!("{query} is silent, and knows {known:?} of {result:?}"));
        ready |= row["state"] == "ready";
        known.follow(&row, &query);
    }
    assert_eq!(Some(known), result, "{query}");
}

/// Returns the current result of a query, as an array unless it is a single row.
async fn result(client: &mut Client, query: &Value) -> Value {
    let is_row = [147, 148].iter().any(|term| query[0] == *term);
    let term = if is_row { query.clone() } else { json!([51, [query, "array"]]) };
    run(client, term).await
}

async fn round(seed: u64, writes: u64) {
    let server = Server::builder().in_memory().start().await.expect("it starts");
    let addr = server.local_addr();
    let mut client = Client::connect(addr).await;
    run(&mut client, json!([60, ["t"]])).await;
    for (index, options) in [("rank", json!({})), ("size", json!({})), ("tags", json!({ "multi": true }))] {
        run(&mut client, json!([75, [table(), index], options])).await;
    }
    run(&mut client, json!([140, [table()]])).await;
    let documents =
        (1..DOCUMENTS).map(|id| json!({ "id": id, "rank": id % 50, "size": id, "flag": id % 2 == 0 }));
    run(&mut client, json!([56, [table(), [2, documents.collect::<Vec<_>>()]]])).await;

    let mut results = Vec::new();
    let readers: Vec<_> = queries()
        .into_iter()
        .zip(1..)
        .map(|(query, number)| {
            let (sender, receiver) = watch::channel(None);
            results.push((query.clone(), sender));
            tokio::spawn(read(addr, query, seed * 100 + number, receiver))
        })
        .collect();
    assert_eq!(readers.len(), 20);
    let writers: Vec<_> =
        (0..WRITERS).map(|n| tokio::spawn(write(addr, seed * WRITERS + n, writes))).collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    let document = json!([56, [table(), {
        "id": LAST, "rank": -1, "size": 1_000_000, "flag": true, "tags": [2, ["a", "b"]], "mark": true,
    }], { "conflict": "replace" }]);
    run(&mut client, document).await;
    assert_eq!(run(&mut client, json!([16, [table(), LAST]])).await, last());
    for (query, sender) in results {
        sender.send_replace(Some(result(&mut client, &query).await));
    }
    for reader in readers {
        reader.await.expect("a feed that is consistent");
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_feeds_come_to_what_their_queries_give() {
    for seed in 1..=number("FEEDS_ROUNDS", 1) {
        round(seed, number("FEEDS_WRITES", 40)).await;
    }
}
