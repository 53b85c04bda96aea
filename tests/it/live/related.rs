//! Related documents beside those of a live query.

use std::collections::BTreeMap;

use super::Live;
use crate::expand::{fill, with_relations};
use crate::support::events::Events;
use crate::support::{body, problem};
use serde_json::{Value, json};

const POSTS: &str = "/tables/posts/docs";

async fn blog() -> Live {
    let live = Live::adapted(with_relations).await;
    fill(&live.api).await;
    live
}

async fn patch(live: &Live, path: &str, change: &Value) {
    let answer = live.api.send("PATCH", &format!("/tables/{path}"), change).await;
    assert_eq!(answer.status(), 200, "{:?}", answer.body());
}

/// The documents of the `initial` events, by their ids.
async fn initial(events: &mut Events) -> Vec<Value> {
    let mut told = Vec::new();
    loop {
        let (name, _, new) = events.change().await;
        match name.as_str() {
            "ready" => break,
            name => assert_eq!(name, "initial"),
        }
        told.push(new);
    }
    told.sort_by_key(|post| post["id"].as_u64());
    told
}

#[tokio::test]
async fn documents_come_with_those_they_refer_to() {
    let live = blog().await;
    let query = "select=id,author.name,latest&expand=author,latest(limit=1;order=at;select=id)";
    let mut events = live.events(&format!("{POSTS}?{query}")).await;
    let told = initial(&mut events).await;
    let page = body(&live.api.call("GET", &format!("{POSTS}?{query}")).await);
    assert_eq!(json!(told), page, "it begins with what the list is");
    assert_eq!(told[0], json!({"id": 1, "author": {"name": "Ann"}, "latest": [{"id": 3}]}));

    // What refers to a document isn't a change of it.
    let comment = json!({"id": 9, "post_id": 1, "at": 0});
    assert_eq!(live.api.send("POST", "/tables/comments/docs", &comment).await.status(), 201);
    patch(&live, "users/docs/bob", &json!({"name": "Robert"})).await;
    patch(&live, "posts/docs/1", &json!({"author_id": "bob"})).await;
    let new = json!({"id": 1, "author": {"name": "Robert"}, "latest": [{"id": 9}]});
    assert_eq!(events.change().await, ("change".to_owned(), json!({"id": 1}), new));
    patch(&live, "posts/docs/1", &json!({"author_id": null})).await;
    let new = json!({"id": 1, "author": null, "latest": [{"id": 9}]});
    assert_eq!(events.change().await, ("change".to_owned(), json!({"id": 1}), new));
    assert_eq!(live.api.call("DELETE", &format!("{POSTS}/1")).await.status(), 204);
    assert_eq!(events.change().await, ("remove".to_owned(), json!({"id": 1}), json!(null)));
}

#[tokio::test]
async fn the_first_of_an_order_have_theirs() {
    let live = blog().await;
    let path = format!("{POSTS}?order=id.desc&limit=2&select=id,author.name&expand=author");
    let mut events = live.events(&path).await;
    assert_eq!(initial(&mut events).await, [7, 8].map(|id| json!({"id": id, "author": null})));
    let post = json!({"id": 9, "author_id": "ann"});
    assert_eq!(live.api.send("POST", POSTS, &post).await.status(), 201);
    let event = events.next().await.unwrap();
    assert_eq!(event.data["new"], json!({"id": 9, "author": {"name": "Ann"}}), "{event:?}");
    assert_eq!((&event.data["old"]["id"], &event.data["new_offset"]), (&json!(7), &json!(0)));
    // Who comes later is told what the hub knows.
    let mut late = live.events(&path).await;
    let nine = json!({"id": 9, "author": {"name": "Ann"}});
    assert_eq!(initial(&mut late).await, [json!({"id": 8, "author": null}), nine]);
    assert_eq!(live.figure("warp_reql_live_queries").await, 1);
}

