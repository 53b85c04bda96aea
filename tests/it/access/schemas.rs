//! Schemas under rules: fields that are set or hidden count as they will be stored.

use std::path::PathBuf;

use serde_json::{Value, json};
use warp_reql::settings::{Schema, Settings, TableSpec};

use super::{CHANGES, DOC, DOCS, JSON, MERGE, PATCH, Ruled, of};
use crate::support::{body, problem};

/// A table with a schema.
async fn with(schema: &Value, rules: Value) -> (Ruled, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("t.schema.json");
    std::fs::write(&path, schema.to_string()).unwrap();
    let table = TableSpec { schema: Some(Schema::read(&path).unwrap()), ..TableSpec::new("t") };
    let adapt = |settings| Settings { tables: vec![table], ..settings };
    (Ruled::with(rules, &["t"], adapt).await, folder)
}

/// A table whose schema asks for an owner, which a rule sets, and for a field, which another rule hides.
async fn with_schema() -> (Ruled, tempfile::TempDir) {
    let schema = json!({"required": ["owner"], "properties": {"owner": {"maxLength": 5}},
        "if": {"required": ["kind"]}, "then": {"required": ["moderation"]}});
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
    with(&schema, rules).await
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
    let rules = json!([{"table": "t", "roles": "user", "read": true, "change": "owner=eq.{sub}"}]);
    let (service, _folder) = with(&json!({}), rules).await;
    service.fill("t", &json!([{"id": 1, "owner": "ann"}, {"id": 2, "owner": "bob"}])).await;
    let many = ("PATCH", "/tables/t/docs?all=true");
    let refused = service.send(&of("eve", &["user"]), many, &[], r#"{"n": 1}"#).await;
    problem(&refused, 403, "forbidden");
    let counts = body(&service.send(&of("ann", &["user"]), many, &[], r#"{"n": 1}"#).await);
    assert_eq!((&counts["replaced"], &counts["errors"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(counts["first_error"], json!({"code": "forbidden", "detail": "You may not do this."}));
}

#[tokio::test]
async fn who_may_not_change_a_document_learns_nothing_of_it_by_a_schema() {
    let schema = json!({"if": {"required": ["salary"], "properties": {"salary": {"minimum": 1000}}},
        "then": {"properties": {"grade": {"enum": ["a", "b"]}}}});
    let rules = json!([{"table": "t", "roles": "user", "read": true, "create": true,
        "change": "owner=eq.{sub}", "hide": ["salary"]}]);
    let (service, _folder) = with(&schema, rules).await;
    let stored = json!([{"id": 1, "owner": "ann", "salary": 5000}, {"id": 2, "owner": "ann", "salary": 10}]);
    service.fill("t", &stored).await;
    let (ann, eve) = (of("ann", &["user"]), of("eve", &["user"]));
    let (merge, small) = (json!({"grade": "z"}), json!({"set": {"grade": "z"}}));
    let patch = json!([{"op": "add", "path": "/grade", "value": "z"}]);
    let put = json!({"owner": "ann", "grade": "z"});
    for (id, status) in [(1, 422), (2, 200)] {
        let (one, many) = (format!("{DOCS}/{id}"), format!("{DOCS}?id=eq.{id}"));
        let whole = json!({"id": id, "grade": "z"});
        for (method, path, kind, prefer, sent) in [
            ("PATCH", &one[..], MERGE, "", &merge),
            ("PATCH", &one, CHANGES, "", &small),
            ("PATCH", &one, PATCH, "", &patch),
            ("PUT", &one, JSON, "", &put),
            ("POST", DOCS, JSON, "resolution=merge-duplicates", &whole),
            ("PATCH", &many, MERGE, "", &merge),
            ("PATCH", &many, CHANGES, "", &small),
        ] {
            let (headers, sent) = ([("content-type", kind), ("prefer", prefer)], sent.to_string());
            problem(&service.send(&eve, (method, path), &headers, &sent).await, 403, "forbidden");
            assert_eq!(json!(service.all("t").await), stored, "{method} {path} {sent}");
            // The owner is told.
            let answer = service.send(&ann, (method, path), &headers, &sent).await;
            assert_eq!(answer.status(), status, "{method} {path} {sent}: {:?}", answer.body());
            service.fill("t", &stored).await;
        }
    }
    let all = ("PATCH", "/tables/t/docs?all=true");
    problem(&service.send(&eve, all, &[], &merge.to_string()).await, 403, "forbidden");
    problem(&service.send(&ann, all, &[], &merge.to_string()).await, 422, "invalid-document");
    service.ask(reql::r.table("t").insert(json!({"id": 3, "owner": "eve", "salary": 10}))).await;
    let counts = body(&service.send(&eve, all, &[], &merge.to_string()).await);
    assert_eq!((&counts["replaced"], &counts["errors"]), (&json!(1), &json!(2)), "{counts}");
    let grades: Vec<_> = service.all("t").await.iter().map(|it| it["grade"].clone()).collect();
    assert_eq!(grades, [Value::Null, Value::Null, json!("z")]);
}
