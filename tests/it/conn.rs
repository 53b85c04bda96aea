//! The connection of a request: opened when first needed, one for the request, closed however its handler
//! ends.

use std::time::Duration;

use crate::support::link::{Link, Traffic};
use crate::support::{Api, Home, PATIENCE, eventually, header};
use futures_util::{StreamExt, TryStreamExt};
use reql::commands::Table;
use reql::{Term, args, obj, r};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use warp::Filter;
use warp_reql::error::Code;
use warp_reql::settings::Rdb;
use warp_reql::{Conn, Database, Error, recover, with_conn};

/// A query timeout that tests wait for, long enough for a healthy query on a busy machine.
const SHORT: Duration = Duration::from_millis(500);

async fn table(database: &Database) -> Table {
    let mut conn = Conn::new(database.clone());
    conn.first::<Value>(r.table_create("rows")).await.expect("the table is made");
    r.table("rows")
}

async fn closed(database: &Database, home: &Home) {
    eventually("the client closes", || database.stats().opened == database.stats().closed).await;
    eventually("the server sees it", || home.open_connections() == 0).await;
    assert_eq!(database.stats().in_use, 0);
}

#[tokio::test]
async fn queries_of_one_request_share_a_session() {
    let home = Home::start().await;
    let database = home.database();
    let mut conn = Conn::new(database.clone());
    assert_eq!(database.stats().opened, 0, "nothing is opened before it is needed");
    assert_eq!(conn.first::<u8>(r.expr(1)).await.unwrap(), Some(1));
    assert_eq!(conn.all::<u8>(r.range(2)).await.unwrap(), [0, 1]);
    assert_eq!((database.stats().opened, home.open_connections()), (1, 1));
    drop(conn);
    closed(&database, &home).await;
}

#[tokio::test]
async fn rows_arrive_as_a_stream() {
    let home = Home::start().await;
    let database = home.database();
    let rows = table(&database).await;
    let documents: Vec<_> = (0..500).map(|id| json!({"id": id})).collect();
    let mut conn = Conn::new(database.clone());
    conn.run(rows.insert(documents)).await.unwrap();

    let borrowed: Vec<Value> = conn.stream(rows.clone()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(borrowed.len(), 500);
    let mut owned = conn.into_stream::<Value>(rows).await.unwrap();
    assert!(owned.next().await.unwrap().is_ok());
    assert_eq!(database.stats().in_use, 1, "the connection is the stream's now");
    drop(owned);
    closed(&database, &home).await;
}

#[tokio::test]
async fn missing_and_null_are_none() {
    let home = Home::start().await;
    let database = home.database();
    let rows = table(&database).await;
    let mut conn = Conn::new(database);
    assert_eq!(conn.first::<Value>(rows.clone().get("nobody")).await.unwrap(), None);
    assert_eq!(conn.first::<Value>(rows).await.unwrap(), None);
}

#[tokio::test]
async fn a_row_of_another_type_is_an_error_of_its_own() {
    let home = Home::start().await;
    let mut conn = Conn::new(home.database());
    assert!(
        conn.first::<u8>(r.expr("text")).await.is_err_and(|error| error.code() == Code::UnexpectedDocument)
    );
    assert_eq!(conn.first::<u8>(r.expr(1)).await.unwrap(), Some(1), "the session is none the worse for it");
    assert_eq!(conn.database().stats().opened, 1);
}

#[tokio::test]
async fn errors_of_the_database_leave_the_session_usable() {
    let home = Home::start().await;
    let mut conn = Conn::new(home.database());
    let error = conn.first::<Value>(r.table("nope")).await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.code().as_str()), (404, "no-such-table"));
    assert_eq!(conn.first::<u8>(r.expr(1)).await.unwrap(), Some(1));
    assert_eq!(conn.database().stats().opened, 1);
}

#[tokio::test]
async fn the_connection_ends_with_the_handler_however_that_ends() {
    let home = Home::start().await;
    let database = home.database();
    let handler = |how: String, mut conn: Conn| async move {
        conn.first::<u8>(r.expr(1)).await?;
        match how.as_str() {
            "error" => Err(Error::from(Code::PreconditionFailed)),
            "refused" => conn.first::<Value>(r.table("nope")).await.map(|_| "found"),
            _ => Ok("done"),
        }
    };
    let routes = warp::path::param().and(with_conn(&database)).then(handler).recover(recover);
    for (how, status) in [("success", 200), ("error", 412), ("refused", 404)] {
        let response = warp::test::request().path(&format!("/{how}")).reply(&routes).await;
        assert_eq!(response.status(), status, "{how}");
        closed(&database, &home).await;
    }
    assert_eq!(database.stats().opened, 3, "each request had a connection of its own");
}

