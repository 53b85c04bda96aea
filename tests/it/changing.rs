//! Changes of documents: JSON Patch, small changes, schemas, and changes of many that are guarded.

use std::path::PathBuf;

use serde_json::{Value, json};
use warp_reql::settings::{Limits, Schema, Settings, TableSpec};

use crate::support::{Api, body, header, problem};

const DOCS: &str = "/tables/heroes/docs";
const DOC: &str = "/tables/heroes/docs/1";
const PATCH: &[(&str, &str)] = &[("content-type", "application/json-patch+json")];
const CHANGES: &[(&str, &str)] = &[("content-type", "application/vnd.warp-reql.changes+json")];

async fn put(api: &Api, document: &Value) {
    let response = api.send("PUT", DOC, document).await;
    assert!(response.status().is_success(), "{:?}", response.body());
}

async fn stored(api: &Api) -> Value {
    body(&api.call("GET", DOC).await)
}

async fn send(
    api: &Api,
    kind: &[(&str, &str)],
    body: &Value,
) -> warp::http::Response<warp::hyper::body::Bytes> {
    api.with("PATCH", DOC, kind, body.to_string().as_bytes()).await
}

/// The paths of a patch, moved to where the tests keep the document that it is about.
fn moved(patch: &Value) -> Value {
    let mut patch = patch.clone();
    for operation in patch.as_array_mut().into_iter().flatten() {
        for name in ["path", "from"] {
            if let Some(path) = operation.get(name).and_then(Value::as_str) {
                operation[name] = json!(format!("/doc{path}"));
            }
        }
    }
    patch
}

/// Returns whether a patch has a path that begins without a slash.
fn is_elsewhere(patch: &Value) -> bool {
    let begins = |path: &Value| path.as_str().is_none_or(|path| path.is_empty() || path.starts_with('/'));
    patch.as_array().into_iter().flatten().any(|operation| {
        ["path", "from"].iter().filter_map(|name| operation.get(name)).any(|path| !begins(path))
    })
}

#[tokio::test]
async fn the_public_records_of_json_patch_hold() {
    let api = Api::start().await;
    let mut held = 0;
    for text in [
        include_str!("../fixtures/json-patch/tests.json"),
        include_str!("../fixtures/json-patch/spec_tests.json"),
    ] {
        let records: Vec<Value> = serde_json::from_str(text).unwrap();
        // What is wrong with this one a value can't hold.
        for record in records.iter().filter(|record| record["comment"] != "duplicate ops") {
            put(&api, &json!({"doc": record["doc"]})).await;
            let response = send(&api, PATCH, &moved(&record["patch"])).await;
            match record.get("expected") {
                Some(expected) => {
                    assert_eq!(response.status(), 200, "{record}: {:?}", response.body());
                    assert_eq!(&stored(&api).await["doc"], expected, "{record}");
                }
                None if record.get("error").is_none() => assert_eq!(response.status(), 200, "{record}"),
                // A path without its first slash would be another one in the document around it.
                None if is_elsewhere(&record["patch"]) => {}
                None => {
                    assert!(
                        [400, 409].contains(&response.status().as_u16()),
                        "{record}: {:?}",
                        response.body()
                    );
                    assert_eq!(stored(&api).await["doc"], record["doc"], "{record}");
                }
            }
            held += 1;
        }
    }
    assert_eq!(held, 111);
}

