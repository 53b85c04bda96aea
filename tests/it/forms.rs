//! Other forms of lists: the values of a field, and GeoJSON.

use serde_json::{Value, json};

use crate::lists::{explain, get};
use crate::support::{Api, body, header, problem};

const DOCS: &str = "/tables/heroes/docs";

#[tokio::test]
async fn the_values_of_a_field_are_each_told_once() {
    let api = Api::start().await;
    let documents = json!([
        {"id": 1, "a": 2, "b": {"c": "x"}}, {"id": 2, "a": 1}, {"id": 3, "a": 2}, {"id": 4, "a": "z"},
        {"id": 5, "a": null}, {"id": 6, "a": [1]}, {"id": 7, "a": {"x": 1}}, {"id": 8, "a": true, "b": 1},
    ]);
    assert_eq!(api.send("POST", DOCS, &documents).await.status(), 201);
    for indexed in [false, true] {
        if indexed {
            let made = api.send("PUT", "/tables/heroes/indexes/a", &json!({"fields": ["a"]})).await;
            assert_eq!(made.status(), 201);
        }
        let index = if indexed { json!("a") } else { Value::Null };
        assert_eq!(explain(&api, "distinct=a").await["index"], index);
        assert_eq!(get(&api, "distinct=a").await, json!([true, 1, 2, "z"]));
        assert_eq!(get(&api, "distinct=a&limit=2").await, json!([true, 1]));
        assert_eq!(get(&api, "distinct=a&a=gt.1").await, json!([2]));
        assert_eq!(get(&api, "distinct=a&id=lte.3").await, json!([1, 2]));
        assert_eq!(get(&api, "distinct=b.c").await, json!(["x"]));
        assert_eq!(get(&api, "distinct=none").await, json!([]));
    }
    for wrong in
        ["distinct=", "distinct=a,b", "distinct=a&order=a", "distinct=a&group=a", "distinct=a&limit=x"]
    {
        problem(&api.call("GET", &format!("{DOCS}?{wrong}")).await, 400, "bad-parameter");
    }
    let live = api.with("GET", &format!("{DOCS}?distinct=a"), &[("accept", "text/event-stream")], b"").await;
    problem(&live, 400, "bad-parameter");
}

#[tokio::test]
async fn places_are_told_as_features() {
    const GEO: &[(&str, &str)] = &[("accept", "application/geo+json")];
    let api = Api::start().await;
    let point = |x: f64| json!({"$reql_type$": "GEOMETRY", "type": "Point", "coordinates": [x, 59.0]});
    let documents = json!([{"id": 1, "at": point(10.0), "n": 1}, {"id": 2, "at": point(11.0)}, {"id": 3}]);
    assert_eq!(api.send("POST", DOCS, &documents).await.status(), 201);
    problem(&api.with("GET", DOCS, GEO, b"").await, 406, "not-acceptable");
    let feature = |id: u64, geometry: Value, properties: Value| -> Value {
        json!({"type": "Feature", "id": id, "geometry": geometry, "properties": properties})
    };
    let near = api.with("GET", &format!("{DOCS}?at=near.(10,59,1km)&select=id,at"), GEO, b"").await;
    assert_eq!(header(&near, "content-type"), "application/geo+json", "{:?}", near.body());
    let near = body(&near);
    assert_eq!(
        (&near["type"], near["features"].as_array().map(Vec::len)),
        (&json!("FeatureCollection"), Some(1))
    );
    assert_eq!(near["features"][0]["geometry"], json!({"type": "Point", "coordinates": [10, 59]}));
    assert_eq!(near["features"][0]["properties"], json!({"id": 1, "distance": 0}));
    let made = api.send("PUT", "/tables/heroes/indexes/at", &json!({"fields": ["at"], "geo": true})).await;
    assert_eq!(made.status(), 201);
    let all = api.with("GET", &format!("{DOCS}?limit=3"), GEO, b"").await;
    let expected = json!([
        feature(1, json!({"type": "Point", "coordinates": [10, 59]}), json!({"id": 1, "n": 1})),
        feature(2, json!({"type": "Point", "coordinates": [11, 59]}), json!({"id": 2})),
        feature(3, Value::Null, json!({"id": 3})),
    ]);
    assert_eq!(body(&all)["features"], expected);
    let known = [GEO[0], ("if-none-match", header(&all, "etag"))];
    assert_eq!(api.with("GET", &format!("{DOCS}?limit=3"), &known, b"").await.status(), 304);
}
