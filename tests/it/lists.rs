//! Lists through indexes: which one is taken, that it makes no difference to the result, pages, and groups.

use std::collections::BTreeMap;

use crate::support::{Api, body, header, problem};
use serde_json::{Value, json};

const DOCS: &str = "/tables/heroes/docs";

async fn insert(api: &Api, documents: &[Value]) {
    let response = api.send("POST", DOCS, &json!(documents)).await;
    assert_eq!(response.status(), 201, "{:?}", response.body());
}

async fn index(api: &Api, name: &str, fields: &[&str]) {
    let path = format!("/tables/heroes/indexes/{name}");
    let response = api.send("PUT", &path, &json!({"fields": fields})).await;
    assert_eq!(response.status(), 201, "{:?}", response.body());
}

async fn get(api: &Api, query: &str) -> Value {
    let response = api.call("GET", &format!("{DOCS}?{query}")).await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    body(&response)
}

async fn explain(api: &Api, query: &str) -> Value {
    let response = api.with("GET", &format!("{DOCS}?{query}"), &[("prefer", "explain")], b"").await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    assert_eq!(header(&response, "preference-applied"), "explain");
    body(&response)
}

/// All pages of a list, one after another.
async fn pages(api: &Api, query: &str) -> Vec<Value> {
    let mut url = format!("{DOCS}?{query}");
    let mut all = Vec::new();
    loop {
        let response = api.call("GET", &url).await;
        assert_eq!(response.status(), 200, "{url}: {:?}", response.body());
        all.extend(body(&response).as_array().expect("an array").iter().cloned());
        let Some(next) = header(&response, "link").strip_prefix('<') else { return all };
        url = next.strip_suffix(">; rel=\"next\"").expect("a link to the next page").to_owned();
    }
}

fn pick<'a, T>(random: &mut fastrand::Rng, items: &'a [T]) -> &'a T {
    &items[random.usize(..items.len())]
}

/// Values of all kinds: those that have a place in an index and those that have none.
fn value(random: &mut fastrand::Rng) -> Option<Value> {
    Some(match random.u8(..12) {
        0 => return None,
        1 => Value::Null,
        2 => json!(random.bool()),
        3 => json!({"b": random.u8(..3)}),
        4 => json!([random.u8(..3), null]),
        5 => json!([random.u8(..3)]),
        6 => json!({"$reql_type$": "TIME", "epoch_time": random.u8(..3), "timezone": "+00:00"}),
        7 => json!(pick(random, &["x", "y", "xy", ""])),
        _ => json!(f64::from(random.u8(..12)) / 2.0),
    })
}

fn condition(random: &mut fastrand::Rng) -> String {
    let field = pick(random, &["a", "b", "c.d", "id"]);
    let operand = pick(random, &["0", "1", "2.5", "4", "x", "true", "[1]", "null", "{\"b\":1}"]);
    let test = match random.u8(..10) {
        0..=2 => format!("eq.{operand}"),
        3 => format!("in.({operand},3,3.0,y)"),
        4 => format!("gte.{operand}"),
        5 => format!("lt.{operand}"),
        6 => format!("gt.{operand}"),
        7 => "has".to_owned(),
        8 => format!("not.lte.{operand}"),
        _ => format!("ne.{operand}"),
    };
    format!("{field}={}&", test.replace('{', "%7B").replace('}', "%7D").replace('"', "%22"))
}

fn order(random: &mut fastrand::Rng) -> String {
    let keys: Vec<_> = (0..random.usize(..3))
        .map(|_| {
            let field = pick(random, &["a", "b", "c.d", "id"]);
            let direction = pick(random, &["", "", ".desc"]);
            format!("{field}{direction}")
        })
        .collect();
    if keys.is_empty() { String::new() } else { format!("order={}&", keys.join(",")) }
}

