//! Every row of the table of problems: each code is provoked, and documented.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::link::{Link, Traffic};
use crate::support::{Api, Fault, Faulty, PATIENCE, header, nobody, problem, rdb};
use reql::{ErrorKind, ErrorType, r};
use serde_json::{Value, json};
use warp::Reply;
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::error::{Code, Error};
use warp_reql::settings::{Auth, Limits, Rdb, Settings};
use warp_reql::{Conn, Database};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A request and the problem it is answered with.
struct Row {
    code: Code,
    method: &'static str,
    path: String,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    /// More that the answer must have: members of the document and headers.
    has: &'static [(&'static str, &'static str)],
}

fn row(code: Code, method: &'static str, path: impl Into<String>) -> Row {
    Row { code, method, path: path.into(), headers: &[JSON], body: Vec::new(), has: &[] }
}

impl Row {
    fn sent(self, body: impl Into<Vec<u8>>) -> Row {
        Row { body: body.into(), ..self }
    }

    fn with(self, headers: &'static [(&'static str, &'static str)]) -> Row {
        Row { headers, ..self }
    }

    fn has(self, has: &'static [(&'static str, &'static str)]) -> Row {
        Row { has, ..self }
    }

    async fn provoke(&self, api: &Api) {
        let response = api.with(self.method, &self.path, self.headers, &self.body).await;
        self.check(&response);
    }

    fn check(&self, response: &Response<Bytes>) {
        let problem = problem(response, self.code.status().as_u16(), self.code.as_str());
        for (name, value) in self.has {
            let member = match &problem[*name] {
                Value::String(text) => text.clone(),
                Value::Null => header(response, name).to_owned(),
                other => other.to_string(),
            };
            assert_eq!(member, *value, "{name} of {problem}");
        }
    }
}

/// The types of patches that a document takes.
const ACCEPTED_PATCHES: &str =
    "application/merge-patch+json, application/json-patch+json, application/vnd.warp-reql.changes+json";

