//! Live queries through indexes: as these are defined, and as long as they are there.

use std::time::Duration;

use reql::r;
use serde_json::{Value, json};
use warp_reql::Conn;
use warp_reql::settings::{Rdb, Settings};

use super::{DOCS, Live};
use crate::support::body;
use crate::support::events::Events;

async fn index(live: &Live, name: &str, definition: Value) {
    let made = live.api.send("PUT", &format!("/tables/heroes/indexes/{name}"), &definition).await;
    assert_eq!(made.status(), 201, "{:?}", made.body());
}

/// Follows a list, and returns the ids that it begins with.
async fn begun(live: &Live, query: &str) -> (Events, Vec<u64>) {
    let mut events = live.events(&format!("{DOCS}?{query}")).await;
    let mut ids = Vec::new();
    loop {
        let event = events.next().await.expect("the stream goes on");
        match event.name.as_str() {
            "initial" => ids.push(event.data["new"]["id"].as_u64().expect("a number")),
            name => {
                assert_eq!(name, "ready", "{query}");
                return (events, ids);
            }
        }
    }
}

async fn refused(live: &Live, query: &str, parameter: &str) {
    let events = Events::open(live.addr, &format!("{DOCS}?{query}")).await;
    assert_eq!(events.status, 400, "{query}");
    assert_eq!(events.problem().await["parameter"], parameter, "{query}");
}

#[tokio::test]
async fn a_named_index_is_read_as_it_is_defined() {
    let live = Live::start().await;
    index(&live, "age", json!({"fields": ["age", "id"]})).await;
    index(&live, "name", json!({"fields": ["age"]})).await;
    index(&live, "tags", json!({"fields": ["tags"], "multi": true})).await;
    for (id, age) in [(1, 17), (2, 18), (3, 40)] {
        live.put(json!({"id": id, "age": age, "name": "x", "tags": ["x"]})).await;
    }
    for (query, expected) in [("index=age&age=gte.18", &[2, 3][..]), ("index=id&id=in.(1,3)", &[1, 3])] {
        let (_, mut ids) = begun(&live, query).await;
        ids.sort_unstable();
        assert_eq!(ids, expected, "{query}");
    }
    let (mut events, _) = begun(&live, "index=age&age=eq.40&select=id").await;
    live.put(json!({"id": 1, "age": 40})).await;
    assert_eq!(events.change().await, ("add".to_owned(), json!(null), json!({"id": 1})));
    for wrong in ["index=name&name=eq.x", "index=tags&tags=contains.x", "index=tags&tags=eq.x", "index=age"] {
        refused(&live, wrong, "index").await;
    }
}

#[tokio::test]
async fn an_order_has_the_documents_with_a_sortable_value() {
    let live = Live::start().await;
    index(&live, "a", json!({"fields": ["tags"], "multi": true})).await;
    refused(&live, "order=tags&limit=5", "order").await;
    index(&live, "b", json!({"fields": ["tags"]})).await;
    index(&live, "c", json!({"fields": ["tags", "n"]})).await;
    for (id, tags, n) in [
        (1, json!("b"), json!(1)),
        (2, json!(["a", "c"]), json!(1)),
        (3, json!(null), json!(1)),
        (4, json!("a"), json!([2])),
        (5, json!(true), json!("x")),
    ] {
        live.put(json!({"id": id, "tags": tags, "n": n})).await;
    }
    for (query, expected) in [
        ("order=tags&limit=5", &[5, 4, 1][..]),
        ("order=tags.desc&limit=2", &[1, 4]),
        ("order=tags,n&limit=5", &[5, 1]),
        ("order=tags&limit=5&tags=type.string", &[4, 1]),
    ] {
        let (_, ids) = begun(&live, query).await;
        assert_eq!(ids, expected, "{query}");
        let page = body(&live.api.call("GET", &format!("{DOCS}?{query}")).await);
        let first = page.as_array().expect("a list").iter().take(ids.len());
        let first: Vec<_> = first.filter_map(|document| document["id"].as_u64()).collect();
        // A page goes on with those that have no sortable value in the first field.
        assert!(first == ids || query.contains("tags,n"), "{query}: {page}");
    }
    let (mut events, _) = begun(&live, "order=tags&limit=3").await;
    live.put(json!({"id": 6, "tags": ["0"]})).await;
    live.put(json!({"id": 3, "tags": "aa"})).await;
    let event = events.next().await.expect("the stream goes on");
    assert_eq!((&event.data["new"]["id"], &event.data["new_offset"]), (&json!(3), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_ends_with_its_index() {
    let often = |rdb| Rdb { query_timeout: Duration::from_secs(6), ..rdb };
    let live = Live::adapted(|settings| Settings { rdb: often(settings.rdb.clone()), ..settings }).await;
    let mut streams = Vec::new();
    for name in ["dropped", "renamed", "replaced"] {
        index(&live, name, json!({"fields": [name]})).await;
        for query in [format!("order={name}&limit=5"), format!("index={name}&{name}=gte.1")] {
            streams.push(live.changes(&query).await);
        }
    }
    index(&live, "kept", json!({"fields": ["kept"]})).await;
    let mut kept = live.changes("order=kept&limit=5").await;
    let table = || r.table("heroes");
    let mut admin = Conn::new(live.api.database.clone());
    admin.run(table().index_drop("dropped")).await.unwrap();
    admin.run(table().index_rename("renamed", "other")).await.unwrap();
    admin.run(table().index_drop("replaced")).await.unwrap();
    index(&live, "replaced", json!({"fields": ["other"]})).await;
    for mut events in streams {
        let error = events.next().await.expect("within seconds");
        assert_eq!((error.name.as_str(), &error.data["code"]), ("error", &json!("no-such-index")));
        assert_eq!(events.any().await, None);
    }
    live.put(json!({"id": 1, "kept": 1})).await;
    assert_eq!(kept.change().await.2, json!({"id": 1, "kept": 1}));
}
