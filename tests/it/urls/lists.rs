//! Filters and lists: what is well formed, what isn't, and names in quotes.

use serde_json::{Value, json};

use super::{DOCS, get, ids, insert, nasty, random, url};
use crate::support::{Api, body, header, problem};

async fn refused(api: &Api, method: &str, parameters: &[(&str, &str)]) -> String {
    let response = api.call(method, &url(parameters)).await;
    problem(&response, 400, "bad-parameter")["detail"].as_str().expect("a detail").to_owned()
}

#[tokio::test]
async fn a_list_that_is_not_well_formed_changes_nothing() {
    let api = Api::start().await;
    insert(&api, json!([{"id": 1, "v": "O\"Brien"}, {"id": 2, "v": "keep"}, {"id": 3, "v": "gone"}])).await;
    for list in [
        "(O\"Brien,keep)",
        "(keep,O\"Brien)",
        "(:(,keep)",
        "({a,keep)",
        "(\"unterminated,keep)",
        "(keep",
        "keep",
        "(keep))",
        "(keep,)",
        "(,keep)",
        "(keep)x",
        "(\"a\"b,keep)",
        "(a\\,keep)",
        "([1,keep)",
        "(a],keep)",
    ] {
        for method in ["DELETE", "GET"] {
            for op in ["in", "not.in"] {
                let detail = refused(&api, method, &[("v", &format!("{op}.{list}"))]).await;
                assert!(detail.contains("at character "), "{list}: {detail}");
                let any = format!("(v={op}.{list},v=eq.x)");
                assert!(refused(&api, method, &[("or", &any)]).await.contains("at character "), "{any}");
            }
        }
    }
    for any in [
        "(v=eq.5\" pipe,v=eq.6\" pipe)",
        "(v=eq.a",
        "v=eq.a",
        "()",
        "(v)",
        "(v=a)",
        "(v=eq.a,)",
        "(=eq.a)",
        "(v=eq.a)b",
    ] {
        assert!(refused(&api, "DELETE", &[("or", any)]).await.contains("at character "), "{any}");
    }
    assert!(refused(&api, "DELETE", &[("v", "not.in.(O\"Brien,keep)")]).await.contains("at character 10"));
    assert_eq!(ids(&api, &[]).await, json!([1, 2, 3]));
    let deleted = api.call("DELETE", &url(&[("v", "not.in.(\"O\\\"Brien\", keep)")])).await;
    assert_eq!(body(&deleted)["deleted"], 1);
    assert_eq!(ids(&api, &[]).await, json!([1, 2]));
}

#[tokio::test]
async fn blanks_around_members_do_not_count() {
    let api = Api::start().await;
    insert(
        &api,
        json!([{"id": 1, "v": "plain"}, {"id": 2, "v": "a.b"}, {"id": 3, "v": " \
        x "}, {"id": 4, "v": ""}, {"id": 5}]),
    )
    .await;
    for (name, test, expected) in [
        ("v", "in.(plain, a.b)", json!([1, 2])),
        ("v", "in.( \"a.b\" ,\" x \" )", json!([2, 3])),
        ("v", "in.()", json!([])),
        ("v", "not.in.( )", json!([1, 2, 3, 4, 5])),
        ("v", "in.(\"\",null)", json!([4, 5])),
        ("v", "eq.", json!([4])),
        ("v", "eq. x ", json!([3])),
        ("or", "(v=eq.plain, v=eq.a.b)", json!([1, 2])),
        ("or", "( v = eq.plain , v=has )", json!([1, 2, 3, 4])),
        ("or", "(v=in.(plain, a.b), v=not.has)", json!([1, 2, 5])),
    ] {
        assert_eq!(ids(&api, &[(name, test)]).await, expected, "{name}={test}");
    }
}

