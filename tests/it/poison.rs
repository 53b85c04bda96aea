//! Documents that nobody could read, and values that are no documents. They are refused where they are
//! written, and do no harm to others where a driver has stored them.

// Helpers of tests may unwrap as tests do.
use crate::support::events::Events;
use crate::support::{Api, body, problem};
use reql::{Term, obj, r};
use serde_json::{Value, json};
use warp::http::Response;
use warp::hyper::body::Bytes;
use warp_reql::Conn;
use warp_reql::settings::{Settings, TableSpec};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";
const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
/// The number of levels to which a body may be nested.
const DEPTH: usize = 100;
/// A name of a field by which readers that are made with serde_json take an object for something else: for
/// the JSON that is in the field's text.
const TAKEN: &str = "$serde_json::private::RawValue";

/// A request: its method, path, header with the type of the body, and body.
type Request<'a> = (&'static str, &'static str, (&'static str, &'static str), &'a str);

/// The ways to write a document, alone or among many, and a patch.
fn writes<'a>(document: &'a str, many: &'a str, patch: &'a str) -> [Request<'a>; 6] {
    [
        ("POST", DOCS, JSON, document),
        ("POST", DOCS, JSON, many),
        ("POST", DOCS, LINES, document),
        ("PUT", DOC, JSON, document),
        ("PATCH", DOC, JSON, patch),
        ("PATCH", "/tables/heroes/docs?all=true", JSON, patch),
    ]
}

