//! Changefeeds of the server's own tables.

use crate::support::client::Client;
use crate::support::feed::{Reader, run};
use reql_embedded::Server;
use serde_json::{Value, json};

fn table(name: &str) -> Value {
    json!([15, [[14, ["rethinkdb"]], name]])
}

fn changes(rows: &Value) -> Value {
    json!([152, [rows], { "include_initial": true, "include_states": true, "include_types": true }])
}

async fn follow(server: &Server, rows: &Value) -> Reader {
    Reader::open(server.local_addr(), changes(rows), json!({})).await
}

async fn server() -> (Server, Client) {
    let server = Server::builder().in_memory().start().await.expect("it starts");
    let client = Client::connect(server.local_addr()).await;
    (server, client)
}

/// Returns the type of a row, and the names before and after.
fn names(row: &Value) -> [Value; 3] {
    [row["type"].clone(), row["old_val"]["name"].clone(), row["new_val"]["name"].clone()]
}

#[tokio::test]
async fn databases_are_followed_however_they_come_about() {
    let (server, mut client) = server().await;
    let mut feed = follow(&server, &table("db_config")).await;
    assert_eq!(feed.notes, json!([1, 5]));
    assert_eq!(feed.next().await["state"], "initializing");
    assert_eq!(names(&feed.next().await), [json!("initial"), json!(null), json!("test")]);
    assert_eq!(feed.next().await["state"], "ready");

    run(&mut client, json!([57, ["heroes"]])).await;
    let created = feed.next().await;
    assert_eq!(names(&created), [json!("add"), json!(null), json!("heroes")]);
    let row = json!([16, [table("db_config"), created["new_val"]["id"]]]);
    run(&mut client, json!([53, [row, { "name": "villains" }]])).await;
    assert_eq!(names(&feed.next().await), [json!("change"), json!("heroes"), json!("villains")]);
    run(&mut client, json!([58, ["villains"]])).await;
    assert_eq!(names(&feed.next().await), [json!("remove"), json!("villains"), json!(null)]);
}

#[tokio::test]
async fn one_row_is_followed_from_before_it_is_there() {
    let (server, mut client) = server().await;
    let row = json!([16, [table("users"), "bob"]]);
    let mut feed = follow(&server, &row).await;
    assert_eq!(feed.notes, json!([2, 5]));
    assert_eq!(feed.next().await["state"], "initializing");
    assert_eq!(feed.next().await, json!({ "type": "initial", "new_val": null }));
    assert_eq!(feed.next().await["state"], "ready");
    for name in ["alice", "bob"] {
        run(&mut client, json!([56, [table("users"), { "id": name, "password": "secret" }]])).await;
    }
    let added = feed.next().await;
    assert_eq!(
        (&added["type"], &added["new_val"]),
        (&json!("add"), &json!({ "id": "bob", "password": true }))
    );
    run(&mut client, json!([54, [row]])).await;
    assert_eq!(feed.next().await["type"], "remove");
}

#[tokio::test]
async fn parts_are_followed_and_transformed() {
    let (server, mut client) = server().await;
    let scratch = table("_debug_scratch");
    let range = json!([33, [[182, [scratch, 10, 20]], "n"]]);
    let keys = json!([39, [[78, [scratch, 11, 30]], { "n": 2 }]]);
    let (mut range, mut keys) = (follow(&server, &range).await, follow(&server, &keys).await);
    for feed in [&mut range, &mut keys] {
        assert_eq!(feed.next().await["state"], "initializing");
        assert_eq!(feed.next().await["state"], "ready");
    }
    for id in [5, 11, 20, 30] {
        run(&mut client, json!([56, [scratch, { "id": id, "n": 1 }]])).await;
    }
    assert_eq!(range.next().await, json!({ "type": "add", "old_val": null, "new_val": { "n": 1 } }));
    run(&mut client, json!([53, [[16, [scratch, 11]], { "n": 2 }]])).await;
    let changed = json!({ "type": "change", "old_val": { "n": 1 }, "new_val": { "n": 2 } });
    assert_eq!(range.next().await, changed);
    let added = json!({ "type": "add", "old_val": null, "new_val": { "id": 11, "n": 2 } });
    assert_eq!(keys.next().await, added);
}

#[tokio::test]
async fn what_rethinkdb_refuses_is_refused() {
    let (_server, mut client) = server().await;
    let first = json!([71, [[41, [table("db_config")], { "index": "id" }], 3]]);
    let answer = client.ask(1, &json!([1, changes(&first), {}]).to_string()).await;
    assert_eq!(answer["r"], json!(["System tables don't support changefeeds on `.limit()`."]));
    let other = json!([182, [table("db_config"), 1, 2], { "index": "name" }]);
    let answer = client.ask(2, &json!([1, changes(&other), {}]).to_string()).await;
    assert_eq!(answer["r"], json!(["Index `name` was not found on table `rethinkdb.db_config`."]));
}

#[tokio::test]
async fn positions_that_there_are_not_are_an_error_of_the_operation() {
    let (_server, mut client) = server().await;
    let row = json!([16, [table("users"), "admin"]]);
    for (rows, name) in [(table("users"), "range"), (row, "point")] {
        let query = json!([1, [152, [rows], { "include_offsets": true }], {}]);
        let answer = client.ask(1, &query.to_string()).await;
        assert_eq!(answer["e"], json!(4_100_000), "{answer}");
        assert_eq!(answer["r"][0], json!(format!("Cannot include offsets for {name} subs.")));
    }
}