/// Problems of requests to a service over a working database.
fn of_requests() -> Vec<Row> {
    let none = "/tables/none";
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    vec![
        row(Code::BadRequest, "PUT", DOC).sent("[]"),
        row(Code::PatchFailed, "PATCH", DOC)
            .with(&[("content-type", "application/json-patch+json")])
            .sent("[{\"op\": \"remove\", \"path\": \"/none\"}]"),
        row(Code::TooManyAffected, "DELETE", format!("{DOCS}?all=true"))
            .with(&[("prefer", "max-affected=0")]),
        row(Code::BadRequest, "PUT", DOC).sent("{\"id\": 2}"),
        row(Code::BadRequest, "DELETE", DOCS),
        row(Code::BadJson, "PUT", DOC).sent("{\n  \"a\": trx}").has(&[("line", "2"), ("column", "10")]),
        row(Code::BadQuery, "POST", "/reql").with(REQL).sent("r.tabel('heroes')").has(&[("column", "3")]),
        row(Code::QueryFailed, "POST", "/reql").with(REQL).sent("r.table('none')").has(&[("column", "1")]),
        row(Code::BadParameter, "GET", format!("{DOCS}?limit=x")).has(&[("parameter", "limit")]),
        row(Code::BadName, "GET", "/tables/no%20name"),
        row(Code::QueryLogic, "GET", format!("{DOCS}?name=match.(")),
        row(Code::ForeignOrigin, "PUT", DOC)
            .with(&[JSON, ("host", "localhost"), ("origin", "https://evil.example")])
            .sent("{}"),
        row(Code::ForeignHost, "GET", DOC).with(&[("host", "evil.example")]),
        row(Code::InvalidTicket, "GET", format!("/tables/heroes/changes?ticket={}", "0".repeat(32))),
        row(Code::NoSuchPath, "GET", "/nope"),
        row(Code::NoSuchTable, "GET", none),
        row(Code::NoSuchTable, "DELETE", none),
        row(Code::NoSuchTable, "GET", format!("{none}/docs")),
        row(Code::NoSuchTable, "POST", format!("{none}/docs")).sent("{}"),
        row(Code::NoSuchTable, "PUT", format!("{none}/indexes/i")).sent("{\"fields\": [\"a\"]}"),
        row(Code::NoSuchIndex, "DELETE", "/tables/heroes/indexes/none"),
        row(Code::NoSuchDocument, "GET", "/tables/heroes/docs/none"),
        row(Code::NoSuchDocument, "PATCH", "/tables/heroes/docs/none").sent("{}"),
        row(Code::NoSuchDocument, "DELETE", "/tables/heroes/docs/none"),
        row(Code::MethodNotAllowed, "PUT", "/tables").has(&[("allow", "GET, HEAD, POST")]),
        row(Code::NotAcceptable, "GET", DOC).with(&[("accept", "image/png")]),
        row(Code::Conflict, "POST", DOCS).sent("{\"id\": 1}"),
        row(Code::Conflict, "POST", "/tables").sent("{\"name\": \"heroes\"}"),
        row(Code::Conflict, "PUT", "/tables/heroes/indexes/taken").sent("{\"fields\": [\"other\"]}"),
        row(Code::PreconditionFailed, "PUT", DOC).with(&[JSON, ("if-match", "\"old\"")]).sent("{}"),
        row(Code::PreconditionFailed, "PUT", DOC).with(&[JSON, ("if-none-match", "*")]).sent("{}"),
        row(Code::PreconditionFailed, "DELETE", DOC).with(&[("if-match", "\"old\"")]),
        row(Code::BodyTooLarge, "PUT", DOC).sent(json!({"a": "x".repeat(1 << 20)}).to_string()),
        row(Code::UrlTooLong, "GET", format!("{DOCS}?{}", "x".repeat(9000))),
        row(Code::HeadersTooLarge, "GET", DOC).with(LONG_HEADERS),
        row(Code::UnsupportedMediaType, "POST", DOCS).with(&[("content-type", "text/plain")]).sent("a,b"),
        row(Code::UnsupportedMediaType, "PATCH", DOC)
            .with(&[("content-type", "application/xml-patch+xml")])
            .sent("<diff/>")
            .has(&[("accept-patch", ACCEPTED_PATCHES)]),
        row(Code::Refused, "POST", DOCS).sent(json!({"id": "x".repeat(128)}).to_string()),
        row(Code::Refused, "GET", format!("{DOCS}/%00")),
    ]
}

const REQL: &[(&str, &str)] = &[("content-type", "application/vnd.rethinkdb.reql")];
const LONG_HEADERS: &[(&str, &str)] = &[("x-long", LONG), ("x-longer", LONG), ("x-longest", LONG)];
const LONG: &str = match std::str::from_utf8(&[b'x'; 6000]) {
    Ok(text) => text,
    Err(_) => "",
};

/// The API with a table and a document, with settings of its own.
async fn started(adapt: impl FnOnce(Settings) -> Settings) -> Api {
    let mut settings = Settings { debug: false, ..Settings::default() };
    let adopt = |own: Settings| {
        settings.rdb = own.rdb;
        settings.clone()
    };
    let api = Api::at_home(adopt).await;
    assert_eq!(api.send("PUT", DOC, &json!({"name": "x"})).await.status(), 201);
    let index = api.send("PUT", "/tables/heroes/indexes/taken", &json!({"fields": ["a"]})).await;
    assert_eq!(index.status(), 201);
    Api { home: api.home, ..Api::with_settings(adapt(settings)) }
}

async fn walk(api: &Api, rows: Vec<Row>, walked: &mut BTreeSet<&'static str>) {
    for row in rows {
        row.provoke(api).await;
        walked.insert(row.code.as_str());
    }
}

