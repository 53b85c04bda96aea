//! Related documents beside those of a list, and beside a single one.

use serde_json::{Value, json};
use warp_reql::settings::{Limits, RelationSpec, Settings};

use crate::access::{Ruled, of};
use crate::support::counted::Counted;
use crate::support::{Api, Home, body, header, problem};

const POSTS: &str = "/tables/posts/docs";

fn relations() -> Vec<RelationSpec> {
    let relations = json!([
        {"table": "posts", "name": "author", "field": "author_id", "to": "users"},
        {"table": "posts", "name": "comments", "to": "comments", "many": true, "index": "post_id"},
        {"table": "posts", "name": "latest", "to": "comments", "many": true, "index": "by_post"},
        {"table": "comments", "name": "author", "field": "by.user", "to": "users"},
        {"table": "comments", "name": "post", "field": "post_id", "to": "posts"},
        {"table": "users", "name": "boss", "field": "boss", "to": "users", "key": "login"},
    ]);
    serde_json::from_value(relations).unwrap()
}

pub fn with_relations(settings: Settings) -> Settings {
    Settings { relations: relations(), ..settings }
}

async fn send(api: &Api, method: &str, path: &str, body: &Value) {
    let response = api.send(method, path, body).await;
    assert!(response.status().is_success(), "{path}: {:?}", response.body());
}

/// Makes the tables, and a post of each kind.
pub async fn fill(api: &Api) {
    for table in ["posts", "users", "comments"] {
        send(api, "POST", "/tables", &json!({"name": table})).await;
    }
    for (table, index, fields) in [
        ("users", "login", &["login"][..]),
        ("comments", "post_id", &["post_id"]),
        ("comments", "by_post", &["post_id", "at"]),
    ] {
        let path = format!("/tables/{table}/indexes/{index}");
        send(api, "PUT", &path, &json!({"fields": fields})).await;
    }
    let users = json!([
        {"id": "ann", "name": "Ann", "login": "a", "secret": 1},
        {"id": "bob", "name": "Bob", "login": "b", "boss": "a", "secret": 2},
    ]);
    send(api, "POST", "/tables/users/docs", &users).await;
    let posts = json!([
        {"id": 1, "title": "one", "author_id": "ann"},
        {"id": 2, "title": "two", "author_id": "bob", "author": {"name": "a field of its own", "x": 1}},
        {"id": 3, "title": "nobody's"},
        {"id": 4, "title": "gone", "author_id": "zoe"},
        {"id": 5, "title": "odd", "author_id": {"a": 1}},
        {"id": 6, "title": "long", "author_id": "x".repeat(1000)},
        {"id": 7, "title": "null", "author_id": "a\u{0}b"},
        {"id": 8, "title": "list", "author_id": [1, [2]]},
    ]);
    send(api, "POST", POSTS, &posts).await;
    let comments: Vec<_> = (0..6)
        .map(|at| json!({"id": at, "post_id": 1 + at / 4, "at": 10 - at, "by": {"user": "bob"}, "text": "t"}))
        .collect();
    send(api, "POST", "/tables/comments/docs", &json!(comments)).await;
}

async fn blog() -> Api {
    let api = Api::at_home(with_relations).await;
    fill(&api).await;
    api
}

async fn get(api: &Api, query: &str) -> Value {
    let response = api.call("GET", &format!("{POSTS}?{query}")).await;
    assert_eq!(response.status(), 200, "{query}: {:?}", response.body());
    body(&response)
}

#[tokio::test]
async fn a_list_tells_of_related_documents() {
    let api = blog().await;
    let authors = get(&api, "expand=author&select=id,author.name").await;
    let bob = json!({"id": 2, "author": {"name": "Bob"}});
    let none = |id: u64| json!({"id": id, "author": null});
    let expected = [json!({"id": 1, "author": {"name": "Ann"}}), bob, none(3), none(4), none(5), none(6)];
    assert_eq!(authors.as_array().unwrap()[..6], expected);
    assert_eq!(authors.as_array().unwrap()[6..], [none(7), none(8)]);
    let whole = get(&api, "id=eq.2&expand=author(expand=boss(select=name))").await;
    let boss = json!({"name": "Ann"});
    let author = json!({"id": "bob", "name": "Bob", "login": "b", "secret": 2, "boss": boss});
    assert_eq!(whole, json!([{"id": 2, "title": "two", "author_id": "bob", "author": author}]));
    let all = get(&api, "id=eq.1&select=*,author.name&expand=author").await;
    let post = json!({"id": 1, "title": "one", "author_id": "ann", "author": {"name": "Ann"}});
    assert_eq!(all, json!([post]));
    let none = get(&api, "id=eq.1&select=author.boss&expand=author(expand=boss)").await;
    assert_eq!(none, json!([{"author": {"boss": null}}]));
}