#[tokio::test]
async fn a_single_document_comes_with_those_it_refers_to() {
    let live = blog().await;
    let path = format!("{POSTS}/1?select=id,author.name&expand=author");
    let mut events = live.events(&path).await;
    let one = |author: &str| json!({"id": 1, "author": {"name": author}});
    assert_eq!(initial(&mut events).await, [one("Ann")]);
    assert_eq!(body(&live.api.call("GET", &path).await), one("Ann"));
    // The same query as a list, which never tells that a document is missing, is followed by itself.
    let list = format!("{POSTS}?index=id&id=eq.9&expand=author");
    assert_eq!(initial(&mut live.events(&list).await).await, [json!(null); 0]);
    let mut missing = live.events(&format!("{POSTS}/9?expand=author")).await;
    assert_eq!(initial(&mut missing).await, [json!(null)]);

    patch(&live, "posts/docs/1", &json!({"title": "not told"})).await;
    patch(&live, "posts/docs/1", &json!({"author_id": "bob"})).await;
    assert_eq!(events.change().await, ("change".to_owned(), json!({"id": 1}), one("Bob")));
    let post = json!({"id": 9, "author_id": "ann"});
    assert_eq!(live.api.send("POST", POSTS, &post).await.status(), 201);
    let (name, old, new) = missing.change().await;
    assert_eq!((&name[..], old, &new["author"]["name"]), ("add", json!(null), &json!("Ann")));
    // Who comes later is told of them as they are then.
    patch(&live, "users/docs/bob", &json!({"name": "Robert"})).await;
    assert_eq!(initial(&mut live.events(&path).await).await, [one("Robert")]);
    assert_eq!(live.api.call("DELETE", &format!("{POSTS}/1")).await.status(), 204);
    assert_eq!(events.change().await, ("remove".to_owned(), json!({"id": 1}), json!(null)));
    assert_eq!(initial(&mut live.events(&path).await).await, [json!(null)]);
}

#[tokio::test]
async fn some_fields_of_a_single_document_are_followed() {
    let live = blog().await;
    let mut events = live.events(&format!("{POSTS}/4?omit=author_id")).await;
    assert_eq!(initial(&mut events).await, [json!({"id": 4, "title": "gone"})]);
    patch(&live, "posts/docs/4", &json!({"author_id": "bob"})).await;
    patch(&live, "posts/docs/4", &json!({"title": "back"})).await;
    let (_, old, new) = events.change().await;
    assert_eq!((old, new), (json!({"id": 4, "title": "gone"}), json!({"id": 4, "title": "back"})));
}

#[tokio::test]
async fn what_is_told_beside_is_a_part_of_the_query() {
    let live = blog().await;
    for expand in ["author", "author(select=name)", "comments(limit=1)", "comments(limit=2)"] {
        let mut events = live.events(&format!("{POSTS}?id=eq.1&expand={expand}")).await;
        let told = initial(&mut events).await;
        let page = body(&live.api.call("GET", &format!("{POSTS}?id=eq.1&expand={expand}")).await);
        assert_eq!(json!(told), page, "{expand}");
    }
    for query in ["expand=nobody", "expand=comments(limit=1000)", "expand=comments(text=eq)"] {
        let path = format!("{POSTS}?{query}");
        let refused = live.api.with("GET", &path, &[("accept", "text/event-stream")], b"").await;
        problem(&refused, 400, "bad-parameter");
    }
}

/// Followers who join while documents are written end with what the table has.
#[tokio::test]
async fn whoever_joins_among_writers_misses_nothing() {
    let live = blog().await;
    let query = "select=id,author.name&expand=author";
    let path = format!("{POSTS}?{query}");
    let mut known = Vec::new();
    for round in 0..20_u64 {
        let author = ["ann", "bob"][(round % 2) as usize];
        let change = json!({"author_id": author});
        let id = 1 + round % 8;
        let document = format!("posts/docs/{id}");
        let (events, ()) = tokio::join!(live.events(&path), patch(&live, &document, &change));
        known.push(events);
    }
    // Whoever has read all that there was is told of the last changes.
    let mut told = vec![BTreeMap::new(); known.len()];
    for (events, told) in known.iter_mut().zip(&mut told) {
        until(events, told, "ready").await;
    }
    patch(&live, "posts/docs/1", &json!({"author_id": "nobody"})).await;
    assert_eq!(live.api.call("DELETE", &format!("{POSTS}/8")).await.status(), 204);
    let page = body(&live.api.call("GET", &path).await);
    for (at, (mut events, mut told)) in known.into_iter().zip(told).enumerate() {
        until(&mut events, &mut told, "remove").await;
        assert_eq!(json!(told.into_values().collect::<Vec<_>>()), page, "{at}");
    }
}

/// Keeps the documents that a client knows, by their ids, until an event of this name.
async fn until(events: &mut Events, told: &mut BTreeMap<u64, Value>, last: &str) {
    loop {
        let event = events.next().await.expect("an event");
        let (old, new) = (&event.data["old"], &event.data["new"]);
        match (event.name.as_str(), new["id"].as_u64(), old["id"].as_u64()) {
            ("ready", ..) => {}
            ("initial" | "add" | "change", Some(id), _) => drop(told.insert(id, new.clone())),
            ("remove", _, Some(id)) => drop(told.remove(&id)),
            other => panic!("{other:?}"),
        }
        if event.name == last {
            return;
        }
    }
}
