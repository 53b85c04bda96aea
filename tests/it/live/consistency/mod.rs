//! Followers that join, leave, stall, and lose their link, of lists of every kind, while others write and the
//! database is killed: each of them knows in the end just what there is, by events of which it got each once.

mod database;
mod follower;
mod replay;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use warp_reql::settings::{Limits, Rdb, Settings};

use crate::support::home::about_the_embedded;
use crate::support::{Api, body, number, rdb};
use database::{Killed, Troubles};
use follower::Follower;
use replay::{Form, List};

const DOCS: &str = "/tables/heroes/docs";
/// The number of ids, all of which fit into a page.
const IDS: u64 = 60;
/// A run shows something with more writes than these.
const FEWEST: u64 = 50;
/// The number of values of the field that refers to a home.
const OF: u8 = 5;
/// The field of what a hero is told with.
const HOME: &str = "home";
const LISTS: [List; 12] = [
    list("/tables/heroes/docs", Form::Set),
    list("/tables/heroes/docs?n=gte.25&expand=home", Form::Set),
    list("/tables/heroes/docs?of=eq.1&select=id,n", Form::Set),
    list("/tables/heroes/docs?select=of", Form::Set),
    list("/tables/heroes/docs?or=(n=lt.10,of=eq.3)&omit=text", Form::Set),
    list("/tables/heroes/docs?index=n&n=gte.10&n=lt.30", Form::Set),
    list("/tables/heroes/docs?order=n&limit=5", Form::Places),
    list("/tables/heroes/docs?order=n.desc&limit=7&select=id,n", Form::Places),
    list("/tables/heroes/docs?order=of,n&limit=10&expand=home", Form::Places),
    list("/tables/heroes/docs?limit=6", Form::Places),
    list("/tables/heroes/docs/7", Form::One),
    list("/tables/heroes/docs/8?expand=home", Form::One),
];

const fn list(url: &'static str, form: Form) -> List {
    List { url, form }
}

/// State that writers and followers share.
struct World {
    addr: SocketAddr,
    api: Api,
    /// Nobody writes any more, and this is there, of each list.
    end: OnceLock<Vec<Vec<Value>>>,
    stop: AtomicBool,
    troubles: Mutex<Troubles>,
    written: AtomicU64,
    events: AtomicU64,
    resumed: AtomicU64,
    resets: AtomicU64,
}

impl World {
    fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    fn expected(&self, list: usize) -> &[Value] {
        self.end.get().map_or(&[], |lists| &lists[list])
    }

    fn is_troubled_since(&self, time: Instant) -> bool {
        self.troubles.lock().unwrap().were_since(time)
    }

    fn count(&self, counter: &AtomicU64, is: bool) {
        counter.fetch_add(is.into(), Ordering::Relaxed);
    }

    /// Writes one document after another.
    async fn write(&self, mut chance: fastrand::Rng) -> Result<(), String> {
        while !self.stop.load(Ordering::Relaxed) {
            let path = format!("{DOCS}/{}", chance.u64(..IDS));
            let (n, of) = (chance.u8(..50), chance.u8(..OF));
            let document = json!({"n": n, "of": of, "text": "x".repeat(chance.usize(..300))});
            let answer = match chance.u8(..10) {
                0..4 => self.api.send("PUT", &path, &document).await,
                4..6 => self.api.send("PATCH", &path, &json!({"n": n})).await,
                6 => self.api.send("PATCH", &path, &json!({"text": "changed"})).await,
                7 | 8 => self.api.call("DELETE", &path).await,
                _ => {
                    let change = json!({"of": of, "text": "of many"});
                    self.api.send("PATCH", &format!("{DOCS}?n=eq.{n}"), &change).await
                }
            };
            match answer.status().as_u16() {
                200 | 201 | 204 => _ = self.written.fetch_add(1, Ordering::Relaxed),
                404 => {}
                503 | 504 if self.is_troubled_since(Instant::now()) => {
                    sleep(Duration::from_millis(50)).await;
                }
                status => return Err(format!("{path}: a write is answered with {status}: {answer:?}")),
            }
            sleep(Duration::from_millis(chance.u64(..20))).await;
        }
        Ok(())
    }

    /// Returns what there is of each list.
    async fn lists(&self) -> Vec<Vec<Value>> {
        let mut lists = Vec::new();
        for List { url, form } in LISTS {
            let answer = self.api.call("GET", url).await;
            lists.push(match (answer.status().as_u16(), form) {
                (200, Form::One) => vec![body(&answer)],
                (404, Form::One) => Vec::new(),
                (200, _) => body(&answer).as_array().cloned().expect("a list"),
                (status, _) => panic!("{url}: {status} {answer:?}"),
            });
        }
        lists
    }
}

