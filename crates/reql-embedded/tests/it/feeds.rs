//! Changefeeds over the wire: the state of a client that replays them, and their end.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::client::Client;
use crate::support::feed::{Reader, run};
use reql_embedded::datum::Datum;
use reql_embedded::error::Result;
use reql_embedded::feed::{Capacity, Extent, Feed, Flat, Form, Options, Ranges, Transform, Wake};
use reql_embedded::storage::KeyRange;
use reql_embedded::{Builder, Server};
use serde_json::{Value, json};

/// The type of answers that say that a query failed.
const FAILED: i64 = 18;

async fn server() -> (Server, SocketAddr) {
    server_of(Server::builder()).await
}

async fn server_of(builder: Builder) -> (Server, SocketAddr) {
    let server = builder.in_memory().start().await.unwrap();
    let addr = server.local_addr();
    let mut client = Client::connect(addr).await;
    run(&mut client, json!([60, ["t"]])).await;
    run(&mut client, json!([75, [table(), "rank"]])).await;
    run(&mut client, json!([140, [table()]])).await;
    (server, addr)
}

fn table() -> Value {
    json!([15, ["t"]])
}

fn upsert(document: &Value) -> Value {
    json!([56, [table(), document], { "conflict": "replace" }])
}

/// The documents of a client that replays its feed.
#[derive(Default)]
struct Replay(BTreeMap<String, Value>);

impl Replay {
    fn apply(&mut self, row: &Value) {
        if let Some(old) = row.get("old_val").filter(|old| !old.is_null()) {
            assert_eq!(self.0.remove(&old["id"].to_string()).as_ref(), Some(old), "{row}");
        }
        if let Some(new) = row.get("new_val").filter(|new| !new.is_null()) {
            let double = self.0.insert(new["id"].to_string(), new.clone());
            assert_eq!(double, None, "{row}");
        }
    }

    async fn until(&mut self, reader: &mut Reader, last: &str) {
        loop {
            let row = reader.next().await;
            self.apply(&row);
            if row["new_val"]["id"] == last {
                return;
            }
        }
    }
}

/// Writes and deletes documents, each again and again, in an order that looks random.
async fn churn(addr: SocketAddr, seed: u64, count: u64) {
    let mut client = Client::connect(addr).await;
    let mut state = seed;
    for step in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = (state >> 33) % 600;
        let term = if (state >> 20).is_multiple_of(4) {
            json!([54, [[16, [table(), id]]]])
        } else {
            upsert(&json!({ "id": id, "rank": (state >> 40) % 50 + 1, "by": seed, "step": step }))
        };
        run(&mut client, term).await;
    }
}

