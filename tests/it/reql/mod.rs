//! `POST /reql`: what is answered, to whom, and within which bounds; and each command of RethinkDB's
//! JavaScript API.

mod feeds;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::settings::{Auth, Limits, Settings};

use crate::access::{ADMIN, Ruled, of};
use crate::support::{Api, body, header, problem, raw};

const REQL: &str = "application/vnd.rethinkdb.reql";
const NDJSON: &str = "application/x-ndjson";

async fn ask(api: &Api, query: &str) -> Response<Bytes> {
    api.with("POST", "/reql", &[("content-type", REQL)], query.as_bytes()).await
}

async fn lines(api: &Api, query: &str) -> Response<Bytes> {
    api.with("POST", "/reql", &[("content-type", REQL), ("accept", NDJSON)], query.as_bytes()).await
}

/// The queries of `cases.txt`, each with what is expected of it.
fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("cases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(" => ").expect("an arrow"))
}

#[tokio::test]
async fn each_query_answers() {
    let api = Api::start().await;
    let other = format!("{}_other", api.home().name);
    let mut wrong = Vec::new();
    for (query, expected) in cases() {
        let query = query.replace("OTHER", &other);
        let (response, answer, expected) = match expected.strip_prefix('~') {
            Some(expected) => {
                let response = lines(&api, &query).await;
                let text = String::from_utf8_lossy(response.body()).into_owned();
                let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
                (response, rows, expected)
            }
            None => {
                let response = ask(&api, &query).await;
                let answer = body(&response);
                (response, answer, expected)
            }
        };
        // An engine may be built with JavaScript or without it.
        let is_right = expected.split(" or ").any(|expected| match expected.strip_prefix('!') {
            Some(part) => response.status().is_client_error() && answer["detail"].to_string().contains(part),
            None => response.status() == 200 && answer == serde_json::from_str::<Value>(expected).unwrap(),
        });
        if !is_right {
            wrong.push(format!("{query}\n  is {answer}\n  not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each command stands in a query, as a method or as one of `r`, wherever it may stand.
#[tokio::test]
async fn each_command_has_a_query() {
    let api = Api::start().await;
    let commands = body(&api.call("GET", "/explorer/commands.json").await);
    let all: String = cases().map(|(query, _)| format!("{query}\n")).collect();
    let is_there = |name: &str| {
        all.match_indices(name).any(|(at, _)| {
            let after = all[at + name.len()..].chars().next();
            all[..at].ends_with('.') && !after.is_some_and(|c| c.is_alphanumeric())
        })
    };
    let names: Vec<_> =
        commands.as_array().unwrap().iter().map(|command| command["name"].as_str().unwrap()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let sections = include_str!("commands.txt").lines().filter(|line| !line.starts_with('#'));
    let listed: Vec<_> = sections.filter_map(|line| line.split_once(": ")).collect();
    let listed: Vec<_> = listed.iter().flat_map(|(_, commands)| commands.split(' ')).collect();
    let unknown: Vec<_> = listed.iter().filter(|name| !names.contains(name)).collect();
    assert!(unknown.is_empty() && listed.len() > 170, "{unknown:?} of {}", listed.len());
}

#[tokio::test]
async fn answers_tell_their_form() {
    let api = Api::start().await;
    for (query, form, expected) in [
        ("r.expr(1)", "value", json!(1)),
        ("r.expr(null)", "value", json!(null)),
        ("r.table('heroes').get(1)", "value", json!(null)),
        ("r.expr([1, [2]])", "rows", json!([1, [2]])),
        ("r.range(3)", "rows", json!([0, 1, 2])),
        ("r.table('heroes')", "rows", json!([])),
        ("r.epochTime(1)", "value", {
            json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"})
        }),
    ] {
        let response = ask(&api, query).await;
        assert_eq!((response.status().as_u16(), header(&response, "reql-answer")), (200, form), "{query}");
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(body(&response), expected, "{query}");
    }
    let response = lines(&api, "r.range(3).map(n => ({n}))").await;
    assert_eq!((header(&response, "content-type"), header(&response, "reql-answer")), (NDJSON, "rows"));
    assert_eq!(response.body(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(lines(&api, "r.range(100000)").await.body().len(), 588_890);
    problem(&ask(&api, "r.table('heroes').changes()").await, 406, "not-acceptable");
}

/// An error after the first rows has no status any more: it is the last line, and the body has no end.
#[tokio::test]
async fn an_error_in_the_middle_is_the_last_line() {
    let api = Api::start().await;
    let serving = api.serve().await;
    let request = |query: &str| {
        let head =
            format!("POST /reql HTTP/1.1\r\nHost: localhost\r\nContent-Type: {REQL}\r\nAccept: {NDJSON}");
        format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{query}", query.len())
    };
    let asked = async |query: &str| {
        String::from_utf8(raw(serving.addr, request(query).as_bytes()).await).expect("text")
    };
    let told = |answer: &str| -> Value {
        let last = answer.lines().rfind(|line| line.starts_with('{')).expect("a last line");
        serde_json::from_str(last).expect("JSON")
    };
    let whole = asked("r.range(50000)").await;
    assert!(whole.ends_with("\r\n0\r\n\r\n") && whole.contains("\n49999\n"));
    let failed = asked("r.range(100000).map(n =>\n  r.branch(n.lt(50000), n, n.add('é')))").await;
    assert!(
        failed.starts_with("HTTP/1.1 200 ")
            && failed.contains("\n9999\n")
            && !failed.ends_with("\r\n0\r\n\r\n")
    );
    let problem = told(&failed);
    assert_eq!(problem["type"], "urn:warp-reql:problem:query-failed");
    assert_eq!(
        [&problem["status"], &problem["line"], &problem["column"], &problem["end_column"]],
        [422, 2, 28, 38]
    );
    assert_eq!(
        [&problem["instance"], &problem["detail"]],
        ["/reql", "Expected type NUMBER but found STRING."]
    );
    assert!(problem["request_id"].is_string() && failed.contains(problem["request_id"].as_str().unwrap()));
    // A feed whose table is dropped.
    assert_eq!(api.send("POST", "/tables/heroes/docs", &json!({"id": 1})).await.status(), 201);
    let mut feed = BufReader::new(TcpStream::connect(serving.addr).await.expect("the service listens"));
    let query = request("r.table('heroes').changes({includeInitial: true})");
    feed.write_all(query.as_bytes()).await.expect("the service reads");
    let mut begun = String::new();
    while !begun.ends_with("}\n") {
        assert_ne!(feed.read_line(&mut begun).await.expect("text"), 0, "{begun}");
    }
    assert_eq!(api.call("DELETE", "/tables/heroes").await.status(), 204);
    let mut rest = String::new();
    feed.read_to_string(&mut rest).await.expect("text");
    assert!(!rest.ends_with("\r\n0\r\n\r\n"));
    assert_eq!(told(&rest)["code"], "database-unavailable", "{rest}");
}

#[tokio::test]
async fn the_wire_is_read_too() {
    let api = Api::start().await;
    let response = api.send("POST", "/reql", &json!([24, [1, 2]])).await;
    assert_eq!(body(&response), 3);
    for wrong in
        [json!([]), json!([1, 2, 3]), json!([10, [1]]), json!([24, [1], {"colour": 1}]), json!([9999, []])]
    {
        problem(&api.send("POST", "/reql", &wrong).await, 400, "bad-query");
    }
    let deep = format!("{}1{}", "[2,[".repeat(60), "]]".repeat(60));
    problem(&api.with("POST", "/reql", &[], deep.as_bytes()).await, 400, "bad-request");
    problem(&api.with("POST", "/reql", &[], b"[1").await, 400, "bad-json");
    let failed = api.send("POST", "/reql", &json!([24, [1, "a"]])).await;
    problem(&failed, 422, "query-failed");
    assert_eq!(body(&failed)["excerpt"], "r.expr(1).add(\"a\")\n^^^^^^^^^^^^^^^^^^");
}

#[tokio::test]
async fn errors_point_to_their_place() {
    let api = Api::start().await;
    let unread = ask(&api, "r.table('heroes')\n  .fitler({})").await;
    problem(&unread, 400, "bad-query");
    let told = body(&unread);
    assert_eq!([&told["line"], &told["column"], &told["end_line"], &told["end_column"]], [2, 4, 2, 10]);
    assert_eq!(told["excerpt"], "  .fitler({})\n   ^^^^^^");
    let failed = ask(&api, "r.expr(['é']).map(x =>\n  x.add(1))").await;
    problem(&failed, 422, "query-failed");
    let told = body(&failed);
    assert_eq!(told["detail"], "Expected type STRING but found NUMBER.");
    assert_eq!([&told["line"], &told["column"], &told["end_column"]], [2, 3, 11], "{told}");
    assert_eq!(told["excerpt"], "  x.add(1))\n  ^^^^^^^^");
    problem(&ask(&api, "r.table('nothing')").await, 422, "query-failed");
    problem(&ask(&api, "r.expr(1).default(").await, 400, "bad-query");
    problem(&ask(&api, "r.error('mine')").await, 422, "query-failed");
    problem(&lines(&api, "r.expr([1]).map(x => x('a'))").await, 422, "query-failed");
    problem(&api.with("POST", "/reql", &[("content-type", REQL)], b"r.expr('\xff')").await, 400, "bad-query");
    let other =
        api.with("POST", "/reql", &[("content-type", "application/x-www-form-urlencoded")], b"r.now()");
    problem(&other.await, 415, "unsupported-media-type");
    problem(
        &api.with("POST", "/reql?x=1", &[("content-type", REQL)], b"r.now()").await,
        400,
        "bad-parameter",
    );
}

#[tokio::test]
async fn limits_hold() {
    let api = Api::at_home(|settings| Settings {
        limits: Limits { body: 1 << 16, answer: 1 << 16, streams: 0, feeds: 1, ..settings.limits.clone() },
        ..settings
    });
    let api = api.await;
    problem(&ask(&api, &format!("r.expr('{}')", "a".repeat(1 << 17))).await, 413, "body-too-large");
    problem(&ask(&api, "r.range(100000)").await, 422, "answer-too-large");
    // What is between the rows counts, too: half of this answer are commas.
    problem(&ask(&api, "r.range(40000).map(n => 1)").await, 422, "answer-too-large");
    problem(&lines(&api, "r.range(10)").await, 503, "streams-exhausted");
    problem(&ask(&api, "r.expr(r.range(200000).coerceTo('array'))").await, 422, "resource-limit");
    assert_eq!(body(&ask(&api, "r.expr(1)").await), 1);
}

#[tokio::test]
async fn queries_have_a_time() {
    let home = crate::support::Home::start().await;
    let api = Api::in_home(home, |mut settings| {
        settings.rdb.query_timeout = Duration::from_millis(300);
        settings
    });
    let api = api.await;
    let endless = "r.range().filter(n => n.lt(0))";
    problem(&ask(&api, endless).await, 504, "query-timeout");
    assert_eq!(body(&ask(&api, "r.expr(1)").await), 1);
}

#[tokio::test]
async fn it_is_there_only_where_it_is_wanted() {
    let off = Api::at_home(|settings| Settings { reql: false, explorer: false, ..settings }).await;
    problem(&ask(&off, "r.expr(1)").await, 404, "no-such-path");
    let api = body(&off.call("GET", "/openapi.json").await);
    assert!(api["paths"].get("/reql").is_none() && api["paths"].get("/").is_none());
    problem(&off.call("GET", "/").await, 404, "no-such-path");
    assert_eq!(off.call("GET", "/docs").await.status(), 200);
    for profile in ["production", "staging"] {
        let settings = Settings::built_in(profile);
        assert!(!settings.reql && !settings.explorer);
    }
    assert!(Settings::default().reql && Settings::default().explorer);
}

#[tokio::test]
async fn foreign_pages_may_not_ask() {
    let api = Api::start().await;
    let headers = [("content-type", REQL), ("host", "localhost"), ("origin", "https://evil.example")];
    problem(&api.with("POST", "/reql", &headers, b"r.expr(1)").await, 403, "foreign-origin");
    let headers = [("content-type", REQL), ("host", "evil.example")];
    problem(&api.with("POST", "/reql", &headers, b"r.expr(1)").await, 403, "foreign-host");
}

#[tokio::test]
async fn users_may_what_the_database_lets_them() {
    let api = Api::start().await;
    let user = format!("{}_ada", api.home().name);
    let insert = format!("r.db('rethinkdb').table('users').insert({{id: '{user}', password: 'p'}})");
    assert_eq!(ask(&api, &insert).await.status(), 200);
    ask(&api, "r.tableCreate('hidden')").await;
    let granted = ask(&api, &format!("r.table('heroes').grant('{user}', {{read: true}})")).await;
    assert_eq!(granted.status(), 200, "{:?}", granted.body());
    let guarded = Api::with_settings(Settings { auth: Auth::Database, ..api.app.settings().clone() });
    problem(&ask(&guarded, "r.expr(1)").await, 401, "unauthorized");
    let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:p")));
    let headers = [("content-type", REQL), ("authorization", credentials.as_str())];
    let asked = async |query: &str| guarded.with("POST", "/reql", &headers, query.as_bytes()).await;
    assert_eq!(body(&asked("r.table('heroes').count()").await), 0);
    problem(&asked("r.table('hidden').count()").await, 403, "forbidden");
    problem(&asked("r.table('heroes').insert({})").await, 403, "forbidden");
    problem(&asked("r.db('rethinkdb').table('users')").await, 403, "forbidden");
    let removed = ask(&api, &format!("r.db('rethinkdb').table('users').get('{user}').delete()")).await;
    assert_eq!(removed.status(), 200);
}

/// With tokens, queries are for administrators; also where there are no rules, and any token may do the rest.
#[tokio::test]
async fn of_those_with_tokens_only_administrators_may_ask() {
    let rules = json!([{"table": "heroes", "roles": "*", "read": true}]);
    for rules in [rules, json!([])] {
        let ruled = Ruled::start(rules, &["heroes"]).await;
        let asked = async |token: &str| {
            ruled.send(token, ("POST", "/reql"), &[("content-type", REQL)], "r.table('heroes').count()").await
        };
        problem(&asked("").await, 401, "unauthorized");
        problem(&asked("nonsense").await, 401, "unauthorized");
        problem(&asked(&of("ann", &["user"])).await, 403, "forbidden");
        assert_eq!(body(&asked(&of("root", &[ADMIN])).await), 0);
    }
}

#[tokio::test]
async fn long_chains_are_run() {
    let api = Api::start().await;
    let chain = |commands: usize| format!("r.expr(1){}", ".add(1)".repeat(commands));
    assert_eq!(body(&ask(&api, &chain(300)).await), 301);
    problem(&ask(&api, &chain(500)).await, 400, "bad-query");
}

#[tokio::test]
async fn the_explorer_is_a_page() {
    let api = Api::start().await;
    let page = api.with("GET", "/", &[("accept", "text/html,*/*;q=0.8")], b"").await;
    assert_eq!((page.status().as_u16(), header(&page, "content-type")), (200, "text/html; charset=utf-8"));
    let policy = header(&page, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    problem(&api.with("GET", "/", &[("accept", "application/json")], b"").await, 406, "not-acceptable");
    let docs = api.with("GET", "/docs", &[("accept", "text/html")], b"").await;
    assert!(!header(&docs, "content-security-policy").contains("unsafe"));
    let module = api.call("GET", "/explorer/app.js").await;
    assert_eq!(header(&module, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header(&module, "x-content-type-options"), "nosniff");
    for strange in ["/explorer/", "/explorer/none.js", "/explorer/..%2fmod.rs", "/explorer/mod.rs"] {
        assert_eq!(api.call("GET", strange).await.status(), 404, "{strange}");
    }
}