/// A document that is nested this deep.
fn nested(id: u64, depth: usize) -> String {
    format!("{{\"id\":{id},\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

fn objects(id: u64, depth: usize) -> String {
    format!("{{\"id\":{id},\"a\":{}1{}}}", "{\"a\":".repeat(depth - 1), "}".repeat(depth - 1))
}

async fn lines(api: &Api, query: &str) -> Vec<Value> {
    let path = format!("{DOCS}{query}");
    let response = api.with("GET", &path, &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!("deep"))).collect()
}

async fn get(api: &Api, path: &str) -> Response<Bytes> {
    let response = api.call("GET", path).await;
    assert_eq!(response.status(), 200, "{path}: {:?}", response.body());
    response
}

#[tokio::test]
async fn what_is_nested_too_deeply_is_refused_wherever_it_is_written() {
    let api = Api::start().await;
    for document in
        [nested(1, DEPTH + 1), objects(1, DEPTH + 1), nested(1, 120), nested(1, 126), nested(1, 5000)]
    {
        let patch = document.replacen("\"id\":1,", "", 1);
        let many = format!("[{document}]");
        let index = format!("{{\"fields\":{}{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        let others =
            [("PUT", "/tables/heroes/indexes/i", JSON, &*index), ("POST", "/tables", JSON, &*document)];
        for (method, path, kind, sent) in writes(&document, &many, &patch).into_iter().chain(others) {
            let response = api.with(method, path, &[kind], sent.as_bytes()).await;
            let told = problem(&response, 400, "bad-request");
            assert!(told["detail"].as_str().unwrap().contains("100 deep"), "{method} {path}: {told}");
        }
    }
    assert_eq!(body(&get(&api, DOCS).await), json!([]));
}

#[tokio::test]
async fn what_is_as_deep_as_may_be_can_be_read_everywhere() {
    let api = Api::start().await;
    let deepest = [nested(1, DEPTH), objects(2, DEPTH)];
    for document in &deepest {
        assert_eq!(api.with("POST", DOCS, &[JSON], document.as_bytes()).await.status(), 201);
    }
    let all: Vec<Value> = deepest.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(body(&get(&api, DOCS).await), json!(all));
    assert_eq!(body(&get(&api, "/tables/heroes/docs?order=a&a=has").await), json!(all));
    assert_eq!(body(&get(&api, "/tables/heroes/docs?group=a&agg=count").await).as_array().unwrap().len(), 2);
    assert_eq!(lines(&api, "").await, all);
    // A change goes no deeper than the deeper of the two.
    let patch = objects(2, DEPTH).replacen("\"id\":2,", "", 1);
    assert_eq!(body(&api.with("PATCH", DOC, &[JSON], patch.as_bytes()).await)["id"], 1);
    assert_eq!(
        api.with("POST", DOCS, &[JSON], format!("[{}]", nested(3, DEPTH)).as_bytes()).await.status(),
        201
    );
    let service = api.serve().await;
    let mut events = Events::open(service.addr, DOCS).await;
    for _ in 0..3 {
        assert_eq!(events.change().await.0, "initial");
    }
    events.ready().await;
    let tag = get(&api, DOC).await.headers()["etag"].clone();
    let replaced =
        api.with("PUT", DOC, &[JSON, ("if-match", tag.to_str().unwrap())], nested(1, DEPTH).as_bytes()).await;
    assert_eq!(replaced.status(), 200);
}

#[tokio::test]
async fn what_is_a_value_of_reqls_own_is_no_document() {
    let api = Api::start().await;
    assert_eq!(api.with("PUT", DOC, &[JSON], b"{}").await.status(), 201);
    let kinds = [
        json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}),
        json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [1, 2]}),
        json!({"$reql_type$": "BINARY", "data": "AA=="}),
        json!({"$reql_type$": "LITERAL", "value": 1}),
        json!({"$reql_type$": "of tomorrow"}),
        json!({"$reql_type$": null}),
    ];
    for kind in kinds {
        let mut with_id = kind.clone();
        with_id["id"] = json!(1);
        for document in [&kind, &with_id] {
            let (one, many) = (document.to_string(), json!([document]).to_string());
            for (method, path, header, sent) in [
                ("POST", DOCS, JSON, &one),
                ("POST", DOCS, JSON, &many),
                ("POST", DOCS, LINES, &one),
                ("PUT", DOC, JSON, &one),
                ("PATCH", DOC, JSON, &one),
                ("PATCH", "/tables/heroes/docs?all=true", JSON, &one),
            ] {
                let response = api.with(method, path, &[header], sent.as_bytes()).await;
                let told = problem(&response, 400, "bad-request");
                assert!(told["detail"].as_str().unwrap().contains("$reql_type$"), "{method} {sent}: {told}");
            }
        }
    }
    let (long, with_nul) = ("k".repeat(1025), "a\u{0}b");
    for name in ["$reql_type$", TAKEN, with_nul, &long, ""] {
        let table = json!({"name": "t", "primary_key": name});
        problem(&api.send("POST", "/tables", &table).await, 400, "bad-request");
    }
    assert_eq!(body(&get(&api, DOCS).await), json!([{"id": 1}]));
    let holder = json!({"id": 2, "at": {"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}});
    assert_eq!(api.send("POST", DOCS, &holder).await.status(), 201, "fields may be such values");
}

/// Stores a row behind the service's back; tells whether the database takes it.
async fn stored(api: &Api, row: Term) -> bool {
    let insert = r.table("heroes").insert(row);
    let told: Result<Option<Value>, _> = Conn::new(api.database.clone()).first(insert).await;
    told.is_ok_and(|told| told.is_some_and(|told| told["inserted"] == 1))
}

/// Checks that a table with a row that is none of its documents, or that can't be read, is as good as one
/// without that row.
async fn others_are_well(api: &Api, left_out: bool) {
    let others = json!([{"id": 1, "n": 1}, {"id": 2, "n": 2}]);
    let known = |documents: &[Value]| -> Vec<Value> {
        documents.iter().filter(|document| document.get("n").is_some()).cloned().collect()
    };
    for query in [
        "",
        "?limit=1000",
        "?order=n",
        "?order=n.desc",
        "?n=gte.0",
        "?n=lt.9&order=n",
        "?omit=x",
        "?select=id,n",
    ] {
        let response = get(api, &format!("{DOCS}{query}")).await;
        // One that is nested too deeply is there as well, for whoever can read it.
        if left_out || query.contains('n') {
            let documents = known(body(&response).as_array().unwrap());
            assert_eq!(documents.len(), 2, "{query}: {documents:?}");
        } else {
            assert!(String::from_utf8_lossy(response.body()).contains("\"n\":2"), "{query}");
        }
        assert_eq!(known(&lines(api, query).await).len(), 2, "{query} as lines");
    }
    assert_eq!(body(&get(api, "/tables/heroes/docs?agg=sum(n)").await), json!([{"sum(n)": 3}]));
    let groups = body(&get(api, "/tables/heroes/docs?group=n&agg=count").await);
    assert!(groups.as_array().unwrap().len() >= 2, "{groups}");
    let counted = api.with("GET", "/tables/heroes/docs?n=has", &[("prefer", "count=exact")], b"").await;
    assert_eq!(crate::support::header(&counted, "x-total-count"), "2");
    let patched = api.with("PATCH", "/tables/heroes/docs?n=gte.0", &[JSON], b"{\"m\":1}").await;
    assert_eq!(body(&patched)["replaced"], 2);
    let back = api.with("PATCH", "/tables/heroes/docs?m=eq.1", &[JSON], b"{\"m\":null}").await;
    assert_eq!(body(&back)["replaced"], 2);
    let service = api.serve().await;
    let mut events = Events::open(service.addr, "/tables/heroes/docs?n=gte.0").await;
    for _ in 0..2 {
        let (name, _, new) = events.change().await;
        assert!(name == "initial" && others.as_array().unwrap().contains(&new), "{name} {new}");
    }
    events.ready().await;
}

/// Documents whose fields lead into objects, and such as lead into a time or a geometry, which have no fields
/// although they are written as objects.
fn with_and_without_fields() -> Value {
    let place = json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [1, 2]});
    let time = json!({"$reql_type$": "TIME", "epoch_time": 9, "timezone": "+00:00"});
    json!([
        {"id": 1, "place": {"type": "Point"}}, {"id": 2, "place": place}, {"id": 3, "at": {"epoch_time": 9}},
        {"id": 4, "at": time}, {"id": 5, "a": {"place": place}},
        {"id": 6, "b": {"c": {"d": {"e": {"f": 1, "at": time}}}}},
    ])
}

