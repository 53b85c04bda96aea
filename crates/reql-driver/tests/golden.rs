//! Each term and each option: the JSON that the official Python driver builds, and an answer of the server.
#![allow(clippy::unwrap_used)]

#[path = "../../reql-embedded/tests/it/support/reql.rs"]
mod javascript;
#[path = "golden/queries.rs"]
mod queries;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use queries::queries;
use reql::{ErrorKind, MAX_DEPTH, Term, TermType, obj, r};
use serde_json::{Value, json};

/// Returns the JSON that the official driver builds, by name; see `golden/make.py`.
fn golden() -> BTreeMap<String, Value> {
    include_str!("golden/golden.json")
        .lines()
        .map(|line| {
            let case: Value = serde_json::from_str(line).unwrap();
            (case["name"].as_str().unwrap().to_owned(), case["wire"].clone())
        })
        .collect()
}

#[test]
fn build_what_the_official_driver_builds() {
    let (golden, queries) = (golden(), queries());
    let names: BTreeSet<&str> = golden.keys().map(String::as_str).collect();
    assert_eq!(names, queries.keys().copied().collect(), "the same queries");
    for (name, wire) in &golden {
        assert_eq!(
            serde_json::to_value(&queries[&name[..]]).unwrap(),
            *wire,
            "{name}: {}",
            queries[&name[..]]
        );
    }
}

#[test]
fn are_read_from_their_json() {
    for (name, wire) in golden() {
        let term = Term::from_wire(&wire).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(serde_json::to_value(&term).unwrap(), wire, "{name}");
    }
}

#[test]
fn nothing_else_is_read() {
    let deep = (0..MAX_DEPTH).fold(json!(1), |inner, _| json!([2, [inner]]));
    for wire in [
        json!([]),
        json!(["a"]),
        json!([[1]]),
        json!([-1, []]),
        json!([99_999, []]),
        json!([15, "t"]),
        json!([15, ["t"], []]),
        json!([15, ["t"], {}, 1]),
        json!([15, ["t"], { "name": 1 }]),
        json!([10, [1]]),
        json!([69, [[2, [1]], [10, [2]]]]),
        json!([69, [[2, ["a"]], 1]]),
        json!([69, [[2, [1]]]]),
        json!([2, [[69, [[2, [1]], 1]], [10, [1]]]]),
        json!([1, [[1]]]),
        deep,
    ] {
        let error = Term::from_wire(&wire).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let datum = json!([3, [], { "a": [1, ["b"]], "c": [59] }]);
    assert_eq!(Term::from_wire(&datum).unwrap().to_string(), r#"{a: "b", c: r.dbList()}"#);
}

/// Checks the texts of terms with another reader of ReQL.
#[test]
fn are_shown_as_what_they_are() {
    // In these, the other reader makes functions of `r.row` elsewhere than drivers do.
    let others = ["order_by.row", "eq_join.row", "union.row", "fold.row"];
    for (name, query) in queries().into_iter().filter(|(name, _)| !others.contains(name)) {
        let text = query.to_string();
        let read = javascript::parse(&text).unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
        assert_eq!(read, serde_json::to_value(&query).unwrap(), "{name}: {text}");
    }
}

fn collect_terms(wire: &Value, kinds: &mut BTreeSet<u64>) {
    match wire {
        Value::Array(term) => {
            kinds.extend(term[0].as_u64());
            let (args, options) = (&term[1], term.get(2));
            args.as_array().unwrap().iter().chain(options).for_each(|part| collect_terms(part, kinds));
        }
        Value::Object(fields) => fields.values().for_each(|value| collect_terms(value, kinds)),
        _ => {}
    }
}

#[test]
fn cover_each_term() {
    let mut kinds = BTreeSet::new();
    golden().values().for_each(|wire| collect_terms(wire, &mut kinds));
    let missing: Vec<&str> = TermType::ALL
        .iter()
        .filter(|kind| !kinds.contains(&u64::from(kind.number())))
        .map(|kind| kind.name())
        .collect();
    // Terms that no driver sends, and one that is newer than the official driver.
    assert_eq!(missing, ["DATUM", "MAKE_OBJ", "BETWEEN_DEPRECATED", "FORMAT"]);
    let format = r.format("{a}", obj! { "a": "b" });
    assert_eq!(serde_json::to_string(&format).unwrap(), r#"[197,["{a}",{"a":"b"}]]"#);
    assert_eq!(r.expr("{a}").format(obj! { "a": "b" }), format);
}

/// Returns true for a query that names no database and no table, so that it can't change any.
fn names_nothing(query: &Term) -> bool {
    let mut kinds = BTreeSet::new();
    collect_terms(&serde_json::to_value(query).unwrap(), &mut kinds);
    let (databases, tables) = (
        [TermType::Db, TermType::DbCreate, TermType::DbDrop],
        [TermType::Table, TermType::TableCreate, TermType::TableDrop],
    );
    databases.iter().chain(&tables).all(|kind| !kinds.contains(&u64::from(kind.number())))
}

/// Runs each query on a server: one that fails must fail by its values.
#[tokio::test]
async fn run_on_a_server() {
    let server = support::server().await;
    let mut session = support::connect(&server).await;
    for (name, query) in queries() {
        if !names_nothing(&query) {
            support::fresh_table(&mut session).await;
        }
        let outcome = support::look(&mut session, &query).await;
        if let Err(error) = outcome {
            let is_about_values = matches!(error.kind(), ErrorKind::Runtime(_));
            assert!(is_about_values, "{name}: {error}");
        }
    }
}
