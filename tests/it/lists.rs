//! Lists through indexes: which one is taken, pages, and groups. `differential` shows that it makes no
//! difference to the result.

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

pub async fn get(api: &Api, query: &str) -> Value {
    let response = api.call("GET", &format!("{DOCS}?{query}")).await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    body(&response)
}

pub async fn explain(api: &Api, query: &str) -> Value {
    let response = api.with("GET", &format!("{DOCS}?{query}"), &[("prefer", "explain")], b"").await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    assert_eq!(header(&response, "preference-applied"), "explain");
    body(&response)
}

/// Returns all pages of a list, one after another.
pub async fn pages(api: &Api, query: &str) -> Vec<Value> {
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

#[tokio::test]
async fn an_explanation_names_the_index_and_runs_nothing() {
    let api = Api::start().await;
    index(&api, "age", &["age"]).await;
    let explained = explain(&api, "age=gte.18&order=age&limit=2").await;
    assert_eq!(explained["index"], "age");
    let reql = explained["reql"].as_str().unwrap();
    assert!(
        reql.starts_with(
            &[
                r#"r.table("heroes").between(18, r.maxval, {index: "age", rightBound: "closed"})"#,
                r#".orderBy({index: "age"}).filter("#,
            ]
            .concat()
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

#[tokio::test]
async fn what_is_the_same_in_all_documents_orders_none() {
    let api = Api::start().await;
    let city = |id: usize| if id.is_multiple_of(2) { "Oslo" } else { "Rome" };
    let documents: Vec<_> = (0..30).map(|id| json!({"id": id, "city": city(id), "age": id % 5})).collect();
    insert(&api, &documents).await;
    let queries = ["city=eq.Oslo&order=city.desc,age&age=type.number", "city=eq.Oslo&order=city.desc"];
    let without = [get(&api, queries[0]).await, get(&api, queries[1]).await];
    assert_eq!(without[1][0]["id"], 28, "the primary key goes on falling");
    index(&api, "city", &["city"]).await;
    index(&api, "both", &["city", "age"]).await;
    for ((query, expected), taken) in queries.iter().zip(&without).zip(["both", "city"]) {
        let explained = explain(&api, query).await;
        assert_eq!(explained["index"], taken, "{explained}");
        assert_eq!(explained["reql"].as_str().unwrap().matches("orderBy(").count(), 1, "{explained}");
        assert!(explained["reql"].as_str().unwrap().contains("orderBy({index: "), "{explained}");
        assert_eq!(&get(&api, query).await, expected, "{query}");
        assert_eq!(&json!(pages(&api, &format!("{query}&limit=4")).await), expected, "{query}");
    }
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

#[tokio::test]
async fn a_part_is_that_of_the_whole_wherever_the_index_ends() {
    let api = Api::start().await;
    let document =
        |id: u64| if id.is_multiple_of(52) { json!({"id": id}) } else { json!({"id": id, "n": id}) };
    insert(&api, &(0..1040).map(document).collect::<Vec<_>>()).await;
    index(&api, "n", &["n"]).await;
    let lines = async |query: &str| -> Vec<Value> {
        let path = format!("{DOCS}?order=n&{query}");
        let response = api.with("GET", &path, &[("accept", "application/x-ndjson")], b"").await;
        assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
        let text = std::str::from_utf8(response.body()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = lines("").await;
    assert_eq!((whole.len(), &whole[1020]), (1040, &json!({"id": 0})));
    for (offset, limit) in
        [(0, 10), (0, 1000), (0, 1030), (0, 5000), (5, 20), (1010, 10), (1015, 20), (1030, 5)]
    {
        let expected: Vec<_> = whole.iter().skip(offset).take(limit).cloned().collect();
        let query = format!("offset={offset}&limit={limit}");
        assert_eq!(lines(&query).await, expected, "{query}");
        if limit <= 1000 {
            assert_eq!(get(&api, &format!("order=n&{query}")).await, json!(expected), "{query}");
        }
    }
    assert_eq!(lines("limit=3&cursor=%5Bnull,52%5D").await, whole[1022..1025]);
    // Without a limit, everything from there on.
    for (query, from) in
        [("offset=5", 5), ("offset=1030", 1030), ("cursor=%5Bnull,52%5D", 1022), ("cursor=%5B1,1%5D", 1)]
    {
        assert_eq!(lines(query).await, whole[from..], "{query}");
    }
    let beyond = format!("{DOCS}?order=n&limit={}", u64::MAX);
    let beyond = api.with("GET", &beyond, &[("accept", "application/x-ndjson")], b"").await;
    assert!(problem(&beyond, 400, "bad-parameter")["detail"].as_str().unwrap().contains("`limit`"));
    assert_eq!(lines(&format!("limit={}&offset=1038", i32::MAX)).await, whole[1038..]);
    let kinds = "application/x-ndjson, application/json;q=0.5";
    let explained = [("accept", kinds), ("prefer", "explain")];
    let explained = api.with("GET", &format!("{DOCS}?order=n&limit=5000"), &explained, b"").await;
    let reql = body(&explained)["reql"].to_string();
    assert!(reql.contains("index: ") && !reql.contains("coerceTo"), "{reql}");
}

#[tokio::test]
async fn falling_orders_go_through_an_index() {
    let api = Api::start().await;
    let documents: Vec<_> = (0..40).map(|id| json!({"id": id, "n": id % 4, "m": id % 3})).collect();
    insert(&api, &documents).await;
    insert(&api, &[json!({"id": 100}), json!({"id": 101, "n": null}), json!({"id": 102, "n": {}})]).await;
    let queries = [
        "order=n.desc",
        "order=id.desc",
        "order=n.desc,m.desc&m=type.number",
        "n=eq.3&order=m.desc&m=gte.1",
        "order=n.desc,m",
    ];
    let mut without = Vec::new();
    for query in queries {
        without.push(get(&api, query).await);
    }
    let ids: Vec<_> = without[0].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
    let mut expected: Vec<u64> = (0..40).collect();
    expected.sort_by_key(|id| std::cmp::Reverse((id % 4, *id)));
    expected.extend([102, 101, 100]);
    assert_eq!(
        ids, expected,
        "the primary key falls with the order, and documents without a value come last"
    );
    index(&api, "n", &["n"]).await;
    index(&api, "nm", &["n", "m"]).await;
    for ((query, expected), taken) in queries.iter().zip(&without).zip(["n", "id", "nm", "nm", "n"]) {
        let explained = explain(&api, query).await;
        assert_eq!(explained["index"], taken, "{query}: {explained}");
        assert!(explained["reql"].as_str().unwrap().contains("{index: r.desc("), "{query}: {explained}");
        assert_eq!(&get(&api, query).await, expected, "{query}");
        assert_eq!(&json!(pages(&api, &format!("{query}&limit=7")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn multi_and_geo_indexes_answer_lists() {
    let api = Api::start().await;
    let point = |x: f64| json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [x, 59.0]});
    insert(
        &api,
        &[
            json!({"id": 1, "tags": ["x", "y", "x"], "at": point(10.0)}),
            json!({"id": 2, "tags": ["y", "z"], "at": point(10.001)}),
            json!({"id": 3, "tags": "x", "at": point(11.0)}),
            json!({"id": 4}),
        ],
    )
    .await;
    let of = |kind: &str, field: &str| {
        (format!("/tables/heroes/indexes/{field}"), json!({"fields": [field], kind: true}))
    };
    for (path, index) in [of("multi", "tags"), of("geo", "at")] {
        assert_eq!(api.send("PUT", &path, &index).await.status(), 201);
    }
    let area = "%7B%22type%22:%22Polygon%22,%22coordinates%22:\
                [[[9.9,58.9],[10.0005,58.9],[10.0005,59.1],[9.9,59.1],[9.9,58.9]]]%7D";
    for (query, index, expected) in [
        ("tags=contains.x", "tags", json!([1])),
        ("tags=any.(x,y)", "tags", json!([1, 2])),
        ("tags=any.(z,y)&order=id.desc", "tags", json!([2, 1])),
        ("at=near.(10.0009,59,200m)", "at", json!([2, 1])),
        (&format!("at=within.{area}"), "at", json!([1])),
        (&format!("at=intersects.{area}"), "at", json!([1])),
    ] {
        assert_eq!(explain(&api, query).await["index"], index, "{query}");
        let list = get(&api, query).await;
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        assert_eq!(json!(ids), expected, "{query}: {list}");
    }
    let near = get(&api, "at=near.(10.0009,59,1km)&select=id").await;
    assert!(near[0]["distance"].as_f64().unwrap() < near[1]["distance"].as_f64().unwrap(), "{near}");
    assert_eq!(json!(pages(&api, "at=near.(10.0009,59,1km)&select=id&limit=1").await), near);
    for (query, code) in [
        ("at=within.%7B%22type%22:%22Point%22,%22coordinates%22:[1,2]%7D", "query-logic"),
        ("at=within.%7B%22type%22:%22Polygon%22%7D", "bad-parameter"),
        ("at=within.%7B%22type%22:%22Polygon%22,%22coordinates%22:[[1,2]]%7D", "query-logic"),
        ("at=near.(10,59)", "bad-parameter"),
    ] {
        problem(&api.call("GET", &format!("{DOCS}?{query}")).await, 400, code);
    }
}
