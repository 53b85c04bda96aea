//! Bounds of the memory that writes of large documents take.

use crate::bounded::{MEMORY, Ran, Target};
use crate::support::client::Client;
use crate::support::reql;
use reql_embedded::Server;
use reql_embedded::budget::memory::Reservation;
use serde_json::{Value, json};

/// Makes a server with a table `large` of documents with a text of 2^`power` bytes.
fn target(count: u32, power: u32) -> Target {
    let target = Target::new();
    target.must("r.tableCreate('large')");
    let text = format!("r.range({power}).fold('x', (a, _) => a.add(a))");
    target.must(&format!("r.table('large').insert(r.range({count}).map(n => ({{id: n, text: {text}}})))"));
    target
}

#[test]
fn large_documents_are_changed_a_few_at_a_time() {
    const SIZE: u64 = 1 << 20;
    let target = target(20, SIZE.ilog2());
    for (write, expected) in [
        ("update({v: 1})", "\"replaced\":20,"),
        ("replace(d => d.merge({v: 2}))", "\"replaced\":20,"),
        ("insert(r.range(20).map(n => ({id: n})))", "\"errors\":20,"),
        ("delete()", "\"deleted\":20,"),
    ] {
        let Ran { result, held, .. } = target.run(&format!("r.table('large').{write}"), true);
        let answer = result.expect(write);
        assert!(answer.contains(expected), "{write}: {answer}");
        assert!((SIZE..8 * SIZE).contains(&held), "{write} held {held} bytes");
        assert_eq!(target.0.memory.used(), 0, "{write} left something");
    }
}

#[test]
fn a_write_shows_no_more_than_there_is_room_for() {
    let target = target(300, 17);
    for write in [
        "r.table('large').update({v: 1}, {returnChanges: true})",
        "r.range(300).forEach(n => r.table('large').get(n).update({v: 2}, {returnChanges: true}))",
        "r.table('large')\
         .insert(r.table('large'), {conflict: (id, a, b) => r.error('no'), returnChanges: 'always'})",
        "r.table('large').delete({returnChanges: true})",
    ] {
        let Ran { result, held, .. } = target.run(write, true);
        let answer = result.expect(write);
        assert!(answer.contains(":300,"), "{write}: {}", &answer[answer.len().saturating_sub(500)..]);
        let shown = answer.matches("\"old_val\":").count();
        assert!((5..150).contains(&shown), "{write} shows {shown} changes");
        let warning = format!("Too many changes, array truncated to {shown}.");
        assert!(answer.contains(&warning), "{write} lacks: {warning}");
        assert!(held <= MEMORY / 2, "{write} held {held} bytes");
        assert_eq!(target.0.memory.used(), 0, "{write} left something");
    }
    assert_eq!(target.must("r.table('large').count()"), "0");
}

#[test]
fn generated_keys_are_no_more_than_there_is_room_for() {
    let target = Target::new();
    let mut held = Reservation::new(&target.0.memory);
    held.add_bytes(MEMORY as usize - (1 << 20)).expect("room");
    let answer = target.must("r.table('t').insert(r.range(5000).map(x => ({})))");
    drop(held);
    assert!(answer.contains("\"inserted\":5000,"), "{answer}");
    // A key has four of them.
    let shown = answer.matches('-').count() / 4;
    assert!((1000..4000).contains(&shown), "{shown} keys");
    let warning = format!("Too many generated keys (5000), array truncated to {shown}.");
    assert!(answer.contains(&warning), "{answer}");
}

/// Asks for all changes of a document that is changed again and again.
#[tokio::test]
async fn a_write_that_is_done_is_told_of() {
    let server = Server::builder().memory_limit(16 << 20).start().await.expect("a server");
    let mut client = Client::connect(server.local_addr()).await;
    let text = "r.range(16).fold('x', (a, _) => a.add(a))";
    let insert = format!("r.table('e').insert({{id: 777, text: {text}, n: 0}})");
    let keys = "r.args(r.range(500).map(x => 777).coerceTo('array'))";
    let change = "update(x => ({n: x('n').add(1)}), {returnChanges: true})";
    let update = format!("r.table('e').getAll({keys}).{change}");
    let mut answer = Value::Null;
    for (token, query) in (1..).zip(["r.tableCreate('e')", &insert, &update]) {
        let query = json!([1, reql::parse(query).expect("an expression"), {}]);
        answer = client.ask(token, &query.to_string()).await;
        assert_eq!(answer["t"], json!(1), "{query}: {answer}");
    }
    let told = &answer["r"][0];
    assert_eq!(told["replaced"], json!(500));
    let shown = told["changes"].as_array().expect("changes").len();
    assert!((2..50).contains(&shown), "{shown} changes");
    assert_eq!(told["warnings"], json!([format!("Too many changes, array truncated to {shown}.")]));
    server.shutdown().await;
}

#[test]
fn a_large_document_is_changed_in_the_memory_for_two() {
    const SIZE: u64 = 4 << 20;
    let target = target(1, SIZE.ilog2());
    for write in ["update({v: 1})", "replace(d => d.merge({v: 2}))", "update(d => ({v: d('v').add(1)}))"] {
        let Ran { result, held, .. } = target.run(&format!("r.table('large').get(0).{write}"), true);
        let answer = result.expect(write);
        assert!(answer.contains("\"replaced\":1,"), "{write}: {answer}");
        assert!((2 * SIZE..3 * SIZE).contains(&held), "{write} held {held} bytes");
    }
}