#[tokio::test]
async fn an_index_makes_no_difference_to_any_result() {
    let api = Api::start().await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let documents: Vec<_> = (0..70)
        .map(|id| {
            let mut document = json!({"id": if id % 7 == 0 { json!(format!("k{id}")) } else { json!(id) }});
            for name in ["a", "b"] {
                if let Some(value) = value(&mut random) {
                    document[name] = value;
                }
            }
            if let Some(value) = value(&mut random) {
                document["c"] = if random.u8(..5) == 0 { value } else { json!({"d": value}) };
            }
            document
        })
        .collect();
    insert(&api, &documents).await;
    let queries: Vec<_> = (0..40)
        .map(|_| {
            let conditions: String = (0..random.usize(..3)).map(|_| condition(&mut random)).collect();
            format!("{conditions}{}", order(&mut random))
        })
        .collect();
    let mut without = Vec::new();
    for query in &queries {
        assert!(
            !["a", "b", "ab"].contains(&explain(&api, query).await["index"].as_str().unwrap_or_default())
        );
        without.push(get(&api, &format!("{query}limit=1000")).await);
    }
    index(&api, "a", &["a"]).await;
    index(&api, "b", &["b"]).await;
    index(&api, "ab", &["a", "b"]).await;
    index(&api, "b_id", &["b", "id"]).await;
    index(&api, "cd", &["c.d"]).await;
    let mut taken = BTreeMap::new();
    for (query, expected) in queries.iter().zip(&without) {
        let explained = explain(&api, query).await;
        *taken.entry(explained["index"].as_str().unwrap_or("none").to_owned()).or_insert(0) += 1;
        let context = format!("seed {seed}: {query}\n{}", explained["reql"].as_str().unwrap_or_default());
        assert_eq!(&get(&api, &format!("{query}limit=1000")).await, expected, "{context}");
        assert_eq!(&json!(pages(&api, &format!("{query}limit=11")).await), expected, "in pages, {context}");
        let path = format!("{DOCS}?{query}");
        let headers = [("accept", "application/x-ndjson"), ("prefer", "count=exact")];
        let lines = api.with("GET", &path, &headers, b"").await;
        let text = std::str::from_utf8(lines.body()).unwrap();
        let streamed: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(&json!(streamed), expected, "streamed, {context}");
        assert_eq!(header(&lines, "x-total-count"), streamed.len().to_string(), "{context}");
    }
    assert!(taken.len() >= 3, "seed {seed}: {taken:?}");
}

#[tokio::test]
async fn an_explanation_names_the_index_and_runs_nothing() {
    let api = Api::start().await;
    index(&api, "age", &["age"]).await;
    let explained = explain(&api, "age=gte.18&order=age&limit=2").await;
    assert_eq!(explained["index"], "age");
    let reql = explained["reql"].as_str().unwrap();
    assert!(
        reql.starts_with(
            r#"r.table("heroes").between(18, r.maxval, {index: "age", rightBound: "closed"}).orderBy({index: "age"}).filter("#
        ),
        "{reql}"
    );
    assert!(reql.contains(".limit(3)"), "{reql}");
    assert_eq!(explain(&api, "id=eq.1").await["index"], "id");
    assert_eq!(explain(&api, "").await["index"], "id");
    assert_eq!(explain(&api, "order=name").await["index"], Value::Null);
    let grouped = explain(&api, "group=age&agg=count").await;
    assert!(grouped["reql"].as_str().unwrap().contains(".group("), "{grouped}");
}

#[tokio::test]
async fn an_index_that_goes_away_is_done_without() {
    let api = Api::start().await;
    insert(&api, &[json!({"id": 1, "age": 2}), json!({"id": 2, "age": 1}), json!({"id": 3})]).await;
    index(&api, "age", &["age"]).await;
    for query in ["age=eq.1", "order=age", "order=age&age=gte.1", "group=age", "age=gt.0&order=id.desc"] {
        let before = get(&api, query).await;
        assert!(explain(&api, query).await["reql"].as_str().unwrap().contains("\"age\""), "{query}");
        // Behind the back of the service, which goes on believing in it.
        let mut conn = warp_reql::Conn::new(api.database.clone());
        conn.first::<Value>(reql::r.table("heroes").index_drop("age")).await.unwrap();
        assert_eq!(get(&api, query).await, before, "{query}");
        index(&api, "age", &["age"]).await;
    }
}

