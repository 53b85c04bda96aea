//! Live queries whose database is gone without a word, or has nothing to say.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use warp_reql::settings::Rdb;

use crate::support::events::Events;
use crate::support::link::{Link, Traffic};
use crate::support::{Api, rdb, server};

const DOCS: &str = "/tables/heroes/docs";

async fn followed(limit: Duration) -> (Api, Link, Events, impl Drop) {
    let server = server().await;
    let link = Link::to(server.local_addr()).await;
    let api = Api::over(Rdb { query_timeout: limit, ..rdb(link.addr) }, true);
    assert_eq!(api.send("POST", "/tables", &json!({"name": "heroes"})).await.status(), 201);
    let service = api.serve().await;
    let mut events = Events::open(service.addr, DOCS).await;
    events.ready().await;
    (api, link, events, Kept(service, server))
}

/// Values that must be there for as long as a test runs.
struct Kept<A, B>(#[allow(dead_code)] A, #[allow(dead_code)] B);

impl<A, B> Drop for Kept<A, B> {
    fn drop(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_link_ends_them_within_a_query_s_time() {
    let limit = Duration::from_secs(6);
    let (api, link, mut events, _kept) = followed(limit).await;
    link.set(Traffic::Freezes).await;
    let since = Instant::now();
    let event = events.next().await.expect("an event");
    assert_eq!((event.name.as_str(), &event.data["code"]), ("error", &json!("query-timeout")));
    assert!(since.elapsed() <= limit, "{:?}", since.elapsed());
    assert!(events.next().await.is_none());
    assert_eq!(api.database.stats().in_use, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_no_end() {
    let limit = Duration::from_secs(2);
    let (api, _link, mut events, _kept) = followed(limit).await;
    sleep(limit * 2).await;
    assert_eq!(api.send("POST", DOCS, &json!({"id": 1})).await.status(), 201);
    assert_eq!(events.change().await, ("add".to_owned(), json!(null), json!({"id": 1})));
}
