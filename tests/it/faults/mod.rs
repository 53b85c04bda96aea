//! A database that refuses, hangs, or talks nonsense: every request is answered, in time, by a problem
//! document.

// Helpers of tests may unwrap as tests do.
mod feeds;
mod hangups;
mod isolation;
mod network;
mod outages;
use std::time::Duration;

use crate::support::{Api, Fault, Faulty, eventually, header, nobody, problem, rdb};
use warp_reql::settings::Rdb;

fn impatient(rdb: Rdb) -> Rdb {
    let soon = Duration::from_millis(50);
    Rdb { connect_timeout: soon, acquire_timeout: soon, query_timeout: soon, ..rdb }
}

fn nothing_is_left(api: &Api) {
    let stats = api.database.stats();
    assert_eq!((stats.opened, stats.in_use, stats.waiting), (stats.closed, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn a_refused_connection_is_503() {
    let api = Api::over(rdb(nobody().await), false);
    let response = api.call("GET", "/tables").await;
    let problem = problem(&response, 503, "database-unreachable");
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(problem.get("cause"), None, "what the driver said is nobody's business: {problem}");
    nothing_is_left(&api);
}

#[tokio::test]
async fn debug_tells_the_cause() {
    let api = Api::over(rdb(nobody().await), true);
    let problem = problem(&api.call("GET", "/tables").await, 503, "database-unreachable");
    assert!(problem["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{problem}");
}

#[tokio::test]
async fn a_silent_server_is_504() {
    let faulty = Faulty::start(Fault::Silence).await;
    let api = Api::over(impatient(rdb(faulty.addr)), false);
    problem(&api.call("GET", "/tables").await, 504, "connect-timeout");
    assert_eq!(api.database.stats().timed_out.connect, 1);
    nothing_is_left(&api);
}

#[tokio::test]
async fn nonsense_is_503() {
    for fault in [Fault::Garbage, Fault::HalfHandshake] {
        let faulty = Faulty::start(fault).await;
        let api = Api::over(rdb(faulty.addr), false);
        problem(&api.call("GET", "/tables").await, 503, "database-unreachable");
        nothing_is_left(&api);
    }
}

#[tokio::test]
async fn a_request_beyond_the_limit_waits_and_is_turned_away() {
    let faulty = Faulty::start(Fault::Silence).await;
    let settings = impatient(rdb(faulty.addr));
    let settings = Rdb { max_connections: 1, connect_timeout: crate::support::PATIENCE, ..settings };
    let api = Api::over(settings, false);
    let database = api.database.clone();
    let holder = api.call("GET", "/tables");
    let waiter = async {
        // The first request has been polled once by now, and so holds the only permit.
        problem(&api.call("GET", "/tables").await, 503, "connections-exhausted")
    };
    tokio::select! {
        biased;
        _ = holder => panic!("a silent server answered"),
        problem = waiter => assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("50ms"))),
    }
    let stats = database.stats();
    assert_eq!((stats.refused, stats.waiting, stats.in_use), (1, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn whoever_gives_up_leaves_nothing_behind() {
    let faulty = Faulty::start(Fault::Silence).await;
    let api = Api::over(Rdb { max_connections: 1, ..rdb(faulty.addr) }, false);
    let given_up = tokio::time::timeout(Duration::from_millis(20), api.call("GET", "/tables")).await;
    assert!(given_up.is_err());
    let next = tokio::time::timeout(Duration::from_millis(20), api.call("GET", "/tables")).await;
    assert!(next.is_err(), "the permit came back, so the next request dials too");
    assert_eq!(api.database.stats().refused, 0);
    nothing_is_left(&api);
}

#[tokio::test]
async fn a_handler_that_asks_for_nothing_opens_nothing() {
    let api = Api::over(rdb(nobody().await), false);
    assert_eq!(api.call("GET", "/health/live").await.status(), 200);
    problem(&api.call("GET", "/tables/no%20name").await, 400, "bad-name");
    assert_eq!(api.database.stats().opened, 0);
}

#[tokio::test]
async fn readiness_is_the_databases() {
    let api = Api::over(rdb(nobody().await), false);
    problem(&api.call("GET", "/health/ready").await, 503, "database-unreachable");
    eventually("nothing is in use", || api.database.stats().in_use == 0).await;
}