#[tokio::test]
async fn what_is_written_as_json_is_read_back() {
    let api = Api::start().await;
    let (seed, mut random) = random();
    let texts: Vec<_> = (0..60).map(|_| nasty(&mut random)).collect();
    let documents: Vec<_> = texts.iter().enumerate().map(|(id, text)| json!({"id": id, "v": text})).collect();
    insert(&api, json!(documents)).await;
    let with = |wanted: &[&String]| -> Value {
        let found = texts.iter().enumerate().filter(|(_, text)| wanted.contains(text));
        found.map(|(id, _)| json!(id)).collect()
    };
    for text in &texts {
        let other = &texts[random.usize(..texts.len())];
        let (quoted, other_quoted) = (json!(text).to_string(), json!(other).to_string());
        let context = format!("seed {seed}: {text:?} and {other:?}");
        assert_eq!(ids(&api, &[("v", &format!("eq.{quoted}"))]).await, with(&[text]), "{context}");
        let list = format!("in.({quoted}, {other_quoted})");
        assert_eq!(ids(&api, &[("v", &list)]).await, with(&[text, other]), "{context}");
        let any = format!("(v=eq.{quoted},v=in.({other_quoted}))");
        assert_eq!(ids(&api, &[("or", &any)]).await, with(&[text, other]), "{context}");
        // Without quotes it is found too, or it is refused; never is anything else found.
        let response = api.call("GET", &url(&[("v", &format!("in.({text})"))])).await;
        match response.status().as_u16() {
            400 => {}
            200 => {
                let found: Vec<_> =
                    body(&response).as_array().unwrap().iter().map(|row| row["v"].clone()).collect();
                let one = found.iter().all(|own| own.as_str().is_some_and(|own| own == text.trim()));
                // A comma divides, and no value but a string is a string.
                let is_json = serde_json::from_str::<Value>(text).is_ok();
                assert!(one || text.contains(',') || is_json, "{context}: {found:?}");
            }
            status => panic!("{context}: {status}"),
        }
    }
}

#[tokio::test]
async fn any_field_has_a_name() {
    let api = Api::start().await;
    let (seed, mut random) = random();
    let special = [
        "a.b",
        "a,b",
        "order",
        "limit",
        "or",
        "where",
        "desc",
        "eq",
        "*",
        "-a",
        " a",
        "a ",
        "(a)",
        "a=b",
        "\"",
        "",
        "a\\b",
        "_",
        "sum(a)",
        "a&b",
        "+",
        "é",
        "name(s)",
        "[0]",
        "{",
        "lastEventId",
        "\n",
    ];
    let names = special.map(str::to_owned).into_iter().chain((0..25).map(|_| nasty(&mut random)));
    for (at, name) in names.enumerate() {
        let context = format!("seed {seed}: {name:?}");
        let table = format!("/tables/t{at}");
        assert_eq!(api.send("POST", "/tables", &json!({"name": &table[8..]})).await.status(), 201);
        let documents =
            json!([{"id": 1, &name: 2, "n": {&name: 1}}, {"id": 2, &name: 1, "n": {&name: 2}}, {"id": 3}]);
        assert_eq!(api.send("POST", &format!("{table}/docs"), &documents).await.status(), 201, "{context}");
        let list = async |parameters: &[(&str, &str)]| {
            let response = api.call("GET", &url(parameters).replace(DOCS, &format!("{table}/docs"))).await;
            assert_eq!(response.status(), 200, "{context}: {parameters:?}: {:?}", response.body());
            body(&response)
        };
        let field = json!(name).to_string();
        let nested = format!("n.{field}");
        for indexed in [false, true] {
            if indexed {
                let index = format!("{table}/indexes/i");
                let made = api.send("PUT", &index, &json!({"fields": [field]})).await;
                if name.contains('"') {
                    problem(&made, 400, "bad-parameter");
                    continue;
                }
                assert_eq!(made.status(), 201, "{context}: {:?}", made.body());
                // It is described such that it can be made again.
                let described = body(&api.call("GET", &index).await);
                let again = api.send("PUT", &index, &json!({"fields": described["fields"]})).await;
                assert_eq!(again.status(), 200, "{context}: {described}");
            }
            assert_eq!(list(&[(&field, "eq.1"), ("select", "id")]).await, json!([{"id": 2}]), "{context}");
            assert_eq!(list(&[(&nested, "eq.1"), ("select", "id")]).await, json!([{"id": 1}]), "{context}");
            assert_eq!(
                list(&[("or", &format!("({field}=eq.2)")), ("select", "id")]).await,
                json!([{"id": 1}]),
                "{context}"
            );
            let order = format!("{field}, id.desc");
            assert_eq!(
                list(&[("order", &order), ("select", "id")]).await,
                json!([{"id": 2}, {"id": 1}, {"id": 3}]),
                "{context}"
            );
            let order = format!("{nested}.desc");
            assert_eq!(
                list(&[("order", &order), ("select", "id")]).await,
                json!([{"id": 2}, {"id": 1}, {"id": 3}]),
                "{context}"
            );
        }
        assert_eq!(list(&[("select", &field), ("id", "eq.1")]).await, json!([{&name: 2}]), "{context}");
        let omitted = list(&[("omit", &format!("{nested},{field}")), ("id", "eq.1")]).await;
        assert_eq!(omitted, json!([{"id": 1, "n": {}}]), "{context}");
        assert_eq!(
            list(&[("group", &field), ("id", "lt.3")]).await.as_array().map(Vec::len),
            Some(2),
            "{context}"
        );
        let figure = format!("sum({field})");
        assert_eq!(list(&[("agg", &figure)]).await, json!([{&figure: 3}]), "{context}");
    }
}

