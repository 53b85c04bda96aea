//! `Idempotency-Key`: done once, whoever hangs up, dies, or asks again.

// Helpers of tests may unwrap as tests do.
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::guarded::{Guarded, basic};
use crate::support::link::{Link, Traffic};
use crate::support::{Api, PATIENCE, body, header, number, problem, raw, rdb, server};
use futures_util::{StreamExt, stream};
use reql::{Conflict, r};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use warp_reql::{Conn, Database};

const DOCS: &str = "/tables/heroes/docs";
const KEY: &str = "idempotency-key";

fn keys(database: &Database) -> reql::commands::Table {
    r.db(beside(database)).table("idempotency_keys")
}

/// The database of what the service remembers.
fn beside(database: &Database) -> String {
    format!("{}_warp_reql", database.settings().db)
}

async fn has_made_it(database: &Database) -> bool {
    let all: Vec<String> = Conn::new(database.clone()).all(r.db_list()).await.unwrap();
    all.contains(&beside(database))
}

async fn ask(database: &Database, query: impl Into<reql::Query>) -> Value {
    Conn::new(database.clone()).first(query).await.unwrap().unwrap_or_default()
}

async fn all(database: &Database) -> Vec<Value> {
    Conn::new(database.clone()).all(r.table("heroes")).await.unwrap()
}

async fn records(database: &Database) -> Vec<Value> {
    Conn::new(database.clone()).all(keys(database)).await.unwrap_or_default()
}

async fn unanswered(database: &Database) -> usize {
    records(database).await.iter().filter(|record| record["answer"].is_null()).count()
}

