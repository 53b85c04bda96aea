//! Databases that go away under load and come back: no request is stuck, none fails otherwise than it may,
//! and the first one after the outage succeeds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reql_embedded::Server;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use warp_reql::settings::Rdb;

use crate::support::client::Client;
use crate::support::home::about_the_embedded;
use crate::support::link::{Link, Traffic};
use crate::support::process::Process;
use crate::support::{Api, PATIENCE, balanced, eventually, nobody, number, rdb};

/// Few enough for a machine that is busy with other tests.
const CLIENTS: usize = 8;
const REAL_CLIENTS: usize = 64;
const OUTAGE: Duration = Duration::from_secs(3);
/// Shorter than the outage, so that some requests fail by it.
const SOON: Duration = Duration::from_secs(2);
const DOCUMENT: &str = "/tables/rows/docs/1";

/// Clients that ask for one document again and again.
struct Load {
    clients: JoinSet<()>,
    stop: Arc<AtomicBool>,
    right: Arc<AtomicUsize>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

#[derive(Clone, Copy)]
struct Answer {
    status: u16,
    asked: Instant,
    answered: Instant,
}

impl Load {
    fn start(service: SocketAddr, clients: usize) -> Load {
        let mut load = Load {
            clients: JoinSet::new(),
            stop: Arc::default(),
            right: Arc::default(),
            answers: Arc::default(),
        };
        for _ in 0..clients {
            let (stop, right, answers) = (load.stop.clone(), load.right.clone(), load.answers.clone());
            load.clients.spawn(async move {
                let mut client = Client::connect(service).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let (status, _) = client.get(DOCUMENT).await.unwrap();
                    answers.lock().unwrap().push(Answer { status, asked, answered: Instant::now() });
                    match status {
                        200 => _ = right.fetch_add(1, Ordering::Relaxed),
                        // A client that was told to try later doesn't try at once.
                        _ => sleep(Duration::from_millis(10)).await,
                    }
                }
            });
        }
        load
    }

    /// Waits until about all clients have been served.
    async fn serves(&self) {
        let served = self.right.load(Ordering::Relaxed);
        eventually("requests succeed", || {
            self.right.load(Ordering::Relaxed) > served + 2 * self.clients.len()
        })
        .await;
    }

    /// Ends it; a client that is stuck, or met anything but an answer, fails the test.
    async fn end(mut self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) =
            timeout(PATIENCE, self.clients.join_next()).await.expect("a request is stuck")
        {
            client.expect("each request is answered over HTTP");
        }
        self.answers.lock().unwrap().clone()
    }
}

/// Counts the answers of each status.
fn tally(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry(answer.status).or_default() += 1;
    }
    tally
}

/// A service with one way to have connections, on a database of its own.
struct Stretch {
    mode: &'static str,
    data: TempDir,
    server: Server,
    link: Link,
    api: Api,
}

impl Stretch {
    async fn open(mode: &'static str, settings: &Rdb, patience: Duration) -> Stretch {
        let data = TempDir::new().unwrap();
        let server = on_disk(&data).await;
        let link = Link::to(server.local_addr()).await;
        fill(&Api::over(rdb(server.local_addr()), true)).await;
        let settings = Rdb { connect_timeout: patience, query_timeout: patience, ..settings.clone() };
        let api = Api::over(Rdb { host: rdb(link.addr).host, ..settings }, true);
        Stretch { mode, data, server, link, api }
    }

    /// An outage under load, whose requests must fail with this status if they fail.
    async fn outlive(mut self, traffic: Traffic, failure: u16) {
        let Stretch { mode, .. } = self;
        let service = self.api.serve().await;
        let load = Load::start(service.addr, CLIENTS);
        load.serves().await;
        self.link.set(traffic).await;
        if traffic == Traffic::Away {
            self.server.shutdown().await;
            sleep(OUTAGE).await;
            self.server = on_disk(&self.data).await;
            self.link.lead_to(self.server.local_addr());
        } else {
            sleep(OUTAGE).await;
        }
        self.link.set(Traffic::Flows).await;
        let first = self.api.call("GET", DOCUMENT).await;
        assert_eq!(first.status(), 200, "{mode}: the first request afterwards: {first:?}");
        load.serves().await;
        let tally = tally(&load.end().await);
        assert!(tally.keys().all(|status| [200, 503, 504].contains(status)), "{mode}: {tally:?}");
        assert!(tally.contains_key(&failure), "{mode}: {tally:?}");
        balanced(&self.api.database, || self.server.open_connections()).await;
    }
}

