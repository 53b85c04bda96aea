//! Sessions on a real server.
#![allow(clippy::unwrap_used)]

mod support;

use std::future::poll_fn;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use reql::types::{Binary, Change, Geometry, Grouped, Time, Written};
use reql::{Args, Connector, ErrorKind, ErrorType, Form, Query, Sent, Term, args, obj, r};
use reql_embedded::Server;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{connect, connector, fresh_table, server};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn values_and_rows() {
    let server = server().await;
    let mut session = connect(&server).await;
    assert_eq!(session.one::<u64>(r.expr(1) + 1).await.unwrap(), 2);
    assert_eq!(session.first::<u64>(r.range(5)).await.unwrap(), Some(0));
    assert_eq!(session.first::<u64>(r.range(0)).await.unwrap(), None);
    assert_eq!(session.first::<u64>(r.expr(())).await.unwrap(), None);
    assert_eq!(session.one::<Option<u64>>(r.expr(())).await.unwrap(), None);
    assert_eq!(session.one::<u64>(r.range(0)).await.unwrap_err().kind(), ErrorKind::NoRow);
    assert_eq!(session.all::<u64>(r.expr([1, 2])).await.unwrap(), [1, 2]);
    assert_eq!(session.all::<u64>(r.expr([0; 0])).await.unwrap(), [0; 0]);
    assert_eq!(session.all::<u64>(r.expr(7)).await.unwrap(), [7]);
    assert_eq!(session.one::<Vec<u64>>(r.expr([1, 2])).await.unwrap(), [1, 2]);
    let many = session.all::<u64>(r.range(10_000)).await.unwrap();
    assert!(many.iter().copied().eq(0..10_000));
    // A stream is stopped when only its first row is wanted.
    assert_eq!(session.first::<u64>(r.range(args![])).await.unwrap(), Some(0));
    assert_eq!(session.one::<String>(r.expr("still there")).await.unwrap(), "still there");
}

#[tokio::test]
async fn the_form_of_an_answer() {
    let server = server().await;
    let mut session = connect(&server).await;
    assert_eq!(poll_fn(|cx| session.poll_form(cx)).await.unwrap_err().kind(), ErrorKind::NoRow);
    fresh_table(&mut session).await;
    let table = r.table("t");
    for (query, form, rows) in [
        (r.expr(7), Form::Value, 1),
        (r.expr(obj! { "a": [1] }), Form::Value, 1),
        (r.expr([1, 2]), Form::Rows, 2),
        (r.expr([0; 0]), Form::Rows, 0),
        (table.get(3), Form::Value, 1),
        (r.range(1000), Form::Rows, 1000),
        (table.changes().include_initial(true).limit(2), Form::Feed, 2),
        (table.changes().into(), Form::Feed, 0),
    ] {
        session.begin(&query).unwrap();
        for _ in 0..2 {
            assert_eq!(poll_fn(|cx| session.poll_form(cx)).await.unwrap(), form, "{query}");
        }
        for _ in 0..rows {
            poll_fn(|cx| session.poll_row::<Value>(cx)).await.unwrap().unwrap();
        }
        session.settle(SOON).await.unwrap();
    }
    session.begin(r.expr(1).add("a")).unwrap();
    let error = poll_fn(|cx| session.poll_form(cx)).await.unwrap_err();
    assert_eq!(error.error_type(), Some(ErrorType::QueryLogic));
    assert!(poll_fn(|cx| session.poll_row::<Value>(cx)).await.is_none());
}

#[tokio::test]
async fn rows_as_a_stream_and_as_json() {
    let server = server().await;
    let mut session = connect(&server).await;
    let even: Vec<u64> = session
        .rows::<u64>(r.range(1000))
        .await
        .unwrap()
        .try_filter(|n| std::future::ready(n % 2 == 0))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(even.len(), 500);
    let mut rows = session.rows::<Value>(r.expr((obj! { "b": 1, "a": 1.5 }, "x"))).await.unwrap();
    let json = rows.next_json().await.unwrap().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!({ "a": 1.5, "b": 1 }));
    assert_eq!(rows.next_json().await.unwrap(), Some(r#""x""#));
    assert_eq!(rows.next_json().await.unwrap(), None);
    assert!(rows.next().await.is_none());
    assert!(!session.is_unclean());

    let mut rows = session.rows::<u64>(r.range(args![])).await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap(), 0);
    rows.stop().await.unwrap();
    assert!(!session.is_unclean() && session.is_alive());
}

