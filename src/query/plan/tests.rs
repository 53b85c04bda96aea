//! Tests of the choice of a plan.

use reql::r;

use super::*;
use crate::query::Listing;
use crate::query::parameters::Parameters;

fn index(name: &str) -> Index {
    let fields = name.split('+').map(|field| Path::parse(field, "index").unwrap()).collect();
    Index { name: name.to_owned(), fields, kind: Kind::Plain }
}

/// Returns the query of the best plan.
fn best(query: &str, indexes: &[&str]) -> String {
    let mut parameters = Parameters::parse(query).unwrap();
    let order = Order::parse(parameters.take("order").unwrap().as_deref(), "id").unwrap();
    let filter = Listing::filter(parameters).unwrap();
    let wanted = Wanted { filter: &filter, rule: None, order: &order, place: None, primary_key: "id" };
    let indexes: Vec<_> = indexes.iter().map(|name| index(name)).collect();
    let plan = Plan::all(wanted, &indexes).swap_remove(0);
    let rows = plan.ordered(&r.table("t"), &order).to_string();
    let rest = if plan.rest { " + rest" } else { "" };
    format!("{}{rest}", rows.strip_prefix("r.table(\"t\")").unwrap())
}

#[test]
fn the_index_that_answers_most_is_taken() {
    for (query, indexes, expected) in [
        ("", &["a"][..], ".orderBy({index: \"id\"})"),
        ("id=eq.1&a=eq.2", &["a"], ".getAll(1, {index: \"id\"})"),
        ("id=in.(1,1.0,2)", &[], ".getAll(1, 2, {index: \"id\"})"),
        ("a=in.(1,x)", &["a"], ".getAll(1, \"x\", {index: \"a\"})"),
        ("a=eq.1&order=b", &["a"], ".getAll(1, {index: \"a\"})"),
        (
            "id=eq.1970-01-01",
            &[],
            ".getAll(\"1970-01-01\", {$reql_type$: \"TIME\", epoch_time: 0.0, timezone: \"+00:00\"}, {index: \
             \"id\"})",
        ),
        (
            "a=lt.1970-01-01&order=b",
            &["a"],
            ".between(r.minval, \"1970-01-01\", {index: \"a\", rightBound: \"closed\"})",
        ),
        (
            "a=in.({\"$reql_type$\":\"TIME\",\"epoch_time\":0.5},\
             {\"$reql_type$\":\"TIME\",\"epoch_time\":0.5001},1970-01-01,\
             {\"$reql_type$\":\"TIME\",\"epoch_time\":0})",
            &["a"],
            ".getAll({$reql_type$: \"TIME\", epoch_time: 0.5}, \"1970-01-01\", {$reql_type$: \"TIME\", \
             epoch_time: 0.0, timezone: \"+00:00\"}, {index: \"a\"})",
        ),
        ("a=eq.1&b=eq.2&order=c", &["a", "a+b"], ".getAll([1, 2], {index: \"a+b\"})"),
        ("a=eq.1", &["a"], ".between(1, 1, {index: \"a\", rightBound: \"closed\"}).orderBy({index: \"a\"})"),
        ("a=gt.1&order=b", &["a"], ".between(1, r.maxval, {index: \"a\", rightBound: \"closed\"})"),
        (
            "a=lte.1&order=a",
            &["a"],
            ".between(r.minval, 1, {index: \"a\", rightBound: \"closed\"}).orderBy({index: \"a\"})",
        ),
        (
            "a=eq.1&b=gte.2&order=b",
            &["a", "b", "a+b"],
            ".between([1, 2], [1, r.maxval], {index: \"a+b\", rightBound: \"closed\"}).orderBy({index: \
             \"a+b\"})",
        ),
        (
            "order=a",
            &["a"],
            ".between(false, r.maxval, {index: \"a\", rightBound: \"closed\"}).orderBy({index: \"a\"}) + \
             rest",
        ),
        (
            "order=a.desc",
            &["a"],
            ".between(false, r.maxval, {index: \"a\", rightBound: \"closed\"}).orderBy({index: \
             r.desc(\"a\")}) + rest",
        ),
        ("order=id.desc", &["a"], ".orderBy({index: r.desc(\"id\")})"),
        (
            "a=eq.1&b=gte.2&order=b.desc",
            &["a", "a+b"],
            ".between([1, 2], [1, r.maxval], {index: \"a+b\", rightBound: \"closed\"}).orderBy({index: \
             r.desc(\"a+b\")})",
        ),
        ("a=starts.xy&order=b", &["a"], ".between(\"xy\", \"xz\", {index: \"a\", rightBound: \"closed\"})"),
        (
            "order=a",
            &["a+id"],
            ".between([false], [r.maxval], {index: \"a+id\", rightBound: \"closed\"}).orderBy({index: \
             \"a+id\"}) + rest",
        ),
    ] {
        assert_eq!(best(query, indexes), expected, "{query}");
    }
}

#[test]
fn an_index_that_lacks_documents_is_none() {
    for query in
        ["a=eq.1&order=c", "b=eq.1", "a=ne.1", "a=eq.null", "a=not.eq.1", "a=has", "or=(a=eq.1,b=eq.1)"]
    {
        let indexes = if query.starts_with("a=eq.1") { ["a+b"] } else { ["a"] };
        assert!(!best(query, &indexes).contains("\"a"), "{query}");
    }
}
