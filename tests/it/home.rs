//! The place that the tests themselves run in: nothing is left of it afterwards.

// Helpers of tests may unwrap as tests do.
use std::net::SocketAddr;

use crate::support::Home;
use crate::support::home::{NAMES, User, ask, shared};
use reql::r;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The names of all databases and users.
async fn names(server: SocketAddr) -> Vec<String> {
    let mut names: Vec<String> = ask(server, r.db_list()).await.unwrap();
    let users: Vec<User> = ask(server, r.db("rethinkdb").table("users")).await.unwrap();
    names.extend(users.into_iter().map(|user| user.id));
    names.sort_unstable();
    names
}

/// Makes a database, another one and a user, and waits to be told how to end.
async fn inhabit(server: SocketAddr) -> Home {
    let home = Home::on(server).await;
    ask::<Value>(server, r.db_create(home.named("other"))).await.unwrap();
    let user = json!({"id": home.named("somebody"), "password": "x"});
    ask::<Value>(server, r.db("rethinkdb").table("users").insert(user)).await.unwrap();
    home
}

#[test]
fn nothing_is_left_of_a_test_that_passed_or_failed() {
    // The end of a test waits on a thread of the test's, on which the server could have something to do.
    let of_the_server = Runtime::new().unwrap();
    let server = of_the_server.block_on(crate::support::server());
    Runtime::new().unwrap().block_on(tests_come_and_go(server.local_addr()));
}

async fn tests_come_and_go(addr: SocketAddr) {
    let before = names(addr).await;
    let neighbour = inhabit(addr).await;
    let beside = names(addr).await;
    assert_eq!(beside.len(), before.len() + 3);

    drop(inhabit(addr).await);
    assert_eq!(names(addr).await, beside, "one that passed");
    let failed = tokio::spawn(async move {
        let _home = inhabit(addr).await;
        panic!("as a test may");
    });
    assert!(failed.await.is_err_and(|error| error.is_panic()));
    assert_eq!(names(addr).await, beside, "one that failed");

    drop(neighbour);
    assert_eq!(names(addr).await, before, "the last one");
}

#[ignore = "looks at the database that RDB_TEST_HOST names, after all other tests"]
#[tokio::test]
async fn nothing_is_left_of_all_tests() {
    let names = names(shared().expect("RDB_TEST_HOST names a database")).await;
    let left: Vec<_> = names.iter().filter(|name| name.starts_with(NAMES)).collect();
    assert!(left.is_empty(), "{left:?}");
}