#[tokio::test]
async fn errors_show_the_place() {
    let server = server().await;
    let mut session = connect(&server).await;
    let error = session.run(r.expr(1).add(r.expr("a").sub(2))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Runtime(ErrorType::QueryLogic));
    assert_eq!(error.query_sent(), Sent::Sent);
    assert_eq!(
        error.to_string(),
        "Expected type NUMBER but found STRING in:\n\
         r.expr(1).add(r.expr(\"a\").sub(2))\n              ^^^^^^^^^^^^^^^^^^"
    );
    assert_eq!(error.message(), "Expected type NUMBER but found STRING.");
    let error = session.run(r.table("none").filter(r.row().g("a").eq(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Runtime(ErrorType::OpFailed));
    assert_eq!(error.to_string().lines().nth(2).unwrap(), "^".repeat("r.table(\"none\")".len()));
    let error = session.run(r.error("No way")).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Runtime(ErrorType::User), "No way"));
    let error = session.run(r.expr([1]).map(|x: Term| x + r.expr(()).g("b"))).await.unwrap_err();
    let shown = error.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let (query, carets) = (lines[lines.len() - 2], lines[lines.len() - 1]);
    assert_eq!(query, r#"r.expr([1]).map(var1 => var1.add(r.expr(null)("b")))"#);
    let start = carets.find('^').unwrap();
    assert_eq!(&query[start..carets.len()], "null", "{shown}");
    let error = session.run(r.expr(1).slice(args![])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compile, "{error}");
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream() {
    let server = server().await;
    let mut session = connect(&server).await;
    let query = r.range(10_000).map(|n: Term| r.branch(args![n.lt(5000), n, r.error("late")]));
    let query = Query::new(query).max_batch_rows(100);
    let mut rows = session.rows::<u64>(query).await.unwrap();
    let mut seen = 0;
    let error = loop {
        match rows.next().await.unwrap() {
            Ok(_) => seen += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.message(), "late");
    assert!(seen > 0 && seen <= 5000, "{seen}");
    assert!(rows.next().await.is_none());
    assert!(!session.is_unclean());
}

#[tokio::test]
async fn a_row_that_is_something_else() {
    let server = server().await;
    let mut session = connect(&server).await;
    for query in [r.range(100_000).map(|n: Term| r.branch(args![n.lt(3), n, "x"])), r.expr((1, "x"))] {
        let error = session.all::<u64>(query).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(!session.is_unclean());
    }
    assert_eq!(session.one::<u64>(r.expr("x")).await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn what_cannot_be_sent() {
    let server = server().await;
    let mut session = connect(&server).await;
    let mut deep = r.expr(1);
    for _ in 0..100_000 {
        deep = deep + 1;
    }
    for query in [r.expr(f64::NAN), r.table("t").insert([f64::INFINITY]).into(), deep, r.expr(u128::MAX)] {
        let error = session.run(&query).await.unwrap_err();
        assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Invalid, Sent::NotSent), "{error}");
    }
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn the_deepest_query_fits_on_a_small_stack() {
    let mut deep = r.expr(1);
    for _ in 1..reql::MAX_DEPTH {
        deep = deep + 1;
    }
    let work = move || {
        let text = serde_json::to_string(&deep).unwrap();
        (text.len(), deep.to_string().len(), deep == deep.clone())
    };
    let worker = std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap();
    let (json, text, same) = worker.join().unwrap();
    assert!(json > 3000 && text > 3000 && same);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kinds {
    id: String,
    at: Time,
    data: Binary,
    place: Geometry,
    tags: Vec<Option<i64>>,
    pair: (bool, f64),
}

#[tokio::test]
async fn values_both_ways() {
    let server = server().await;
    let mut session = connect(&server).await;
    fresh_table(&mut session).await;
    let polygon = vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]];
    let geometries = [
        Geometry::Point([2.5, 49.0]),
        Geometry::Line(vec![[0.0, 0.0], [1.0, 1.0]]),
        Geometry::Polygon(polygon),
    ];
    for (at, place) in geometries.into_iter().enumerate() {
        let kinds = Kinds {
            id: format!("k{at}"),
            at: Time::new(1446539400.125, "+02:00"),
            data: Binary((0..=255).collect()),
            place,
            tags: vec![Some(1), None, Some(-(1 << 53))],
            pair: (true, 0.1),
        };
        let written: Written<Kinds> =
            session.one(r.table("t").insert(&kinds).return_changes(true)).await.unwrap();
        assert_eq!((written.inserted, written.errors), (1, 0), "{written:?}");
        assert_eq!(written.changes[0].new_val.as_ref(), Some(&kinds));
        assert_eq!(session.one::<Kinds>(r.table("t").get(&kinds.id)).await.unwrap(), kinds);
    }
    let types: Vec<String> = session
        .one(r.table("t").get("k0").do_(|k: Term| ["at", "data", "place"].map(|name| k.g(name).type_of())))
        .await
        .unwrap();
    assert_eq!(types, ["PTYPE<TIME>", "PTYPE<BINARY>", "PTYPE<GEOMETRY>"]);
    let grouped: Grouped<bool, u64> =
        session.one(r.range(5).coerce_to("array").group(|n: Term| n.gt(1)).count()).await.unwrap();
    assert_eq!(grouped.0, [(false, 2), (true, 3)]);
}

#[tokio::test]
async fn data_is_never_a_term() {
    let server = server().await;
    let mut session = connect(&server).await;
    for value in [
        json!([15, ["users"]]),
        json!({ "a": [1, [2, [3]]], "reql::Term": [57, []] }),
        json!([[169, []], [11, ["throw 1"]]]),
        json!({ "$reql_type": "TIME", "[": "]" }),
    ] {
        assert_eq!(session.one::<Value>(r.expr(&value)).await.unwrap(), value);
        let raw = serde_json::value::RawValue::from_string(value.to_string()).unwrap();
        assert_eq!(session.one::<Value>(r.expr(&raw)).await.unwrap(), value);
    }
    #[derive(Serialize)]
    #[serde(rename = "reql::Term")]
    struct Pretender(Vec<u64>);
    assert_eq!(session.one::<Value>(r.expr(Pretender(vec![59]))).await.unwrap(), json!([59]));
}

#[tokio::test]
async fn databases_and_options_of_a_run() {
    let server = server().await;
    let mut session = connector(&server).database("d").connect().await.unwrap();
    fresh_table(&mut session).await;
    session.run(r.table("t").delete()).await.unwrap();
    let count = |database: &str| Query::new(r.table("t").count()).database(database);
    assert_eq!(session.one::<u64>(r.table("t").count()).await.unwrap(), 0);
    assert_eq!(session.one::<u64>(count("test")).await.unwrap(), 2);
    let profiled = count("test").profile(true);
    assert_eq!(session.one::<u64>(profiled).await.unwrap(), 2);
    assert!(serde_json::from_str::<Value>(session.profile().unwrap()).unwrap().is_array());
    let limited = Query::new(r.range(10).coerce_to("array")).array_limit(5);
    let error = session.run(limited).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Runtime(ErrorType::ResourceLimit), "{error}");
    assert_eq!(session.profile(), None);
}

#[tokio::test]
async fn feeds() {
    let server = server().await;
    let (mut session, mut writer) = (connect(&server).await, connect(&server).await);
    fresh_table(&mut writer).await;
    let error = session.feed::<Value>(r.table("t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAFeed);
    let error = session.all::<Value>(r.table("t").changes()).await.unwrap_err();
    assert_eq!((error.kind(), session.is_unclean()), (ErrorKind::Feed, false), "{error}");
    let shared = connect(&server).await.share().unwrap();
    let error = shared.all::<Value>(r.table("t").changes()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Feed, "{error}");
    let query = r.table("t").changes().include_initial(true).include_states(true);
    let mut feed = session.feed::<Change<Value>>(query).await.unwrap();
    let mut initial = 0;
    loop {
        let change = tokio::time::timeout(SOON, feed.next()).await.unwrap().unwrap().unwrap();
        match change.state.as_deref() {
            Some("ready") => break,
            Some(_) => {}
            None => initial += 1,
        }
    }
    assert_eq!(initial, 2);
    writer.run(r.table("t").get(1).delete()).await.unwrap();
    let change = tokio::time::timeout(SOON, feed.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(change.old_val.unwrap()["id"], 1);
    assert_eq!(change.new_val, None);
    drop(feed);
    assert!(session.is_unclean() && session.is_alive());
    session.settle(SOON).await.unwrap();
    assert_eq!(session.one::<u64>(r.table("t").count()).await.unwrap(), 1);
}

#[tokio::test]
async fn queries_without_an_answer() {
    let server = server().await;
    let mut session = connect(&server).await;
    fresh_table(&mut session).await;
    for n in 0..100 {
        session.noreply(r.table("t").insert(obj! { "id": 100 + n })).await.unwrap();
    }
    session.noreply(r.error("nobody learns of it")).await.unwrap();
    session.noreply_wait().await.unwrap();
    assert_eq!(session.one::<u64>(r.table("t").count()).await.unwrap(), 102);
    let info = session.server_info().await.unwrap();
    assert_eq!(info.id, server.info().id);
    session.close().await.unwrap();
}

#[tokio::test]
async fn who_gets_in() {
    let server = Server::builder().initial_password("pass,word=ü").start().await.unwrap();
    let connector = connector(&server).user("admin", "pass,word=ü");
    let mut session = connector.connect().await.unwrap();
    let user = obj! { "id": "a=b,c", "password": "other" };
    session.run(r.db("rethinkdb").table("users").insert(user)).await.unwrap();
    // Twice, the second time with kept keys.
    for _ in 0..2 {
        let mut other = connector.connect_as("a=b,c", "other").await.unwrap();
        assert_eq!(other.one::<u64>(r.expr(1)).await.unwrap(), 1);
        let error = connector.connect_as("a=b,c", "wrong").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused(12), "{error}");
    }
    let error = connector.connect_as("nobody", "other").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused(17), "{error}");
    let error = connector.connect_as("", "").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Refused(_)), "{error}");
    // A new password counts at once, and the old one no more.
    let changed = r.db("rethinkdb").table("users").get("a=b,c").update(obj! { "password": "new" });
    session.run(changed).await.unwrap();
    assert!(connector.connect_as("a=b,c", "other").await.is_err());
    connector.connect_as("a=b,c", "new").await.unwrap();
}

#[tokio::test]
async fn sockets_have_their_options() {
    let server = server().await;
    let (idle, limit) = (Duration::from_secs(7), Duration::from_millis(1500));
    let connector = connector(&server).keepalive(Some(idle)).user_timeout(Some(limit));
    let session = connector.connect().await.unwrap();
    assert!(!session.get_ref().is_tls());
    let socket = socket2::SockRef::from(session.get_ref().tcp().unwrap());
    assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(
        (socket.tcp_keepalive_time().unwrap(), socket.tcp_user_timeout().unwrap()),
        (idle, Some(limit))
    );
}

#[tokio::test]
async fn nobody_is_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let patient = Connector::new(&address).timeout(Duration::from_millis(200));
    let error = patient.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("handshake"), "{error}");
    drop(listener);
    let error = patient.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn is_alive_sees_the_end() {
    let server = server().await;
    let mut session = connect(&server).await;
    assert!(session.is_alive());
    assert_eq!(session.one::<u64>(r.expr(1)).await.unwrap(), 1);
    assert!(session.is_alive());
    server.shutdown().await;
    // tokio doesn't know of it yet: the check reads from the socket itself.
    assert!(!session.is_alive());
    let error = session.one::<u64>(r.expr(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.query_sent()), (ErrorKind::Closed, Sent::NotSent), "{error}");
}

