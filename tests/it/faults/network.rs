//! Every way in which the network can fail, under many requests at once, wherever their connections come
//! from: each request is answered, the counters balance, and once the fault is over so are its effects.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::timeout;
use warp_reql::settings::Rdb;

use crate::support::link::{Link, Traffic};
use crate::support::{Api, Home, PATIENCE, balanced, body};

const REQUESTS: usize = 32;
/// Long enough for what gets through, a few at once, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(2);

/// A fault, what it answers with, and whether it spares connections that are open when it begins.
type Row = (Traffic, u16, bool);

const RIGHT: u16 = 200;
const UNAVAILABLE: u16 = 503;
const TIMED_OUT: u16 = 504;

#[tokio::test(flavor = "multi_thread")]
async fn refused() {
    outlives((Traffic::Away, UNAVAILABLE, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_and_never_answered() {
    outlives((Traffic::Silent, TIMED_OUT, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_during_the_handshake() {
    outlives((Traffic::CutsHandshakes, UNAVAILABLE, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_after_the_query() {
    outlives((Traffic::Stalls, TIMED_OUT, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_after_the_query() {
    outlives((Traffic::Breaks, UNAVAILABLE, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_in_the_middle_of_the_answer() {
    outlives((Traffic::Halves, UNAVAILABLE, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reset() {
    outlives((Traffic::Resets, UNAVAILABLE, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen() {
    outlives((Traffic::Freezes, TIMED_OUT, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow() {
    outlives((Traffic::Delays(Duration::from_millis(20)), RIGHT, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn byte_by_byte() {
    outlives((Traffic::Trickles, RIGHT, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_odd_pieces() {
    outlives((Traffic::Crumbles, RIGHT, true)).await;
}

/// One way to have connections, on a stretch of network of its own.
struct Stretch {
    mode: &'static str,
    home: Home,
    link: Link,
    api: Api,
}

/// Runs one fault against every way to have connections. The fault itself goes on for all of them at once,
/// since mostly it is waited for.
async fn outlives(row: Row) {
    let (traffic, answer, _) = row;
    // Only those that are to wait in vain need to be quick about it.
    let (patience, at_once) = if answer == TIMED_OUT { (SOON, 4) } else { (PATIENCE, REQUESTS) };
    let patient = Rdb { connect_timeout: patience, query_timeout: patience, ..Rdb::default() };
    let modes = [
        ("fresh", patient.clone()),
        ("standby", Rdb { standby: 4, ..patient.clone() }),
        ("reused", Rdb { max_age: 6 * PATIENCE, ..patient.clone() }),
        ("standby and reused", Rdb { standby: 4, max_age: 6 * PATIENCE, ..patient.clone() }),
        ("crowded", Rdb { max_connections: REQUESTS / 2, ..patient }),
    ];
    let stretches = join_all(modes.map(|(mode, settings)| Stretch::open(mode, settings))).await;
    for stretch in &stretches {
        stretch.link.set(traffic).await;
    }
    let failing = join_all(stretches.iter().map(|stretch| stretch.suffer(row)));
    assert!(timeout(2 * PATIENCE, failing).await.is_ok(), "some request was never answered");
    for stretch in &stretches {
        stretch.link.set(Traffic::Flows).await;
        stretch.serve(at_once).await;
        balanced(&stretch.api.database, || stretch.home.open_connections()).await;
    }
}

impl Stretch {
    /// Makes as many documents as there are requests, and connections as the mode has them.
    async fn open(mode: &'static str, settings: Rdb) -> Stretch {
        let home = Home::start().await;
        let link = Link::to(home.addr()).await;
        let Rdb { host, port, db, .. } = home.rdb_by(link.addr);
        let standby = if mode.starts_with("standby") { settings.standby } else { 0 };
        let api = Api::over(Rdb { host, port, db, standby, ..settings }, true);
        let setup = Api::over(home.rdb(), true);
        let documents: Vec<_> = (0..REQUESTS).map(document).collect();
        assert_eq!(setup.send("POST", "/tables", &json!({"name": "rows"})).await.status(), 201, "{mode}");
        assert_eq!(setup.send("POST", "/tables/rows/docs", &json!(documents)).await.status(), 201, "{mode}");
        let stretch = Stretch { mode, home, link, api };
        stretch.serve(1).await;
        balanced(&stretch.api.database, || stretch.home.open_connections()).await;
        stretch
    }

    /// Every request gets its own document.
    async fn serve(&self, at_once: usize) {
        for (id, answer) in self.ask(at_once).await.into_iter().enumerate() {
            assert_eq!(answer, (RIGHT, document(id)), "{}", self.mode);
        }
    }

    /// Every request gets what the fault allows: mostly this one answer, and never another's document.
    async fn suffer(&self, (traffic, expected, spares): Row) {
        let has_open = self.api.database.stats().standing_by > 0;
        for (id, (status, body)) in self.ask(REQUESTS).await.into_iter().enumerate() {
            let right = (status, &body) == (RIGHT, &document(id));
            let fault = status == expected && expected != RIGHT;
            let allowed = if expected == RIGHT || (spares && has_open) { right || fault } else { fault };
            assert!(allowed, "{traffic:?}, {}: {status} {body}", self.mode);
        }
    }

    async fn ask(&self, at_once: usize) -> Vec<(u16, Value)> {
        let requests = (0..REQUESTS).map(|id| async move {
            let response = self.api.call("GET", &format!("/tables/rows/docs/{id}")).await;
            (response.status().as_u16(), body(&response))
        });
        stream::iter(requests).buffered(at_once).collect().await
    }
}

fn document(id: usize) -> Value {
    json!({"id": id, "name": format!("row {id}")})
}