#[tokio::test]
async fn every_code_is_provoked() {
    let mut walked = BTreeSet::new();
    walk(&started(|settings| settings).await, of_requests(), &mut walked).await;
    of_users(&mut walked).await;
    of_keys(&mut walked).await;
    let api = started(|settings| Settings { require_match: true, ..settings }).await;
    let unconditional = [
        row(Code::PreconditionRequired, "PUT", DOC).sent("{}"),
        row(Code::PreconditionRequired, "PATCH", DOC).sent("{}"),
        row(Code::PreconditionRequired, "DELETE", DOC),
        row(Code::PreconditionRequired, "POST", DOCS)
            .with(&[JSON, ("prefer", "resolution=merge-duplicates")])
            .sent("{\"id\": 1}"),
        row(Code::PreconditionRequired, "POST", DOCS)
            .with(&[JSON, ("prefer", "resolution=replace-duplicates")])
            .sent("[{\"id\": 1}]"),
        row(Code::PreconditionRequired, "PATCH", format!("{DOCS}?id=eq.1")).sent("{\"n\": 1}"),
        row(Code::PreconditionRequired, "DELETE", format!("{DOCS}?id=eq.1"))
            .with(&[("prefer", "return=representation")]),
    ];
    walk(&api, unconditional.into(), &mut walked).await;
    let created = api.with("PUT", "/tables/heroes/docs/2", &[JSON, ("if-none-match", "*")], b"{}").await;
    assert_eq!(created.status(), 201);
    assert_eq!(api.send("POST", DOCS, &json!({"id": 3})).await.status(), 201);
    // What bounds or only shows a change of many is a condition, too.
    for prefer in ["tx=rollback", "explain", "max-affected=1"] {
        let many = api.with("PATCH", &format!("{DOCS}?id=eq.1"), &[("prefer", prefer)], b"{\"n\": 1}").await;
        assert_eq!(many.status(), 200, "{prefer}: {:?}", many.body());
    }
    assert_eq!(crate::support::body(&api.call("GET", DOC).await), json!({"id": 1, "name": "x", "n": 1}));
    let feedless = |settings| Settings { limits: Limits { feeds: 0, ..Limits::default() }, ..settings };
    let follow = row(Code::FeedsExhausted, "GET", "/tables/heroes/changes").has(&[("retry-after", "1")]);
    walk(&started(feedless).await, vec![follow], &mut walked).await;
    let full = |settings| Settings { limits: Limits { tickets: 0, ..Limits::default() }, ..settings };
    let ticket = row(Code::TicketsExhausted, "POST", "/tickets").sent(format!("{{\"url\": \"{DOCS}\"}}"));
    walk(&started(full).await, vec![ticket.has(&[("retry-after", "1")])], &mut walked).await;
    of_sizes(&mut walked).await;
    of_the_database(&mut walked).await;
    of_the_network(&mut walked).await;
    of_the_service(&mut walked);
    // What takes settings of its own is provoked beside them: `access/keys.rs`, `rates.rs`.
    walked.extend([Code::NoKeys, Code::RateLimited].map(Code::as_str));
    let all: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(walked, all);
}

/// Walks through the problems of answers that are too large, or too many at once.
async fn of_sizes(walked: &mut BTreeSet<&'static str>) {
    const LINES: &[(&str, &str)] = &[("accept", "application/x-ndjson")];
    const BUSY: &[(&str, &str)] = &[("retry-after", "1")];
    let bounded = |answer: u64, answers: u64, streams: usize| {
        move |settings| {
            let limits = Limits { answer, answers, streams, ..Limits::default() };
            Settings { limits, ..settings }
        }
    };
    let api = started(bounded(150_000, 1 << 10, 0)).await;
    // It is written, though there is no room to return it.
    assert_eq!(api.send("PUT", DOC, &json!({"text": "x".repeat(100_000)})).await.status(), 204);
    let rows = vec![
        row(Code::AnswersExhausted, "GET", DOCS).has(BUSY),
        row(Code::StreamsExhausted, "GET", DOCS).with(LINES).has(BUSY),
    ];
    walk(&api, rows, walked).await;
    let api = started(bounded(10_000, 1 << 20, 0)).await;
    assert_eq!(api.send("PUT", DOC, &json!({"text": "x".repeat(100_000)})).await.status(), 200);
    walk(&api, vec![row(Code::AnswerTooLarge, "GET", DOCS)], walked).await;
}