#[tokio::test]
async fn what_looks_like_an_object_has_no_fields_and_is_no_harm_to_others() {
    let api = Api::start().await;
    assert_eq!(api.send("POST", DOCS, &with_and_without_fields()).await.status(), 201);
    for (query, expected) in [
        ("place.type=eq.Point", json!([1])),
        ("place.type=not.has", json!([2, 3, 4, 5, 6])),
        ("b.c.d.e.f=eq.1", json!([6])),
        ("b.c.d.e.at.timezone=has", json!([])),
        ("b.c.d.e.f.g=is.null", json!([1, 2, 3, 4, 5, 6])),
        ("at.epoch_time=gt.5", json!([3])),
        ("a.place.type=is.null", json!([1, 2, 3, 4, 5, 6])),
        ("order=place.type.desc", json!([1, 6, 5, 4, 3, 2])),
        ("order=at.epoch_time&at=has", json!([3, 4])),
    ] {
        let told = lines(&api, &format!("?{query}&select=id")).await;
        let ids: Vec<_> = told.iter().map(|document| &document["id"]).collect();
        assert_eq!(json!(ids), expected, "{query}");
    }
    for (query, expected) in [
        ("distinct=place.type", json!(["Point"])),
        (
            "agg=max(place.type),sum(at.epoch_time)",
            json!([{"max(place.type)": "Point", "sum(at.epoch_time)": 9}]),
        ),
        ("group=place.type", json!([{"group": null, "count": 5}, {"group": "Point", "count": 1}])),
    ] {
        assert_eq!(body(&get(&api, &format!("{DOCS}?{query}")).await), expected, "{query}");
    }
    let patched = api.send("PATCH", &format!("{DOCS}?place.type=eq.Point"), &json!({"n": 1})).await;
    assert_eq!(body(&patched)["replaced"], 1);
    let pulled = json!({"pull": {"place.type": 1, "at.epoch_time": 1, "a.place.type": 1}});
    let changes = [("content-type", "application/vnd.warp-reql.changes+json")];
    for id in [2, 4, 5] {
        let path = format!("{DOCS}/{id}");
        let answer = api.with("PATCH", &path, &changes, pulled.to_string().as_bytes()).await;
        assert_eq!(answer.status(), 200, "{:?}", answer.body());
    }
    assert_eq!(body(&api.call("DELETE", &format!("{DOCS}?at.epoch_time=eq.9")).await)["deleted"], 1);
}

async fn with_two() -> Api {
    let api = Api::start().await;
    for n in [1, 2] {
        assert_eq!(api.send("POST", DOCS, &json!({"id": n, "n": n})).await.status(), 201);
    }
    api
}

