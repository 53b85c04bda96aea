//! Changefeeds that share connections.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use reql::types::Change;
use reql::{obj, r};
use serde_json::{Value, json};
use warp_reql::error::Code;
use warp_reql::settings::Rdb;
use warp_reql::{Conn, Database};

use crate::support::link::{Link, Traffic};
use crate::support::{Home, eventually};

/// A feed of the numbers `n` of the rows whose `of` is this.
fn rows_of(of: u32) -> reql::commands::Changes {
    r.table("rows").filter(obj! { "of": of }).changes()
}

async fn with_rows(database: &Database) -> Conn {
    let mut conn = Conn::new(database.clone());
    conn.run(r.table_create("rows")).await.expect("the table is made");
    conn
}

#[tokio::test]
async fn many_are_on_one_connection_and_each_has_its_own_rows() {
    let home = Home::start().await;
    let database = home.database();
    let mut conn = with_rows(&database).await;
    let feeds = try_join_all((0..300).map(|of| database.follow::<Change<Value>>(rows_of(of)))).await.unwrap();
    let stats = database.stats();
    assert_eq!((stats.shared, stats.in_use), (2, 1), "256 on one, and the others on the next: {stats:?}");
    let rows: Vec<_> = (0..300).map(|of| json!({"id": of, "of": of})).collect();
    conn.run(r.table("rows").insert(rows)).await.unwrap();
    for (of, mut feed) in feeds.into_iter().enumerate() {
        let change = feed.next().await.unwrap().unwrap();
        assert_eq!(change.new_val.unwrap()["of"], of);
    }
    drop(conn);
    eventually("all are closed with their last feed", || {
        let stats = database.stats();
        (stats.shared, stats.opened) == (0, stats.closed) && home.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_ends_its_feeds_and_the_next_one_has_another() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let database = Database::new(home.rdb_by(link.addr)).unwrap();
    with_rows(&database).await;
    let mut feeds =
        try_join_all((0..3).map(|of| database.follow::<Change<Value>>(rows_of(of)))).await.unwrap();
    link.set(Traffic::Away).await;
    for feed in &mut feeds {
        assert!(
            feed.next().await.is_some_and(|row| row.is_err_and(|error| error.code() == Code::OutcomeUnknown))
        );
        assert!(feed.next().await.is_none());
    }
    assert!(
        database
            .follow::<Value>(rows_of(1))
            .await
            .is_err_and(|error| error.code() == Code::DatabaseUnreachable)
    );
    link.set(Traffic::Flows).await;
    // Though the broken connection is still held.
    assert!(database.follow::<Value>(rows_of(1)).await.is_ok());
}

#[tokio::test]
async fn silence_of_the_database_ends_them() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let short = Rdb { query_timeout: Duration::from_millis(600), ..home.rdb_by(link.addr) };
    let database = Database::new(short).unwrap();
    with_rows(&database).await;
    let mut feed = database.follow::<Change<Value>>(rows_of(1)).await.unwrap();
    link.set(Traffic::Stalls).await;
    assert!(feed.next().await.is_some_and(|row| row.is_err_and(|error| error.code() == Code::QueryTimeout)));
    let refused = database.follow::<Value>(rows_of(2)).await;
    assert!(refused.as_ref().is_err_and(|error| error.code() == Code::QueryTimeout), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_feed_is_an_error_and_leaves_the_connection_to_others() {
    let home = Home::start().await;
    let database = home.database();
    with_rows(&database).await;
    let _feed = database.follow::<Value>(rows_of(1)).await.unwrap();
    assert!(
        database.follow::<Value>(r.expr(1)).await.is_err_and(|error| error.code() == Code::DatabaseError)
    );
    let missing = database.follow::<Value>(r.table("nope").changes()).await.unwrap_err();
    assert_eq!(missing.code(), "no-such-table");
    assert!(database.follow::<Value>(rows_of(2)).await.is_ok());
    assert_eq!(database.stats().shared, 1);
}