/// Walks through the problems of idempotency keys.
async fn of_keys(walked: &mut BTreeSet<&'static str>) {
    const KEY: &[(&str, &str)] = &[JSON, ("idempotency-key", "\"k\"")];
    let api = started(|settings| settings).await;
    assert_eq!(api.with("POST", DOCS, KEY, b"{}").await.status(), 201);
    walk(&api, vec![row(Code::KeyReused, "POST", DOCS).with(KEY).sent("{\"id\": 9}")], walked).await;
    // As if the first request were still running.
    let running = r
        .db(api.home().named("warp_reql"))
        .table("idempotency_keys")
        .update(json!({"answer": null, "lease": 1e12}));
    Conn::new(api.database.clone()).first::<Value>(running).await.expect("the table was made");
    walk(&api, vec![row(Code::KeyInUse, "POST", DOCS).with(KEY).sent("{}")], walked).await;
}

/// Walks through the problems of credentials and permissions.
async fn of_users(walked: &mut BTreeSet<&'static str>) {
    let api = started(|settings| Settings { auth: Auth::Database, ..settings }).await;
    let database = Database::new(api.database.settings().clone()).expect("the settings name a server");
    let users = r.db("rethinkdb").table("users");
    let user = users.insert(json!({"id": "bob", "password": "secret"}));
    Conn::new(database).first::<Value>(user).await.expect("the administrator may");
    const BOB: (&str, &str) = ("authorization", "Basic Ym9iOnNlY3JldA==");
    let rows = vec![
        row(Code::Unauthorized, "GET", DOC)
            .has(&[("www-authenticate", "Basic realm=\"warp-reql\", charset=\"UTF-8\"")]),
        row(Code::Unauthorized, "GET", DOC).with(&[("authorization", "Basic Ym9iOndyb25n")]),
        row(Code::Forbidden, "GET", DOC).with(&[BOB]),
        row(Code::Forbidden, "PUT", DOC).with(&[BOB, JSON]).sent("{}"),
        row(Code::Forbidden, "POST", "/tables").with(&[BOB, JSON]).sent("{\"name\": \"t\"}"),
    ];
    walk(&api, rows, walked).await;
}

/// Walks through the problems of a database that fails, or has lost a table.
async fn of_the_database(walked: &mut BTreeSet<&'static str>) {
    let api = started(|settings| settings).await;
    let long = json!({"a": vec![1; 100_001]}).to_string();
    walk(&api, vec![row(Code::Refused, "PUT", DOC).sent(long)], walked).await;
    let database = Database::new(api.database.settings().clone()).expect("the settings name a server");
    Conn::new(database)
        .first::<Value>(r.db_drop(api.home().name.clone()))
        .await
        .expect("the database was there");
    walk(&api, vec![row(Code::NoSuchDatabase, "GET", DOC)], walked).await;
}

/// Walks through the problems of the network to the database.
async fn of_the_network(walked: &mut BTreeSet<&'static str>) {
    const BUSY: &[(&str, &str)] = &[("retry-after", "1")];
    let soon = Duration::from_millis(50);
    let refused = Api::over(rdb(nobody().await), false);
    walk(&refused, vec![row(Code::DatabaseUnreachable, "GET", "/tables").has(BUSY)], walked).await;

    let faulty = Faulty::start(Fault::Silence).await;
    let silent = Api::over(Rdb { connect_timeout: soon, ..rdb(faulty.addr) }, false);
    walk(&silent, vec![row(Code::ConnectTimeout, "GET", "/tables")], walked).await;

    let full =
        Rdb { connect_timeout: PATIENCE, acquire_timeout: soon, max_connections: 1, ..rdb(faulty.addr) };
    let (limits, debug) = (Limits { requests: 2, ..Limits::default() }, false);
    let full = Api::with_settings(Settings { rdb: full, limits, debug, ..Settings::default() });
    let turned_away = async {
        // One request holds the connection and another waits for it, so a third finds no place.
        let waiting = full.call("GET", "/tables");
        let third = async {
            walk(&full, vec![row(Code::TooManyRequests, "GET", "/tables").has(BUSY)], walked).await;
        };
        let (waited, ()) = tokio::join!(biased; waiting, third);
        row(Code::ConnectionsExhausted, "GET", "/tables").has(BUSY).check(&waited);
        walked.insert(Code::ConnectionsExhausted.as_str());
    };
    tokio::select! {
        biased;
        _ = full.call("GET", "/tables") => panic!("a silent server answered"),
        () = turned_away => {}
    }

    let api = started(|settings| settings).await;
    let link = Link::to(api.home().addr()).await;
    let far = Api::over(Rdb { query_timeout: 10 * soon, ..api.home().rdb_by(link.addr) }, false);
    const AGAIN: &[(&str, &str)] = &[("hint", "Read before you repeat a write.")];
    // The primary key is cached, so that the next query is the write.
    assert_eq!(far.send("PUT", DOC, &json!({})).await.status(), 200);
    for (traffic, write, read) in [
        (Traffic::Stalls, Code::QueryTimeout, Code::QueryTimeout),
        (Traffic::Breaks, Code::OutcomeUnknown, Code::DatabaseUnavailable),
    ] {
        link.set(traffic).await;
        for asked in [row(write, "PUT", DOC).sent("{}").has(AGAIN), row(read, "GET", DOC)] {
            walked.insert(asked.code.as_str());
            asked.provoke(&far).await;
        }
    }
}

