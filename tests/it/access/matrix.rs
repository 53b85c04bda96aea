//! A matrix of every endpoint, every kind of caller, and documents that are the caller's, others', or
//! missing.

use serde_json::{Value, json};

use super::{ADMIN, Ruled, SECRET, base64, now, of, signed, token};
use crate::support::{body, problem};

/// Notes that belong to somebody, some of them public; their owners may write them, editors all.
fn rules() -> Value {
    json!([
        {"table": "notes", "roles": "*", "read": "public=eq.true", "hide": ["secret"]},
        {"table": "notes", "roles": "user", "read": "owner=eq.{sub}", "create": "owner=eq.{sub}",
         "change": "owner=eq.{sub}", "delete": "owner=eq.{sub}"},
        {"table": "notes", "roles": ["editor"], "read": true, "create": true, "change": true, "delete": true},
    ])
}

fn notes() -> Value {
    json!([
        {"id": "ann-own", "owner": "ann", "public": false, "text": "a", "secret": "s1"},
        {"id": "ann-public", "owner": "ann", "public": true, "text": "b", "secret": "s2"},
        {"id": "bob-own", "owner": "bob", "public": false, "text": "c", "secret": "s3"},
        {"id": "bob-public", "owner": "bob", "public": true, "text": "d", "secret": "s4"},
    ])
}

/// The owner of the documents that a request is about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Whose {
    Own,
    Public,
    Other,
    Missing,
}

/// A caller, and the expected statuses of reading and of writing a document of each kind.
struct Asker {
    name: &'static str,
    token: String,
    /// The expected number of notes in a list, or the status.
    listed: Result<usize, u16>,
    reads: fn(Whose) -> u16,
    changes: fn(Whose) -> u16,
    creates: u16,
    administrates: u16,
}