#[tokio::test]
async fn a_json_patch_keeps_to_conditions_and_to_the_id() {
    let api = Api::start().await;
    put(&api, &json!({"n": 1})).await;
    let tag = header(&api.call("GET", DOC).await, "etag").to_owned();
    let patch = json!([{"op": "replace", "path": "/n", "value": 2}]).to_string();
    let with =
        |tag: &str| [PATCH[0], ("if-match", tag)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let send_with = async |tag: &str| {
        let headers = with(tag);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        api.with("PATCH", DOC, &headers, patch.as_bytes()).await
    };
    problem(&send_with("\"other\"").await, 412, "precondition-failed");
    assert_eq!(body(&send_with(&tag).await), json!({"id": 1, "n": 2}));
    problem(&send_with(&tag).await, 412, "precondition-failed");
    for (patch, status, code) in [
        (json!([{"op": "replace", "path": "/id", "value": 2}]), 400, "bad-request"),
        (json!([{"op": "remove", "path": "/id"}]), 400, "bad-request"),
        (json!([{"op": "replace", "path": "", "value": 5}]), 400, "bad-request"),
        (json!([{"op": "test", "path": "/n", "value": 1}]), 409, "patch-failed"),
        (json!([{"op": "remove", "path": "/none"}]), 409, "patch-failed"),
        (json!([{"op": "jump", "path": "/n"}]), 400, "bad-request"),
        (json!({"op": "remove", "path": "/n"}), 400, "bad-request"),
    ] {
        problem(&send(&api, PATCH, &patch).await, status, code);
    }
    assert_eq!(stored(&api).await, json!({"id": 1, "n": 2}));
    let missing = api.with("PATCH", "/tables/heroes/docs/9", PATCH, b"[]").await;
    problem(&missing, 404, "no-such-document");
    let other = api.with("PATCH", DOC, &[("content-type", "text/plain")], b"[]").await;
    problem(&other, 415, "unsupported-media-type");
    assert!(header(&other, "accept-patch").contains("application/json-patch+json"), "{:?}", other.headers());
}

#[tokio::test]
async fn small_changes_are_done_by_the_database() {
    let api = Api::start().await;
    put(&api, &json!({"n": 1, "tags": ["a", "b", "a"], "o": {"x": 1}, "old": 1, "s": "text"})).await;
    let changes = json!({
        "inc": {"n": 2.5, "o.y": -1},
        "push": {"log": "first"},
        "add": {"set": 1},
        "pull": {"tags": "a", "none": 1},
        "set": {"o.x": {"z": [1]}, "\"a.b\"": null},
        "unset": ["old", "o.none"],
        "now": ["at"],
    });
    let changed = body(&send(&api, CHANGES, &changes).await);
    let at = changed["at"].clone();
    assert_eq!(at["$reql_type$"], "TIME", "{changed}");
    let expected = json!({
        "id": 1, "n": 3.5, "tags": ["b"], "o": {"x": {"z": [1]}, "y": -1}, "log": ["first"], "set": [1],
        "a.b": null, "s": "text", "at": at,
    });
    assert_eq!(changed, expected);
    let again = body(
        &send(&api, CHANGES, &json!({"add": {"set": 1}, "push": {"log": "second"}, "set": {"o": 1}})).await,
    );
    assert_eq!(
        (&again["set"], &again["log"], &again["o"]),
        (&json!([1]), &json!(["first", "second"]), &json!(1))
    );
    for (changes, status, code) in [
        (json!({"inc": {"s": 1}}), 409, "patch-failed"),
        (json!({"push": {"s": 1}}), 409, "patch-failed"),
        (json!({"pull": {"s": 1}}), 409, "patch-failed"),
        (json!({"inc": {"id": 1}}), 400, "bad-request"),
        (json!({"incr": {"n": 1}}), 400, "bad-request"),
    ] {
        let told = problem(&send(&api, CHANGES, &changes).await, status, code);
        assert!(status != 409 || told["detail"].as_str().unwrap().contains("`s` is no"), "{told}");
    }
    assert_eq!(stored(&api).await, again);
    let missing = api.with("PATCH", "/tables/heroes/docs/9", CHANGES, b"{\"inc\": {\"n\": 1}}").await;
    problem(&missing, 404, "no-such-document");
    let many = api.with("PATCH", &format!("{DOCS}?n=has"), CHANGES, b"{\"inc\": {\"n\": 1}}").await;
    assert_eq!((body(&many)["replaced"].clone(), stored(&api).await["n"].clone()), (json!(1), json!(4.5)));
}

#[tokio::test]
async fn no_increment_is_lost() {
    let api = Api::start().await;
    put(&api, &json!({"n": 0})).await;
    let changes = json!({"inc": {"n": 1}});
    let sent = (0..200).map(|_| send(&api, CHANGES, &changes));
    for response in futures_util::future::join_all(sent).await {
        assert_eq!(response.status(), 200, "{:?}", response.body());
    }
    assert_eq!(stored(&api).await["n"], 200);
}

/// An API whose table has a schema.
async fn with_schema(schema: &Value) -> (Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("hero.schema.json");
    std::fs::write(&path, schema.to_string()).unwrap();
    let heroes = TableSpec { schema: Some(Schema::read(&path).unwrap()), ..TableSpec::new("heroes") };
    (Api::at_home(|settings| Settings { tables: vec![heroes], ..settings }).await, folder)
}

#[tokio::test]
async fn what_breaks_a_schema_changes_nothing() {
    let (api, _folder) = with_schema(&json!({
        "type": "object",
        "required": ["name"],
        "properties": {"n": {"type": "integer", "maximum": 3}, "name": {"type": "string"}},
    }))
    .await;
    let document = json!({"id": 1, "name": "x", "n": 2});
    put(&api, &document).await;
    let pointer = |told: &Value| told["errors"][0]["pointer"].clone();
    for (kind, change) in [
        (&[("content-type", "application/merge-patch+json")][..], json!({"n": 4})),
        (PATCH, json!([{"op": "replace", "path": "/n", "value": "x"}])),
        (CHANGES, json!({"inc": {"n": 2}})),
    ] {
        let told = problem(&send(&api, kind, &change).await, 422, "invalid-document");
        assert_eq!(pointer(&told), "/n", "{told}");
        let many = api.with("PATCH", &format!("{DOCS}?n=eq.2"), kind, change.to_string().as_bytes()).await;
        assert!([415, 422].contains(&many.status().as_u16()), "{:?}", many.body());
    }
    // A preview shows no change that would be refused.
    for (by, status) in [(2, 422), (1, 200)] {
        let sent = json!({"inc": {"n": by}}).to_string();
        for prefer in ["tx=rollback", "tx=rollback, return=representation"] {
            let headers = [CHANGES[0], ("prefer", prefer)];
            let shown = api.with("PATCH", &format!("{DOCS}?n=eq.2"), &headers, sent.as_bytes()).await;
            assert_eq!(shown.status(), status, "{prefer} {sent}: {:?}", shown.body());
            if status == 200 {
                assert_eq!(header(&shown, "preference-applied"), prefer);
                let shown = body(&shown);
                assert!(shown["replaced"] == 1 || shown[0]["n"] == 3, "{shown}");
            }
        }
    }
    assert_eq!(stored(&api).await, document);
    problem(&api.send("PUT", DOC, &json!({"n": 1})).await, 422, "invalid-document");
    problem(&api.send("POST", DOCS, &json!({"id": 2})).await, 422, "invalid-document");
    let merge = &[("content-type", "application/json"), ("prefer", "resolution=merge-duplicates")];
    problem(&api.with("POST", DOCS, merge, b"{\"id\": 1, \"n\": 9}").await, 422, "invalid-document");
    let merged = api.with("POST", DOCS, merge, b"{\"id\": 1, \"n\": 2.0}").await;
    assert_eq!(merged.status(), 200, "{:?}", merged.body());
    let bulk = json!([{"id": 5, "name": "a"}, {"id": 6}, {"id": 7, "name": "b"}]);
    let outcomes = api.send("POST", DOCS, &bulk).await;
    assert_eq!(outcomes.status(), 207);
    let statuses: Vec<_> =
        body(&outcomes).as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [json!(201), json!(422), json!(201)], "{:?}", outcomes.body());
    assert_eq!(body(&outcomes)[1]["errors"][0]["pointer"], "");
    let outcomes = api.with("POST", DOCS, merge, b"[{\"id\": 1, \"n\": 9}, {\"id\": 5, \"n\": 1}]").await;
    assert_eq!(
        (body(&outcomes)[0]["status"].clone(), body(&outcomes)[1]["status"].clone()),
        (json!(422), json!(200))
    );
    assert_eq!(stored(&api).await, document);
    // What is right is written, also by many at once.
    assert_eq!(body(&send(&api, CHANGES, &json!({"inc": {"n": 1}})).await)["n"], 3);
    let many = api.with("PATCH", &format!("{DOCS}?name=has"), CHANGES, b"{\"set\": {\"n\": 0}}").await;
    assert_eq!(body(&many)["replaced"], 3, "{:?}", many.body());
    let push = json!({"push": {"log": 1}});
    let sent = (0..20).map(|_| async { send(&api, CHANGES, &push).await.status() });
    for status in futures_util::future::join_all(sent).await {
        assert_eq!(status, 200);
    }
    assert_eq!(stored(&api).await["log"].as_array().unwrap().len(), 20);
    let described = body(&api.call("GET", "/openapi.json").await);
    assert_eq!(described["components"]["schemas"]["Document_heroes"]["required"], json!(["name"]));
}