#[tokio::test]
async fn a_document_may_have_many() {
    let api = blog().await;
    let ids = async |query: &str, name: &str| -> Vec<Vec<u64>> {
        let rows = get(&api, query).await;
        let of =
            |row: &Value| row[name].as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect();
        rows.as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(ids("expand=comments&limit=3", "comments").await, [vec![0, 1, 2, 3], vec![4, 5], vec![]]);
    assert_eq!(ids("expand=comments(limit=2;order=at)&limit=2", "comments").await, [[3, 2], [5, 4]]);
    assert_eq!(
        ids("expand=comments(at=gt.6;order=id.desc)&limit=2", "comments").await,
        [vec![3, 2, 1, 0], vec![]]
    );
    assert_eq!(ids("expand=latest(limit=2;order=at.desc)&limit=2", "latest").await, [[0, 1], [4, 5]]);
    assert_eq!(ids("expand=latest(limit=1;order=at)&limit=2", "latest").await, [[3], [5]]);
    assert_eq!(ids("expand=comments(limit=0)&limit=1", "comments").await, [Vec::<u64>::new()]);
    let deep = get(&api, "id=eq.2&select=comments.author.name&expand=comments(limit=1;expand=author)").await;
    assert_eq!(deep, json!([{"comments": [{"author": {"name": "Bob"}}]}]));
}

#[tokio::test]
async fn a_document_that_refers_twice_is_told_once() {
    let relations =
        json!([{"table": "heroes", "name": "tagged", "to": "heroes", "many": true, "index": "tags"}]);
    let relations: Vec<RelationSpec> = serde_json::from_value(relations).unwrap();
    let api = Api::at_home(|settings| Settings { relations, ..settings }).await;
    send(&api, "PUT", "/tables/heroes/indexes/tags", &json!({"fields": ["tags"], "multi": true})).await;
    let heroes = json!([{"id": "x"}, {"id": 1, "tags": ["x", "y", "x"]}, {"id": 2, "tags": ["x", "x"]}]);
    send(&api, "POST", "/tables/heroes/docs", &heroes).await;
    let told = api.call("GET", "/tables/heroes/docs?id=eq.x&expand=tagged(limit=2;select=id)").await;
    assert_eq!(body(&told), json!([{"id": "x", "tagged": [{"id": 1}, {"id": 2}]}]));
}

#[tokio::test]
async fn whatever_is_told_of_documents_tells_of_those_beside() {
    let api = blog().await;
    let query = "id=eq.1&select=id,author.name&expand=author";
    let lines =
        api.with("GET", &format!("{POSTS}?{query}"), &[("accept", "application/x-ndjson")], b"").await;
    assert_eq!(&lines.body()[..], b"{\"author\":{\"name\":\"Ann\"},\"id\":1}\n");
    let page = api.call("GET", &format!("{POSTS}?{query}")).await;
    assert_eq!(&page.body()[..], b"[{\"author\":{\"name\":\"Ann\"},\"id\":1}]");
    let csv = api.with("GET", &format!("{POSTS}?{query}"), &[("accept", "text/csv")], b"").await;
    assert_eq!(std::str::from_utf8(csv.body()).unwrap(), "id,author.name\r\n1,Ann\r\n");
    let all =
        api.with("GET", &format!("{POSTS}?id=eq.3&expand=author"), &[("accept", "text/csv")], b"").await;
    assert_eq!(std::str::from_utf8(all.body()).unwrap(), "id,title,author\r\n3,nobody's,null\r\n");
    let one = api.call("GET", &format!("{POSTS}/1?select=author.name&expand=author")).await;
    assert_eq!((one.status().as_u16(), body(&one)), (200, json!({"author": {"name": "Ann"}})));
    let plain = api.call("GET", &format!("{POSTS}/1")).await;
    assert_ne!(header(&one, "etag"), header(&plain, "etag"), "what is beside it changes without it");
    let known = [("if-none-match", header(&one, "etag"))];
    let again = api.with("GET", &format!("{POSTS}/1?select=author.name&expand=author"), &known, b"").await;
    assert_eq!(again.status(), 304);
    send(&api, "PATCH", "/tables/users/docs/ann", &json!({"name": "Anna"})).await;
    let again = api.with("GET", &format!("{POSTS}/1?select=author.name&expand=author"), &known, b"").await;
    assert_eq!(body(&again), json!({"author": {"name": "Anna"}}));
    let explained = api.with("GET", &format!("{POSTS}?expand=author"), &[("prefer", "explain")], b"").await;
    assert!(body(&explained)["reql"].as_str().unwrap().contains("r.table(\"users\").get("), "{explained:?}");
}

#[tokio::test]
async fn one_query_finds_them_all() {
    let home = Home::start().await;
    let counted = Counted::to(home.addr()).await;
    let rdb = home.rdb_by(counted.addr);
    let api = Api::in_home(home, |settings| Settings { rdb, ..with_relations(settings) }).await;
    fill(&api).await;
    for expand in ["author", "author,comments(expand=author(expand=boss))"] {
        let path = format!("{POSTS}?expand={expand}");
        // What is known of tables and indexes is asked for once.
        assert_eq!(api.call("GET", &path).await.status(), 200);
        let before = counted.queries();
        assert_eq!(api.call("GET", &path).await.status(), 200);
        assert_eq!(counted.queries() - before, 1, "{expand}");
    }
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused_by_name() {
    let api = Api::at_home(|settings| {
        let limits = Limits { expand: 10, ..Limits::default() };
        let mut settings = with_relations(Settings { limits, ..settings });
        let lost = json!({"table": "posts", "name": "lost", "to": "users", "many": true, "index": "none"});
        settings.relations.push(serde_json::from_value(lost).unwrap());
        settings
    })
    .await;
    fill(&api).await;
    for query in [
        "expand=nobody",
        "expand=",
        "expand=author(limit=1)",
        "expand=author(order=name)",
        "expand=comments(cursor=%5B1%5D)",
        "expand=comments(limit=11)",
        "expand=comments(limit=6;expand=author)",
        "expand=comments(limit=5;expand=author),author",
        "expand=comments(limit=1;expand=post(expand=comments(limit=1;expand=author)))",
        "expand=author(select=name)&select=author.id",
        "expand=author&omit=author",
        "expand=author&group=title",
        "expand=comments(text=eq)",
    ] {
        problem(&api.call("GET", &format!("{POSTS}?{query}")).await, 400, "bad-parameter");
    }
    // What may be in one request is counted over all that is expanded.
    let patterns = |count: usize| vec!["name=match.x"; count].join(";");
    for (query, status) in [
        (format!("title=match.x&expand=author({})", patterns(9)), 200),
        (format!("title=match.x&expand=author({})", patterns(10)), 400),
        (format!("expand=author({}),comments(limit=1;expand=author({}))", patterns(5), patterns(6)), 400),
    ] {
        for path in [format!("{POSTS}?{query}"), format!("{POSTS}/1?{}", query.replace("title=match.x&", ""))]
        {
            let is_one = path.contains("/1?") && query.contains("title");
            let answer = api.call("GET", &path).await;
            assert_eq!(answer.status(), if is_one { 200 } else { status }, "{path}: {:?}", answer.body());
        }
    }
    problem(&api.call("GET", &format!("{POSTS}?expand=lost")).await, 404, "no-such-index");
    for path in [format!("{POSTS}?expand=nobody"), format!("{POSTS}/1?expand=nobody")] {
        let live = api.with("GET", &path, &[("accept", "text/event-stream")], b"").await;
        problem(&live, 400, "bad-parameter");
    }
    problem(&api.call("GET", &format!("{POSTS}/1?expand=nobody")).await, 400, "bad-parameter");
}

#[tokio::test]
async fn rules_of_the_other_table_hold() {
    let rules = json!([
        {"table": "posts", "roles": "*", "read": true},
        {"table": "comments", "roles": "*", "read": "at=gt.8"},
        {"table": "users", "roles": "user", "read": "id=eq.{sub}", "hide": ["secret"]},
    ]);
    let ruled = Ruled::with(rules, &[], with_relations).await;
    for table in ["posts", "users", "comments"] {
        ruled.ask(reql::r.table_create(table)).await;
    }
    for index in ["post_id", "at"] {
        ruled.ask(reql::r.table("comments").index_create(index)).await;
    }
    ruled.ask(reql::r.table("comments").index_wait(reql::args![])).await;
    ruled.fill("posts", &json!([{"id": 1, "author_id": "ann"}, {"id": 2, "author_id": "bob"}])).await;
    ruled.fill("users", &json!([{"id": "ann", "secret": 1}, {"id": "bob", "secret": 2}])).await;
    ruled
        .fill("comments", &json!([{"id": 1, "post_id": 1, "at": 8}, {"id": 2, "post_id": 1, "at": 9}]))
        .await;
    let ann = of("ann", &["user"]);
    let seen = ruled.get(&ann, &format!("{POSTS}?select=id&expand=author,comments(select=id)")).await;
    let expected = json!([
        {"id": 1, "author": {"id": "ann"}, "comments": [{"id": 2}]},
        {"id": 2, "author": null, "comments": []},
    ]);
    assert_eq!(body(&seen), expected);
    for query in ["expand=author(secret=eq.1)", "expand=comments(expand=author(secret=has))"] {
        problem(&ruled.get(&ann, &format!("{POSTS}?{query}")).await, 403, "forbidden");
    }
    problem(&ruled.get("", &format!("{POSTS}?expand=author")).await, 401, "unauthorized");
    let one = ruled.get(&ann, &format!("{POSTS}/1?select=author&expand=author")).await;
    assert_eq!(body(&one), json!({"author": {"id": "ann"}}));
    // Nobody learns by way of a relation what a field holds that they may not see.
    let rules = json!([
        {"table": "posts", "roles": "*", "read": true, "hide": ["author_id"]},
        {"table": ["users", "comments"], "roles": "*", "read": true, "hide": ["post_id"]},
    ]);
    let ruled = Ruled::with(rules, &["posts", "users", "comments"], with_relations).await;
    ruled.ask(reql::r.table("comments").index_create("post_id")).await;
    ruled.ask(reql::r.table("comments").index_wait(reql::args![])).await;
    for query in ["expand=author", "expand=comments"] {
        problem(&ruled.get("", &format!("{POSTS}?{query}")).await, 403, "forbidden");
    }
}

#[tokio::test]
async fn a_condition_is_on_the_tag_of_the_answer() {
    let api = blog().await;
    for (path, others) in
        [("/tables/posts/docs/1", "?expand=author"), ("/tables/posts/docs/1?expand=author", "")]
    {
        let tag = header(&api.call("GET", path).await, "etag").to_owned();
        let matching = [("if-match", tag.as_str())];
        assert_eq!(api.with("GET", path, &matching, b"").await.status(), 200, "{path}");
        let known = api.with("GET", path, &[("if-none-match", &tag)], b"").await;
        assert_eq!(known.status(), 304, "{path}");
        let other = format!("/tables/posts/docs/1{others}");
        problem(&api.with("GET", &other, &matching, b"").await, 412, "precondition-failed");
        // A change is one of the document alone.
        let changed = api.with("PATCH", "/tables/posts/docs/1", &matching, b"{}").await;
        assert_eq!(changed.status(), if others.is_empty() { 412 } else { 200 }, "{path}");
    }
}

/// Returns the schema by which `/openapi.json` describes `expand` of a path.
async fn described(api: &Api, path: &str) -> Option<Value> {
    let document = body(&api.call("GET", "/openapi.json").await);
    let parameters = document["paths"][path]["get"]["parameters"].as_array().expect("parameters").clone();
    parameters.into_iter().find(|it| it["name"] == "expand").map(|it| it["schema"].clone())
}

#[tokio::test]
async fn the_description_knows_what_can_be_expanded() {
    let api = blog().await;
    let plain = Api::start().await;
    for path in ["/tables/{table}/docs", "/tables/{table}/docs/{id}"] {
        assert_eq!(described(&plain, path).await, None, "without relations there is nothing to expand");
        let schema = described(&api, path).await.expect("it is described");
        let path = path.replace("{table}", "posts").replace("{id}", "1");
        for (wish, is_right) in [
            ("author", true),
            ("author,comments", true),
            ("latest(limit=3;order=at.desc),author(select=name)", true),
            ("nobody", false),
            ("authors", false),
            ("author.name", false),
            ("author,", false),
            ("author()", false),
            ("", false),
        ] {
            assert_eq!(jsonschema::is_valid(&schema, &json!(wish)), is_right, "{schema} and {wish}");
            let status = if is_right { 200 } else { 400 };
            assert_eq!(api.call("GET", &format!("{path}?expand={wish}")).await.status(), status, "{wish}");
        }
    }
}
