//! Tickets: what a browser's `EventSource` shows in place of credentials.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::settings::{AccessRule, Auth, Limits, Secret, Settings, Token};

use super::{DOCS, Live};
use crate::access::{SECRET, now, token};
use crate::support::events::Events;
use crate::support::guarded::Guarded;
use crate::support::{Api, body, header, problem};

const TICKETS: &str = "/tickets";

/// Asks for a ticket with these credentials.
async fn ask(api: &Api, authorization: &str, url: &str) -> Response<Bytes> {
    let told = Some(("authorization", authorization)).filter(|(_, value)| !value.is_empty());
    let headers: Vec<_> = told.into_iter().collect();
    api.with("POST", TICKETS, &headers, json!({"url": url}).to_string().as_bytes()).await
}

/// Gets a ticket, as the URL with it.
async fn given(api: &Api, authorization: &str, url: &str) -> String {
    let answer = ask(api, authorization, url).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "cache-control")), (201, "no-store"), "{url}");
    let given = body(&answer);
    assert_eq!(given["expires_in"], 30);
    let (ticket, with) = (given["ticket"].as_str().unwrap(), given["url"].as_str().unwrap());
    assert!(with.starts_with(url) && with.ends_with(&format!("ticket={ticket}")), "{given}");
    with.to_owned()
}

/// Follows by a URL alone, from a page of another origin.
async fn follow(addr: SocketAddr, url: &str) -> Events {
    Events::open_with(addr, url, &[("origin", "https://app.example")]).await
}

