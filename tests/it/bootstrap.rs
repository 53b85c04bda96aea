//! Tables at start-up: made where they are missing, left alone where they are not, made later if the database
//! is late.

// Helpers of tests may unwrap as tests do.
use std::net::SocketAddr;

use crate::support::Home;
use crate::support::link::{Link, Traffic};
use reql::r;
use serde_json::{Value, json};
use warp_reql::settings::{IndexSpec, Rdb, TableSpec};
use warp_reql::{Conn, Database, bootstrap};

/// A database that isn't there yet.
fn marvel(home: &Home, addr: SocketAddr) -> Database {
    Database::new(Rdb { db: home.named("marvel"), ..home.rdb_by(addr) }).unwrap()
}

fn heroes() -> TableSpec {
    let place =
        IndexSpec { fields: vec!["address.city".to_owned(), "age".to_owned()], ..IndexSpec::on("place") };
    let tags = IndexSpec { multi: true, ..IndexSpec::on("tags") };
    TableSpec {
        primary_key: "name".to_owned(),
        indexes: vec![IndexSpec::on("age"), place, tags],
        ..TableSpec::new("heroes")
    }
}

async fn ask(database: &Database, query: impl Into<reql::Query>) -> Value {
    Conn::new(database.clone()).first(query).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_missing_is_made() {
    let home = Home::start().await;
    let database = marvel(&home, home.addr());
    bootstrap::once(&database, &[heroes()]).await.unwrap();
    assert_eq!(ask(&database, r.db(home.named("marvel")).table_list()).await, json!(["heroes"]));
    let table = || r.table("heroes");
    assert_eq!(ask(&database, table().index_list()).await, json!(["age", "place", "tags"]));
    let spidey =
        json!({"name": "Spider-Man", "age": 15, "address": {"city": "NY"}, "tags": ["spider", "man"]});
    ask(&database, table().insert(&spidey)).await;
    assert_eq!(ask(&database, table().get("Spider-Man")).await, spidey);
    for (index, key) in [("age", json!(15)), ("place", json!(["NY", 15])), ("tags", json!("man"))] {
        let found = table().get_all(key).index(index);
        assert_eq!(ask(&database, found).await["name"], "Spider-Man", "{index}");
    }
}

#[tokio::test]
async fn what_exists_is_left_as_it_is() {
    let home = Home::start().await;
    let database = marvel(&home, home.addr());
    bootstrap::once(&database, &[heroes()]).await.unwrap();
    ask(&database, r.table("heroes").insert(json!({"name": "Hulk"}))).await;

    let other = TableSpec { primary_key: "id".to_owned(), indexes: vec![IndexSpec::on("power")], ..heroes() };
    bootstrap::once(&database, &[other]).await.unwrap();
    let table = || r.table("heroes");
    assert_eq!(ask(&database, table().get("Hulk")).await, json!({"name": "Hulk"}));
    assert_eq!(ask(&database, table().index_list()).await, json!(["age", "place", "power", "tags"]));
}

#[tokio::test]
async fn a_late_database_gets_its_tables_when_it_is_there() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    link.set(Traffic::Away).await;
    let database = marvel(&home, link.addr);
    assert!(bootstrap::once(&database, &[heroes()]).await.is_err());
    let tables = [heroes()];
    let made = bootstrap::until_done(&database, &tables);
    tokio::join!(made, link.set(Traffic::Flows));
    assert_eq!(ask(&database, r.db(home.named("marvel")).table_list()).await, json!(["heroes"]));
}
