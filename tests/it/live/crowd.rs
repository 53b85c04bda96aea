//! Many who follow: each gets what is its own, whatever becomes of the others.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use warp_reql::settings::Limits;

use super::ends::{Running, post, run};
use super::{DOCS, Live};
use crate::support::events::Events;
use crate::support::{Home, PATIENCE, number, problem, seed};

/// The filters, and those who follow each of them.
const FILTERS: u64 = 50;
const EACH: u64 = 4;
const DOCUMENTS: u64 = 600;
/// The most bytes of an event, and the length of a text that is too long.
const EVENT: u64 = 20_000;
const LONG: usize = 30_000;

/// The ids of the documents that a client is told of, until the last one; or the code of the error at which
/// its stream ends.
async fn told(events: &mut Events) -> Result<Vec<u64>, String> {
    let mut ids = Vec::new();
    loop {
        let event = events.next().await.expect("the stream goes on");
        let new = &event.data["new"];
        match event.name.as_str() {
            "add" if new["id"] == json!("last") => return Ok(ids),
            "add" => ids.push(new["id"].as_u64().expect("a number")),
            "error" => {
                assert_eq!(events.any().await, None);
                return Err(event.data["code"].as_str().unwrap_or_default().to_owned());
            }
            name => panic!("an event `{name}`: {event:?}"),
        }
    }
}

/// The query of a list. The last one tells of texts; the one before it has a filter that the database can't
/// apply to every document.
fn query(filter: u64) -> String {
    match FILTERS - filter {
        1 => format!("of=eq.{filter}&select=id,text"),
        2 => format!("of=eq.{filter}&select=id&place=not.near.(0,0,1km)"),
        _ => format!("of=eq.{filter}&select=id"),
    }
}

/// One list has a document that is too long for it, and ends. Another has one on which its filter fails in
/// the database, whose changefeed leaves it out. One client of each filter never reads.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_with_fifty_filters_get_just_what_is_theirs() {
    let limits = Limits { client_share: 100, answer: EVENT, ..Limits::default() };
    let live = Live::with(limits).await;
    let mut never_read = Vec::new();
    for filter in 0..FILTERS {
        never_read.push(live.changes(&format!("of=eq.{filter}&select=id")).await);
    }
    let mut streams = Vec::new();
    for at in 0..FILTERS * EACH {
        let filter = at % FILTERS;
        streams.push((filter, live.changes(&query(filter)).await));
    }
    let figures = (live.figure("warp_reql_feeds").await, live.figure("warp_reql_live_queries").await);
    assert_eq!(figures, (FILTERS * (EACH + 1), FILTERS + 2));

    let mut chance = fastrand::Rng::with_seed(seed());
    let mut theirs = vec![BTreeSet::new(); FILTERS as usize];
    let mut documents: Vec<_> = (0..DOCUMENTS)
        .map(|id| {
            let of = chance.u64(..FILTERS);
            theirs[of as usize].insert(id);
            json!({"id": id, "of": of, "text": "short"})
        })
        .collect();
    let middle = documents.len() / 2;
    documents.insert(middle, json!({"id": DOCUMENTS, "of": FILTERS - 1, "text": "x".repeat(LONG)}));
    // The database stores such a geometry, but can't compute a distance from it: a page with it is refused.
    let broken = json!({"$reql_type$": "GEOMETRY", "type": "Polygon", "coordinates": ["none"]});
    documents.insert(middle, json!({"id": DOCUMENTS + 1, "of": FILTERS - 2, "place": broken}));
    for some in documents.chunks(200) {
        let answer = live.api.send("POST", DOCS, &json!(some)).await;
        assert_eq!(answer.status(), 201, "{:?}", answer.body());
    }
    let page = live.api.call("GET", &format!("{DOCS}?{}", query(FILTERS - 2))).await;
    problem(&page, 400, "query-logic");
    let reading = streams.into_iter().map(|(filter, mut events)| async move {
        let outcome = told(&mut events).await;
        (filter, outcome)
    });
    // Each list ends with a document that nobody expects anything after.
    let last = async {
        for of in 0..FILTERS {
            let answer = live.api.send("POST", DOCS, &json!({"id": "last", "of": of})).await;
            assert_eq!(answer.status(), 201, "{:?}", answer.body());
            assert_eq!(live.api.call("DELETE", &format!("{DOCS}/last")).await.status(), 204);
        }
    };
    let (outcomes, ()) = tokio::join!(join_all(reading), last);
    for (filter, outcome) in outcomes {
        match outcome {
            Ok(ids) => {
                let distinct: BTreeSet<_> = ids.iter().copied().collect();
                assert_eq!(distinct.len(), ids.len(), "{filter}: one is told twice");
                assert_eq!(distinct, theirs[filter as usize], "{filter}");
                assert_ne!(filter, FILTERS - 1, "the text is too long");
            }
            Err(code) => assert_eq!((filter, code.as_str()), (FILTERS - 1, "answer-too-large")),
        }
    }
    drop(never_read);
    live.followed_by(0).await;
}