/// Checks that a URL leads to nothing, and that the answer doesn't repeat its ticket.
async fn refused(addr: SocketAddr, url: &str, status: u16, code: &str) {
    let events = follow(addr, url).await;
    assert_eq!(events.status, status, "{url}");
    let problem = events.problem().await;
    assert_eq!(problem["code"], code, "{problem}");
    let ticket = url.rsplit("ticket=").next().unwrap();
    assert!(!problem.to_string().contains(ticket), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once_for_one_url_and_for_its_user() {
    let cors = "https://app.example".parse().unwrap();
    let guarded = Guarded::with(|settings| Settings { cors, ..settings }).await;
    let serving = guarded.api.serve().await;
    let (api, addr) = (&guarded.api, serving.addr);
    assert_eq!(guarded.send("writer", "PUT", "/tables/heroes/docs/1", "{\"n\": 1}").await.status(), 201);
    let reader = guarded.basic("reader", "reader's");

    let query = format!("{DOCS}?n=lt.9&name=not.match.^[a b]");
    let url = given(api, &reader, &query).await;
    // As a browser writes it, and as one that has been there before.
    let written = url.replace(' ', "%20").replace('^', "%5E");
    let mut events = follow(addr, &written).await;
    assert_eq!((events.status, events.header("access-control-allow-origin")), (200, "https://app.example"));
    assert_eq!(events.change().await.2, json!({"id": 1, "n": 1}));
    refused(addr, &written, 403, "invalid-ticket").await;

    let ready = events.next().await.unwrap();
    drop(events);
    assert_eq!(guarded.send("writer", "PUT", "/tables/heroes/docs/1", "{\"n\": 2}").await.status(), 200);
    let url = given(api, &reader, &query).await.replace(' ', "%20").replace('^', "%5E");
    let mut events = follow(addr, &format!("{url}&last_event_id={}", ready.id.unwrap())).await;
    assert_eq!(events.change().await.2, json!({"id": 1, "n": 2}), "it goes on where it was");

    for other in ["/tables/heroes/docs?n=lt.10", "/tables/heroes/changes?n=lt.9", "/tables/heroes/docs/1"] {
        let url = given(api, &reader, &format!("{DOCS}?n=lt.9")).await;
        let ticket = url.rsplit('&').next().unwrap();
        let joint = if other.contains('?') { '&' } else { '?' };
        refused(addr, &format!("{other}{joint}{ticket}"), 403, "invalid-ticket").await;
        refused(addr, &url, 403, "invalid-ticket").await;
    }
    // Whoever may not read the table may not by a ticket.
    guarded.set("stranger", json!({"password": "stranger's"})).await;
    let url = given(api, &guarded.basic("stranger", "stranger's"), DOCS).await;
    refused(addr, &url, 403, "forbidden").await;
    // What has changed meanwhile counts.
    let url = given(api, &reader, DOCS).await;
    guarded.set("reader", json!({"password": "another"})).await;
    refused(addr, &url, 401, "unauthorized").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_shows_credentials_gets_one_and_only_live_queries_take_it() {
    let guarded = Guarded::start(|rdb| rdb).await;
    let serving = guarded.api.serve().await;
    let (api, reader) = (&guarded.api, guarded.basic("reader", "reader's"));
    problem(&ask(api, "", DOCS).await, 401, "unauthorized");
    problem(&ask(api, &guarded.basic("reader", "wrong"), DOCS).await, 401, "unauthorized");
    for wrong in [
        "",
        "heroes",
        "/tables",
        "/tables/heroes",
        "/health/live",
        "https://example.com/tables/heroes/docs",
        "/tables/heroes/docs#a",
        "/tables/heroes/docs/..",
        "/tables/heroes/docs?a=%ff",
        "/tables/heroes/docs?ticket=0123456789abcdef0123456789abcdef",
    ] {
        problem(&ask(api, &reader, wrong).await, 400, "bad-request");
    }
    let long = format!("{DOCS}?a=eq.{}", "x".repeat(8170));
    problem(&ask(api, &reader, &long).await, 414, "url-too-long");

    let url = given(api, &reader, DOCS).await;
    for (method, sent) in [("GET", ""), ("DELETE", ""), ("POST", "{}")] {
        let told = problem(&api.with(method, &url, &[], sent.as_bytes()).await, 400, "bad-parameter");
        assert_eq!(told["parameter"], "ticket");
        assert!(!told.to_string().contains(url.rsplit('=').next().unwrap()), "{told}");
    }
    let reql = url.replace(DOCS, "/reql");
    problem(&api.with("POST", &reql, &[], b"{}").await, 400, "bad-parameter");
    let wrong = format!("{DOCS}?ticket=0123456789abcdef0123456789abcdef");
    refused(serving.addr, &wrong, 403, "invalid-ticket").await;
    // It is still good, though not for all that come at the same time.
    let all = join_all((0..8).map(|_| follow(serving.addr, &url))).await;
    assert_eq!(all.iter().filter(|events| events.status == 200).count(), 1);
    assert!(all.iter().all(|events| [200, 403].contains(&events.status)));
}

fn with_tokens(settings: Settings) -> Settings {
    let rules = json!([{"table": "heroes", "roles": ["user"], "read": "owner=eq.{sub}", "hide": ["secret"]}]);
    let rules: Vec<AccessRule> = serde_json::from_value(rules).unwrap();
    let token = Token { secret: Secret::from(SECRET), leeway: Duration::ZERO, ..Token::default() };
    Settings { auth: Auth::Token, token, rules, cors: "any".parse().unwrap(), ..settings }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_carries_the_rights_of_a_token_and_its_end() {
    let home = Live::start().await;
    home.put(json!({"id": 1, "owner": "ann", "secret": 7})).await;
    home.put(json!({"id": 2, "owner": "bob", "secret": 8})).await;
    let ruled = Live::over(Api::with_settings(with_tokens(home.api.app.settings().clone()))).await;
    let bearer = |seconds: u64| {
        format!("Bearer {}", token(json!({"sub": "ann", "role": "user", "exp": now() + seconds})))
    };
    let mut mine = follow(ruled.addr, &given(&ruled.api, &bearer(60), DOCS).await).await;
    assert_eq!((mine.status, mine.header("access-control-allow-origin")), (200, "*"));
    assert_eq!(mine.change().await.2, json!({"id": 1, "owner": "ann"}));
    mine.ready().await;
    // Nobody in particular may ask for a ticket, which stands for nobody in particular.
    refused(ruled.addr, &given(&ruled.api, "", DOCS).await, 401, "unauthorized").await;
    problem(&ask(&ruled.api, "Bearer x", DOCS).await, 401, "unauthorized");
    // The stream ends with the token, and a ticket doesn't outlive it either.
    let short = bearer(2);
    let (one, other) = (given(&ruled.api, &short, DOCS).await, given(&ruled.api, &short, DOCS).await);
    let mut events = follow(ruled.addr, &one).await;
    let last = loop {
        let event = events.next().await.expect("an event");
        if event.name == "error" {
            break event;
        }
    };
    assert_eq!(last.data["code"], "unauthorized");
    assert_eq!(events.any().await, None);
    refused(ruled.addr, &other, 401, "unauthorized").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_work_where_nobody_has_to_show_anything() {
    let live = Live::start().await;
    let url = given(&live.api, "", &format!("{DOCS}?ticket=eq.5")).await;
    let mut events = follow(live.addr, &url).await;
    events.ready().await;
    live.put(json!({"id": 1, "ticket": 4})).await;
    live.put(json!({"id": 2, "ticket": 5})).await;
    assert_eq!(events.change().await.2, json!({"id": 2, "ticket": 5}), "a field may be called so");
}

#[tokio::test]
async fn tickets_that_wait_have_a_bound() {
    let limits = Limits { tickets: 4, user_share: 50, ..Limits::default() };
    let guarded = Guarded::with(|settings| Settings { limits, ..settings }).await;
    let (reader, writer) = (guarded.basic("reader", "reader's"), guarded.basic("writer", "writer's"));
    let long = format!("{DOCS}?a=eq.{}", "x".repeat(1500));
    given(&guarded.api, &reader, &long).await;
    let told = problem(&ask(&guarded.api, &reader, DOCS).await, 429, "share-used-up");
    assert_eq!(told["detail"], "One client may have 2 tickets at once, and this one has.");
    given(&guarded.api, &writer, DOCS).await;
    given(&guarded.api, &writer, DOCS).await;
    guarded.set("third", json!({"password": "third's"})).await;
    let third = guarded.basic("third", "third's");
    let full = ask(&guarded.api, &third, DOCS).await;
    problem(&full, 503, "tickets-exhausted");
    assert_eq!(header(&full, "retry-after"), "1");
}

/// A preflight, as a browser sends it for a page of another origin.
#[tokio::test]
async fn pages_of_other_origins_may_ask_for_one() {
    let cors = "https://app.example".parse().unwrap();
    let guarded = Guarded::with(|settings| Settings { cors, ..settings }).await;
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let answer = guarded.api.with("OPTIONS", TICKETS, &headers, b"").await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://app.example");
    assert_eq!(header(&answer, "access-control-allow-methods"), "POST");
    let may_send = header(&answer, "access-control-allow-headers");
    assert!(["authorization", "content-type"].iter().all(|name| may_send.contains(name)), "{may_send}");
}