fn modes(fresh: Rdb) -> [(&'static str, Rdb); 3] {
    let standby = Rdb { standby: 4, ..fresh.clone() };
    let reused = Rdb { max_age: 60 * PATIENCE, ..fresh.clone() };
    [("fresh", fresh), ("standby", standby), ("reused", reused)]
}

async fn on_disk(data: &TempDir) -> Server {
    Server::builder().data_dir(data.path()).start().await.unwrap()
}

async fn fill(api: &Api) {
    assert_eq!(api.send("POST", "/tables", &json!({"name": "rows"})).await.status(), 201);
    assert_eq!(api.send("PUT", DOCUMENT, &json!({})).await.status(), 201);
}

/// All ways to have connections at once, since mostly the outage is waited for.
async fn outlive(test: &str, traffic: Traffic, failure: u16) {
    if about_the_embedded(test) {
        return;
    }
    let nowhere = rdb(nobody().await);
    // Only those that are to wait in vain need to be quick about it.
    let patience = if failure == 504 { SOON } else { PATIENCE };
    let all = modes(nowhere).map(|(mode, settings)| async move {
        Stretch::open(mode, &settings, patience).await.outlive(traffic, failure).await;
    });
    join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_and_is_restarted() {
    outlive("a database that dies", Traffic::Away, 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_and_goes_on() {
    outlive("a database that hangs", Traffic::Freezes, 504).await;
}

/// `OUTAGE_SECONDS` is how long each outage is.
#[ignore = "takes a minute, and needs the binary of reql-embedded"]
#[tokio::test(flavor = "multi_thread")]
async fn outages_of_a_real_process() {
    if about_the_embedded("a real process") {
        return;
    }
    let outage = Duration::from_secs(number("OUTAGE_SECONDS", 10));
    let data = TempDir::new().unwrap();
    let mut process = Process::start(data.path(), nobody().await).await;
    let addr = process.addr;
    fill(&Api::over(rdb(addr), true)).await;
    for (mode, settings) in modes(rdb(addr)) {
        for kind in ["KILL", "STOP"] {
            let api = Api::over(settings.clone(), true);
            let service = api.serve().await;
            let load = Load::start(service.addr, REAL_CLIENTS);
            load.serves().await;
            let began = Instant::now();
            process.signal(kind);
            sleep(outage).await;
            if kind == "STOP" {
                process.signal("CONT");
            } else {
                drop(process);
                process = Process::start(data.path(), addr).await;
            }
            let back = Instant::now();
            load.serves().await;
            let answers = load.end().await;
            let first = answers.iter().filter(|answer| answer.status == 200 && answer.answered > back);
            let first = first.map(|answer| answer.answered - back).min().unwrap();
            let slowest = answers.iter().map(|answer| answer.answered - answer.asked).max().unwrap();
            let during: Vec<_> = answers.into_iter().filter(|answer| answer.answered > began).collect();
            let tally = tally(&during);
            println!("{mode}, {kind}: first success after {first:?}, slowest answer {slowest:?}, {tally:?}");
            assert!(tally.keys().all(|status| [200, 503, 504].contains(status)), "{mode}, {kind}: {tally:?}");
            assert!(first < Duration::from_secs(1), "{mode}, {kind}: {first:?}");
            eventually("the counters balance", || {
                let stats = api.database.stats();
                (stats.in_use, stats.waiting) == (0, 0) && stats.opened - stats.closed == stats.standing_by
            })
            .await;
        }
    }
}
