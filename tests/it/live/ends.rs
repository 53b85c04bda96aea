//! The end of live queries: by a stop, by an outage, or by a right that is taken away.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warp_reql::server::Service;
use warp_reql::settings::{Rdb, Settings};

use super::{DOCS, Live};
use crate::support::events::Events;
use crate::support::guarded::Guarded;
use crate::support::link::{Link, Traffic};
use crate::support::{Api, Home, PATIENCE};

/// The service as it is run, with what it takes to stop it.
pub struct Running {
    pub addr: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<std::io::Result<()>>,
}

pub async fn run(rdb: Rdb) -> Running {
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

pub async fn post(addr: SocketAddr, path: &str, body: &Value) {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_and_comes_back_is_followed_anew() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let by_the_link = Settings { rdb: home.rdb_by(link.addr), ..Settings::default() };
    let live = Live::over(Api::in_home(home, |_| by_the_link).await).await;
    live.put(json!({"id": 1})).await;
    let [mut all, mut first] = [live.changes("").await, live.changes("limit=5").await];

    link.set(Traffic::Away).await;
    let headers = [("Last-Event-ID", "1")];
    loop {
        let refused = Events::open(live.addr, DOCS).await;
        if refused.status == 503 {
            assert_eq!(refused.problem().await["code"], "database-unreachable");
            break;
        }
    }
    // An `EventSource` that returns has to be kept from giving up.
    let mut refused = Events::open_with(live.addr, DOCS, &headers).await;
    assert_eq!((refused.status, refused.any().await.unwrap().retry), (200, Some(2000)));
    assert_eq!(refused.next().await.unwrap().data["code"], "database-unreachable");
    assert_eq!(refused.any().await, None);

    let home = live.api.home();
    let elsewhere = Api::over(home.rdb(), true);
    let written = elsewhere.send("PUT", &format!("{DOCS}/2"), &json!({"id": 2})).await;
    assert_eq!(written.status(), 201);
    link.set(Traffic::Flows).await;
    // Of a short list the service knows what has changed.
    let (name, old, new) = first.change().await;
    assert_eq!((name.as_str(), old, new), ("add", json!(null), json!({"id": 2})));
    assert_eq!(all.next().await.unwrap().name, "reset");
    // In no order that a database would owe anybody.
    let mut ids = [all.change().await.2, all.change().await.2].map(|new| new["id"].as_u64());
    ids.sort_unstable();
    assert_eq!(ids, [Some(1), Some(2)]);
    all.ready().await;
    live.put(json!({"id": 3})).await;
    for events in [&mut all, &mut first] {
        assert_eq!(events.change().await.2, json!({"id": 3}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stays_away_ends_the_streams() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let short = |rdb| Rdb { query_timeout: Duration::from_secs(2), ..rdb };
    let by_the_link = Settings { rdb: short(home.rdb_by(link.addr)), ..Settings::default() };
    let live = Live::over(Api::in_home(home, |_| by_the_link).await).await;
    let mut streams = [live.changes("").await, live.changes("limit=5").await];
    link.set(Traffic::Away).await;
    for events in &mut streams {
        let error = events.next().await.unwrap();
        assert_eq!((error.name.as_str(), &error.data["code"]), ("error", &json!("database-unreachable")));
        assert_eq!(error.id, None, "the client has seen no more than before");
        assert_eq!(events.any().await, None);
    }
}

/// A user's permission, or the user, is taken away while nothing is written. The other user's streams go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_ends_its_users_streams() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let serving = guarded.api.serve().await;
    let follow = async |who: &str, path: &str| {
        let authorization = guarded.basic(who, &format!("{who}'s"));
        let mut events =
            Events::open_with(serving.addr, path, &[("authorization", authorization.as_str())]).await;
        events.ready().await;
        events
    };
    let mut kept = follow("writer", "/tables/heroes/changes").await;
    for (cause, codes) in [("permission", ["forbidden"; 2]), ("user", ["forbidden", "unauthorized"])] {
        guarded.permit("reader", json!({"read": true})).await;
        let mut streams = Vec::new();
        for path in ["/tables/heroes/changes", "/tables/heroes/changes?limit=5"] {
            streams.push(follow("reader", path).await);
        }
        match cause {
            "permission" => guarded.permit("reader", json!({"read": false})).await,
            _ => guarded.set("reader", Value::Null).await,
        }
        for mut events in streams {
            let error = events.next().await.expect("within seconds");
            let code = error.data["code"].as_str().unwrap_or_default();
            assert_eq!((error.name.as_str(), codes.contains(&code)), ("error", true), "{cause}: {error:?}");
            assert_eq!(events.any().await, None);
        }
    }
    assert_eq!(guarded.send("writer", "PUT", "/tables/heroes/docs/1", "{}").await.status(), 201);
    assert_eq!(kept.change().await.2, json!({"id": 1}));
}