async fn seed(client: &mut Client) {
    let documents: Vec<Value> = (0..600).map(|id| json!({ "id": id, "rank": id % 50 + 1 })).collect();
    run(client, json!([56, [table(), [2, documents]]])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_with_initial_rows_replays_to_the_table() {
    let (_server, addr) = server().await;
    let mut client = Client::connect(addr).await;
    seed(&mut client).await;
    let writers: Vec<_> = (1..4).map(|seed| tokio::spawn(churn(addr, seed, 150))).collect();
    let initial = json!({ "include_initial": true });
    let whole = Reader::open(addr, json!([152, [table()], initial]), json!({ "max_batch_rows": 20 })).await;
    let ranks = json!([182, [table(), 10, 30], { "index": "rank" }]);
    let part = Reader::open(addr, json!([152, [ranks], initial]), json!({ "max_batch_rows": 7 })).await;
    let ordered = json!([41, [table()], { "index": "rank" }]);
    let first = json!([71, [ordered, 20]]);
    let window = Reader::open(addr, json!([152, [first], initial]), json!({})).await;
    assert_eq!((&whole.notes, &part.notes, &window.notes), (&json!([1]), &json!([1]), &json!([3])));

    let replays = [(whole, "last"), (part, "middle"), (window, "first")].map(|(mut reader, last)| {
        tokio::spawn(async move {
            let mut replay = Replay::default();
            replay.until(&mut reader, last).await;
            replay.0
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    for (id, rank) in [("first", 0), ("middle", 20), ("last", 51)] {
        run(&mut client, upsert(&json!({ "id": id, "rank": rank }))).await;
    }
    for (replay, query) in replays.into_iter().zip([table(), ranks, first]) {
        let rows = run(&mut client, json!([51, [query, "array"]])).await;
        let mut table = Replay::default();
        rows.as_array().unwrap().iter().for_each(|row| table.apply(&json!({ "new_val": row })));
        let mut seen = replay.await.unwrap();
        // Nothing that was written after its last row is in a feed.
        table.0.retain(|id, _| id != "\"last\"");
        seen.remove("\"last\"");
        assert_eq!(seen, table.0);
    }
}

#[tokio::test]
async fn the_next_document_moves_up_into_the_window() {
    let (_server, addr) = server().await;
    let mut client = Client::connect(addr).await;
    let documents: Vec<Value> = (0..5).map(|id| json!({ "id": id, "rank": id })).collect();
    run(&mut client, json!([56, [table(), [2, documents]]])).await;
    let ordered = json!([41, [table()], { "index": [74, ["rank"]] }]);
    let options = json!({ "include_offsets": true, "include_types": true });
    let mut reader = Reader::open(addr, json!([152, [[71, [ordered, 2]]], options]), json!({})).await;

    run(&mut client, json!([54, [[16, [table(), 4]]]])).await;
    assert_eq!(
        reader.next().await,
        json!({
            "type": "change",
            "old_val": { "id": 4, "rank": 4 }, "old_offset": 0,
            "new_val": { "id": 2, "rank": 2 }, "new_offset": 1,
        })
    );
    run(&mut client, upsert(&json!({ "id": 9, "rank": 9 }))).await;
    assert_eq!(
        reader.next().await,
        json!({
            "type": "change",
            "old_val": { "id": 2, "rank": 2 }, "old_offset": 1,
            "new_val": { "id": 9, "rank": 9 }, "new_offset": 0,
        })
    );
}

#[tokio::test]
async fn a_dropped_table_ends_its_feeds() {
    let (_server, addr) = server().await;
    let mut reader = Reader::open(addr, json!([152, [table()]]), json!({})).await;
    reader.client.query(7, "[2]").await;
    let mut client = Client::connect(addr).await;
    run(&mut client, json!([61, ["t"]])).await;
    let (token, answer) = reader.client.answer().await;
    assert_eq!((token, &answer["t"]), (7, &json!(FAILED)));
    assert_eq!(answer["r"], json!(["Changefeed aborted (unavailable)."]));
}

#[tokio::test]
async fn a_feed_that_nobody_reads_skips_changes() {
    let (_server, addr) = server().await;
    let options = json!({ "changefeed_queue_size": 10 });
    let mut reader = Reader::open(addr, json!([152, [table()], options]), json!({})).await;
    let mut client = Client::connect(addr).await;
    for id in 0..25 {
        run(&mut client, upsert(&json!({ "id": id }))).await;
    }
    let message = "Changefeed cache over array size limit, skipped 22 elements.";
    assert_eq!(reader.next().await, json!({ "error": message }));
    for id in 22..25 {
        assert_eq!(reader.next().await, json!({ "old_val": null, "new_val": { "id": id } }));
    }
}

#[tokio::test]
async fn the_memory_for_changes_that_nobody_reads_can_be_chosen() {
    let (_server, addr) = server_of(Server::builder().feed_backlog(50_000)).await;
    let mut reader = Reader::open(addr, json!([152, [table()]]), json!({})).await;
    let mut client = Client::connect(addr).await;
    for id in 0..25 {
        run(&mut client, upsert(&json!({ "id": id, "text": "x".repeat(10_000) }))).await;
    }
    let first = reader.next().await;
    let message = first["error"].as_str().unwrap_or_else(|| panic!("{first}"));
    assert!(message.starts_with("Changefeed cache over array size limit, skipped "), "{message}");
}

#[tokio::test]
async fn what_nothing_can_be_in_is_followed_in_silence_until_the_table_is_dropped() {
    let (_server, addr) = server().await;
    let mut client = Client::connect(addr).await;
    // Neither the ends of such a range nor its index are checked.
    let empty = [
        json!([78, [table()]]),
        json!([78, [table()], { "index": "none" }]),
        json!([182, [table(), 2, 1]]),
        json!([182, [table(), [181, []], {}], { "index": "rank" }]),
        json!([39, [[182, [table(), {}, 0]], [69, [[2, [1]], [151, []]]]]]),
    ];
    for rows in empty {
        let options = json!({ "include_initial": true, "include_states": true });
        let mut reader = Reader::open(addr, json!([152, [rows], options]), json!({})).await;
        assert_eq!(reader.notes, json!([1, 5]));
        run(&mut client, upsert(&json!({ "id": 1, "rank": 1 }))).await;
        for state in ["initializing", "ready"] {
            assert_eq!(reader.next().await, json!({ "state": state }), "{rows}");
        }
        reader.client.query(7, "[2]").await;
        let mut union = Reader::open(addr, json!([152, [[44, [rows, table()]]]]), json!({})).await;
        run(&mut client, upsert(&json!({ "id": 1, "rank": 2 }))).await;
        assert_eq!(union.next().await["new_val"]["rank"], 2, "{rows}");
        run(&mut client, json!([61, ["t"]])).await;
        let (token, answer) = reader.client.answer().await;
        assert_eq!((token, &answer["t"]), (7, &json!(FAILED)), "{rows}: {answer}");
        run(&mut client, json!([60, ["t"]])).await;
        run(&mut client, json!([75, [table(), "rank"]])).await;
    }
}

#[tokio::test]
async fn only_a_feed_itself_notes_that_it_tells_its_states() {
    let (_server, addr) = server().await;
    let changes = json!([152, [table()], { "include_states": true }]);
    let one = |parameters: &[u64]| json!([69, [[2, parameters], 1]]);
    let folded = json!([187, [changes, 0, one(&[1, 2])], { "emit": [69, [[2, [1, 2, 3]], [2, []]]] }]);
    for (term, notes) in [
        (changes.clone(), json!([1, 5])),
        (json!([38, [changes, one(&[1])]]), json!([1, 5])),
        (json!([71, [changes, 9]]), json!([1])),
        (folded, json!([1])),
        (json!([87, [changes, 3]]), json!([1])),
        (json!([50, [changes, "state", table()]]), json!([1])),
    ] {
        assert_eq!(Reader::open(addr, term.clone(), json!({})).await.notes, notes, "{term}");
    }
}

#[tokio::test]
async fn a_large_document_begins_a_batch() {
    let (_server, addr) = server().await;
    let mut client = Client::connect(addr).await;
    // Two large documents follow each other, and others are small.
    let is_large = |id: u64| matches!(id, 3 | 6 | 7);
    for id in 0..10 {
        let text = "x".repeat(if is_large(id) { 200 << 10 } else { 10 });
        run(&mut client, upsert(&json!({ "id": id, "rank": id + 1, "text": text }))).await;
    }
    let ranks = json!([182, [table(), 0, 20], { "index": "rank" }]);
    let some = json!([182, [table(), 2, 8]]);
    for (rows, all) in [(table(), 0..10), (ranks, 0..10), (some, 2..8)] {
        let feed = json!([152, [rows], { "include_initial": true }]);
        let (mut reader, mut told) = (Client::connect(addr).await, Vec::new());
        let mut answer = reader.ask(7, &json!([1, feed, {}]).to_string()).await;
        while told.len() < all.clone().count() {
            let batch = answer["r"].as_array().unwrap();
            let ids = batch.iter().map(|row| row["new_val"]["id"].as_u64().unwrap());
            assert!(ids.clone().skip(1).all(|id| !is_large(id)), "{ids:?}");
            told.extend(ids);
            if told.len() < all.clone().count() {
                answer = reader.ask(7, "[2]").await;
            }
        }
        assert_eq!(told, Vec::from_iter(all));
    }
}

#[tokio::test]
async fn a_stopped_feed_answers_its_continue_and_its_stop() {
    let (_server, addr) = server().await;
    let mut reader = Reader::open(addr, json!([152, [table()]]), json!({})).await;
    reader.client.query(7, "[2]").await;
    reader.client.query(7, "[3]").await;
    for _ in 0..2 {
        let (token, answer) = reader.client.answer().await;
        assert_eq!((token, &answer["t"], &answer["r"]), (7, &json!(2), &json!([])));
    }
}

#[test]
fn the_changes_of_a_table_are_told_without_a_thread_that_may_block() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (_server, addr) = server().await;
        let mut client = Client::connect(addr).await;
        let mut table_reader = Reader::open(addr, json!([152, [table()]]), json!({})).await;
        let mut point_reader = Reader::open(addr, json!([152, [[16, [table(), 1]]]]), json!({})).await;
        // The readers wait, and then there is no thread left for work that may block.
        table_reader.client.query(7, "[2]").await;
        point_reader.client.query(7, "[2]").await;
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (taken, is_taken) = tokio::sync::oneshot::channel();
        tokio::task::spawn_blocking(move || {
            taken.send(()).unwrap();
            held.recv().unwrap_err();
        });
        is_taken.await.unwrap();
        run(&mut client, upsert(&json!({ "id": 1 }))).await;
        for reader in [&mut table_reader, &mut point_reader] {
            let answer = reader.client.answer();
            let (_, answer) = tokio::time::timeout(std::time::Duration::from_secs(30), answer).await.unwrap();
            assert_eq!(answer["r"], json!([{ "old_val": null, "new_val": { "id": 1 } }]));
        }
        drop(release);
    });
}

#[tokio::test]
async fn rows_that_are_null_are_none() {
    let (_server, addr) = server().await;
    let mut client = Client::connect(addr).await;
    // `t.map(row => row('v').default(null)).changes({includeTypes: true})`
    let value = json!([92, [[31, [[10, [1]], "v"]], null]]);
    let mapped = json!([38, [table(), [69, [[2, [1]], value]]]]);
    let mut reader = Reader::open(addr, json!([152, [mapped], { "include_types": true }]), json!({})).await;
    for row in [json!({ "id": 1 }), json!({ "id": 1, "v": 5 }), json!({ "id": 1, "v": null })] {
        run(&mut client, upsert(&row)).await;
    }
    assert_eq!(reader.next().await, json!({ "type": "add", "old_val": null, "new_val": 5 }));
    assert_eq!(reader.next().await, json!({ "type": "remove", "old_val": 5, "new_val": null }));
    run(&mut client, upsert(&json!({ "id": 2, "v": 6 }))).await;
    assert_eq!(reader.next().await["new_val"], json!(6));
}

struct AsItIs;

impl Transform for AsItIs {
    fn apply(&self, document: &Datum) -> Result<Option<Datum>> {
        Ok(Some(document.clone()))
    }
}

#[test]
fn a_feed_that_is_dropped_listens_no_longer() {
    let store = crate::support::store();
    let table = crate::support::table(&store);
    let wake = Arc::new(Wake::default());
    let form = Form { types: false, states: false, offsets: false };
    let queue = Capacity { changes: 10, ..Capacity::default() };
    let options = Options { squash: None, include_initial: false, form, queue };
    let ranges = Ranges::One(KeyRange::all());
    let extent = Extent { table: table.clone(), index: None, ranges, multiplicity: None };
    let mut feed = Flat::open(extent, Box::new(AsItIs), options, wake.clone(), false).unwrap();
    crate::support::write(&table, vec![crate::support::put(&crate::support::document(1, 1))]);
    assert!(feed.next().unwrap().is_some());
    assert!(feed.next().unwrap().is_none());
    drop(feed);
    assert_eq!(Arc::strong_count(&wake), 1, "the table holds a listener still");
}