#[tokio::test]
async fn a_panic_closes_it_too() {
    let home = Home::start().await;
    let database = home.database();
    let mut conn = Conn::new(database.clone());
    let handler = tokio::spawn(async move {
        conn.first::<u8>(r.expr(1)).await.unwrap();
        panic!("as a handler may");
    });
    assert!(handler.await.is_err_and(|error| error.is_panic()));
    closed(&database, &home).await;
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up_and_its_session_with_it() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let short = Rdb { query_timeout: SHORT, ..home.rdb_by(link.addr) };
    let database = Database::new(short).unwrap();
    let mut conn = Conn::new(database.clone());
    conn.first::<u8>(r.expr(1)).await.unwrap();
    link.set(Traffic::Stalls).await;
    let error = conn.all::<Value>(r.expr(2)).await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.code().as_str()), (504, "query-timeout"));
    link.set(Traffic::Flows).await;
    assert_eq!(conn.first::<u8>(r.expr(3)).await.unwrap(), Some(3), "on another session");
    let stats = database.stats();
    assert_eq!((stats.opened, stats.closed, stats.timed_out.query), (2, 1, 1));
    drop(conn);
    closed(&database, &home).await;
}

#[tokio::test]
async fn a_query_given_up_half_way_never_reaches_the_next_one() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let database = Database::new(home.rdb_by(link.addr)).unwrap();
    let mut conn = Conn::new(database.clone());
    conn.first::<u8>(r.expr(1)).await.unwrap();
    link.set(Traffic::Stalls).await;
    let given_up = conn.first::<u8>(r.expr(2));
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    link.set(Traffic::Flows).await;
    assert_eq!(conn.first::<u8>(r.expr(3)).await.unwrap(), Some(3));
    assert_eq!(database.stats().opened, 2);
    drop(conn);
    closed(&database, &home).await;
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_open_and_serves_nothing_more() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let database = Database::new(Rdb { max_age: PATIENCE, ..home.rdb_by(link.addr) }).unwrap();
    let mut conn = Conn::new(database.clone());
    conn.first::<u8>(r.expr(1)).await.unwrap();
    link.set(Traffic::Breaks).await;
    let error = conn.first::<u8>(r.expr(2)).await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.code().as_str()), (503, "outcome-unknown"));
    link.set(Traffic::Flows).await;
    assert_eq!(conn.first::<u8>(r.expr(3)).await.unwrap(), Some(3));
    assert_eq!((database.stats().opened, database.stats().closed), (2, 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_it() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let database = Database::new(home.rdb_by(link.addr)).unwrap();
    let stall = link.clone();
    let handler = move |mut conn: Conn| {
        let link = stall.clone();
        async move {
            conn.first::<u8>(r.expr(1)).await?;
            link.set(Traffic::Stalls).await;
            conn.first::<u8>(r.expr(2)).await.map(|_| "never")
        }
    };
    let routes = with_conn(&database).then(handler);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());

    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    eventually("the handler waits for its query", || link.is(Traffic::Stalls)).await;
    assert_eq!((database.stats().in_use, home.open_connections()), (1, 1));
    drop(client);
    closed(&database, &home).await;
}