/// Walks through the problems that no request to a healthy service can provoke, and those that only custom
/// routes have.
fn of_the_service(walked: &mut BTreeSet<&'static str>) {
    let database = |kind| Error::from(reql::Error::new(ErrorKind::Runtime(kind), "secret"));
    for (code, error) in [
        (Code::Internal, Error::internal("secret")),
        (Code::Misconfigured, Error::from(Code::Misconfigured).caused_by("secret")),
        (Code::UnexpectedDocument, Error::from(Code::UnexpectedDocument).caused_by("secret")),
        (Code::DatabaseError, database(ErrorType::Internal)),
        (Code::ResourceLimit, database(ErrorType::ResourceLimit)),
        (Code::StorageFull, Error::from(Code::StorageFull)),
        (Code::RequestTimeout, Error::from(Code::RequestTimeout)),
        // These need a client of their own, and are provoked where those are.
        (Code::BodyTooSlow, Error::from(Code::BodyTooSlow)),
        (Code::BodiesExhausted, Error::from(Code::BodiesExhausted)),
        (Code::TooManyGuesses, Error::from(Code::TooManyGuesses)),
        (Code::ShareUsedUp, Error::from(Code::ShareUsedUp)),
        (Code::InvalidDocument, Error::from(Code::InvalidDocument)),
        (Code::NotUnique, Error::from(Code::NotUnique)),
        (Code::Contended, Error::from(Code::Contended)),
    ] {
        assert_eq!(error.code(), code);
        let response = error.into_response();
        assert_eq!(response.status(), code.status(), "{code:?}");
        walked.insert(code.as_str());
    }
    walked.insert(Code::LengthRequired.as_str());
}

#[tokio::test]
async fn warps_own_rejections_are_problems_too() {
    use warp::Filter;
    let body = warp::body::content_length_limit(4).and(warp::body::bytes()).map(|_| "short");
    let routes = warp::path!("body").and(warp::post()).and(body).recover(warp_reql::recover);
    let send = |request: warp::test::RequestBuilder| request.method("POST").path("/body").reply(&routes);
    for (response, code) in [
        (send(warp::test::request().body("12345")).await, Code::BodyTooLarge),
        (send(warp::test::request()).await, Code::LengthRequired),
    ] {
        let problem: Value = crate::support::body(&response);
        assert_eq!(
            (response.status(), &problem["code"]),
            (code.status(), &json!(code.as_str())),
            "{problem}"
        );
    }
}

#[test]
fn every_code_is_documented_with_its_status() {
    let documented: Vec<_> = include_str!("../../docs/errors.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let (code, status) = (cells.next()?.strip_suffix('`')?, cells.next()?.parse::<u16>().ok()?);
            Some((code, status))
        })
        .collect();
    let all: Vec<_> = Code::ALL.iter().map(|code| (code.as_str(), code.status().as_u16())).collect();
    assert_eq!(documented, all, "in this order");
}