#[tokio::test]
async fn changes_of_many_are_guarded() {
    let api = Api::start().await;
    let documents: Vec<_> = (0..5).map(|id| json!({"id": id, "n": id % 2})).collect();
    assert_eq!(api.send("POST", DOCS, &json!(documents)).await.status(), 201);
    let before = body(&api.call("GET", DOCS).await);
    let with = async |method: &str, query: &str, prefer: &str, sent: &str| {
        let kind = ("content-type", "application/merge-patch+json");
        api.with(method, &format!("{DOCS}?{query}"), &[("prefer", prefer), kind], sent.as_bytes()).await
    };
    for method in ["PATCH", "DELETE"] {
        let refused = with(method, "n=eq.0", "max-affected=2", "{\"x\": 1}").await;
        problem(&refused, 400, "too-many-affected");
        let shown = with(method, "n=eq.0", "tx=rollback", "{\"x\": 1}").await;
        assert_eq!(header(&shown, "preference-applied"), "tx=rollback");
        let done = if method == "PATCH" { "replaced" } else { "deleted" };
        assert_eq!(body(&shown)[done], 3, "{:?}", shown.body());
        let shown = with(method, "n=eq.1", "tx=rollback, return=representation", "{\"x\": 1}").await;
        assert_eq!(body(&shown).as_array().unwrap().len(), 2, "{:?}", shown.body());
        assert_eq!(body(&shown)[0].get("x").is_some(), method == "PATCH");
        let write = if method == "PATCH" { ".replace(" } else { ".delete(" };
        for (prefer, writes) in [("explain", true), ("explain, max-affected=1, tx=rollback", false)] {
            let explained = with(method, "n=eq.0", prefer, "{\"x\": 1}").await;
            assert_eq!(header(&explained, "preference-applied"), "explain");
            let reql = body(&explained)["reql"].as_str().unwrap_or_default().to_owned();
            assert!(reql.starts_with("r.") && reql.contains(write) == writes, "{prefer}: {reql}");
        }
    }
    problem(&with("DELETE", "n=eq.0", "max-affected=few", "").await, 400, "bad-request");
    assert_eq!(body(&api.call("GET", DOCS).await), before);
    let changed = with("PATCH", "n=eq.1", "max-affected=2, return=representation", "{\"x\": 1}").await;
    assert_eq!(header(&changed, "preference-applied"), "max-affected=2, return=representation");
    let documents = body(&changed);
    let documents = documents.as_array().unwrap();
    assert!(documents.len() == 2 && documents.iter().all(|document| document["x"] == 1), "{documents:?}");
    let deleted = with("DELETE", "n=eq.1", "return=representation", "").await;
    assert_eq!(body(&deleted).as_array().unwrap().len(), 2);
    assert_eq!(body(&api.call("GET", DOCS).await).as_array().unwrap().len(), 3);
}