#[tokio::test]
async fn writes_without_an_answer_are_done_before_it_closes() {
    let home = Home::start().await;
    let database = home.database();
    let rows = table(&database).await;
    let mut conn = Conn::new(database.clone());
    conn.noreply(rows.clone().insert(json!({"id": 1}))).await.unwrap();
    {
        let session = conn.session().await.unwrap();
        session.noreply(rows.insert(json!({"id": 2}))).await.unwrap();
    }
    drop(conn);
    closed(&database, &home).await;
    assert_eq!(Conn::new(database).all::<Value>(rows).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_write_without_an_answer_is_done_though_it_is_the_first_query() {
    let home = Home::start().await;
    let database = home.database();
    let rows = table(&database).await;
    // Long enough for a connection that is closed at once to end it.
    let many = r.range(20_000).map(|n: Term| obj! { "id": n });
    let mut conn = Conn::new(database.clone());
    conn.noreply(rows.clone().insert(many)).await.unwrap();
    drop(conn);
    closed(&database, &home).await;
    let count: Option<u64> = Conn::new(database).first(rows.count()).await.unwrap();
    assert_eq!(count, Some(20_000));
}

#[tokio::test]
async fn what_stands_by_is_taken_and_replaced() {
    let home = Home::start().await;
    let database = Database::new(Rdb { standby: 2, ..home.rdb() }).unwrap();
    assert_eq!(Conn::new(database.clone()).first::<u8>(r.expr(1)).await.unwrap(), Some(1));
    eventually("two stand by", || database.stats().standing_by == 2).await;
    let before = database.stats();
    let mut conn = Conn::new(database.clone());
    conn.first::<u8>(r.expr(1)).await.unwrap();
    eventually("another takes its place", || database.stats().standing_by == 2).await;
    drop(conn);
    eventually("the used one is closed", || database.stats().opened - database.stats().closed == 2).await;
    assert_eq!(database.stats().opened - before.opened, 1, "the request itself dialled none");
    drop(database);
    eventually("none outlives the database", || home.open_connections() == 0).await;
}

#[tokio::test]
async fn more_stand_by_where_requests_come_in_bunches() {
    let home = Home::start().await;
    let database = Database::new(Rdb { standby: 2, ..home.rdb() }).unwrap();
    let bunch = || {
        let requests = (0..5).map(|n| {
            let mut conn = Conn::new(database.clone());
            async move { conn.first::<u8>(r.expr(n)).await.map(|_| conn) }
        });
        futures_util::future::try_join_all(requests)
    };
    for stock in [2, 4, 8] {
        bunch().await.unwrap();
        eventually("the stock is full", || database.stats().standing_by == stock).await;
    }
    let before = database.stats().opened;
    drop(bunch().await.unwrap());
    eventually("they are replaced", || database.stats().standing_by == 8).await;
    assert_eq!(database.stats().opened, before + 5, "all of the bunch found one");
    eventually("no more than two are left in the end", || database.stats().standing_by == 2).await;
}

#[tokio::test]
async fn no_more_stand_by_than_may_be_open() {
    let home = Home::start().await;
    let settings = Rdb { standby: 4, max_connections: 2, ..home.rdb() };
    let database = Database::new(settings).unwrap();
    let mut conn = Conn::new(database.clone());
    conn.first::<u8>(r.expr(1)).await.unwrap();
    eventually("one stands by", || database.stats().standing_by == 1).await;
    let mut other = Conn::new(database.clone());
    other.first::<u8>(r.expr(1)).await.unwrap();
    let stats = database.stats();
    assert_eq!((stats.in_use, stats.opened - stats.closed), (2, 2), "{stats:?}");
}

#[tokio::test]
async fn healthy_sessions_are_reused_when_they_may_be() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let database = Database::new(Rdb { max_age: PATIENCE, ..home.rdb_by(link.addr) }).unwrap();
    for _ in 0..3 {
        assert_eq!(Conn::new(database.clone()).first::<u8>(r.expr(1)).await.unwrap(), Some(1));
    }
    assert_eq!(database.stats().opened, 1);
    link.set(Traffic::Stalls).await;
    let mut conn = Conn::new(database.clone());
    let given_up = conn.first::<u8>(r.expr(1));
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    drop(conn);
    eventually("one that was given up half-way is not", || database.stats().closed == 1).await;
}

#[tokio::test]
async fn an_open_cursor_is_nobody_elses() {
    let home = Home::start().await;
    let database = Database::new(Rdb { max_age: PATIENCE, ..home.rdb() }).unwrap();
    let mut conn = Conn::new(database.clone());
    let endless = r.range(args![]);
    let some: Vec<u64> = conn.stream::<u64>(&endless).await.unwrap().take(2).try_collect().await.unwrap();
    assert_eq!(some, [0, 1]);
    assert_eq!(conn.first::<u8>(r.expr(3)).await.unwrap(), Some(3), "the request itself goes on with it");
    assert!(conn.stream::<u64>(endless).await.unwrap().next().await.is_some());
    drop(conn);
    eventually("it is closed", || (database.stats().opened, database.stats().closed) == (1, 1)).await;
}

#[tokio::test]
async fn what_died_while_it_stood_by_costs_no_request_its_answer() {
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let database = Database::new(Rdb { standby: 2, ..home.rdb_by(link.addr) }).unwrap();
    Conn::new(database.clone()).first::<u8>(r.expr(1)).await.unwrap();
    eventually("two stand by", || database.stats().standing_by == 2).await;
    link.set(Traffic::Away).await;
    link.set(Traffic::Flows).await;
    assert_eq!(Conn::new(database.clone()).first::<u8>(r.expr(1)).await.unwrap(), Some(1));
    eventually("two stand by again", || database.stats().standing_by == 2).await;
}

#[tokio::test]
async fn a_server_that_refuses_is_passed_over() {
    let home = Home::start().await;
    let hosts = format!("{}, {}", crate::support::nobody().await, home.addr());
    let settings = Rdb { host: hosts.parse().unwrap(), ..home.rdb() };
    let database = Database::new(settings).unwrap();
    for _ in 0..4 {
        assert_eq!(Conn::new(database.clone()).first::<u8>(r.expr(1)).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_their_turn() {
    let home = Home::start().await;
    let database = Database::new(Rdb { max_connections: 2, ..home.rdb() }).unwrap();
    let requests = (0..20).map(|n| {
        let mut conn = Conn::new(database.clone());
        async move { conn.first::<u32>(r.expr(n)).await.unwrap() }
    });
    let answers: Vec<_> = futures_util::future::join_all(requests).await;
    assert_eq!(answers, (0..20).map(Some).collect::<Vec<_>>());
    assert_eq!(database.stats().refused, 0);
    closed(&database, &home).await;
}

#[tokio::test]
async fn debug_tells_where_a_connection_came_from() {
    let home = Home::start().await;
    let settings = home.rdb();
    for (settings, first, later) in [
        (settings.clone(), "dialled", "dialled"),
        (Rdb { standby: 2, ..settings.clone() }, "dialled", "standby"),
        (Rdb { max_age: PATIENCE, ..settings.clone() }, "dialled", "reused"),
    ] {
        let standby = settings.standby as u64;
        let api = Api::over(settings.clone(), true);
        assert_eq!(header(&api.call("GET", "/health/live").await, "db-connection"), "none");
        assert_eq!(header(&api.call("GET", "/tables").await, "db-connection"), first);
        eventually("enough stand by", || api.database.stats().standing_by >= standby).await;
        assert_eq!(header(&api.call("GET", "/tables").await, "db-connection"), later);
        let discreet = Api::over(settings, false).call("GET", "/tables").await;
        assert_eq!((discreet.status().as_u16(), header(&discreet, "db-connection")), (200, ""));
    }
}

#[tokio::test]
async fn closing_is_logged() {
    let home = Home::start().await;
    let logged = log_lines();
    Conn::new(home.database()).first::<u8>(r.expr(1)).await.unwrap();
    let is_logged = || logged.lock().unwrap().iter().any(|line| line == "DEBUG Disconnecting from database.");
    eventually("it is logged", is_logged).await;
}

/// Everything that this process logs from now on.
fn log_lines() -> &'static std::sync::Mutex<Vec<String>> {
    struct Lines(std::sync::Mutex<Vec<String>>);
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            if record.target().starts_with("warp_reql") {
                self.0.lock().expect("no test panics while it logs").push(format!(
                    "{} {}",
                    record.level(),
                    record.args()
                ));
            }
        }
        fn flush(&self) {}
    }
    static LINES: Lines = Lines(std::sync::Mutex::new(Vec::new()));
    log::set_logger(&LINES).expect("this process has no other logger");
    log::set_max_level(log::LevelFilter::Debug);
    &LINES.0
}

#[tokio::test]
async fn a_socket_that_is_read_slowly_gets_all() {
    let home = Home::start().await;
    let database = home.database();
    let routes = with_conn(&database).then(|conn: Conn| async move {
        let numbers = conn.into_stream::<u32>(r.range(10_000)).await?;
        let lines = numbers.map(|number| number.map(|number| format!("{number}\n")));
        Ok::<_, Error>(warp::reply::stream(lines))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("\n9999\n"));
    closed(&database, &home).await;
}

#[tokio::test]
async fn a_result_that_is_one_array_counts_as_its_members() {
    let home = Home::start().await;
    let mut conn = Conn::new(home.database());
    assert_eq!(conn.all::<u8>(r.expr([1, 2])).await.unwrap(), [1, 2]);
    assert_eq!(conn.all::<u8>(r.expr(3)).await.unwrap(), [3]);
    assert_eq!(conn.first::<Vec<u8>>(r.expr([1, 2])).await.unwrap(), Some(vec![1, 2]));
}