#[tokio::test]
async fn an_index_over_a_name_with_a_dot_is_not_one_over_a_nested_field() {
    let api = Api::start().await;
    insert(&api, json!([{"id": 1, "a.b": 1, "a": {"b": 2}}, {"id": 2, "a": {"b": 1}}])).await;
    // As a driver makes it.
    let mut conn = warp_reql::Conn::new(api.database.clone());
    conn.first::<Value>(reql::r.table("heroes").index_create("a.b")).await.expect("an index");
    while body(&api.call("GET", "/tables/heroes/indexes").await)[0]["ready"] != true {
        tokio::task::yield_now().await;
    }
    assert_eq!(ids(&api, &[("a.b", "eq.1")]).await, json!([2]));
    assert_eq!(ids(&api, &[("\"a.b\"", "eq.1")]).await, json!([1]));
    let listed = body(&api.call("GET", "/tables/heroes/indexes").await);
    assert_eq!(listed[0]["fields"], json!(["\"a.b\""]));
}

#[tokio::test]
async fn what_looks_like_something_else_is_not_guessed_at() {
    let api = Api::start().await;
    insert(&api, json!([{"id": 1, "order": 3, "where": {"x": 1, "order": 4}}, {"id": 2, "x": 1}])).await;
    assert_eq!(ids(&api, &[("where.x", "eq.1")]).await, json!([1]));
    assert_eq!(ids(&api, &[("or", "(where.x=eq.1)")]).await, json!([1]));
    assert_eq!(ids(&api, &[("\"order\"", "eq.3")]).await, json!([1]));
    assert_eq!(ids(&api, &[("\"where\".order", "eq.4")]).await, json!([1]));
    assert_eq!(get(&api, &[("select", "*"), ("id", "eq.2")]).await, json!([{"id": 2, "x": 1}]));
    assert_eq!(get(&api, &[("agg", "count,count")]).await, json!([{"count": 2}]));
    assert_eq!(ids(&api, &[("order", "x.desc.nullslast")]).await, json!([2, 1]));
    assert_eq!(ids(&api, &[("_", "1700000000000"), ("limit", "1")]).await, json!([1]));
    for (name, value, says) in [
        ("where.order", "eq.3", "\"order\""),
        ("order", "eq.3", "in quotes"),
        ("select", "lt.3", "in quotes"),
        ("order", "-x", "a.desc"),
        ("order", "x.DESC", ".desc"),
        ("order", "x.desc.nullsfirst", ".nullslast"),
        ("page", "2", "there is none of this name"),
        ("fields", "id", "there is none of this name"),
        ("select", "a,,b", "at character 3"),
        ("agg", "count,total(x)", "at character 7"),
    ] {
        let detail = refused(&api, "GET", &[(name, value)]).await;
        assert!(detail.contains(&format!("`{name}`")) && detail.contains(says), "{name}={value}: {detail}");
    }
}