/// Returns what is stored: the tables, the indexes of one, and its documents.
async fn everything(api: &Api) -> Vec<Value> {
    let mut found = Vec::new();
    for path in ["/tables", "/tables/heroes/indexes", DOCS] {
        found.push(body(&api.call("GET", path).await));
    }
    found
}

#[tokio::test]
async fn a_write_that_cannot_keep_to_its_guards_is_not_done() {
    const KEY: (&str, &str) = ("idempotency-key", "\"k\"");
    const TAGS: [(&str, &str); 2] = [("if-match", "\"nope\""), ("if-none-match", "*")];
    const PREVIEWS: [(&str, &str); 3] =
        [("prefer", "tx=rollback"), ("prefer", "explain"), ("prefer", "max-affected=0")];
    const TYPOS: [(&str, &str); 4] =
        [("prefer", "tx=abort"), ("prefer", "tx"), ("prefer", "explain=yes"), ("prefer", "max-affected")];
    let api = Api::start().await;
    put(&api, &json!({"n": 1})).await;
    let index = json!({"fields": ["n"]});
    assert_eq!(api.send("PUT", "/tables/heroes/indexes/n", &index).await.status(), 201);
    let all: &[_] = &[&TAGS[..], &PREVIEWS, &TYPOS].concat();
    let of_one: &[_] = &[&PREVIEWS[..], &TYPOS].concat();
    let of_many: &[_] = &[&TAGS[..], &TYPOS].concat();
    let [of_patch, of_patches, of_queries] = [of_one, of_many, all].map(|of| [of, &[KEY]].concat());
    let json = ("content-type", "application/json");
    let reql = ("content-type", "application/vnd.rethinkdb.reql");
    let many = "/tables/heroes/docs?n=eq.1";
    let before = everything(&api).await;
    for (method, path, kind, sent, guards) in [
        ("POST", "/tables", json, "{\"name\": \"t\"}", all),
        ("DELETE", "/tables/heroes", json, "", all),
        ("PUT", "/tables/heroes/indexes/other", json, "{\"fields\": [\"m\"]}", all),
        ("DELETE", "/tables/heroes/indexes/n", json, "", all),
        ("POST", DOCS, json, "{\"id\": 1, \"n\": 2}", all),
        ("POST", DOCS, json, "[{\"id\": 2}]", all),
        ("PUT", DOC, json, "{\"n\": 2}", of_one),
        ("PATCH", DOC, json, "{\"n\": 2}", &of_patch[..]),
        ("DELETE", DOC, json, "", of_one),
        ("PATCH", many, json, "{\"n\": 2}", &of_patches[..]),
        ("DELETE", many, json, "", of_many),
        ("POST", "/reql", reql, "r.table('heroes').delete()", &of_queries[..]),
    ] {
        for guard in guards {
            // Which makes a `POST` replace what is there.
            let resolution = ("prefer", "resolution=replace-duplicates");
            let answer = api.with(method, path, &[kind, resolution, *guard], sent.as_bytes()).await;
            problem(&answer, 400, "bad-request");
            assert_eq!(everything(&api).await, before, "{method} {path} {guard:?}");
        }
    }
}

