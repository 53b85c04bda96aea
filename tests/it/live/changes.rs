//! Live queries: what their events say, and what is refused before they begin.

use std::pin::pin;
use std::time::Duration;

use super::{DOCS, Live};
use crate::support::events::{Event, Events};
use crate::support::{Home, body, problem};
use futures_util::{FutureExt, StreamExt};
use reql::r;
use serde_json::{Value, json};
use warp_reql::Conn;
use warp_reql::settings::{Limits, Rdb, Settings};

fn event(name: &str, old: Value, new: Value) -> (String, Value, Value) {
    (name.to_owned(), old, new)
}

#[tokio::test]
async fn a_list_begins_with_what_is_there_and_tells_each_change() {
    let live = Live::start().await;
    live.put(json!({"id": 1, "age": 30})).await;
    let mut events = live.events(DOCS).await;
    assert_eq!(events.header("cache-control"), "no-store");
    assert_eq!(events.header("content-encoding"), "");
    assert_eq!(events.any().await.unwrap().retry, Some(2000));
    assert_eq!(events.change().await, event("initial", json!(null), json!({"id": 1, "age": 30})));
    events.ready().await;

    live.put(json!({"id": 2})).await;
    live.put(json!({"id": 1, "age": 31})).await;
    live.delete(2).await;
    assert_eq!(events.change().await, event("add", json!(null), json!({"id": 2})));
    let (was, is) = (json!({"id": 1, "age": 30}), json!({"id": 1, "age": 31}));
    assert_eq!(events.change().await, event("change", was, is));
    let last = events.next().await.unwrap();
    assert_eq!((last.name.as_str(), last.data), ("remove", json!({"old": {"id": 2}, "new": null})));
    assert!(last.id.is_some_and(|id| id.contains("-3")), "it is the third change");
}

#[tokio::test]
async fn what_passes_the_filter_comes_and_what_no_longer_does_goes() {
    let live = Live::start().await;
    let mut events = live.changes("age=gte.18&or=(name=match.^S,name=eq.Robin)").await;
    live.put(json!({"id": 1, "name": "Batman", "age": 40})).await;
    live.put(json!({"id": 2, "name": "Robin", "age": 17})).await;
    live.put(json!({"id": 2, "name": "Robin", "age": 18})).await;
    live.put(json!({"id": 2, "name": "Nightwing", "age": 18})).await;
    let robin = json!({"id": 2, "name": "Robin", "age": 18});
    assert_eq!(events.change().await, event("add", json!(null), robin.clone()));
    assert_eq!(events.change().await, event("remove", robin, json!(null)));
}

#[tokio::test]
async fn places_and_members_are_followed_too() {
    let live = Live::start().await;
    let mut near = live.changes("at=near.(10,59,1km)&select=id").await;
    let mut tagged = live.changes("and=(tags=any.(x,y),not.or=(tags=contains.z,n=gt.5))&select=id").await;
    let point = |x: f64| json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [x, 59.0]});
    live.put(json!({"id": 1, "at": point(11.0), "tags": ["x", "z"]})).await;
    live.put(json!({"id": 1, "at": point(10.0), "tags": ["x"]})).await;
    live.put(json!({"id": 1, "tags": ["x", "y"], "n": 6})).await;
    assert_eq!(near.change().await, event("add", json!(null), json!({"id": 1, "distance": 0})));
    assert_eq!(near.change().await, event("remove", json!({"id": 1, "distance": 0}), json!(null)));
    assert_eq!(tagged.change().await, event("add", json!(null), json!({"id": 1})));
    assert_eq!(tagged.change().await, event("remove", json!({"id": 1}), json!(null)));
}

#[tokio::test]
async fn only_the_selected_fields_count() {
    let live = Live::start().await;
    let mut selected = live.changes("select=id,address.city").await;
    let mut others = live.changes("omit=secret").await;
    live.put(json!({"id": 1, "secret": 1, "address": {"city": "Oslo", "zip": 1}})).await;
    live.put(json!({"id": 1, "secret": 2, "address": {"city": "Oslo", "zip": 1}})).await;
    live.put(json!({"id": 1, "secret": 3, "address": {"city": "Rome", "zip": 2}})).await;
    let seen = |city: &str| json!({"id": 1, "address": {"city": city}});
    assert_eq!(selected.change().await, event("add", json!(null), seen("Oslo")));
    assert_eq!(selected.change().await, event("change", seen("Oslo"), seen("Rome")));
    let seen = |city: &str, zip: u8| json!({"id": 1, "address": {"city": city, "zip": zip}});
    assert_eq!(others.change().await, event("add", json!(null), seen("Oslo", 1)));
    assert_eq!(others.change().await, event("change", seen("Oslo", 1), seen("Rome", 2)));
}