#[tokio::test]
async fn dates_and_times_compare_with_times_and_with_text() {
    let api = Api::start().await;
    let time = |seconds: f64| json!({"$reql_type$": "TIME", "epoch_time": seconds, "timezone": "+02:00"});
    insert(
        &api,
        json!([
            {"id": 1, "t": time(1_365_168_000.0)},
            {"id": 2, "t": time(1_365_168_001.0)},
            {"id": 3, "t": "2013-04-05T18:50:00+05:30"},
            {"id": 4, "t": "2014-01-01"},
            {"id": 5, "t": 5},
            {"id": 6},
            {"id": 7, "t": [time(1_365_168_000.0)]},
        ]),
    )
    .await;
    for indexed in [false, true] {
        if indexed {
            let made = api.send("PUT", "/tables/heroes/indexes/t", &json!({"fields": ["t"]})).await;
            assert_eq!(made.status(), 201, "{:?}", made.body());
        }
        for (test, expected) in [
            ("eq.2013-04-05T18:50:00+05:30", json!([1, 3])),
            ("eq.2013-04-05T18:50:00 05:30", json!([1, 3])),
            ("eq.2013-04-05T13:20:00Z", json!([1])),
            ("eq.\"2013-04-05T18:50:00+05:30\"", json!([3])),
            ("gt.2013-04-05T13:20:00Z", json!([2, 3, 4])),
            ("gte.2013-01-01", json!([1, 2, 3, 4])),
            ("lt.2013-12-31", json!([1, 2, 3])),
            ("lte.2013-04-05T13:20:00Z", json!([1])),
            ("in.(2013-04-05T13:20:00Z, 2014-01-01)", json!([1, 4])),
            ("ne.2013-04-05T18:50:00+05:30", json!([2, 4, 5, 7])),
            ("not.eq.2013-04-05T18:50:00+05:30", json!([2, 4, 5, 6, 7])),
            ("contains.2013-04-05T13:20:00Z", json!([7])),
        ] {
            assert_eq!(ids(&api, &[("t", test), ("order", "id")]).await, expected, "{test}");
        }
    }
    // As it stands in a URL whose plus nobody escaped.
    let list = body(&api.call("GET", &format!("{DOCS}?t=eq.2013-04-05T18:50:00+05:30&select=id")).await);
    assert_eq!(list, json!([{"id": 1}, {"id": 3}]));
}

#[tokio::test]
async fn a_single_document_may_be_told_in_part() {
    let api = Api::start().await;
    insert(&api, json!([{"id": 1, "a": {"b": 1, "c": 2}, "d": 3}])).await;
    let whole = api.call("GET", &format!("{DOCS}/1")).await;
    for (query, expected) in [
        ("select=a.b", json!({"a": {"b": 1}})),
        ("omit=a.b,d", json!({"id": 1, "a": {"c": 2}})),
        ("select=*", body(&whole)),
    ] {
        let part = api.call("GET", &format!("{DOCS}/1?{query}")).await;
        assert_eq!((part.status().as_u16(), body(&part)), (200, expected), "{query}");
        assert_eq!(header(&part, "etag"), header(&whole, "etag"), "it is for changes of the whole");
    }
    problem(&api.call("GET", &format!("{DOCS}/2?select=a")).await, 404, "no-such-document");
    problem(&api.call("GET", &format!("{DOCS}/1?order=a")).await, 400, "bad-parameter");
}