fn askers() -> Vec<Asker> {
    let refused = |name, token| Asker {
        name,
        token,
        listed: Err(401),
        reads: |_| 401,
        changes: |_| 401,
        creates: 401,
        administrates: 401,
    };
    let exp = now() + 60;
    let claims = json!({"sub": "ann", "role": ["user", ADMIN], "exp": exp});
    let user = |name, subject: &str| Asker {
        name,
        token: of(subject, &["user"]),
        listed: Ok(3),
        reads: |whose| if matches!(whose, Whose::Own | Whose::Public) { 200 } else { 404 },
        changes: |whose| match whose {
            Whose::Own => 200,
            Whose::Public => 403,
            Whose::Other | Whose::Missing => 404,
        },
        creates: 201,
        administrates: 403,
    };
    let found = |whose| if whose == Whose::Missing { 404 } else { 200 };
    vec![
        Asker {
            name: "anonymous",
            token: String::new(),
            listed: Ok(2),
            reads: |whose| if whose == Whose::Public { 200 } else { 404 },
            changes: |_| 401,
            creates: 401,
            administrates: 401,
        },
        user("user", "ann"),
        Asker {
            name: "a role without rules of its own",
            token: of("ann", &["guest"]),
            listed: Ok(2),
            reads: |whose| if whose == Whose::Public { 200 } else { 404 },
            changes: |_| 403,
            creates: 403,
            administrates: 403,
        },
        Asker {
            name: "editor",
            token: of("eve", &["editor"]),
            listed: Ok(4),
            reads: found,
            changes: found,
            creates: 201,
            administrates: 403,
        },
        Asker {
            name: "admin",
            token: of("root", &[ADMIN]),
            listed: Ok(4),
            reads: found,
            changes: found,
            creates: 201,
            administrates: 200,
        },
        refused("expired", token(json!({"sub": "ann", "role": ADMIN, "exp": now() - 12}))),
        refused("alg none", signed(&json!({"alg": "none"}), &claims, b"")),
        refused("unsigned", format!("{}.{}.", base64(r#"{"alg":"none"}"#), base64(claims.to_string()))),
        refused("another key", signed(&json!({"alg": "HS256"}), &claims, &[b'k'; 40])),
        refused("another kind of key", signed(&json!({"alg": "RS256"}), &claims, SECRET.as_bytes())),
        refused("another issuer", token(json!({"sub": "ann", "role": ADMIN, "iss": "evil", "aud": "notes"}))),
        refused(
            "another audience",
            token(json!({"sub": "ann", "role": ADMIN, "iss": "tests", "aud": ["x"]})),
        ),
    ]
}

/// The service that all of them ask. Where it says whose tokens count, all good ones are of that issuer.
async fn service(rules: Value, is_strict: bool) -> Ruled {
    Ruled::with(rules, &["notes", "closed"], |mut settings| {
        if is_strict {
            settings.token.issuer = "tests".to_owned();
            settings.token.audience = "notes".to_owned();
        }
        settings
    })
    .await
}

#[tokio::test]
async fn everybody_gets_what_is_theirs() {
    let (open, strict) = (service(rules(), false).await, service(rules(), true).await);
    for asker in askers() {
        let is_strict = asker.name.contains("issuer") || asker.name.contains("audience");
        let service = if is_strict { &strict } else { &open };
        service.fill("notes", &notes()).await;
        service.fill("closed", &json!([{"id": 1}])).await;
        reads(service, &asker).await;
        writes(service, &asker).await;
        administrates(service, &asker).await;
    }
}

async fn reads(service: &Ruled, asker: &Asker) {
    let (name, token) = (asker.name, asker.token.as_str());
    for (whose, id) in [
        (Whose::Own, "ann-own"),
        (Whose::Public, "bob-public"),
        (Whose::Other, "bob-own"),
        (Whose::Missing, "nobody's"),
    ] {
        let path = format!("/tables/notes/docs/{id}");
        let answer = service.get(token, &path).await;
        assert_eq!(answer.status(), (asker.reads)(whose), "{name} reads {id}: {:?}", answer.body());
        let shown = String::from_utf8_lossy(answer.body()).into_owned();
        let sees_all = ["editor", "admin"].contains(&name);
        assert_eq!(
            shown.contains("\"secret\":"),
            answer.status() == 200 && name == "admin",
            "{name} {shown}"
        );
        assert!(sees_all || !shown.contains("s3"), "{name} {shown}");
        let head = service.send(token, ("HEAD", &path), &[], "").await;
        assert_eq!(head.status(), (asker.reads)(whose), "{name} heads {id}");
    }
    let list = service.get(token, "/tables/notes/docs").await;
    let counted =
        service.send(token, ("GET", "/tables/notes/docs?limit=1"), &[("prefer", "count=exact")], "").await;
    let lines =
        service.send(token, ("GET", "/tables/notes/docs"), &[("accept", "application/x-ndjson")], "").await;
    let grouped = service.get(token, "/tables/notes/docs?agg=count").await;
    match asker.listed {
        Ok(count) => {
            assert_eq!(body(&list).as_array().map(Vec::len), Some(count), "{name}: {:?}", list.body());
            assert_eq!(counted.headers()["x-total-count"], count.to_string().as_str(), "{name}");
            assert_eq!(lines.body().iter().filter(|byte| **byte == b'\n').count(), count, "{name}");
            assert_eq!(body(&grouped), json!([{"count": count}]), "{name}");
        }
        Err(status) => {
            for answer in [list, counted, lines, grouped] {
                assert_eq!(answer.status(), status, "{name}: {:?}", answer.body());
            }
        }
    }
    // Where no rule is, nobody gets but who may do everything; and nobody learns which tables there are.
    let shut =
        [service.get(token, "/tables/closed/docs").await, service.get(token, "/tables/none/docs").await];
    match name {
        "admin" => assert_eq!([200, 404], shut.map(|answer| answer.status().as_u16())),
        _ => {
            let status = if asker.administrates == 403 { 403 } else { 401 };
            assert_eq!([status; 2], shut.map(|answer| answer.status().as_u16()), "{name}");
        }
    }
}

async fn writes(service: &Ruled, asker: &Asker) {
    let (name, token) = (asker.name, asker.token.as_str());
    let subject = match name {
        "user" => "ann",
        _ => "eve",
    };
    for (whose, id) in [
        (Whose::Own, "ann-own"),
        (Whose::Public, "bob-public"),
        (Whose::Other, "bob-own"),
        (Whose::Missing, "nobody's"),
    ] {
        let path = format!("/tables/notes/docs/{id}");
        let expected = (asker.changes)(whose);
        for (method, sent) in [("PATCH", "{\"text\":\"new\"}"), ("DELETE", "")] {
            service.fill("notes", &notes()).await;
            let before = service.all("notes").await;
            let answer = service.send(token, (method, &path), &[], sent).await;
            let done = if method == "DELETE" && expected == 200 { 204 } else { expected };
            assert_eq!(answer.status(), done, "{name}: {method} {id}: {:?}", answer.body());
            let is_same = service.all("notes").await == before;
            assert_eq!(is_same, expected != 200, "{name}: {method} {id}");
        }
    }
    service.fill("notes", &notes()).await;
    let before = service.all("notes").await;
    let own = json!({"owner": subject, "text": "x"}).to_string();
    let put = json!({"owner": subject, "text": "x"}).to_string();
    for (method, path, sent) in [("POST", "/tables/notes/docs", own), ("PUT", "/tables/notes/docs/put", put)]
    {
        let answer = service.send(token, (method, path), &[], &sent).await;
        assert_eq!(answer.status(), asker.creates, "{name}: {method}: {:?}", answer.body());
    }
    let made = service.all("notes").await.len() - before.len();
    assert_eq!(made, if asker.creates == 201 { 2 } else { 0 }, "{name}");
    if asker.creates != 201 {
        assert_eq!(service.all("notes").await, before, "{name}");
    }
}

async fn administrates(service: &Ruled, asker: &Asker) {
    let (name, token) = (asker.name, asker.token.as_str());
    let requests = [
        ("GET", "/tables", ""),
        ("GET", "/tables/notes", ""),
        ("GET", "/tables/notes/indexes", ""),
        ("GET", "/tables/nothing", ""),
        ("PUT", "/tables/notes/indexes/owner", "{\"fields\":[\"owner\"]}"),
        ("DELETE", "/tables/notes/indexes/owner", ""),
        ("POST", "/tables", "{\"name\":\"made\"}"),
        ("DELETE", "/tables/made", ""),
    ];
    for (method, path, sent) in requests {
        let answer = service.send(token, (method, path), &[], sent).await;
        match asker.administrates {
            200 => assert!(answer.status().is_success() || path == "/tables/nothing", "{method} {path}"),
            status => {
                let code = if status == 401 { "unauthorized" } else { "forbidden" };
                problem(&answer, status, code);
            }
        }
        assert!(name == "admin" || answer.status().is_client_error());
    }
}

#[tokio::test]
async fn without_rules_a_token_is_enough() {
    let service = service(json!([]), false).await;
    let anybody = of("ann", &[]);
    assert_eq!(
        service.send(&anybody, ("POST", "/tables/closed/docs"), &[], "{\"id\":1}").await.status(),
        201
    );
    assert_eq!(service.get(&anybody, "/tables").await.status(), 200);
    for path in ["/tables", "/tables/closed/docs", "/tables/closed/docs/1"] {
        let answer = service.get("", path).await;
        problem(&answer, 401, "unauthorized");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"warp-reql\"");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_said_where_clients_look() {
    let service = service(rules(), false).await;
    let expired = token(json!({"exp": now() - 11}));
    let answer = service.get(&expired, "/tables/notes/docs").await;
    assert_eq!(problem(&answer, 401, "unauthorized")["detail"], "The token has expired.");
    assert_eq!(
        answer.headers()["www-authenticate"],
        "Bearer realm=\"warp-reql\", error=\"invalid_token\", error_description=\"The token has expired.\""
    );
    let just = token(json!({"exp": now() - 8}));
    assert_eq!(service.get(&just, "/tables/notes/docs").await.status(), 200, "within the leeway");
    for wrong in ["Basic YW5uOng=", "Bearer", "Token x", ""] {
        let answer = service.api.with("GET", "/tables/notes/docs", &[("authorization", wrong)], b"").await;
        problem(&answer, 401, "unauthorized");
    }
    // What tells of the service itself asks nobody for a token.
    for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json"] {
        assert_eq!(service.get("", path).await.status(), 200, "{path}");
    }
}