#[tokio::test]
async fn one_document_is_followed_from_before_it_is_there() {
    let live = Live::start().await;
    let mut events = live.events(&format!("{DOCS}/7")).await;
    assert_eq!(events.change().await, event("initial", json!(null), json!(null)));
    events.ready().await;
    live.put(json!({"id": 8})).await;
    live.put(json!({"id": 7})).await;
    live.put(json!({"id": 7, "a": 1})).await;
    live.delete(7).await;
    assert_eq!(events.change().await, event("add", json!(null), json!({"id": 7})));
    assert_eq!(events.change().await, event("change", json!({"id": 7}), json!({"id": 7, "a": 1})));
    assert_eq!(events.change().await, event("remove", json!({"id": 7, "a": 1}), json!(null)));

    let mut later = live.events(&format!("{DOCS}/7?initial=false")).await;
    later.ready().await;
}

#[tokio::test]
async fn the_first_of_an_order_are_followed_through_its_index() {
    let live = Live::start().await;
    for (index, fields) in [("years", json!(["age"])), ("both", json!(["address.city", "age"]))] {
        let path = format!("/tables/heroes/indexes/{index}");
        let made = live.api.send("PUT", &path, &json!({"fields": fields})).await;
        assert_eq!(made.status(), 201, "{:?}", made.body());
    }
    for (id, age, city) in [(1, 30, "Oslo"), (2, 20, "Oslo"), (3, 10, "Rome")] {
        live.put(json!({"id": id, "age": age, "address": {"city": city}})).await;
    }
    for (query, expected) in [
        ("limit=2", [1, 2]),
        ("limit=2&order=age", [3, 2]),
        ("limit=2&order=age&age=gt.10", [2, 1]),
        ("limit=2&order=address.city,age", [2, 1]),
    ] {
        let mut events = live.events(&format!("{DOCS}?{query}&select=id")).await;
        for id in expected {
            assert_eq!(events.change().await, event("initial", json!(null), json!({"id": id})), "{query}");
        }
        events.ready().await;
    }
    let mut events = live.changes("limit=2&order=age&select=id").await;
    live.put(json!({"id": 4, "age": 5})).await;
    assert_eq!(events.change().await, event("change", json!({"id": 2}), json!({"id": 4})));
}

#[tokio::test]
async fn an_index_that_is_named_is_used() {
    let live = Live::start().await;
    live.api.send("PUT", "/tables/heroes/indexes/age", &json!({"fields": ["age"]})).await;
    let mut range = live.changes("index=age&age=gte.18&age=lt.30").await;
    let mut one = live.changes("index=age&age=eq.20").await;
    for (id, age) in [(1, 17), (2, 20), (3, 30)] {
        live.put(json!({"id": id, "age": age})).await;
    }
    live.put(json!({"id": 2, "age": 31})).await;
    for events in [&mut range, &mut one] {
        assert_eq!(events.change().await, event("add", json!(null), json!({"id": 2, "age": 20})));
        assert_eq!(events.change().await, event("remove", json!({"id": 2, "age": 20}), json!(null)));
    }
}

#[tokio::test]
async fn changes_is_the_same_list_and_nothing_else() {
    let live = Live::start().await;
    let path = "/tables/heroes/changes?a=eq.1";
    let mut events = Events::open_with(live.addr, path, &[("accept", "*/*")]).await;
    events.ready().await;
    live.put(json!({"id": 1, "a": 1})).await;
    assert_eq!(events.change().await.0, "add");

    let json = live.api.with("GET", path, &[("accept", "application/json")], b"").await;
    problem(&json, 406, "not-acceptable");
    let post = live.api.call("POST", path).await;
    problem(&post, 405, "method-not-allowed");
    assert_eq!(crate::support::header(&post, "allow"), "GET, HEAD");
    // Without the type being named, a list is a list.
    assert_eq!(body(&live.api.call("GET", DOCS).await), json!([{"id": 1, "a": 1}]));
}

#[tokio::test]
async fn what_is_wrong_is_told_before_the_stream_begins() {
    let live = Live::start().await;
    for (path, status, code) in [
        (format!("{DOCS}?age=18"), 400, "bad-parameter"),
        (format!("{DOCS}?offset=3"), 400, "bad-parameter"),
        (format!("{DOCS}?order=age"), 400, "bad-parameter"),
        (format!("{DOCS}?order=age&limit=3"), 400, "bad-parameter"),
        (format!("{DOCS}?index=age&age=eq.1"), 404, "no-such-index"),
        (format!("{DOCS}/1?age=eq.1"), 400, "bad-parameter"),
        (format!("{DOCS}/1?expand=author"), 400, "bad-parameter"),
        ("/tables/villains/docs".to_owned(), 404, "no-such-table"),
        ("/tables/villains/changes".to_owned(), 404, "no-such-table"),
        ("/tables/villains/docs/1".to_owned(), 404, "no-such-table"),
        ("/tables/no%20name/docs".to_owned(), 400, "bad-name"),
    ] {
        let events = Events::open(live.addr, &path).await;
        assert_eq!(events.status, status, "{path}");
        let problem = events.problem().await;
        assert_eq!(problem["code"], code, "{path}: {problem}");
        assert!(problem["request_id"].is_string(), "{problem}");
    }
    live.followed_by(0).await;
}