#[tokio::test]
async fn a_write_of_one_keeps_to_some_guards() {
    let api = Api::start().await;
    put(&api, &json!({"n": 1})).await;
    for (method, guard, status) in [
        ("PUT", ("prefer", "max-affected=1, tx=commit"), 200),
        ("PATCH", ("prefer", "max-affected=5"), 200),
        // Whoever repeats these does no more than before.
        ("PUT", ("idempotency-key", "k"), 200),
        ("DELETE", ("idempotency-key", "k"), 204),
    ] {
        let sent: &[u8] = if method == "DELETE" { b"" } else { b"{\"n\": 2}" };
        assert_eq!(api.with(method, DOC, &[guard], sent).await.status(), status, "{method} {guard:?}");
    }
    let created = api.with("POST", DOCS, &[("prefer", "tx=commit")], b"{\"id\": 1}").await;
    assert_eq!(created.status(), 201);
}

#[tokio::test]
async fn documents_that_could_not_be_changed_are_explained() {
    let api = Api::start().await;
    let documents = json!([{"id": 1, "n": 1e308}, {"id": 2, "n": 1}, {"id": 3, "n": "x"}]);
    let change = async |query: &str, prefer: &str| {
        let headers = [CHANGES[0], ("prefer", prefer)];
        let renewed = [("prefer", "resolution=replace-duplicates")];
        let stored = api.with("POST", DOCS, &renewed, documents.to_string().as_bytes()).await;
        assert_eq!(stored.status(), 201, "{:?}", stored.body());
        api.with("PATCH", &format!("{DOCS}{query}"), &headers, b"{\"inc\": {\"n\": 1e308}}").await
    };
    for prefer in ["", "return=representation"] {
        // If none was changed, the answer is that to a change of the first alone.
        for (id, status, code) in [(1, 422, "refused"), (3, 409, "patch-failed")] {
            let one = problem(&change(&format!("/{id}"), prefer).await, status, code);
            let many = problem(&change(&format!("?id=eq.{id}"), prefer).await, status, code);
            assert_eq!(one["detail"], many["detail"]);
        }
        for (query, code, detail) in [
            ("?id=in.(1,2)", "refused", "The database refused the document."),
            ("?id=in.(2,3)", "patch-failed", "The document is not as the patch expects: `n` is no number."),
        ] {
            let told = change(query, prefer).await;
            assert_eq!((told.status().as_u16(), header(&told, "preference-applied")), (200, ""), "{query}");
            let expected = json!({
                "replaced": 1, "unchanged": 0, "deleted": 0, "skipped": 0, "errors": 1,
                "first_error": {"code": code, "detail": detail},
            });
            assert_eq!(body(&told), expected, "{query} {prefer}");
        }
        let told = body(&change("?id=eq.2", prefer).await);
        assert_eq!(told.is_array(), !prefer.is_empty(), "{told}");
        assert!(told.get("first_error").is_none(), "{told}");
    }
}

