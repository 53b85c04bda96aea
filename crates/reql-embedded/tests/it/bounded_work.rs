//! Bounds of the work that a unit pays for, where a term goes through two values at once.

use crate::bounded::{Ran, Target};
use reql_embedded::budget::fuel::LIGHT;
use reql_embedded::error::ErrorKind;

/// Returns `r.args` of so many results of a function.
fn args(count: u32, func: &str) -> String {
    format!("r.args(r.range({count}).map({func}).coerceTo('array'))")
}

/// Returns queries whose rows and values are few, but which do something with each pair of them. Next to each
/// is its result.
fn queries() -> Vec<(String, &'static str)> {
    let times = |text: &str, count: usize| vec![text; count].join(", ");
    let numbered = |name: &str| (0..400).map(|n| format!("{name}{n}")).collect::<Vec<_>>().join(", ");
    let text =
        |offset: u32| format!("x => r.expr('{}').add(x.add({offset}).coerceTo('string'))", "y".repeat(100));
    let (names, objects) = (args(2000, "x => 'a'"), "r.range(1000).map(x => ({a: x}))");
    let object = "r.range(300).map(x => [x.coerceTo('string'), 1]).coerceTo('object')";
    vec![
        (format!("r.range(5000).contains({})", args(2000, "x => x.add(5000)")), "false"),
        (format!("r.range(800).map({}).contains({})", text(0), args(800, &text(1000))), "false"),
        (format!("r.range(2000).contains({})", times("x => false", 400)), "false"),
        (format!("{objects}.hasFields({names}).count()"), "1000"),
        (format!("{objects}.pluck({names}).count()"), "1000"),
        (format!("{objects}.without({names}).count()"), "1000"),
        (format!("{objects}.merge({}).count()", args(2000, "x => 1")), "1000"),
        (format!("{object}.do(o => r.range(2000).map(x => o).filter(o).count())"), "2000"),
        (format!("r.range(5000).filter(x => x.eq({})).count()", times("x", 400)), "5000"),
        (
            format!("r.do({}, ({}) => r.range(4000).map(x => a399).sum())", numbered(""), numbered("a")),
            "1596000",
        ),
        ("r.range(3500).coerceTo('array').do(a => a.setUnion(a).count())".to_owned(), "3500"),
    ]
}

#[test]
fn who_takes_all_with_all_pays_for_it() {
    let target = Target::new();
    for (query, expected) in queries() {
        let Ran { result, spent, .. } = target.run(&query, false);
        let error = result.expect_err(&query);
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{query}: {error}");
        assert!(spent <= LIGHT as u64, "{query} took {spent} units");
        assert_eq!(target.must(&query), expected, "{query}");
    }
}