#[tokio::test]
async fn a_pattern_that_is_none_is_refused_before_anything_is_done() {
    let api = Api::start().await;
    insert(&api, json!([{"id": 1, "v": 1}])).await;
    for parameters in [
        &[("v", "match.(")][..],
        &[("v", "not.match.(")],
        &[("or", "(v=match.\"(\")")],
        &[("v", "match.("), ("agg", "count")],
    ] {
        problem(&api.call("GET", &url(parameters)).await, 400, "query-logic");
        let accept = [("accept", "application/x-ndjson")];
        let lines = api.with("GET", &url(&parameters[..1]), &accept, b"").await;
        problem(&lines, 400, "query-logic");
        problem(&api.call("DELETE", &url(&parameters[..1])).await, 400, "query-logic");
        problem(&api.send("PATCH", &url(&parameters[..1]), &json!({"a": 1})).await, 400, "query-logic");
        let live = [("accept", "text/event-stream")];
        problem(&api.with("GET", &url(&parameters[..1]), &live, b"").await, 400, "query-logic");
    }
    assert_eq!(get(&api, &[]).await, json!([{"id": 1, "v": 1}]));
}

#[tokio::test]
async fn a_client_that_cannot_set_a_header_returns_by_a_parameter() {
    let api = Api::start().await;
    insert(&api, json!([{"id": 1}])).await;
    let serving = api.serve().await;
    for (query, name) in [
        ("lastEventId=5&r=0123", "reset"),
        ("Last-Event-ID=5", "reset"),
        ("lastEventId=", "initial"),
        ("_=1700000000000", "initial"),
    ] {
        let mut events = crate::support::events::Events::open(serving.addr, &format!("{DOCS}?{query}")).await;
        assert_eq!(events.status, 200, "{query}");
        assert_eq!(events.next().await.expect("an event").name, name, "{query}");
    }
}

#[tokio::test]
async fn conditions_lie_in_each_other() {
    let api = Api::start().await;
    let documents = json!([
        {"id": 1, "a": 1, "s": "Straße", "l": [1, "x"]},
        {"id": 2, "a": 2, "s": "Stone", "b": true},
        {"id": 3, "a": 3, "s": "stone", "b": false, "l": []},
        {"id": 4, "a": "3", "n": null},
    ]);
    insert(&api, documents).await;
    for (name, test, expected) in [
        ("or", "(a=eq.1,and=(a=gt.1,s=eq.stone))", json!([1, 3])),
        ("and", "(or=(a=eq.1,a=eq.2),not.or=(b=is.true,b=eq.x))", json!([1])),
        ("not.or", "(a=eq.1,b=has)", json!([4])),
        ("not.and", "(a=gte.2,b=has)", json!([1, 4])),
        ("or", "(or=(or=(or=(or=(or=(or=(or=(a=eq.1))))))))", json!([1])),
        ("or", "(or=eq.5,and=eq.5,a=eq.2)", json!([2])),
        ("s", "starts.St", json!([1, 2])),
        ("s", "starts.\"\"", json!([1, 2, 3])),
        ("s", "imatch.^STO", json!([2, 3])),
        ("s", "any.starts.(Str,sto)", json!([1, 3])),
        ("s", "all.match.(t,n)", json!([2, 3])),
        ("a", "any.eq.(1,3)", json!([1, 3])),
        ("a", "any.lt.(1,3)", json!([1, 2])),
        ("b", "is.null", json!([1, 4])),
        ("b", "not.is.null", json!([2, 3])),
        ("b", "is.false", json!([3])),
        ("n", "is.null", json!([1, 2, 3, 4])),
        ("a", "type.string", json!([4])),
        ("a", "not.type.number", json!([4])),
        ("l", "type.array", json!([1, 3])),
        ("l", "any.(x,y)", json!([1])),
        ("l", "all.(x,1)", json!([1])),
        ("l", "all.()", json!([1, 2, 3, 4])),
        ("l", "any.()", json!([])),
    ] {
        assert_eq!(ids(&api, &[(name, test)]).await, expected, "{name}={test}");
    }
    for (name, test) in [
        ("or", "(or=(or=(or=(or=(or=(or=(or=(or=(a=eq.1)))))))))"),
        ("and", "()"),
        ("or", "(a=eq.1,or=())"),
        ("not.or", "(a=eq.1"),
        ("a", "type.text"),
        ("a", "is.5"),
        ("a", "any.has"),
    ] {
        let refused = api.call("DELETE", &url(&[(name, test)])).await;
        problem(&refused, 400, "bad-parameter");
    }
    assert_eq!(ids(&api, &[]).await, json!([1, 2, 3, 4]));
}