#[tokio::test]
async fn an_empty_list_of_conditions_is_no_condition() {
    let api = Api::start().await;
    put(&api, &json!({"tags": ["a"]})).await;
    for query in ["tags=all.()", "id=not.in.()", "or=(tags=all.(),id=eq.9)", ""] {
        for method in ["PATCH", "DELETE"] {
            let answer = api.with(method, &format!("{DOCS}?{query}"), &[], b"{}").await;
            assert!(problem(&answer, 400, "bad-request")["detail"].as_str().unwrap().contains("all=true"));
        }
    }
    assert_eq!(body(&api.call("DELETE", &format!("{DOCS}?tags=not.all.()")).await)["deleted"], 0);
    problem(&api.call("DELETE", &format!("{DOCS}?id=eq.9&all=true")).await, 400, "bad-parameter");
    let confirmed = api.call("DELETE", &format!("{DOCS}?tags=all.()&all=true")).await;
    assert_eq!(body(&confirmed)["deleted"], 1);
}

#[tokio::test]
async fn changes_nest_no_document_too_deeply() {
    let api = Api::start().await;
    put(&api, &json!({"log": []})).await;
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"n": inner}));
    let path = |names: usize| vec!["a"; names].join(".");
    for (changes, fits) in [
        (json!({"set": {path(2): nested(98)}}), true),
        (json!({"set": {path(3): nested(98)}}), false),
        (json!({"set": {path(32): nested(68)}}), true),
        (json!({"set": {path(32): nested(69)}}), false),
        (json!({"push": {"log": nested(98)}}), true),
        (json!({"push": {path(2): nested(98)}}), false),
        (json!({"add": {path(31): nested(69)}}), false),
    ] {
        let response = send(&api, CHANGES, &changes).await;
        match fits {
            true => assert_eq!(response.status(), 200, "{:?}", response.body()),
            false => drop(problem(&response, 400, "bad-request")),
        }
    }
    assert_eq!(api.call("GET", DOC).await.status(), 200);
}