/// A stop ends each stream with its last line and the end of its chunks. `LIVE_STOPPED` is their number.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_many_followers_leaves_each_stream_whole() {
    let many = number("LIVE_STOPPED", 200);
    let home = Home::start().await;
    let Running { addr, stop, ended } = run(home.rdb()).await;
    post(addr, "/tables", &json!({"name": "heroes"})).await;
    let mut streams = Vec::new();
    for at in 0..many {
        let mut events = Events::open(addr, &format!("{DOCS}?a=eq.{}", at % 20)).await;
        events.ready().await;
        streams.push(events);
    }
    post(addr, DOCS, &json!((0..20).map(|a| json!({"id": a, "a": a})).collect::<Vec<Value>>())).await;
    stop.send(()).unwrap();
    let began = Instant::now();
    let all = join_all(streams.into_iter().map(|mut events| async move {
        // Events that it may or may not have been told by then are whole, too.
        let last = loop {
            let event = events.any().await.expect("a comment");
            if event.name != "add" {
                break event;
            }
        };
        assert_eq!(last.comment.as_deref(), Some("The service stops."));
        assert_eq!(events.any().await, None);
    }));
    tokio::time::timeout(PATIENCE, all).await.expect("each stream ends");
    tokio::time::timeout(PATIENCE, ended).await.expect("it stops").unwrap().unwrap();
    println!("{many} streams have ended after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Followers that come and go, some before they were told anything.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_and_go_leave_nothing() {
    let live = Live::with(Limits { client_share: 100, ..Limits::default() }).await;
    for id in 0..20 {
        live.put(json!({"id": id, "a": id % 3})).await;
    }
    let mut chance = fastrand::Rng::with_seed(seed());
    for _ in 0..number("LIVE_WAVES", 6) {
        let wave = join_all((0..50).map(|at| {
            let (path, reads) = (format!("{DOCS}?a=eq.{}", at % 5), chance.bool());
            let addr = live.addr;
            async move {
                let mut events = Events::open(addr, &path).await;
                assert_eq!(events.status, 200);
                while reads && events.next().await.is_some_and(|event| event.name != "ready") {}
                events
            }
        }));
        let streams = wave.await;
        live.put(json!({"id": 1, "a": 1})).await;
        drop(streams);
    }
    live.followed_by(0).await;
    let stats = live.api.database.stats();
    assert_eq!((stats.in_use, stats.shared), (0, 1), "hubs linger, on one connection: {stats:?}");
    assert_eq!(live.figure("warp_reql_live_queries").await, 5);
}

/// An `EventSource` that comes back while its old connection still counts has to be kept from giving up.
#[tokio::test]
async fn whoever_comes_back_to_its_own_share_may_come_back_again() {
    let live = Live::with(Limits { feeds: 2, client_share: 50, ..Limits::default() }).await;
    let _old = live.events(DOCS).await;
    let refused = Events::open(live.addr, DOCS).await;
    assert_eq!((refused.status, &refused.problem().await["code"]), (429, &json!("share-used-up")));
    let mut refused = Events::open_with(live.addr, DOCS, &[("Last-Event-ID", "1")]).await;
    assert_eq!((refused.status, refused.any().await.unwrap().retry), (200, Some(2000)));
    assert_eq!(refused.next().await.unwrap().data["code"], "share-used-up");
    assert_eq!(refused.any().await, None);
}
