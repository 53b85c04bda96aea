//! Live queries: what their events say, what is refused before they begin, and how they end.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use crate::support::events::Events;
use crate::support::link::{Link, Traffic};
use crate::support::{Api, Home, PATIENCE, Serving, body, eventually, problem};
use futures_util::{FutureExt, StreamExt};
use reql::r;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warp_reql::Conn;
use warp_reql::server::Service;
use warp_reql::settings::{Limits, Rdb, Settings};

const DOCS: &str = "/tables/heroes/docs";

/// An API that listens, too.
struct Live {
    api: Api,
    addr: SocketAddr,
    _serving: Serving,
}

impl Live {
    async fn start() -> Live {
        Live::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Live {
        Live::adapted(|settings| Settings { limits, ..settings }).await
    }

    async fn adapted(adapt: impl FnOnce(Settings) -> Settings) -> Live {
        Live::over(Api::at_home(adapt).await).await
    }

    async fn over(api: Api) -> Live {
        let serving = api.serve().await;
        Live { api, addr: serving.addr, _serving: serving }
    }

    async fn events(&self, path: &str) -> Events {
        let events = Events::open(self.addr, path).await;
        assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"), "{path}");
        events
    }

    /// A list's events from now on.
    async fn changes(&self, query: &str) -> Events {
        let mut events = self.events(&format!("{DOCS}?{query}&initial=false")).await;
        events.ready().await;
        events
    }

    async fn put(&self, document: Value) {
        let answer = self.api.send("PUT", &format!("{DOCS}/{}", document["id"]), &document).await;
        assert!(answer.status().is_success(), "{:?}", answer.body());
    }

    async fn delete(&self, id: u64) {
        assert_eq!(self.api.call("DELETE", &format!("{DOCS}/{id}")).await.status(), 204);
    }

    /// Waits until no feed holds a connection any more, at either side.
    async fn left(&self) {
        eventually("the service closes the connections", || self.api.database.stats().in_use == 0).await;
        eventually("the server sees it", || self.api.home().open_connections() == 0).await;
    }
}

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
    assert_eq!(
        (last.name.as_str(), last.data, last.id),
        ("remove", json!({"old": {"id": 2}, "new": null}), Some(5))
    );
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
        (format!("{DOCS}/1?select=a"), 400, "bad-parameter"),
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
    live.left().await;
}