fn post(key: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {DOCS} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Asks until the key is free: the status, and the body.
async fn insist(service: SocketAddr, key: &str, body: &Value) -> (u16, Value) {
    let ask = async {
        loop {
            let answer = String::from_utf8(raw(service, post(key, body).as_bytes()).await).unwrap();
            let status = answer[9..12].parse().unwrap();
            let body = answer.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body).unwrap());
            if status != 409 {
                return (status, body.unwrap());
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, ask).await.expect("the key is free some time")
}

/// `HANG_UPS` is how many clients hang up.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_finds_its_request_done_once() {
    let api = Api::start().await;
    let service = api.serve().await;
    let clients = number("HANG_UPS", 60);
    let hang_up = |n: u64| async move {
        let (key, order) = (format!("order-{n}"), json!({ "order": n }));
        let mut stream = TcpStream::connect(service.addr).await.unwrap();
        stream.write_all(post(&key, &order).as_bytes()).await.unwrap();
        // At every moment of a request that takes a few milliseconds.
        sleep(Duration::from_micros(n * 12_000 / clients)).await;
        if n.is_multiple_of(2) {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        let (status, stored) = insist(service.addr, &key, &order).await;
        assert_eq!((status, &stored["order"]), (201, &json!(n)), "{stored}");
        stored["id"].to_string()
    };
    let ids: BTreeSet<_> = stream::iter(0..clients).map(hang_up).buffer_unordered(8).collect().await;
    assert_eq!(ids.len() as u64, clients);
    let stored = all(&api.database).await;
    assert_eq!(stored.len() as u64, clients, "each order is there once");
    assert!(stored.iter().all(|document| ids.contains(&document["id"].to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_goes_on_without_its_client() {
    let server = server().await;
    let link = Link::to(server.local_addr()).await;
    let made = Api::over(rdb(server.local_addr()), true);
    made.send("POST", "/tables", &json!({"name": "heroes"})).await;
    let api = Api::over(rdb(link.addr), true);
    let service = api.serve().await;
    assert_eq!(insist(service.addr, "first", &json!({})).await.0, 201);
    link.set(Traffic::Delays(Duration::from_millis(30))).await;
    let mut stream = TcpStream::connect(service.addr).await.unwrap();
    stream.write_all(post("k", &json!({"a": 1})).as_bytes()).await.unwrap();
    // The key is claimed as soon as there are two records.
    wait_for(|| async { records(&made.database).await.len() == 2 }).await;
    drop(stream);
    wait_for(|| async { all(&made.database).await.len() == 2 }).await;
    wait_for(|| async { unanswered(&made.database).await == 0 }).await;
    let again = made.with("POST", DOCS, &[JSON, (KEY, "k")], b"{\"a\":1}").await;
    assert_eq!((again.status().as_u16(), header(&again, "idempotency-replayed")), (201, "true"));
    assert_eq!(all(&made.database).await.len(), 2);
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn wait_for<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let wait = async {
        while !holds().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it happens");
}

/// The service in a process of its own.
struct Process {
    child: Child,
    addr: SocketAddr,
    _home: TempDir,
}

impl Process {
    fn start(database: SocketAddr) -> Process {
        let home = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_warp-reql"));
        command.env_clear().current_dir(home.path()).envs([("APP_PORT", "0"), ("RDB_STANDBY", "0")]);
        command.env("RDB_HOST", database.to_string()).stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Serving http://") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {:?}", child.wait());
        }
        // Its log is read to the end, so that it is never kept from writing.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let addr = line.split("http://").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        Process { child, addr, _home: home }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL. It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a service when its document is written and its answer isn't there yet; gives what the next one says.
async fn killed_between(request: &Value, written: usize) -> (Value, Vec<Value>) {
    let server = server().await;
    let link = Link::to(server.local_addr()).await;
    let direct = Database::new(rdb(server.local_addr())).unwrap();
    ask(&direct, r.table_create("heroes")).await;
    let first = Process::start(link.addr);
    assert_eq!(insist(first.addr, "first", &json!({"id": "first"})).await.0, 201);
    link.set(Traffic::Delays(Duration::from_millis(250))).await;
    let mut client = TcpStream::connect(first.addr).await.unwrap();
    client.write_all(post("k", request).as_bytes()).await.unwrap();
    wait_for(|| async { all(&direct).await.len() == 1 + written }).await;
    drop(first);
    assert_eq!(unanswered(&direct).await, 1, "it died before it could remember its answer");
    // Nobody else takes it up before the time of the first is over.
    let second = Process::start(server.local_addr());
    let early = String::from_utf8(raw(second.addr, post("k", request).as_bytes()).await).unwrap();
    assert!(early.starts_with("HTTP/1.1 409") && early.contains("retry-after: 1"), "{early}");
    // That takes seconds; here it is over at once.
    ask(&direct, keys(&direct).update(json!({"lease": 1}))).await;
    let (status, answer) = insist(second.addr, "k", request).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(insist(second.addr, "k", request).await, (201, answer.clone()));
    (answer, all(&direct).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_between_writing_and_remembering_writes_once() {
    let (answer, stored) = killed_between(&json!({"name": "x"}), 1).await;
    assert_eq!(stored.len(), 2);
    assert!(stored.contains(&answer), "{answer} in {stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_ids_of_their_own_are_told_from_others() {
    let request = json!({"id": "mine", "n": 1.0});
    let (answer, stored) = killed_between(&request, 1).await;
    assert_eq!((answer["id"].as_str(), stored.len()), (Some("mine"), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_all_documents_of_a_bulk_insert() {
    let request = json!([{"name": "x"}, {"id": "mine"}, {"name": "x"}]);
    let (answer, stored) = killed_between(&request, 3).await;
    let ids: BTreeSet<_> = stored.iter().map(|document| document["id"].to_string()).collect();
    assert_eq!(ids.len(), 4);
    for outcome in answer.as_array().unwrap() {
        assert!(outcome["status"] == 201 && ids.contains(&outcome["id"].to_string()), "{outcome}");
    }
    assert_eq!(answer[1]["id"], "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_database_lost_is_made_up_for_at_once() {
    for traffic in [Traffic::Breaks, Traffic::Halves] {
        let server = server().await;
        let link = Link::to(server.local_addr()).await;
        let direct = Database::new(rdb(server.local_addr())).unwrap();
        ask(&direct, r.table_create("heroes")).await;
        let api = Api::over(rdb(link.addr), true);
        let keyed = [JSON, (KEY, "k")];
        assert_eq!(api.with("POST", DOCS, &[JSON, (KEY, "first")], b"{}").await.status(), 201);
        link.set(Traffic::Delays(Duration::from_millis(100))).await;
        let break_off = async {
            wait_for(|| async { all(&direct).await.len() == 2 }).await;
            link.set(traffic).await;
        };
        // What was sent before arrives; whatever comes then is lost.
        let (answer, ()) = tokio::join!(api.with("POST", DOCS, &keyed, b"{}"), break_off);
        assert!([201, 503].contains(&answer.status().as_u16()), "{answer:?}");
        link.set(Traffic::Flows).await;
        ask(&direct, keys(&direct).update(json!({"lease": 0}))).await;
        let again = api.with("POST", DOCS, &keyed, b"{}").await;
        assert_eq!((again.status().as_u16(), all(&direct).await.len()), (201, 2), "{again:?}");
    }
}

#[tokio::test]
async fn two_processes_that_carry_out_one_request_write_once() {
    let api = Api::start().await;
    let request = b"[{\"a\":1},{\"a\":2}]";
    assert_eq!(api.with("POST", DOCS, &[JSON, (KEY, "k")], request).await.status(), 201);
    // As if the first were still at it, and had been given up.
    ask(&api.database, keys(&api.database).update(json!({"answer": null, "lease": 0}))).await;
    let again = api.with("POST", DOCS, &[JSON, (KEY, "k")], request).await;
    assert_eq!((again.status().as_u16(), header(&again, "idempotency-replayed")), (201, ""));
    assert_eq!(all(&api.database).await.len(), 2);
    // What others have made of a document meanwhile stays theirs.
    ask(&api.database, r.table("heroes").update(json!({"a": 3}))).await;
    ask(&api.database, keys(&api.database).update(json!({"answer": null, "lease": 0}))).await;
    let merging = [JSON, (KEY, "k"), ("prefer", "resolution=replace-duplicates")];
    problem(&api.with("POST", DOCS, &merging, request).await, 422, "idempotency-key-reused");
    assert_eq!(api.with("POST", DOCS, &[JSON, (KEY, "k")], request).await.status(), 201);
    assert!(all(&api.database).await.iter().all(|document| document["a"] == 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_once_a_part_of_its_request_is_done() {
    let server = server().await;
    let link = Link::to(server.local_addr()).await;
    let direct = Database::new(rdb(server.local_addr())).unwrap();
    ask(&direct, r.table_create("heroes")).await;
    let api = Api::over(rdb(link.addr), true);
    assert_eq!(api.with("POST", DOCS, &[JSON, (KEY, "first")], b"{}").await.status(), 201);
    // More than one batch, after the first of which the table goes.
    let sent: Vec<_> = (0..400).map(|n| json!({"n": n})).collect();
    let sent = json!(sent).to_string();
    link.set(Traffic::Delays(Duration::from_millis(100))).await;
    let drop_it = async {
        wait_for(|| async { all(&direct).await.len() > 1 }).await;
        ask(&direct, r.table_drop("heroes")).await;
    };
    let keyed = [JSON, (KEY, "k")];
    let (answer, ()) = tokio::join!(api.with("POST", DOCS, &keyed, sent.as_bytes()), drop_it);
    problem(&answer, 404, "no-such-table");
    assert_eq!(unanswered(&direct).await, 1, "the key is not free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_too_long_may_have_been_done() {
    let server = server().await;
    let link = Link::to(server.local_addr()).await;
    let direct = Database::new(rdb(server.local_addr())).unwrap();
    ask(&direct, r.table_create("heroes")).await;
    let api = Api::over(rdb(link.addr), true);
    let one = format!("{DOCS}/1");
    assert_eq!(api.send("PUT", &one, &json!({"n": 1})).await.status(), 201);
    for (method, path, sent) in [
        ("PUT", &one[..], json!({"n": 2})),
        ("PATCH", &one, json!({"n": 3})),
        ("PATCH", "/tables/heroes/docs?all=true", json!({"n": 4})),
        ("POST", DOCS, json!({"id": 2})),
        ("POST", DOCS, json!([{"id": 3}])),
        ("DELETE", &one, Value::Null),
    ] {
        let before = all(&direct).await;
        link.set(Traffic::Swells).await;
        let sent = if sent.is_null() { String::new() } else { sent.to_string() };
        problem(&api.with(method, path, &[], sent.as_bytes()).await, 503, "outcome-unknown");
        assert_ne!(all(&direct).await, before, "{method} {path}");
        problem(&api.call("GET", DOCS).await, 422, "resource-limit");
        link.set(Traffic::Flows).await;
    }
}

#[tokio::test]
async fn all_lines_of_a_header_are_a_part_of_the_request() {
    let api = Api::start().await;
    let with = async |prefer: &[&str]| {
        let prefer = prefer.iter().map(|line| ("prefer", *line));
        let headers: Vec<_> = [JSON, (KEY, "k")].into_iter().chain(prefer).collect();
        api.with("POST", DOCS, &headers, b"{\"id\": 1}").await
    };
    assert_eq!(with(&["return=minimal", "resolution=replace-duplicates"]).await.status(), 201);
    problem(&with(&["return=minimal"]).await, 422, "idempotency-key-reused");
    // One line says the same.
    let again = with(&["return=minimal, resolution=replace-duplicates"]).await;
    assert_eq!((again.status().as_u16(), header(&again, "idempotency-replayed")), (201, "true"));
}

#[tokio::test]
async fn answers_are_for_who_may_do_the_request_now() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let write = async |user: &str, password: &str| {
        let authorization = match user {
            "admin" => basic(user, password),
            user => guarded.basic(user, password),
        };
        let headers = [("authorization", authorization.as_str()), JSON, (KEY, "k")];
        guarded.api.with("POST", DOCS, &headers, b"{\"pin\":9999}").await
    };
    for (user, password, status, code) in
        [("nobody", "bad", 401, "unauthorized"), ("reader", "reader's", 403, "forbidden")]
    {
        problem(&write(user, password).await, status, code);
    }
    assert!(!has_made_it(&guarded.admin).await, "nothing is made for them");

    let first = write("writer", "writer's").await;
    assert_eq!(first.status(), 201);
    guarded.set("writer", json!({"password": "new"})).await;
    problem(&write("writer", "writer's").await, 401, "unauthorized");
    let replayed = write("writer", "new").await;
    assert_eq!((replayed.body(), header(&replayed, "idempotency-replayed")), (first.body(), "true"));
    guarded.permit("writer", json!({"read": true, "write": false})).await;
    problem(&write("writer", "new").await, 403, "forbidden");
    guarded.set("writer", Value::Null).await;
    problem(&write("writer", "new").await, 401, "unauthorized");
    assert_eq!(write("admin", "").await.status(), 201, "others' keys are others'");
    assert_eq!(all(&guarded.admin).await.len(), 2);
}

#[tokio::test]
async fn a_forged_record_decides_nothing() {
    let api = Api::start().await;
    let keyed = [JSON, (KEY, "k")];
    assert_eq!(api.with("POST", DOCS, &keyed, b"{}").await.status(), 201);
    for forged in [
        json!({"answer": {"status": 101, "body": ""}}),
        json!({"answer": {"status": 302, "location": "https://evil.example/", "body": ""}}),
        json!({"answer": {"body": "<script>alert(1)</script>"}}),
        json!({"answer": {"headers": [["set-cookie", "sid=evil"]]}}),
        json!({"answer": "x"}),
        json!({"seed": 1}),
    ] {
        let kept = ask(&api.database, keys(&api.database).nth(0)).await;
        ask(&api.database, keys(&api.database).update(forged.clone())).await;
        let response = api.with("POST", DOCS, &keyed, b"{}").await;
        problem(&response, 500, "internal");
        assert!(!response.headers().contains_key("set-cookie"), "{forged}");
        ask(&api.database, keys(&api.database).insert(kept).conflict(Conflict::Replace)).await;
    }
    let replayed = api.with("POST", DOCS, &keyed, b"{}").await;
    assert_eq!(header(&replayed, "idempotency-replayed"), "true");
}

#[tokio::test]
async fn records_are_nobodys_to_read_or_write() {
    let api = Api::start().await;
    // As an earlier version left it.
    ask(&api.database, r.table_create("idempotency_keys")).await;
    ask(&api.database, r.table("idempotency_keys").insert(json!({"id": "x"}))).await;
    assert_eq!(api.with("POST", DOCS, &[JSON, (KEY, "k")], b"{}").await.status(), 201);
    let listed = body(&api.call("GET", "/tables").await);
    assert!(!listed.to_string().contains("idempotency_keys"), "{listed}");
    problem(&api.send("POST", "/tables", &json!({"name": "idempotency_keys"})).await, 409, "conflict");
    let at = |path: &str| format!("/tables/idempotency_keys{path}");
    for (method, path) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/docs"),
        ("GET", "/docs?id=has"),
        ("GET", "/docs?group=id"),
        ("POST", "/docs"),
        ("PATCH", "/docs?all=true"),
        ("DELETE", "/docs?all=true"),
        ("GET", "/docs/x"),
        ("PUT", "/docs/x"),
        ("PATCH", "/docs/x"),
        ("DELETE", "/docs/x"),
        ("GET", "/changes"),
        ("GET", "/indexes"),
        ("GET", "/indexes/expires"),
        ("PUT", "/indexes/a"),
        ("DELETE", "/indexes/expires"),
    ] {
        for (name, value) in [
            ("accept", "*/*"),
            ("accept", "text/event-stream, application/json"),
            ("accept", "application/x-ndjson, */*"),
            ("prefer", "explain"),
        ] {
            let sent = if method == "GET" || method == "DELETE" { "" } else { "{\"fields\":[\"a\"]}" };
            let response = api.with(method, &at(path), &[JSON, (name, value)], sent.as_bytes()).await;
            problem(&response, 404, "no-such-table");
        }
    }
    let left: Vec<Value> = Conn::new(api.database.clone()).all(r.table("idempotency_keys")).await.unwrap();
    assert_eq!(left, [json!({"id": "x"})]);
}

#[tokio::test]
async fn a_table_that_is_not_there_takes_no_key() {
    let api = Api::start().await;
    let response = api.with("POST", "/tables/nope/docs", &[JSON, (KEY, "k")], b"{}").await;
    problem(&response, 404, "no-such-table");
    assert!(!has_made_it(&api.database).await);
}