async fn world(killed: &Killed) -> World {
    let limits = Limits { client_share: 100, ..Limits::default() };
    let rdb = Rdb { query_timeout: Duration::from_secs(30), ..rdb(killed.link.addr) };
    let home = json!([{"table": "heroes", "name": HOME, "field": "of", "to": "homes"}]);
    let relations = serde_json::from_value(home).expect("a relation");
    let api = Api::with_settings(Settings { rdb, limits, relations, debug: true, ..Settings::default() });
    for table in ["heroes", "homes"] {
        assert_eq!(api.send("POST", "/tables", &json!({"name": table})).await.status(), 201);
    }
    // Related documents that change tell nobody, so these don't. Not every hero has one.
    let homes: Vec<_> = (0..OF - 1).map(|id| json!({"id": id, "name": format!("home {id}")})).collect();
    assert_eq!(api.send("POST", "/tables/homes/docs", &json!(homes)).await.status(), 201);
    for (index, fields) in [("n", json!(["n"])), ("of", json!(["of", "n"]))] {
        let path = format!("/tables/heroes/indexes/{index}");
        assert_eq!(api.send("PUT", &path, &json!({"fields": fields})).await.status(), 201);
    }
    World {
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        api,
        end: OnceLock::new(),
        stop: AtomicBool::new(false),
        troubles: Mutex::default(),
        written: AtomicU64::new(0),
        events: AtomicU64::new(0),
        resumed: AtomicU64::new(0),
        resets: AtomicU64::new(0),
    }
}

/// The environment may set `TEST_SEED`, `LIVE_SECONDS`, `LIVE_WRITERS`, `LIVE_FOLLOWERS` and `LIVE_KILLS`.
/// With `LIVE_PROCESS=1` the database is the binary of `reql-embedded`, and is killed by the system.
#[tokio::test(flavor = "multi_thread")]
async fn each_follower_knows_in_the_end_what_there_is() {
    if about_the_embedded("followers of a database that is killed") {
        return;
    }
    let seed = number("TEST_SEED", fastrand::u64(..1 << 32));
    let time = Duration::from_secs(number("LIVE_SECONDS", 5));
    let (writers, followers) = (number("LIVE_WRITERS", 2), number("LIVE_FOLLOWERS", 12));
    let kills = number("LIVE_KILLS", 2);
    println!("TEST_SEED={seed}: {writers} writers, {followers} followers, {kills} kills in {time:?}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut killed = Killed::start().await;
    let mut world = world(&killed).await;
    let serving = world.api.serve().await;
    world.addr = serving.addr;
    let world = Arc::new(world);

    let (mut writing, mut following) = (JoinSet::new(), JoinSet::new());
    for _ in 0..writers {
        let (world, chance) = (Arc::clone(&world), chance.fork());
        writing.spawn(async move { world.write(chance).await });
    }
    for _ in 0..followers {
        following.spawn(Follower::new(Arc::clone(&world), chance.u64(..)).run());
    }
    let play = async {
        let pause = time / (kills as u32 + 1);
        for _ in 0..kills {
            sleep(pause).await;
            world.troubles.lock().unwrap().begin();
            killed.kill(Duration::from_millis(chance.u64(50..600))).await;
            world.troubles.lock().unwrap().end();
        }
        sleep(pause).await;
        // On a machine that has much else to do, writers get less done in the same time.
        for _ in 0..1200 {
            if world.written.load(Ordering::Relaxed) > FEWEST {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = play => {}
        Some(outcome) = following.join_next() => panic!("TEST_SEED={seed}: {outcome:?}"),
    }
    world.stop.store(true, Ordering::Relaxed);
    while let Some(outcome) = writing.join_next().await {
        outcome.unwrap().unwrap_or_else(|wrong| panic!("TEST_SEED={seed}: {wrong}"));
    }
    world.end.set(world.lists().await).expect("it ends once");
    let mut wrong = Vec::new();
    while let Some(outcome) = following.join_next().await {
        wrong.extend(outcome.unwrap().err());
    }
    assert!(wrong.is_empty(), "TEST_SEED={seed}: {} are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    let told = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (written, events) = (told(&world.written), told(&world.events));
    println!(
        "{written} writes, {events} events, {} returns, {} resets",
        told(&world.resumed),
        told(&world.resets)
    );
    assert!(written > FEWEST && events > written && told(&world.resumed) > 0, "{written} {events}");
}