#[tokio::test]
async fn a_row_that_is_no_document_is_no_harm_to_others() {
    let api = with_two().await;
    let time = r.expr(json!({"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}));
    if !stored(&api, time).await {
        // A database that takes none has none.
        return;
    }
    others_are_well(&api, true).await;
    let ids: Vec<Value> = body(&get(&api, DOCS).await).as_array().unwrap().clone();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_row_that_is_nested_too_deeply_is_no_harm_to_others() {
    for depth in [121, 122, 124, 126, 130, 300] {
        let api = with_two().await;
        let deep = (1..depth).fold(r.expr([(); 0]), |inner, _| r.expr([inner]));
        if !stored(&api, obj! { "id": 3, "a": deep }).await {
            continue;
        }
        others_are_well(&api, false).await;
        let index = json!({"fields": ["at"], "geo": true});
        assert_eq!(api.send("PUT", "/tables/heroes/indexes/at", &index).await.status(), 201);
        for (kind, second) in [("text/csv", "\r\n2,,2\r\n"), ("application/geo+json", "\"n\":2")] {
            let told = api.with("GET", DOCS, &[("accept", kind)], b"").await;
            let text = String::from_utf8_lossy(told.body()).into_owned();
            assert_eq!(told.status(), 200, "{text}");
            assert!(text.contains(second) && text.contains(&"[".repeat(depth)), "{text}");
        }
        let own = get(&api, "/tables/heroes/docs/3").await;
        let text = String::from_utf8_lossy(own.body()).into_owned();
        assert!(text.contains(&"[".repeat(depth)), "{text}");
        assert_eq!(api.call("DELETE", "/tables/heroes/docs/3").await.status(), 204);
    }
}

#[tokio::test]
async fn names_that_readers_take_for_something_else_are_refused() {
    let api = Api::start().await;
    for document in
        [format!("{{\"{TAKEN}\":\"[]\",\"id\":1}}"), format!("{{\"id\":1,\"a\":[{{\"{TAKEN}\":0}}]}}")]
    {
        let patch = document.replace("\"id\":1", "\"b\":1");
        let many = format!("[{document}]");
        for (method, path, kind, sent) in writes(&document, &many, &patch) {
            let told = problem(&api.with(method, path, &[kind], sent.as_bytes()).await, 400, "bad-request");
            assert!(told["detail"].as_str().unwrap().contains(TAKEN), "{method} {path}: {told}");
        }
    }
    assert_eq!(body(&get(&api, DOCS).await), json!([]));
    assert_eq!(api.send("PUT", DOC, &json!({"id": 1})).await.status(), 201);
    let (patch, changes) = ("application/json-patch+json", "application/vnd.warp-reql.changes+json");
    let added = json!([{"op": "add", "path": format!("/{TAKEN}"), "value": "[]"}]);
    let set = json!({"set": {format!("\"{TAKEN}\""): "[]"}});
    for (kind, sent) in [(patch, added), (changes, set)] {
        let kind = [("content-type", kind)];
        problem(&api.with("PATCH", DOC, &kind, sent.to_string().as_bytes()).await, 400, "bad-request");
    }
    assert_eq!(body(&get(&api, DOC).await), json!({"id": 1}));
}

/// Returns JSON that would take more of the stack than there is if this were read in the text of that, and so
/// on.
fn deep_text() -> String {
    let escaped = |json: &str| json.replace('\\', "\\u005c").replace('"', "\\u0022");
    let inner = |json: String| format!("{}{{\"{TAKEN}\":\"{}\"}}", "[".repeat(DEPTH), escaped(&json));
    (0..50).fold("1".to_owned(), |json, _| inner(json) + &"]".repeat(DEPTH))
}

#[tokio::test]
async fn a_document_with_a_reserved_name_is_changed_like_others() {
    let heroes = TableSpec { unique: vec!["email".to_owned()], ..TableSpec::new("heroes") };
    let api = Api::at_home(|settings| Settings { tables: vec![heroes], ..settings }).await;
    assert_eq!(api.send("POST", DOCS, &json!({"id": 2, "email": "b"})).await.status(), 201);
    let row = Term::object([(TAKEN.to_owned(), r.expr(deep_text())), ("id".to_owned(), r.expr(1))]);
    assert!(stored(&api, row).await);
    for (kind, sent) in [
        ("application/merge-patch+json", json!({"email": "c"})),
        ("application/vnd.warp-reql.changes+json", json!({"set": {"email": "d"}})),
        ("application/json-patch+json", json!([{"op": "add", "path": "/email", "value": "a"}])),
    ] {
        let sent = sent.to_string();
        let changed = api.with("PATCH", DOC, &[("content-type", kind)], sent.as_bytes()).await;
        assert_eq!(changed.status(), 200, "{kind}: {:?}", changed.body());
    }
    let all = api.send("PATCH", "/tables/heroes/docs?all=true", &json!({"n": 1})).await;
    assert_eq!(body(&all)["replaced"], 2);
    let told = get(&api, DOC).await;
    assert!(told.body().windows(11).any(|part| part == b"\"email\":\"a\""), "{told:?}");
}

#[tokio::test]
async fn a_name_that_readers_take_for_something_else_is_no_harm_to_others() {
    let deep = deep_text();
    for text in ["none", "[1]", &deep] {
        let api = with_two().await;
        let row = Term::object([(TAKEN.to_owned(), r.expr(text)), ("id".to_owned(), r.expr(3))]);
        assert!(stored(&api, row).await);
        let csv = api.with("GET", DOCS, &[("accept", "text/csv")], b"").await;
        let csv = String::from_utf8(csv.body().to_vec()).unwrap();
        assert!(csv.starts_with(&format!("id,{TAKEN},n\r\n1,,1\r\n2,,2\r\n3,")), "{csv:.200}");
        let index = json!({"fields": ["at"], "geo": true});
        assert_eq!(api.send("PUT", "/tables/heroes/indexes/at", &index).await.status(), 201);
        let features = api.with("GET", DOCS, &[("accept", "application/geo+json")], b"").await;
        assert_eq!(features.status(), 200);
        let features = String::from_utf8(features.body().to_vec()).unwrap();
        let properties = format!("\"properties\":{{\"{TAKEN}\":{},\"id\":3}}", json!(text));
        assert!(features.contains(&properties), "{features:.200}");
    }
}
