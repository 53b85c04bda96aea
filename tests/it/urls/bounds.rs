//! Bounds: a level or a member too many is refused at once, whatever is written into a URL, a body or a
//! cursor.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{DOCS, insert, url};
use crate::support::{Api, body, problem};
use warp_reql::settings::{Limits, Settings};

/// An API whose URLs may be as long as they can be, so that it is the other bounds that hold.
async fn wide() -> Api {
    let limits = Limits { url: 60 << 10, headers: 60 << 10, ..Limits::default() };
    Api::at_home(|settings| Settings { limits, ..settings }).await
}

fn deep(levels: usize) -> String {
    vec!["a"; levels].join(".")
}

#[tokio::test]
async fn fields_are_not_deeper_than_can_be_read() {
    let api = wide().await;
    insert(&api, json!([{"id": 1}])).await;
    let begun = Instant::now();
    for (levels, fits) in [(32, true), (33, false), (4000, false), (10_000, false)] {
        let field = deep(levels);
        let entries = [
            (field.clone(), "has".to_owned()),
            (field.clone(), "not.in.(1,2)".to_owned()),
            ("or".to_owned(), format!("({field}=eq.1)")),
            ("select".to_owned(), field.clone()),
            ("omit".to_owned(), field.clone()),
            ("order".to_owned(), field.clone()),
            ("order".to_owned(), format!("{field}.desc")),
            ("group".to_owned(), field.clone()),
            ("agg".to_owned(), format!("max({field})")),
        ];
        for (name, value) in &entries {
            let url = url(&[(name, value)]);
            let plain = api.call("GET", &url).await;
            assert_eq!(plain.status(), if fits { 200 } else { 400 }, "{name} {levels}: {:?}", plain.body());
            let explained = api.with("GET", &url, &[("prefer", "explain")], b"").await;
            assert_eq!(explained.status(), plain.status(), "{name} {levels}");
            if !fits {
                let lines = api.with("GET", &url, &[("accept", "application/x-ndjson")], b"").await;
                assert!([400, 406].contains(&lines.status().as_u16()), "{name} {levels}");
                problem(
                    &api.with("GET", &url, &[("accept", "text/event-stream")], b"").await,
                    400,
                    "bad-parameter",
                );
                problem(&api.call("GET", &url.replace("/docs", "/changes")).await, 400, "bad-parameter");
            }
        }
        for (name, value) in &entries[..3] {
            for method in ["DELETE", "PATCH"] {
                let response = api.with(method, &url(&[(name, value)]), &[], b"{\"b\":1}").await;
                assert_eq!(
                    response.status(),
                    if fits { 200 } else { 400 },
                    "{method} {name} {levels}: {:?}",
                    response.body()
                );
            }
            insert_again(&api).await;
        }
        let one = api.call("GET", &format!("{DOCS}/1?select={field}")).await;
        assert_eq!(one.status(), if fits { 200 } else { 400 }, "{levels}: {:?}", one.body());
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
    // A table that isn't there makes no difference.
    problem(
        &api.call("DELETE", &format!("/tables/none/docs?{}=has", deep(4000))).await,
        400,
        "bad-parameter",
    );
}

async fn insert_again(api: &Api) {
    let put = api.send("PUT", &format!("{DOCS}/1"), &json!({})).await;
    assert!(put.status().is_success(), "{:?}", put.body());
}

#[tokio::test]
async fn there_are_not_more_than_can_be_looked_at() {
    let api = wide().await;
    insert(&api, json!([{"id": 1, "v": "x"}])).await;
    let list = |item: &str, count: usize| vec![item; count].join(",");
    for (name, at, beyond) in [
        ("select", list("a", 100), list("a", 101)),
        ("omit", list("a", 100), list("a", 101)),
        ("order", list("a", 32), list("a", 33)),
        ("group", list("a", 20), list("a", 21)),
        ("agg", list("count", 20), list("count", 21)),
        ("v", format!("in.({})", list("1", 1000)), format!("in.({})", list("1", 1001))),
        ("or", format!("({})", list("v=has", 256)), format!("({})", list("v=has", 257))),
        ("or", format!("({})", list("v=match.x", 10)), format!("({})", list("v=match.x", 11))),
        ("v", format!("match.{}", "x".repeat(1000)), format!("match.{}", "x".repeat(1001))),
    ] {
        assert_eq!(api.call("GET", &url(&[(name, &at)])).await.status(), 200, "{name}");
        problem(&api.call("GET", &url(&[(name, &beyond)])).await, 400, "bad-parameter");
    }
    let many = |count: usize| url(&vec![("v", "has"); count]);
    assert_eq!(api.call("GET", &many(256)).await.status(), 200);
    problem(&api.call("GET", &many(257)).await, 400, "bad-parameter");
    let long = |length: usize| url(&[(&"n".repeat(length), "has")]);
    assert_eq!(api.call("GET", &long(1024)).await.status(), 200);
    problem(&api.call("GET", &long(1025)).await, 400, "bad-parameter");
    // A program of gigabytes out of a URL of kilobytes.
    let bomb: Vec<_> = (0..400).map(|n| format!("v=match.\\pL{{70}}{n}")).collect();
    problem(&api.call("GET", &url(&[("or", &format!("({})", bomb.join(",")))])).await, 400, "bad-parameter");
}

#[tokio::test]
async fn an_index_is_not_over_more_fields_than_fit() {
    let api = wide().await;
    for (count, status) in [(32, 201), (33, 400), (100_000, 400)] {
        let fields: Vec<_> = (0..count).map(|n| format!("f{}", n % 100)).collect();
        let made =
            api.send("PUT", &format!("/tables/heroes/indexes/w{count}"), &json!({"fields": fields})).await;
        assert_eq!(made.status(), status, "{count}: {:?}", made.body());
    }
    for (levels, first, again) in [(12, 201, 200), (13, 400, 400), (4000, 400, 400), (200_000, 400, 400)] {
        let index = json!({"fields": [deep(levels), "b"]});
        for status in [first, again] {
            let made = api.send("PUT", "/tables/heroes/indexes/deep", &index).await;
            assert_eq!(made.status(), status, "{levels}: {:?}", made.body());
        }
    }
    let long = json!({"fields": ["n".repeat(1025)]});
    problem(&api.send("PUT", "/tables/heroes/indexes/long", &long).await, 400, "bad-parameter");
    assert_eq!(body(&api.call("GET", "/tables/heroes/indexes").await).as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn cursors_and_values_are_no_deeper_than_json_may_be() {
    let api = wide().await;
    insert(&api, json!([{"id": 1, "v": "x"}])).await;
    for levels in [100, 127, 128, 5000] {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (name, value) in
            [("cursor", format!("[{nested}]")), ("cursor", nested.clone()), ("v", format!("in.({nested})"))]
        {
            let response = api.call("GET", &url(&[(name, &value)])).await;
            assert!(
                [200, 400, 422].contains(&response.status().as_u16()),
                "{name} {levels}: {:?}",
                response.body()
            );
        }
        for op in ["eq", "ne", "gt", "contains", "not.eq"] {
            let response = api.call("GET", &url(&[("v", &format!("{op}.{nested}"))])).await;
            if levels > 127 {
                problem(&response, 400, "bad-parameter");
            }
            assert!(
                [200, 400, 422].contains(&response.status().as_u16()),
                "{op} {levels}: {:?}",
                response.body()
            );
        }
        let response = api.call("GET", &format!("{DOCS}/{}", super::escaped(&nested))).await;
        assert!(
            [400, 404, 422, 414].contains(&response.status().as_u16()),
            "{levels}: {:?}",
            response.body()
        );
    }
    assert_eq!(api.call("GET", DOCS).await.status(), 200);
}