#[tokio::test]
async fn a_stream_does_without_it_too() {
    let api = Api::start().await;
    insert(&api, &[json!({"id": 1, "age": 2}), json!({"id": 2, "age": 1})]).await;
    index(&api, "age", &["age"]).await;
    assert_eq!(explain(&api, "order=age").await["index"], "age");
    let mut conn = warp_reql::Conn::new(api.database.clone());
    conn.first::<Value>(reql::r.table("heroes").index_drop("age")).await.unwrap();
    let path = format!("{DOCS}?order=age&select=id");
    let lines = api.with("GET", &path, &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!((lines.status().as_u16(), &lines.body()[..]), (200, &b"{\"id\":2}\n{\"id\":1}\n"[..]));
}

#[tokio::test]
async fn a_named_index_has_to_fit() {
    let api = Api::start().await;
    insert(
        &api,
        &[json!({"id": 1, "a": 1, "b": 1}), json!({"id": 2, "a": 1, "b": 2}), json!({"id": 3, "a": 2})],
    )
    .await;
    index(&api, "both", &["a", "b"]).await;
    assert_eq!(get(&api, "index=both&a=eq.1&b=gt.1").await[0]["id"], 2);
    problem(&api.call("GET", &format!("{DOCS}?index=both&a=eq.1")).await, 400, "bad-parameter");
    problem(&api.call("GET", &format!("{DOCS}?index=both")).await, 400, "bad-parameter");
    problem(&api.call("GET", &format!("{DOCS}?index=nope&a=eq.1")).await, 404, "no-such-index");
    let made = api.send("PUT", "/tables/heroes/indexes/many", &json!({"fields": ["a"], "multi": true})).await;
    assert_eq!(made.status(), 201);
    problem(&api.call("GET", &format!("{DOCS}?index=many&a=eq.1")).await, 400, "bad-parameter");
}

#[tokio::test]
async fn pages_end_and_begin_between_equals() {
    let api = Api::start().await;
    let documents: Vec<_> = (0..60).map(|id| json!({"id": id, "n": id % 4})).collect();
    insert(&api, &documents).await;
    insert(&api, &[json!({"id": 100}), json!({"id": 101, "n": null}), json!({"id": 102, "n": {}})]).await;
    index(&api, "n", &["n"]).await;
    let ids: Vec<_> =
        pages(&api, "order=n&limit=4").await.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    let mut expected: Vec<u64> = (0..60).collect();
    expected.sort_by_key(|id| (id % 4, *id));
    expected.extend([100, 101, 102]);
    assert_eq!(ids, expected);
    for cursor in ["[1]", "[[1],2]", "[{},2]", "[1,null]", "1", "x", "[1,2,3]"] {
        let url = format!("{DOCS}?order=n&cursor={}", cursor.replace('{', "%7B").replace('}', "%7D"));
        problem(&api.call("GET", &url).await, 400, "bad-parameter");
    }
}

#[tokio::test]
async fn documents_are_counted_in_groups() {
    let api = Api::start().await;
    insert(
        &api,
        &[
            json!({"id": 1, "city": "Oslo", "address": {"zip": 1}, "n": 3, "at": "b"}),
            json!({"id": 2, "city": "Oslo", "address": {"zip": 2}, "n": 1, "at": "a"}),
            json!({"id": 3, "city": "Rome", "address": {"zip": 1}, "n": "x"}),
            json!({"id": 4, "n": 5.5}),
        ],
    )
    .await;
    assert_eq!(
        get(&api, "group=city&agg=count,sum(n),avg(n),min(n),max(at)").await,
        json!([
            {"group": null, "count": 1, "sum(n)": 5.5, "avg(n)": 5.5, "min(n)": 5.5, "max(at)": null},
            {"group": "Oslo", "count": 2, "sum(n)": 4, "avg(n)": 2, "min(n)": 1, "max(at)": "b"},
            {"group": "Rome", "count": 1, "sum(n)": null, "avg(n)": null, "min(n)": "x", "max(at)": null},
        ])
    );
    assert_eq!(
        get(&api, "group=address.zip,city&city=has").await,
        json!([
            {"group": [1, "Oslo"], "count": 1},
            {"group": [1, "Rome"], "count": 1},
            {"group": [2, "Oslo"], "count": 1},
        ])
    );
    assert_eq!(get(&api, "agg=count,max(n)&id=lt.3").await, json!([{"count": 2, "max(n)": 3}]));
    assert_eq!(get(&api, "agg=count,max(n)&id=gt.9").await, json!([{"count": 0, "max(n)": null}]));
    assert_eq!(get(&api, "group=city&id=gt.9").await, json!([]));
    for (query, parameter) in [
        ("group=city&agg=median(n)", "agg"),
        ("group=city&agg=sum(n", "agg"),
        ("group=city&agg=", "agg"),
        ("group=", "group"),
        ("group=a..b", "group"),
        ("group=city&limit=1", "limit"),
        ("agg=count&order=n", "order"),
        ("group=city&n=about.5", "n"),
    ] {
        let detail =
            problem(&api.call("GET", &format!("{DOCS}?{query}")).await, 400, "bad-parameter")["detail"]
                .to_string();
        assert!(detail.contains(&format!("`{parameter}`")), "{query}: {detail}");
    }
    let lines =
        api.with("GET", &format!("{DOCS}?group=city"), &[("accept", "application/x-ndjson")], b"").await;
    problem(&lines, 406, "not-acceptable");
}

/// A value that no URL has room for can't be the place at which the next page begins.
#[tokio::test]
async fn a_page_that_ends_at_a_long_value_leads_on_all_the_same() {
    let api = Api::start().await;
    let long = |first: char| format!("{first}{}", "x".repeat(10_000));
    let texts = ["a".to_owned(), long('b'), long('c'), "d".to_owned()];
    let documents: Vec<_> =
        texts.iter().enumerate().map(|(id, text)| json!({"id": id, "text": text})).collect();
    insert(&api, &documents).await;
    let link = async |url: &str| {
        let response = api.call("GET", url).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
        let link = header(&response, "link");
        link.strip_prefix('<').and_then(|link| link.split('>').next()).map(str::to_owned)
    };
    let second = link(&format!("{DOCS}?order=text&select=id&limit=2")).await.expect("there is more");
    assert!(second.ends_with("&offset=2"), "{second}");
    assert_eq!(body(&api.call("GET", &second).await), json!([{"id": 2}, {"id": 3}]));
    assert_eq!(link(&second).await, None, "that is the last");
    // From a place in the order nothing is counted.
    let after = link(&format!("{DOCS}?order=text&limit=1")).await.expect("there is more");
    problem(&api.call("GET", &after).await, 400, "bad-parameter");
}