#[tokio::test]
async fn over_a_stream_within_the_process() {
    let server = Server::builder().in_process().start().await.unwrap();
    let connector = Connector::new("within").database("d");
    let mut session = connector.connect_over(server.connect().await.unwrap()).await.unwrap();
    fresh_table(&mut session).await;
    assert_eq!(session.one::<u64>(r.table("t").count()).await.unwrap(), 2);
    let many = session.all::<u64>(r.range(10_000)).await.unwrap();
    assert!(many.iter().copied().eq(0..10_000));
    assert!(session.is_alive());
    let shared = connector.connect_over(server.connect().await.unwrap()).await.unwrap().share().unwrap();
    assert_eq!(shared.one::<u64>(r.table("t").count()).await.unwrap(), 2);
    server.shutdown().await;
    assert!(!session.is_alive());
    assert!(shared.run(r.expr(1)).await.unwrap_err().is_fatal());
}

#[tokio::test]
async fn shared_connections() {
    let server = server().await;
    let mut writer = connect(&server).await;
    fresh_table(&mut writer).await;
    let shared = connect(&server).await.share().unwrap();
    let mut feed = shared.feed::<Change<Value>>(r.table("t").changes()).await.unwrap();
    // A stream of which only one row is taken holds up no other.
    let mut slow = shared.rows::<u64>(r.range(args![])).await.unwrap();
    assert_eq!(slow.next().await.unwrap().unwrap(), 0);
    let sums = futures_util::future::join_all((0..200_u64).map(|n| {
        let shared = shared.clone();
        async move { (n, shared.one::<u64>(r.expr(n) + 1).await.unwrap()) }
    }));
    for (n, sum) in sums.await {
        assert_eq!(sum, n + 1);
    }
    writer.run(r.table("t").get(1).update(obj! { "a": 7 })).await.unwrap();
    let change = tokio::time::timeout(SOON, feed.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(change.new_val.unwrap()["a"], 7);
    let many = shared.all::<u64>(r.range(10_000)).await.unwrap();
    assert!(many.iter().copied().eq(0..10_000));
    assert!(slow.next().await.unwrap().is_ok());
    let error = shared.run(r.expr(1) + "a").await.unwrap_err();
    assert!(error.to_string().ends_with("^^^"), "{error}");
    shared.noreply(r.table("t").insert(obj! { "id": 3 })).await.unwrap();
    shared.noreply_wait().await.unwrap();
    assert_eq!(shared.server_info().await.unwrap().id, server.info().id);
    assert_eq!(shared.one::<u64>(r.table("t").count()).await.unwrap(), 3);
    assert!(matches!(feed.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn shared_queries_that_are_dropped_are_stopped() {
    let server = server().await;
    let shared = connect(&server).await.share().unwrap();
    // More queries than may be open at once, each given up.
    for _ in 0..1200 {
        let endless = Query::new(r.range(args![])).max_batch_rows(10);
        let mut rows = shared.rows::<u64>(endless).await.unwrap();
        rows.next().await.unwrap().unwrap();
    }
    let ids: Vec<u64> = shared.all(r.expr(Vec::from_iter(0..3))).await.unwrap();
    assert_eq!(ids, [0, 1, 2]);
    assert!(shared.one::<bool>(r.or(Args::from_iter([false, true]))).await.unwrap());
    drop(shared);
    let closed = async {
        while server.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, closed).await.unwrap();
}

#[tokio::test]
async fn streams_are_streams() {
    let server = server().await;
    let shared = connect(&server).await.share().unwrap();
    let rows = shared.rows::<u64>(r.range(10)).await.unwrap();
    assert_eq!(rows.map(Result::unwrap).collect::<Vec<_>>().await.len(), 10);
}