#[tokio::test]
async fn a_part_of_a_document_is_not_put() {
    let api = Api::start().await;
    let part = [("content-range", "bytes 0-8/20")];
    problem(&api.with("PUT", DOC, &part, b"{\"n\": 1}").await, 400, "bad-request");
    problem(&api.call("GET", DOC).await, 404, "no-such-document");
}

/// Documents of 40 KiB each, under a limit of 100 KiB for an answer.
async fn heavy(schema: bool) -> (Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("hero.schema.json");
    std::fs::write(&path, "{}").unwrap();
    let schema = schema.then(|| Schema::read(&path).unwrap());
    let heroes = TableSpec { schema, ..TableSpec::new("heroes") };
    let limits = Limits { answer: 100 << 10, ..Limits::default() };
    let api = Api::at_home(|settings| Settings { tables: vec![heroes], limits, ..settings }).await;
    for id in 0..5 {
        let document = json!({"id": id, "n": id % 2, "text": "x".repeat(40 << 10)});
        assert_eq!(api.send("POST", DOCS, &document).await.status(), 201);
    }
    (api, folder)
}

#[tokio::test]
async fn documents_of_an_answer_keep_to_its_limit() {
    for schema in [false, true] {
        let (api, _folder) = heavy(schema).await;
        let with = async |method: &str, query: &str, prefer: &str, sent: &str| {
            let kind = ("content-type", "application/merge-patch+json");
            api.with(method, &format!("{DOCS}?{query}"), &[("prefer", prefer), kind], sent.as_bytes()).await
        };
        problem(&api.call("GET", &format!("{DOCS}?n=eq.0")).await, 422, "answer-too-large");
        for method in ["PATCH", "DELETE"] {
            let preview = "tx=rollback, return=representation";
            problem(&with(method, "n=eq.0", preview, "{\"x\": 1}").await, 422, "answer-too-large");
            let shown = with(method, "n=eq.1", preview, "{\"x\": 1}").await;
            assert_eq!(body(&shown).as_array().unwrap().len(), 2);
        }
        let told = with("PATCH", "n=eq.1", "return=representation", "{\"x\": 1}").await;
        assert_eq!(header(&told, "preference-applied"), "return=representation");
        assert_eq!(body(&told)[1]["x"], 1);
        // A write is done, and its documents are left out.
        let long = format!("{{\"y\": \"{}\"}}", "y".repeat(20 << 10));
        for (method, query, sent, done) in [
            ("PATCH", "n=eq.0", "{\"x\": 1}", "replaced"),
            ("PATCH", "n=eq.1", &long, "replaced"),
            ("DELETE", "n=eq.0", "", "deleted"),
        ] {
            let counts = with(method, query, "max-affected=9, return=representation", sent).await;
            assert_eq!(header(&counts, "preference-applied"), "max-affected=9", "{method} {query}");
            let expected = if query == "n=eq.0" { 3 } else { 2 };
            assert_eq!(body(&counts)[done], expected, "{method} {query} {schema}: {:?}", counts.body());
        }
    }
}

#[tokio::test]
async fn explanations_of_many_results_are_bounded() {
    let (api, _folder) = with_schema(&json!({"properties": {"a": {"items": {"type": "string"}}}})).await;
    let wrong = json!({"a": vec![1; 20]}).to_string() + "\n";
    let lines = &[("content-type", "application/x-ndjson")];
    let told = api.with("POST", DOCS, lines, format!("{}[]", wrong.repeat(5000)).as_bytes()).await;
    assert_eq!(told.status(), 207);
    assert!((1 << 20..3 << 20).contains(&told.body().len()), "{}", told.body().len());
    let results = body(&told);
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 5001);
    assert_eq!(results[0]["errors"].as_array().map(Vec::len), Some(20));
    assert_eq!(results[4999], json!({"status": 422, "code": "invalid-document"}));
    assert!(results[5000]["detail"].is_string(), "the reason why it ended is told");
}