#[tokio::test]
async fn whoever_returns_is_told_everything_anew() {
    let live = Live::start().await;
    live.put(json!({"id": 1})).await;
    let headers = [("Last-Event-ID", "17")];
    let mut events = Events::open_with(live.addr, &format!("{DOCS}?initial=false"), &headers).await;
    let reset = events.next().await.unwrap();
    assert_eq!((reset.name.as_str(), reset.data, reset.id), ("reset", json!({}), Some(1)));
    assert_eq!(events.change().await, event("initial", json!(null), json!({"id": 1})));
    events.ready().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_connection() {
    let live = Live::start().await;
    let mut events = live.events(DOCS).await;
    events.ready().await;
    assert_eq!(live.api.database.stats().in_use, 1);
    drop(events);
    live.left().await;
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
    eventually("its connection is closed", || live.api.database.stats().in_use == 1).await;
    live.events(DOCS).await;
}

#[tokio::test]
async fn feeds_count_among_the_connections() {
    let soon = Duration::from_millis(200);
    let narrow = |rdb| Rdb { max_connections: 1, acquire_timeout: soon, ..rdb };
    let live = Live::adapted(|settings| Settings { rdb: narrow(settings.rdb.clone()), ..settings }).await;
    // The one connection there may be has made the table, and is closed behind that answer.
    live.left().await;
    let _feed = live.events(DOCS).await;
    problem(&live.api.call("GET", DOCS).await, 503, "connections-exhausted");
    assert_eq!(Events::open(live.addr, DOCS).await.problem().await["code"], "connections-exhausted");
}

#[tokio::test]
async fn a_dropped_table_is_an_error_event_and_the_end() {
    let live = Live::start().await;
    let mut events = live.changes("").await;
    assert_eq!(live.api.call("DELETE", "/tables/heroes").await.status(), 204);
    let error = events.next().await.unwrap();
    assert_eq!((error.name.as_str(), &error.data["code"]), ("error", &json!("database-unavailable")));
    assert_eq!((&error.data["status"], &error.data["instance"]), (&json!(503), &json!(DOCS)));
    assert!(error.data["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(events.any().await, None);
    live.left().await;
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_is_alive() {
    // The database, which lives by the same clock, is not asked for a sign of life meanwhile.
    let patient = |rdb| Rdb { query_timeout: Duration::from_secs(3600), ..rdb };
    let live = Live::adapted(|settings| Settings { rdb: patient(settings.rdb.clone()), ..settings }).await;
    let mut events = live.changes("").await;
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    for seconds in [15, 30] {
        let comment = events.any().await.unwrap();
        assert_eq!((comment.comment.as_deref(), comment.id), (Some(""), None));
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
}

/// A slow client costs bounded memory, and learns how much it has missed: the changes it sees and those it is
/// told it missed are all there were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_told_of_a_gap() {
    const CHANGES: u64 = 40;
    let live = Live::with(Limits { feed_queue: 8, ..Limits::default() }).await;
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

/// The service as it is run, with what it takes to stop it.
struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

async fn run(rdb: Rdb) -> Running {
    let mut settings = Settings::built_in("development");
    settings.port = 0;
    settings.rdb = rdb;
    settings.shutdown_timeout = Duration::from_secs(3600);
    let service = Service::bind(settings).await.expect("a free port");
    let addr = service.local_addr().expect("a bound listener has an address");
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(service.run(async { stopped.await.unwrap_or_default() }));
    Running { addr, stop, ended }
}

async fn post(addr: SocketAddr, path: &str, body: &Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(addr).await.expect("the service listens");
    let body = body.to_string();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json");
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn a_stop_ends_every_stream_cleanly_and_is_not_held_up() {
    let home = Home::start().await;
    let Running { addr, stop, ended } = run(home.rdb()).await;
    post(addr, "/tables", &json!({"name": "heroes"})).await;
    let mut streams = Vec::new();
    for path in [DOCS, "/tables/heroes/changes", "/tables/heroes/docs/1"] {
        streams.push(Events::open(addr, path).await);
    }
    for events in &mut streams {
        while events.next().await.unwrap().name != "ready" {}
    }
    stop.send(()).unwrap();
    for events in &mut streams {
        assert_eq!(events.any().await.unwrap().comment.as_deref(), Some("The service stops."));
        assert_eq!(events.any().await, None);
    }
    // It could take an hour, were it held up.
    tokio::time::timeout(PATIENCE, ended).await.expect("it stops").unwrap().unwrap();
}

#[tokio::test]
async fn a_database_that_goes_ends_the_streams_and_returning_clients_are_right_again() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let by_the_link = Settings { rdb: home.rdb_by(link.addr), ..Settings::default() };
    let live = Live::over(Api::in_home(home, |_| by_the_link).await).await;
    live.put(json!({"id": 1})).await;
    let mut streams = [live.changes("").await, live.changes("limit=5").await];

    link.set(Traffic::Away).await;
    for events in &mut streams {
        let error = events.next().await.unwrap();
        assert_eq!((error.name.as_str(), &error.data["code"]), ("error", &json!("database-unavailable")));
        assert_eq!(events.any().await, None);
    }
    let headers = [("Last-Event-ID", "1")];
    let refused = Events::open(live.addr, DOCS).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.problem().await["code"], "database-unreachable");
    // An `EventSource` that returns has to be kept from giving up.
    let mut refused = Events::open_with(live.addr, DOCS, &headers).await;
    assert_eq!((refused.status, refused.any().await.unwrap().retry), (200, Some(2000)));
    assert_eq!(refused.next().await.unwrap().data["code"], "database-unreachable");
    assert_eq!(refused.any().await, None);

    link.set(Traffic::Flows).await;
    live.put(json!({"id": 2})).await;
    for query in ["", "?limit=5"] {
        let mut events = Events::open_with(live.addr, &format!("{DOCS}{query}"), &headers).await;
        assert_eq!(events.next().await.unwrap().name, "reset");
        // In no order that a database would owe anybody.
        let mut ids = [events.change().await.2, events.change().await.2].map(|new| new["id"].as_u64());
        ids.sort_unstable();
        assert_eq!(ids, [Some(1), Some(2)]);
        events.ready().await;
    }
}
