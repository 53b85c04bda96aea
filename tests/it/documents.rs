//! Documents through the API: one by one, in lists, and in bulk.

use crate::support::{Api, body, header, problem};
use serde_json::{Value, json};

const DOCS: &str = "/tables/heroes/docs";

async fn heroes(api: &Api) {
    let heroes = json!([
        {"id": 1, "name": "Superman", "age": 30, "tags": ["cape"], "address": {"city": "Metropolis"}},
        {"id": 2, "name": "Batman", "age": 40, "tags": ["cape", "mask"], "address": {"city": "Gotham"}},
        {"id": 3, "name": "Robin", "age": 15, "tags": ["mask"], "address": {"city": "Gotham"}},
        {"id": 4, "name": "Nobody", "age": "unknown", "tags": "none", "address": null},
    ]);
    let response = api.send("POST", DOCS, &heroes).await;
    assert_eq!(response.status(), 201, "{:?}", response.body());
}

async fn ids(api: &Api, query: &str) -> Vec<Value> {
    let response = api.call("GET", &format!("{DOCS}?{query}")).await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    body(&response).as_array().into_iter().flatten().map(|document| document["id"].clone()).collect()
}

#[tokio::test]
async fn a_document_lives_from_post_to_delete() {
    let api = Api::start().await;
    let created = api.send("POST", DOCS, &json!({"id": "bob", "n": [1, [2, {"a": []}]]})).await;
    assert_eq!(created.status(), 201, "{:?}", created.body());
    assert_eq!(header(&created, "location"), "/tables/heroes/docs/bob");
    let tag = header(&created, "etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
    assert_eq!(body(&created), json!({"id": "bob", "n": [1, [2, {"a": []}]]}));

    let read = api.call("GET", "/tables/heroes/docs/bob").await;
    assert_eq!((read.status().as_u16(), header(&read, "etag")), (200, tag.as_str()));
    assert_eq!(body(&read), body(&created));
    let known = api.with("GET", "/tables/heroes/docs/bob", &[("if-none-match", &tag)], b"").await;
    assert_eq!((known.status().as_u16(), known.body().len()), (304, 0));

    let removed = api.call("DELETE", "/tables/heroes/docs/bob").await;
    assert_eq!((removed.status().as_u16(), removed.body().len()), (204, 0));
    problem(&api.call("GET", "/tables/heroes/docs/bob").await, 404, "no-such-document");
    problem(&api.call("DELETE", "/tables/heroes/docs/bob").await, 404, "no-such-document");
}

#[tokio::test]
async fn an_id_is_made_when_none_is_given() {
    let api = Api::start().await;
    let created = api.send("POST", DOCS, &json!({"name": "new"})).await;
    let location = header(&created, "location").to_owned();
    assert_eq!(body(&api.call("GET", &location).await)["name"], "new");
}

#[tokio::test]
async fn a_duplicate_is_409() {
    let api = Api::start().await;
    api.send("POST", DOCS, &json!({"id": 1, "a": 1})).await;
    problem(&api.send("POST", DOCS, &json!({"id": 1, "a": 2})).await, 409, "conflict");
    assert_eq!(body(&api.call("GET", "/tables/heroes/docs/1").await)["a"], 1);
}

#[tokio::test]
async fn numbers_and_strings_are_different_ids() {
    let api = Api::start().await;
    for id in [json!(42), json!("42"), json!(true), json!([1, "a/b"]), json!("ü ?&#")] {
        let created = api.send("POST", DOCS, &json!({"id": id})).await;
        assert_eq!(created.status(), 201, "{:?}", created.body());
        assert_eq!(body(&api.call("GET", header(&created, "location")).await), json!({"id": id}));
    }
    assert_eq!(body(&api.call("GET", "/tables/heroes/docs/42").await), json!({"id": 42}));
    assert_eq!(body(&api.call("GET", "/tables/heroes/docs/%2242%22").await), json!({"id": "42"}));
}

#[tokio::test]
async fn put_creates_or_replaces() {
    let api = Api::start().await;
    let path = "/tables/heroes/docs/7";
    let created = api.send("PUT", path, &json!({"a": 1, "b": 1})).await;
    assert_eq!((created.status().as_u16(), body(&created)), (201, json!({"a": 1, "b": 1, "id": 7})));
    let replaced = api.send("PUT", path, &json!({"id": 7, "a": 2})).await;
    assert_eq!((replaced.status().as_u16(), body(&replaced)), (200, json!({"a": 2, "id": 7})));
    let same = api.send("PUT", path, &json!({"a": 2})).await;
    assert_eq!((same.status().as_u16(), header(&same, "etag")), (200, header(&replaced, "etag")));
    problem(&api.send("PUT", path, &json!({"id": 8})).await, 400, "bad-request");
    problem(&api.send("PUT", path, &json!([1])).await, 400, "bad-request");
}

#[tokio::test]
async fn conditions_are_checked_by_the_write() {
    let api = Api::start().await;
    let path = "/tables/heroes/docs/7";
    let only_if_new = [("if-none-match", "*")];
    let only_if_there = [("if-match", "*")];
    problem(&api.with("PUT", path, &only_if_there, b"{}").await, 412, "precondition-failed");
    problem(&api.with("PATCH", path, &only_if_there, b"{}").await, 412, "precondition-failed");
    problem(&api.with("DELETE", path, &only_if_there, b"").await, 412, "precondition-failed");
    assert_eq!(api.with("PUT", path, &only_if_new, b"{}").await.status(), 201);
    problem(&api.with("PUT", path, &only_if_new, b"{}").await, 412, "precondition-failed");
    let other = [("if-match", "\"another\", W/\"weak\"")];
    problem(&api.with("PATCH", path, &other, b"{\"a\":1}").await, 412, "precondition-failed");
    problem(&api.with("DELETE", path, &other, b"").await, 412, "precondition-failed");
    problem(&api.with("DELETE", path, &[("if-match", "no quotes")], b"").await, 400, "bad-request");
    let tag = header(&api.call("GET", path).await, "etag").to_owned();
    assert_eq!(api.with("PATCH", path, &[("if-match", &tag)], b"{\"a\":1}").await.status(), 200);
    problem(&api.with("DELETE", path, &[("if-match", &tag)], b"").await, 412, "precondition-failed");
    let tag = header(&api.call("GET", path).await, "etag").to_owned();
    assert_eq!(api.with("DELETE", path, &[("if-match", &tag)], b"").await.status(), 204);
}

#[tokio::test]
async fn patches_are_merged_as_rfc_7396_has_it() {
    // The test cases of the RFC's appendix whose target and patch are objects, which documents always are.
    let cases = [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (json!({"a": [{"b": 1}]}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
        (json!({"a": 5}), json!({"a": {"b": null}}), json!({"a": {}})),
    ];
    let api = Api::start().await;
    for (document, patch, expected) in cases {
        api.send("PUT", "/tables/heroes/docs/1", &document).await;
        let patched = api.send("PATCH", "/tables/heroes/docs/1", &patch).await;
        let mut expected = expected;
        expected["id"] = json!(1);
        assert_eq!(
            (patched.status().as_u16(), body(&patched)),
            (200, expected),
            "{document} patched by {patch}"
        );
    }
    problem(&api.send("PATCH", "/tables/heroes/docs/1", &json!({"id": 2})).await, 400, "bad-request");
    problem(&api.send("PATCH", "/tables/heroes/docs/1", &json!({"id": null})).await, 400, "bad-request");
    problem(&api.send("PATCH", "/tables/heroes/docs/2", &json!({"a": 1})).await, 404, "no-such-document");
    let wrong = [("content-type", "application/xml-patch+xml")];
    let response = api.with("PATCH", "/tables/heroes/docs/1", &wrong, b"<diff/>").await;
    problem(&response, 415, "unsupported-media-type");
    let offered =
        "application/merge-patch+json, application/json-patch+json, application/vnd.warp-reql.changes+json";
    assert_eq!(header(&response, "accept-patch"), offered);
}

#[tokio::test]
async fn minimal_answers_have_no_body() {
    let api = Api::start().await;
    let minimal = [("prefer", "return=minimal"), ("content-type", "application/json")];
    let created = api.with("POST", DOCS, &minimal, b"{\"id\":1}").await;
    assert_eq!((created.status().as_u16(), created.body().len()), (201, 0));
    assert_eq!(header(&created, "preference-applied"), "return=minimal");
    let replaced = api.with("PUT", "/tables/heroes/docs/1", &minimal, b"{}").await;
    assert_eq!((replaced.status().as_u16(), replaced.body().len()), (204, 0));
    assert!(!header(&replaced, "etag").is_empty());
}

#[tokio::test]
async fn lists_are_filtered() {
    let api = Api::start().await;
    heroes(&api).await;
    for (query, expected) in [
        ("", json!([1, 2, 3, 4])),
        ("age=eq.40", json!([2])),
        ("age=ne.40", json!([1, 3, 4])),
        ("age=gte.30", json!([1, 2])),
        ("age=lt.30", json!([3])),
        ("age=gt.15&age=lte.40", json!([1, 2])),
        ("age=not.gte.30", json!([3, 4])),
        ("name=in.(Robin,Batman)", json!([2, 3])),
        ("name=match.man$", json!([1, 2])),
        ("age=match.n", json!([4])),
        ("tags=contains.mask", json!([2, 3])),
        ("address.city=eq.Gotham", json!([2, 3])),
        ("address.city=has", json!([1, 2, 3])),
        ("address=eq.null", json!([4])),
        ("address=ne.null", json!([1, 2, 3])),
        ("address.city=not.has", json!([4])),
        ("or=(age=lt.20,name=eq.Nobody)", json!([3, 4])),
        ("or=(age=lt.20,age=gt.35)&tags=contains.cape", json!([2])),
        ("%22name%22=eq.Robin", json!([3])),
        ("where.name=eq.Robin", json!([])),
        ("nothing=eq.1", json!([])),
        ("name=eq.%22Robin%22", json!([3])),
    ] {
        assert_eq!(json!(ids(&api, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn lists_are_ordered_and_cut() {
    let api = Api::start().await;
    heroes(&api).await;
    for (query, expected) in [
        ("order=name", json!([2, 4, 3, 1])),
        ("order=name.desc", json!([1, 3, 4, 2])),
        ("order=address.city,id.desc", json!([3, 2, 1, 4])),
        ("order=address.city.desc", json!([1, 3, 2, 4])),
        ("order=id.desc&limit=2", json!([4, 3])),
        ("limit=2&offset=1", json!([2, 3])),
        ("limit=0", json!([])),
        ("offset=10", json!([])),
    ] {
        assert_eq!(json!(ids(&api, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn fields_are_chosen() {
    let api = Api::start().await;
    heroes(&api).await;
    let list = body(&api.call("GET", &format!("{DOCS}?limit=1&select=name,address.city")).await);
    assert_eq!(list, json!([{"name": "Superman", "address": {"city": "Metropolis"}}]));
    let list = body(&api.call("GET", &format!("{DOCS}?limit=1&omit=address,tags,age")).await);
    assert_eq!(list, json!([{"id": 1, "name": "Superman"}]));
}

#[tokio::test]
async fn pages_follow_each_other_and_end() {
    let api = Api::start().await;
    let documents: Vec<_> = (0..25).map(|n| json!({"id": n, "third": n % 3})).collect();
    assert_eq!(api.send("POST", DOCS, &json!(documents)).await.status(), 201);
    for query in ["limit=10", "limit=10&order=third.desc", "limit=10&order=third,id.desc&select=third"] {
        let mut url = format!("{DOCS}?{query}");
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let response = api.call("GET", &url).await;
            assert_eq!(response.status(), 200, "{url}: {:?}", response.body());
            seen.extend(body(&response).as_array().unwrap().iter().map(|row| row["third"].as_u64().unwrap()));
            pages += 1;
            let Some(next) = header(&response, "link").strip_prefix('<') else { break };
            url = next.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        }
        assert_eq!((seen.len(), pages), (25, 3), "{query}");
        let total: u64 = seen.iter().sum();
        assert_eq!(total, 24, "{query}: each document once");
    }
}

#[tokio::test]
async fn the_whole_is_counted_if_asked_for() {
    let api = Api::start().await;
    heroes(&api).await;
    let path = format!("{DOCS}?limit=1&age=gte.0");
    let response = api.with("GET", &path, &[("prefer", "count=exact")], b"").await;
    assert_eq!(
        (header(&response, "x-total-count"), body(&response).as_array().map(Vec::len)),
        ("3", Some(1))
    );
}

#[tokio::test]
async fn lists_stream_as_lines() {
    let api = Api::start().await;
    heroes(&api).await;
    let path = format!("{DOCS}?select=id");
    let response = api.with("GET", &path, &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(header(&response, "content-type"), "application/x-ndjson");
    let text = std::str::from_utf8(response.body()).unwrap();
    assert_eq!(text, "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n");
    let sorted =
        api.with("GET", &format!("{path}&order=name"), &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(sorted.body(), "{\"id\":2}\n{\"id\":4}\n{\"id\":3}\n{\"id\":1}\n");
    let missing = api.with("GET", "/tables/nope/docs", &[("accept", "application/x-ndjson")], b"").await;
    problem(&missing, 404, "no-such-table");
}

#[tokio::test]
async fn an_index_is_used_when_it_is_named() {
    let api = Api::start().await;
    heroes(&api).await;
    let made = api.send("PUT", "/tables/heroes/indexes/age", &json!({"fields": ["age"]})).await;
    assert_eq!(made.status(), 201, "{:?}", made.body());
    for (query, expected) in [
        ("index=age&age=eq.40", json!([2])),
        ("index=age&age=in.(15,40)", json!([2, 3])),
        ("index=age&age=gt.15&age=lte.40&order=age.desc", json!([2, 1])),
    ] {
        assert_eq!(json!(ids(&api, query).await), expected, "{query}");
    }
    problem(&api.call("GET", &format!("{DOCS}?index=age")).await, 400, "bad-parameter");
    problem(&api.call("GET", &format!("{DOCS}?index=name&name=eq.x")).await, 404, "no-such-index");
}

#[tokio::test]
async fn bulk_inserts_tell_what_became_of_each() {
    let api = Api::start().await;
    api.send("POST", DOCS, &json!({"id": 1, "old": true})).await;
    let response = api.send("POST", DOCS, &json!([{"id": 1}, {"id": 2}, {"name": "no id"}])).await;
    assert_eq!(response.status(), 207, "{:?}", response.body());
    let outcomes = body(&response);
    assert_eq!(outcomes[0], json!({"status": 409, "id": 1, "code": "conflict"}));
    assert_eq!(outcomes[1], json!({"status": 201, "id": 2}));
    assert!(outcomes[2]["status"] == 201 && outcomes[2]["id"].is_string(), "{outcomes}");

    let merge = [("prefer", "resolution=merge-duplicates"), ("content-type", "application/x-ndjson")];
    let response = api.with("POST", DOCS, &merge, b"{\"id\":1,\"new\":1}\n\n{\"id\":9}\n").await;
    assert_eq!((response.status().as_u16(), body(&response)[0]["status"].as_u64()), (201, Some(200)));
    let merged = body(&api.call("GET", "/tables/heroes/docs/1").await);
    assert_eq!(merged, json!({"id": 1, "old": true, "new": 1}));
    let broken = api.with("POST", DOCS, &[("content-type", "application/x-ndjson")], b"{}\n{\"a\":\n").await;
    assert!(problem(&broken, 400, "bad-json")["detail"].as_str().unwrap().contains("line 2"));
}

#[tokio::test]
async fn a_document_that_is_refused_in_bulk_says_more_than_its_code() {
    let api = Api::start().await;
    let response = api.send("POST", DOCS, &json!([{"id": "x".repeat(128)}, {"id": 1}])).await;
    let outcome = &body(&response)[0];
    assert_eq!((response.status().as_u16(), &outcome["code"]), (207, &json!("refused")), "{outcome}");
    assert!(outcome["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{outcome}");
}

#[tokio::test]
async fn a_single_document_may_be_merged_or_replaced_too() {
    let api = Api::start().await;
    let send = async |prefer: &str, document: &Value| {
        let headers = [("content-type", "application/json"), ("prefer", prefer)];
        api.with("POST", DOCS, &headers, document.to_string().as_bytes()).await
    };
    let created = send("resolution=merge-duplicates", &json!({"id": 1, "a": 1})).await;
    assert_eq!((created.status().as_u16(), header(&created, "location")), (201, "/tables/heroes/docs/1"));
    assert_eq!(header(&created, "preference-applied"), "resolution=merge-duplicates");
    let merged = send("resolution=merge-duplicates", &json!({"id": 1, "b": 2})).await;
    assert_eq!((merged.status().as_u16(), body(&merged)), (200, json!({"id": 1, "a": 1, "b": 2})));
    let replaced = send("resolution=replace-duplicates, return=minimal", &json!({"id": 1, "c": 3})).await;
    assert_eq!((replaced.status().as_u16(), replaced.body().len()), (204, 0));
    assert_eq!(header(&replaced, "preference-applied"), "return=minimal, resolution=replace-duplicates");
    assert_eq!(body(&api.call("GET", "/tables/heroes/docs/1").await), json!({"id": 1, "c": 3}));
    problem(&send("resolution=other", &json!({"id": 1})).await, 409, "conflict");
}

#[tokio::test]
async fn many_are_changed_and_deleted_by_filter() {
    let api = Api::start().await;
    heroes(&api).await;
    problem(&api.call("DELETE", DOCS).await, 400, "bad-request");
    let changed = api.send("PATCH", &format!("{DOCS}?age=gte.30"), &json!({"tags": null})).await;
    assert_eq!(body(&changed)["replaced"], 2, "{:?}", changed.body());
    assert_eq!(ids(&api, "tags=has").await, [3, 4]);
    let deleted = api.call("DELETE", &format!("{DOCS}?address.city=eq.Gotham")).await;
    assert_eq!(body(&deleted)["deleted"], 2);
    assert_eq!(body(&api.call("DELETE", &format!("{DOCS}?all=true")).await)["deleted"], 2);
    assert!(ids(&api, "").await.is_empty());
    problem(&api.send("PATCH", &format!("{DOCS}?all=true"), &json!({"id": 1})).await, 400, "bad-request");
}

#[tokio::test]
async fn tables_may_have_another_primary_key() {
    let api = Api::start().await;
    api.send("POST", "/tables", &json!({"name": "people", "primary_key": "email"})).await;
    let created = api.send("POST", "/tables/people/docs", &json!({"email": "a@b", "id": 1})).await;
    assert_eq!(header(&created, "location"), "/tables/people/docs/a%40b");
    let replaced = api.send("PUT", "/tables/people/docs/a%40b", &json!({"id": 2})).await;
    assert_eq!(body(&replaced), json!({"email": "a@b", "id": 2}));
    assert_eq!(body(&api.call("GET", "/tables/people/docs").await), json!([{"email": "a@b", "id": 2}]));
}

#[tokio::test]
async fn reql_types_pass_both_ways() {
    let api = Api::start().await;
    let time = json!({"$reql_type$": "TIME", "epoch_time": 1.5, "timezone": "+00:00"});
    let created = api.send("PUT", "/tables/heroes/docs/1", &json!({"at": time, "x": {"y": 1}})).await;
    assert_eq!(body(&created)["at"], time, "{:?}", created.body());
    let patched = api.send("PATCH", "/tables/heroes/docs/1", &json!({"x": time})).await;
    assert_eq!(body(&patched)["x"], time);
}

#[tokio::test]
async fn tags_tell_documents_of_all_kinds_apart() {
    let api = Api::start().await;
    let path = "/tables/heroes/docs/1";
    let time = json!({"$reql_type$": "TIME", "epoch_time": 0.1, "timezone": "+05:30"});
    let binary = json!({"$reql_type$": "BINARY", "data": "AP8="});
    let document = json!({
        "numbers": [0.1 + 0.2, 1e300, 5e-324, -0.0, 9007199254740991i64, 1e20, -1.5],
        "texts": ["", "\u{0}\u{1f}\"\\/", "é\u{1f600}"],
        "é": {"b": null, "a": [[], {}, true]},
        "time": time,
        "binary": binary,
    });
    let stored = api.send("PUT", path, &document).await;
    let read = api.call("GET", path).await;
    let tag = header(&stored, "etag").to_owned();
    assert_eq!((read.body(), header(&read, "etag")), (stored.body(), tag.as_str()));
    let known = api.with("GET", path, &[("if-none-match", &tag)], b"").await;
    assert_eq!(known.status(), 304);
    for (field, status) in [("one", 200), ("other", 412)] {
        let patch = json!({ field: 1 }).to_string();
        let patched = api.with("PATCH", path, &[("if-match", &tag)], patch.as_bytes()).await;
        assert_eq!(patched.status(), status, "{:?}", patched.body());
    }
    let changed = header(&api.call("GET", path).await, "etag").to_owned();
    assert_ne!(changed, tag);
    let unless = api.with("DELETE", path, &[("if-none-match", &changed)], b"").await;
    assert_eq!(unless.status(), 412);
    let unless = api.with("DELETE", path, &[("if-none-match", &tag)], b"").await;
    assert_eq!(unless.status(), 204);
}

#[tokio::test]
async fn of_two_hundred_writers_one_wins_each_round() {
    let api = Api::start().await;
    let path = "/tables/heroes/docs/7";
    let mut tag = header(&api.send("PUT", path, &json!({"round": 0})).await, "etag").to_owned();
    for round in 1..=3 {
        let write = |writer: usize| {
            let document = json!({"round": round, "writer": writer}).to_string();
            let (api, tag) = (&api, &tag);
            async move { (writer, api.with("PUT", path, &[("if-match", tag)], document.as_bytes()).await) }
        };
        let answers = futures_util::future::join_all((0..200).map(write)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer.status() == 200);
        assert!(lost.iter().all(|(_, answer)| answer.status() == 412), "round {round}");
        let [(winner, answer)] = &won[..] else { panic!("{} writers won in round {round}", won.len()) };
        let stored = api.call("GET", path).await;
        assert_eq!(body(&stored), json!({"id": 7, "round": round, "writer": winner}));
        assert_eq!(header(&stored, "etag"), header(answer, "etag"));
        tag = header(answer, "etag").to_owned();
    }
}