#[tokio::test]
async fn who_is_told_nothing_of_what_it_missed_is_told_everything_anew() {
    let live = Live::start().await;
    live.put(json!({"id": 1})).await;
    let headers = [("Last-Event-ID", "17")];
    let mut events = Events::open_with(live.addr, &format!("{DOCS}?initial=false"), &headers).await;
    let reset = events.next().await.unwrap();
    assert_eq!((reset.name.as_str(), reset.data), ("reset", json!({})));
    assert_eq!(events.change().await, event("initial", json!(null), json!({"id": 1})));
    events.ready().await;
}

#[tokio::test]
async fn clients_need_no_connections_of_their_own() {
    let narrow = |rdb| Rdb { max_connections: 1, acquire_timeout: Duration::from_millis(200), ..rdb };
    let live = Live::adapted(|settings| Settings { rdb: narrow(settings.rdb.clone()), ..settings }).await;
    let mut streams = Vec::new();
    for path in [DOCS, DOCS, "/tables/heroes/docs?a=eq.1", "/tables/heroes/docs/1"] {
        let mut events = live.events(path).await;
        while events.next().await.unwrap().name != "ready" {}
        streams.push(events);
    }
    assert_eq!(live.api.call("GET", DOCS).await.status(), 200, "the one connection is for requests");
    assert_eq!((live.figure("warp_reql_feeds").await, live.figure("warp_reql_live_queries").await), (4, 3));
    let stats = live.api.database.stats();
    assert_eq!((stats.in_use, stats.shared), (0, 1), "all share one more");
    drop(streams);
    live.followed_by(0).await;
}

#[tokio::test]
async fn lists_that_mean_the_same_are_one() {
    let live = Live::start().await;
    let _one = live.changes("a=eq.1&b=gt.2&select=id,a").await;
    let _other = live.changes("select=id%2Ca&b=gt.2&a=eq.1").await;
    assert_eq!(live.figure("warp_reql_live_queries").await, 1);
    let _more = live.changes("select=id&b=gt.2&a=eq.1").await;
    assert_eq!(live.figure("warp_reql_live_queries").await, 2);
}

#[tokio::test]
async fn an_event_that_never_was_is_not_known() {
    let live = Live::start().await;
    live.put(json!({"id": 1})).await;
    for id in ["0000000000000000-18446744073709551615", "0123456789abcdef-0-18446744073709551615"] {
        let mut events = Events::open_with(live.addr, DOCS, &[("Last-Event-ID", id)]).await;
        assert_eq!((events.status, events.next().await.unwrap().name.as_str()), (200, "reset"), "{id}");
    }
}

#[tokio::test]
async fn whoever_comes_back_goes_on_where_it_was() {
    let live = Live::start().await;
    live.api.send("PUT", "/tables/heroes/indexes/age", &json!({"fields": ["age"]})).await;
    for (query, kept) in
        [("", true), ("?age=gt.0&select=age", true), ("?order=age&limit=3", true), ("", false)]
    {
        live.put(json!({"id": 1, "age": 1})).await;
        let path = format!("{DOCS}{query}");
        let mut events = live.events(&path).await;
        let mut last = None;
        while last.as_ref().is_none_or(|event: &Event| event.name != "ready") {
            last = events.next().await;
        }
        live.put(json!({"id": 1, "age": 2})).await;
        let seen = events.next().await.unwrap();
        assert_eq!(seen.name, "change", "{query}");
        drop(events);
        for age in 3..=52 {
            live.put(json!({"id": 1, "age": age})).await;
        }
        let id = seen.id.filter(|_| kept).unwrap_or_else(|| "0123456789abcdef-7".to_owned());
        let mut events = Events::open_with(live.addr, &path, &[("Last-Event-ID", &id)]).await;
        if !kept {
            assert_eq!(events.next().await.unwrap().name, "reset");
            continue;
        }
        for age in 3..=52 {
            let (name, old, new) = events.change().await;
            assert_eq!((name.as_str(), &old["age"], &new["age"]), ("change", &json!(age - 1), &json!(age)));
        }
    }
    let resumed = live.figure("warp_reql_live_resumed_total").await;
    assert_eq!((resumed, live.figure("warp_reql_live_resets_total").await), (3, 1));
    assert!(live.figure("warp_reql_live_replayed_total").await >= 100);
}

