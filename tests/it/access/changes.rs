//! Side channels of changes of all kinds, of their previews and bounds, and of lists that aren't documents.

use serde_json::json;

use warp_reql::settings::Settings;

use super::worlds::{Worlds, rules};
use super::{ADMIN, Ruled, of};

const JSON_PATCH: &str = "application/json-patch+json";
const CHANGES: &str = "application/vnd.warp-reql.changes+json";
const MERGE: &str = "application/merge-patch+json";

#[tokio::test]
async fn patches_tell_of_nothing_that_is_hidden() {
    let mut worlds = Worlds::start(&[]).await;
    let operations = [
        json!([{"op": "test", "path": "/secret", "value": "alpha"}]),
        json!([{"op": "test", "path": "/deep/er", "value": 1}]),
        json!([{"op": "test", "path": "/deep", "value": {"er": 1, "w": 1}}]),
        json!([{"op": "test", "path": "/deep", "value": {"w": 1}}]),
        json!([{"op": "test", "path": "/w", "value": "alpha"}]),
        json!([{"op": "copy", "from": "/secret", "path": "/x"}]),
        json!([{"op": "move", "from": "/secret", "path": "/x"}]),
        json!([{"op": "copy", "from": "/deep", "path": "/x"}]),
        json!([{"op": "copy", "from": "", "path": "/x"}]),
        json!([{"op": "remove", "path": "/secret"}]),
        json!([{"op": "remove", "path": "/deep/er"}]),
        json!([{"op": "add", "path": "/secret/a", "value": 1}]),
        json!([{"op": "add", "path": "/n", "value": 3}]),
        json!([{"op": "replace", "path": "", "value": {"id": "m1", "owner": "me"}}]),
    ];
    let changes = [
        json!({"inc": {"secret": 1}}),
        json!({"inc": {"secret.a": 1}}),
        json!({"inc": {"deep.er": 1}}),
        json!({"inc": {"w": 1}}),
        json!({"inc": {"n": 1}}),
        json!({"push": {"secret": 1}}),
        json!({"add": {"secret": 1}}),
        json!({"pull": {"secret": "alpha"}}),
        json!({"unset": ["secret"]}),
        json!({"unset": ["deep"]}),
        json!({"set": {"deep": {"w": 1}}}),
        json!({"set": {"deep.w": 1}}),
        json!({"set": {"owner": "you"}}),
        json!({"now": ["secret"]}),
    ];
    let operations = operations.iter().map(|sent| (JSON_PATCH, sent));
    for (kind, sent) in operations.chain(changes.iter().map(|sent| (CHANGES, sent))) {
        for id in ["m1", "o1", "zz"] {
            for condition in [&[][..], &[("if-match", "*")], &[("if-match", "\"x\"")]] {
                let headers = [&[("content-type", kind)][..], condition].concat();
                let path = format!("/tables/t/docs/{id}");
                worlds.same(("PATCH", &path), &headers, &sent.to_string()).await;
            }
        }
    }
}

#[tokio::test]
async fn changes_of_many_tell_of_nothing_that_is_hidden() {
    let mut worlds = Worlds::start(&[]).await;
    let prefers = [
        "tx=rollback",
        "max-affected=0",
        "max-affected=2",
        "max-affected=3, tx=rollback, return=representation",
        "return=representation",
    ];
    let sent = [
        (MERGE, json!({"n": 9})),
        (MERGE, json!({"owner": "you"})),
        (MERGE, json!({"secret": 1})),
        (CHANGES, json!({"inc": {"n": 1}})),
        (CHANGES, json!({"inc": {"secret": 1}})),
        (CHANGES, json!({"inc": {"w": 1}})),
    ];
    for filter in
        ["tag=eq.x", "w=eq.alpha", "secret=has", "all=true", "owner=eq.you", "id=eq.o1", "or=(w=has,n=gt.0)"]
    {
        let path = format!("/tables/t/docs?{filter}");
        for prefer in prefers {
            for (kind, sent) in &sent {
                let headers = [("prefer", prefer), ("content-type", kind)];
                worlds.same(("PATCH", &path), &headers, &sent.to_string()).await;
            }
            worlds.same(("DELETE", &path), &[("prefer", prefer)], "").await;
        }
    }
}

#[tokio::test]
async fn values_features_and_tags_of_lists_tell_of_nothing_that_is_hidden() {
    let mut worlds = Worlds::start(&["tag", "secret", "w"]).await;
    for query in [
        "distinct=tag",
        "distinct=owner",
        "distinct=w",
        "distinct=id",
        "distinct=n&n=gt.0",
        "distinct=secret",
        "distinct=deep.er",
        "distinct=deep",
        "distinct=tag&limit=1",
    ] {
        for way in [&[][..], &[("prefer", "explain")], &[("accept", "text/csv")]] {
            worlds.same(("GET", &format!("/tables/t/docs?{query}")), way, "").await;
        }
    }
    let place = "place=near.(10,50,1000km)";
    worlds.same(("GET", &format!("/tables/t/docs?{place}")), &[("accept", "application/geo+json")], "").await;
    for query in ["", "order=n", "group=tag"] {
        let path = format!("/tables/t/docs?{query}");
        let first = worlds.same(("GET", &path), &[], "").await;
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        let again = worlds.same(("GET", &path), &[("if-none-match", &tag)], "").await;
        assert_eq!(again.status(), 304, "{query}");
        worlds.same(("HEAD", &path), &[("prefer", "count=exact")], "").await;
    }
}

/// The time of the database would tell, without the noise of a network, what a query has gone through.
#[tokio::test]
async fn times_are_told_to_whom_nothing_is_hidden_from() {
    let service = Ruled::with(rules(), &["t"], |settings| Settings { debug: false, ..settings }).await;
    let told = async |token: &str| {
        service.get(token, "/tables/t/docs/o1").await.headers().contains_key("server-timing")
    };
    assert!(!told(&of("me", &["user"])).await && !told("").await && !told("nonsense").await);
    assert!(told(&of("root", &[ADMIN])).await);
}
