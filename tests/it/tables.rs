//! Tables and indexes through the API.

use crate::support::{Api, body, header, problem};
use serde_json::{Value, json};

#[tokio::test]
async fn a_table_lives_from_post_to_delete() {
    let api = Api::start().await;
    let made = api
        .send("POST", "/tables", &json!({"name": "t-1_X", "primary_key": "key", "durability": "soft"}))
        .await;
    assert_eq!((made.status().as_u16(), header(&made, "location")), (201, "/tables/t-1_X"));
    assert_eq!(body(&made), json!({"name": "t-1_X", "primary_key": "key", "indexes": []}));
    let described = api.call("GET", "/tables/t-1_X").await;
    let expected = json!({"name": "t-1_X", "primary_key": "key", "indexes": [], "count": 0});
    assert_eq!((described.status().as_u16(), body(&described)), (200, expected));
    let list = body(&api.call("GET", "/tables").await);
    assert_eq!(list[0], json!({"name": "heroes", "primary_key": "id", "indexes": []}));
    assert_eq!(list[1]["name"], "t-1_X");

    problem(&api.send("POST", "/tables", &json!({"name": "t-1_X"})).await, 409, "conflict");
    assert_eq!(api.call("DELETE", "/tables/t-1_X").await.status(), 204);
    problem(&api.call("DELETE", "/tables/t-1_X").await, 404, "no-such-table");
    problem(&api.call("GET", "/tables/t-1_X").await, 404, "no-such-table");
    problem(&api.call("GET", "/tables/t-1_X/docs").await, 404, "no-such-table");
    problem(&api.call("GET", "/tables/t-1_X/indexes").await, 404, "no-such-table");
}

#[tokio::test]
async fn a_table_made_again_may_have_another_key() {
    let api = Api::start().await;
    api.send("POST", "/tables/heroes/docs", &json!({"id": 1})).await;
    assert_eq!(api.call("DELETE", "/tables/heroes").await.status(), 204);
    api.send("POST", "/tables", &json!({"name": "heroes", "primary_key": "name"})).await;
    let put = api.send("PUT", "/tables/heroes/docs/bob", &json!({})).await;
    assert_eq!((put.status().as_u16(), body(&put)), (201, json!({"name": "bob"})));
}

#[tokio::test]
async fn names_are_checked() {
    let api = Api::start().await;
    for name in ["", "a b", "a.b", "é", "a/b"] {
        problem(&api.send("POST", "/tables", &json!({"name": name})).await, 400, "bad-name");
    }
    problem(&api.call("GET", "/tables/a%2Fb").await, 400, "bad-name");
    problem(&api.call("GET", "/tables/%00/docs").await, 400, "bad-name");
    problem(&api.send("POST", "/tables", &json!({"name": "t", "colour": 1})).await, 400, "bad-request");
    problem(&api.send("POST", "/tables", &json!({})).await, 400, "bad-request");
    problem(
        &api.send("POST", "/tables", &json!({"name": "t", "durability": "medium"})).await,
        400,
        "bad-request",
    );
}

#[tokio::test]
async fn an_index_lives_from_put_to_delete() {
    let api = Api::start().await;
    let path = "/tables/heroes/indexes/by_city";
    let definition = json!({"fields": ["address.city", "name"]});
    let made = api.send("PUT", path, &definition).await;
    assert_eq!((made.status().as_u16(), header(&made, "location")), (201, path), "{:?}", made.body());
    assert_eq!(body(&made)["ready"], true);
    assert_eq!(api.send("PUT", path, &definition).await.status(), 200, "it exists just so");
    problem(&api.send("PUT", path, &json!({"fields": ["name"]})).await, 409, "conflict");
    problem(&api.send("PUT", path, &json!({"fields": ["name"], "multi": true})).await, 409, "conflict");

    let tags = json!({"fields": ["tags"], "multi": true});
    assert_eq!(api.send("PUT", "/tables/heroes/indexes/tags", &tags).await.status(), 201);
    assert_eq!(api.send("PUT", "/tables/heroes/indexes/tags", &tags).await.status(), 200);
    let list = body(&api.call("GET", "/tables/heroes/indexes").await);
    assert_eq!((&list[0]["name"], &list[0]["fields"]), (&json!("by_city"), &json!(["address.city", "name"])));
    assert_eq!((&list[1]["fields"], &list[1]["multi"]), (&json!(["tags"]), &json!(true)));

    assert_eq!(api.call("DELETE", path).await.status(), 204);
    problem(&api.call("DELETE", path).await, 404, "no-such-index");
    problem(&api.send("PUT", "/tables/nope/indexes/i", &definition).await, 404, "no-such-table");
    problem(&api.send("PUT", path, &json!({"fields": []})).await, 400, "bad-request");
    problem(&api.send("PUT", path, &json!({"fields": ["a..b"]})).await, 400, "bad-parameter");
}

#[tokio::test]
async fn numbers_of_shards_and_replicas_are_whole() {
    let api = Api::start().await;
    let made = async |sent: Value| api.send("POST", "/tables", &sent).await;
    assert_eq!(made(json!({"name": "a", "shards": 1.0, "replicas": 1})).await.status(), 201);
    for wrong in [json!(1.5), json!(-1), json!(1e300), json!("1"), json!(0)] {
        problem(&made(json!({"name": "b", "shards": wrong})).await, 400, "bad-request");
    }
    let many = problem(&made(json!({"name": "b", "replicas": 1000})).await, 422, "refused");
    assert_eq!(many["detail"], "There are fewer servers than replicas are asked for.");
}