#[tokio::test]
async fn feeds_are_limited_by_themselves() {
    let live = Live::with(Limits { feeds: 2, client_share: 100, ..Limits::default() }).await;
    let first = live.events(DOCS).await;
    let _second = live.events(&format!("{DOCS}/1")).await;
    let third = Events::open(live.addr, DOCS).await;
    assert_eq!((third.status, third.header("retry-after")), (503, "1"));
    assert_eq!(third.problem().await["code"], "feeds-exhausted");
    assert_eq!(live.api.call("GET", DOCS).await.status(), 200, "other requests are served");
    drop(first);
    live.followed_by(1).await;
    live.events(DOCS).await;
}

#[tokio::test]
async fn distinct_live_queries_are_limited_too() {
    let live = Live::with(Limits { live_queries: 2, client_share: 100, ..Limits::default() }).await;
    let _first = live.events(DOCS).await;
    let _second = live.events(&format!("{DOCS}/1")).await;
    let third = Events::open(live.addr, &format!("{DOCS}/2")).await;
    assert_eq!((third.status, third.header("retry-after")), (503, "1"));
    assert_eq!(third.problem().await["code"], "feeds-exhausted");
    live.events(DOCS).await;
}

#[tokio::test]
async fn a_dropped_table_is_an_error_event_and_the_end() {
    let live = Live::start().await;
    let mut events = live.changes("").await;
    assert_eq!(live.api.call("DELETE", "/tables/heroes").await.status(), 204);
    let error = events.next().await.unwrap();
    assert_eq!((error.name.as_str(), &error.data["code"]), ("error", &json!("no-such-table")));
    assert_eq!((&error.data["status"], &error.data["instance"]), (&json!(404), &json!(DOCS)));
    assert!(error.data["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(events.any().await, None);
    live.followed_by(0).await;
}

/// A slow client costs bounded memory, and learns how much it has missed: the changes it sees and those it is
/// told it missed are all there were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_told_of_a_gap() {
    const CHANGES: u64 = 40;
    let live = Live::with(Limits { replay_events: 8, ..Limits::default() }).await;
    let mut events = live.changes("select=id,n").await;
    let mut all = live.changes("select=n,text").await;
    // The changes are much more than all the buffers on the way to the client hold.
    live.put(json!({"id": 1, "n": 0, "text": "x".repeat(256 << 10)})).await;
    assert_eq!(events.change().await.0, "add");
    let mut writer = Conn::new(live.api.database.clone());
    for n in 1..CHANGES {
        writer.first::<Value>(r.table("heroes").get(1).update(json!({"n": n}))).await.unwrap();
        // One that reads misses nothing.
        assert_eq!(events.change().await.2["n"], n);
    }
    // All of them have come to the service, where nobody asks for more than fits into a socket.
    while live.figure("warp_reql_live_events_total").await < 2 * CHANGES {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut seen, mut skipped) = (0, 0);
    while seen + skipped < CHANGES {
        let event = all.next().await.unwrap();
        match event.name.as_str() {
            "gap" => skipped += event.data["skipped"].as_u64().unwrap(),
            _ => seen += 1,
        }
    }
    assert_eq!(seen + skipped, CHANGES);
    assert!(skipped > 0, "all {seen} changes were kept for a client that did not read");
    live.put(json!({"id": 2})).await;
    assert_eq!(all.change().await.0, "add", "after a gap it goes on");
}

#[tokio::test]
async fn a_handlers_own_feed_is_waited_for_without_end() {
    let home = Home::start().await;
    let database = home.database();
    let mut writer = Conn::new(database.clone());
    writer.first::<Value>(r.table_create("heroes")).await.unwrap();
    let feed = Conn::new(database.clone()).into_feed::<Value>(r.table("heroes").changes()).await.unwrap();
    let mut feed = pin!(feed);
    // Opened now, so that what comes next is after it.
    while home.open_connections() < 2 || feed.as_mut().next().now_or_never().is_some() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    assert!(feed.as_mut().next().now_or_never().is_none(), "no timeout applies");
    tokio::time::resume();
    let insert = async {
        // The feed has a connection of its own, which may be opened after this one has written.
        for id in 0.. {
            writer.first::<Value>(r.table("heroes").insert(json!({"id": id}))).await.unwrap();
        }
    };
    let row = tokio::select! {
        () = insert => unreachable!("it writes for ever"),
        row = feed.next() => row.unwrap().unwrap(),
    };
    assert_eq!(row["old_val"], json!(null));
    assert!(row["new_val"]["id"].is_number(), "{row}");
}
