//! Unique fields of documents that are hidden: that a value is taken is told, and only to who may write it.

use reql::r;
use serde_json::{Value, json};
use warp_reql::settings::{Settings, TableSpec};
use warp_reql::{Conn, bootstrap};

use super::{ADMIN, Ruled, of};
use crate::support::{body, problem};

const DOCS: &str = "/tables/users/docs";
const PATCH: &str = "application/json-patch+json";
const CHANGES: &str = "application/vnd.warp-reql.changes+json";

async fn service() -> Ruled {
    let rules = json!([{"table": "*", "roles": "user", "read": "owner=eq.{sub}", "create": "owner=eq.{sub}",
        "change": "owner=eq.{sub}", "delete": "owner=eq.{sub}"}]);
    let spec = TableSpec { unique: vec!["email".to_owned()], ..TableSpec::new("users") };
    let tables = vec![spec.clone()];
    let service = Ruled::with(rules, &[], |settings| Settings { tables, reql: true, ..settings }).await;
    bootstrap::once(&service.api.database, &[spec]).await.unwrap();
    service
        .fill(
            "users",
            &json!([
                {"id": "mine", "owner": "me", "email": "me@x"},
                {"id": "hidden", "owner": "you", "email": "taken@x"},
                {"id": "another", "owner": "you", "email": "another@x"},
            ]),
        )
        .await;
    service
}

#[tokio::test]
async fn who_may_not_write_a_value_does_not_learn_that_it_is_taken() {
    let service = service().await;
    let me = of("me", &["user"]);
    let before = service.all("users").await;
    let json = "application/json";
    for (method, path, kind, prefer, sent) in [
        ("POST", DOCS, json, "", json!({"owner": "you", "email": "EMAIL"})),
        ("POST", DOCS, json, "", json!({"id": "hidden", "owner": "me", "email": "EMAIL"})),
        ("POST", DOCS, json, "", json!([{"owner": "you", "email": "EMAIL"}])),
        ("POST", DOCS, json, "", json!([{"id": "hidden", "owner": "me", "email": "EMAIL"}])),
        (
            "POST",
            DOCS,
            json,
            "resolution=replace-duplicates",
            json!({"id": "hidden", "owner": "me", "email": "EMAIL"}),
        ),
        (
            "POST",
            DOCS,
            json,
            "resolution=merge-duplicates",
            json!({"id": "hidden", "owner": "me", "email": "EMAIL"}),
        ),
        (
            "POST",
            DOCS,
            json,
            "resolution=merge-duplicates",
            json!({"id": "mine", "owner": "you", "email": "EMAIL"}),
        ),
        (
            "POST",
            DOCS,
            json,
            "resolution=merge-duplicates",
            json!([{"id": "hidden", "owner": "me", "email": "EMAIL"}]),
        ),
        ("POST", DOCS, "text/csv", "", json!("owner,email\nyou,EMAIL\n")),
        ("PUT", "/tables/users/docs/hidden", json, "", json!({"owner": "me", "email": "EMAIL"})),
        ("PUT", "/tables/users/docs/new", json, "", json!({"owner": "you", "email": "EMAIL"})),
        ("PATCH", "/tables/users/docs/hidden", json, "", json!({"email": "EMAIL"})),
        ("PATCH", "/tables/users/docs/none", json, "", json!({"email": "EMAIL"})),
        ("PATCH", "/tables/users/docs/mine", json, "", json!({"owner": "you", "email": "EMAIL"})),
        ("PATCH", "/tables/users/docs?all=true", json, "", json!({"owner": "you", "email": "EMAIL"})),
        (
            "PATCH",
            "/tables/users/docs/mine",
            PATCH,
            "",
            json!([
                {"op": "replace", "path": "/owner", "value": "you"},
                {"op": "replace", "path": "/email", "value": "EMAIL"}
            ]),
        ),
        ("PATCH", "/tables/users/docs/mine", CHANGES, "", json!({"set": {"owner": "you", "email": "EMAIL"}})),
    ] {
        let told = async |email: &str| {
            let sent = sent.as_str().map_or_else(|| sent.to_string(), str::to_owned).replace("EMAIL", email);
            let headers = [("content-type", kind), ("prefer", prefer)];
            let answer = service.send(&me, (method, path), &headers, &sent).await;
            let mut told = body(&answer);
            if let Some(problem) = told.as_object_mut() {
                problem.remove("request_id");
            }
            (answer.status().as_u16(), told)
        };
        let [free, taken, another] = [told("free@x").await, told("taken@x").await, told("another@x").await];
        assert_eq!(free, taken, "{method} {path} {prefer} {sent}");
        assert_eq!(free, another, "{method} {path} {prefer} {sent}");
        assert_eq!(service.all("users").await, before, "{method} {path} {prefer} {sent}");
    }
}

#[tokio::test]
async fn who_may_write_a_value_is_told_that_it_is_taken_and_no_more() {
    let service = service().await;
    let me = of("me", &["user"]);
    for (method, path, sent) in [
        ("POST", DOCS, json!({"owner": "me", "email": "taken@x"})),
        ("POST", DOCS, json!({"id": "mine", "owner": "me", "email": "taken@x"})),
        ("PUT", "/tables/users/docs/new", json!({"owner": "me", "email": "taken@x"})),
        ("PATCH", "/tables/users/docs/mine", json!({"email": "taken@x"})),
    ] {
        let answer = service.send(&me, (method, path), &[], &sent.to_string()).await;
        let told = problem(&answer, 409, "not-unique").to_string();
        assert!(!told.contains("hidden") && !told.contains("you"), "{told}");
    }
    // An own value is one's own, and one that was given up is free.
    let put = async |email: &str| {
        let sent = json!({"owner": "me", "email": email}).to_string();
        service.send(&me, ("PUT", "/tables/users/docs/mine"), &[], &sent).await.status().as_u16()
    };
    assert_eq!([put("me@x").await, put("new@x").await, put("me@x").await], [200, 200, 200]);
}

#[tokio::test]
async fn claims_are_in_nobodys_reach() {
    let service = service().await;
    let (me, admin) = (of("me", &["user"]), of("root", &[ADMIN]));
    let sent = json!({"owner": "me", "email": "new@x"}).to_string();
    assert_eq!(service.send(&me, ("POST", DOCS), &[], &sent).await.status(), 201);
    let beside = format!("{}_warp_reql", service.api.database.settings().db);
    let mut conn = Conn::new(service.api.home().database());
    let tables: Vec<Value> = conn.all(r.db(beside.as_str()).table_list()).await.unwrap();
    assert!(tables.contains(&json!("unique_claims")), "{tables:?}");
    for path in ["/tables/unique_claims/docs", &format!("/tables/{beside}.unique_claims/docs")] {
        for token in [&me, &admin] {
            let answer = service.get(token, path).await;
            assert!([400, 404].contains(&answer.status().as_u16()), "{path}: {:?}", answer.body());
        }
    }
}
