//! Schemas under rules: fields that are set or hidden count as they will be stored.

use std::path::PathBuf;

use serde_json::{Value, json};
use warp_reql::settings::{Schema, Settings, TableSpec};

use super::{CHANGES, DOC, DOCS, JSON, MERGE, PATCH, Ruled, of};
use crate::support::{body, problem};

/// A table whose schema asks for an owner, which a rule sets, and for a field, which another rule hides.
async fn with_schema() -> (Ruled, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("t.schema.json");
    let schema = json!({"required": ["owner"], "properties": {"owner": {"maxLength": 5}},
        "if": {"required": ["kind"]}, "then": {"required": ["moderation"]}});
    std::fs::write(&path, schema.to_string()).unwrap();
    let table = TableSpec { schema: Some(Schema::read(&path).unwrap()), ..TableSpec::new("t") };
    let all = json!({"table": "t", "read": true, "create": true, "change": true, "delete": true});
    let rule = |more: Value| {
        let mut rule = all.clone();
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let rules = json!([
        rule(json!({"roles": "user", "set": {"owner": "{sub}"}})),
        rule(json!({"roles": "reader", "hide": ["moderation", "deep.er"]})),
    ]);
    let adapt = |settings| Settings { tables: vec![table], ..settings };
    (Ruled::with(rules, &["t"], adapt).await, folder)
}

#[tokio::test]
async fn a_schema_is_about_what_is_set() {
    let (service, _folder) = with_schema().await;
    let (ann, longer) = (of("ann", &["user"]), of("longer", &["user"]));
    let patch = r#"[{"op": "add", "path": "/n", "value": 1}]"#;
    for (method, path, kind, sent) in [
        ("POST", DOCS, JSON, r#"{"id": 1}"#),
        ("PUT", DOC, JSON, r#"{"n": 0}"#),
        ("PUT", "/tables/t/docs/2", JSON, "{}"),
        ("PATCH", DOC, MERGE, r#"{"owner": null}"#),
        ("PATCH", DOC, PATCH, patch),
        ("PATCH", DOC, CHANGES, r#"{"unset": ["owner"]}"#),
        ("PATCH", "/tables/t/docs?all=true", CHANGES, r#"{"unset": ["owner"]}"#),
    ] {
        let kind = [("content-type", kind)];
        let answer = service.send(&ann, (method, path), &kind, sent).await;
        assert!(answer.status().is_success(), "{method} {path} {sent}: {:?}", answer.body());
        assert!(service.all("t").await.iter().all(|it| it["owner"] == "ann"), "{method} {path} {sent}");
        let before = service.all("t").await;
        let refused = service.send(&longer, (method, path), &kind, sent).await;
        problem(&refused, 422, "invalid-document");
        assert_eq!(service.all("t").await, before, "{method} {path} {sent}");
    }
}

#[tokio::test]
async fn a_schema_is_about_what_is_hidden() {
    let (service, _folder) = with_schema().await;
    let reader = of("ann", &["reader"]);
    let stored =
        json!({"id": 1, "owner": "x", "kind": 1, "moderation": {"by": "y"}, "deep": {"er": 1, "w": 2}});
    for (method, path, kind, sent) in [
        ("PUT", DOC, JSON, r#"{"owner": "x", "kind": 2}"#),
        ("PATCH", DOC, MERGE, r#"{"kind": 2}"#),
        ("PATCH", DOC, PATCH, r#"[{"op": "replace", "path": "/kind", "value": 2}]"#),
        ("PATCH", DOC, CHANGES, r#"{"inc": {"kind": 1}}"#),
        ("PATCH", "/tables/t/docs?all=true", CHANGES, r#"{"inc": {"kind": 1}}"#),
    ] {
        let kind = [("content-type", kind)];
        service.fill("t", &json!([stored])).await;
        let answer = service.send(&reader, (method, path), &kind, sent).await;
        assert!(answer.status().is_success(), "{method} {path} {sent}: {:?}", answer.body());
        let after = &service.all("t").await[0];
        assert_eq!((&after["kind"], &after["moderation"]), (&json!(2), &stored["moderation"]), "{sent}");
        assert_eq!(after["deep"]["er"], 1, "{sent}");
        // What isn't there doesn't become valid by being hidden.
        service.fill("t", &json!([{"id": 1, "owner": "x", "kind": 1}])).await;
        problem(&service.send(&reader, (method, path), &kind, sent).await, 422, "invalid-document");
    }
    let created = service.send(&reader, ("PUT", "/tables/t/docs/2"), &[], r#"{"owner": "x"}"#).await;
    assert_eq!(created.status(), 201, "{:?}", created.body());
}

#[tokio::test]
async fn many_that_are_all_refused_are_refused_with_a_schema_too() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("t.schema.json");
    std::fs::write(&path, "{}").unwrap();
    let table = TableSpec { schema: Some(Schema::read(&path).unwrap()), ..TableSpec::new("t") };
    let rules = json!([{"table": "t", "roles": "user", "read": true, "change": "owner=eq.{sub}"}]);
    let service = Ruled::with(rules, &["t"], |settings| Settings { tables: vec![table], ..settings }).await;
    service.fill("t", &json!([{"id": 1, "owner": "ann"}, {"id": 2, "owner": "bob"}])).await;
    let many = ("PATCH", "/tables/t/docs?all=true");
    let refused = service.send(&of("eve", &["user"]), many, &[], r#"{"n": 1}"#).await;
    problem(&refused, 403, "forbidden");
    let counts = body(&service.send(&of("ann", &["user"]), many, &[], r#"{"n": 1}"#).await);
    assert_eq!((&counts["replaced"], &counts["errors"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(counts["first_error"], json!({"code": "forbidden", "detail": "You may not do this."}));
}
