mod hostile;

use serde_json::{Value, json};

use super::*;

fn wire(text: &str) -> Value {
    match parse(text) {
        Ok(node) => node.to_wire(),
        Err(fault) => panic!("{}\n{}", fault, Place::of(fault.span, text).excerpt),
    }
}

/// Checks that a text has the fault, and that it is in this part of it.
#[track_caller]
fn faulty(text: &str, part: &str, message: &str) {
    let fault = parse(text).expect_err(text);
    assert!(fault.message.contains(message), "{text}: {fault}");
    assert_eq!(fault.span.of(text), part, "{text}: {fault}");
}

#[test]
fn a_query_is_what_the_official_drivers_send() {
    let table = json!([15, ["heroes"]]);
    let row = |name: &str| json!([170, [[13, []], name]]);
    let variable = |number: u32, name: &str| json!([170, [[10, [number]], name]]);
    for (text, expected) in [
        (
            "r.table('heroes').filter(r.row('age').gt(18)).orderBy(r.desc('age')).limit(3)",
            json!([71, [[41, [[39, [table, [69, [[2, [1]], [21, [row("age"), 18]]]]]], [74, ["age"]]]], 3]]),
        ),
        ("r.now().sub(3600)", json!([25, [[103, []], 3600]])),
        ("r.now().sub(60 * 60 * 24 - -1)", json!([25, [[103, []], 86401]])),
        ("r.expr({a: 1, 'b c': [1, 2.5], 3: null})", json!({"a": 1, "b c": [2, [1, 2.5]], "3": null})),
        ("r({a: r.literal()})", json!({"a": [137, []]})),
        ("r.table('heroes').get(1).run(conn, function (e, x) { x.a[1](2) });", json!([16, [table, 1]])),
        ("await r.table('heroes').get(-1, ).run(conn);;", json!([16, [table, -1]])),
        ("r.expr([1, [], {a: [2, ], }, ]).run()", json!([2, [1, [2, []], {"a": [2, [2]]}]])),
        (
            "r.table('heroes').map((a) => ({a, b: a('b')('c')}))",
            json!([38, [table, [69, [[2, [1]], {"a": [10, [1]], "b": [170, [variable(1, "b"), "c"]]}]]]]),
        ),
        (
            "r.table('heroes').reduce(function (a, b) { return a.add(b); })",
            json!([37, [table, [69, [[2, [1, 2]], [24, [[10, [1]], [10, [2]]]]]]]]),
        ),
        (
            "r.table('heroes').filter({a: 1}, {default: true})",
            json!([39, [table, {"a": 1}], {"default": true}]),
        ),
        ("r.table('heroes').getAll({a: 1})", json!([78, [table, {"a": 1}]])),
        ("r.table('heroes').getAll(1, 2, {index: 'i'})", json!([78, [table, 1, 2], {"index": "i"}])),
        ("r.table('heroes').orderBy({index: r.desc('a')})", json!([41, [table], {"index": [74, ["a"]]}])),
        (
            "r.table('heroes').changes({includeInitial: true, include_states: false})",
            json!([152, [table], {"include_initial": true, "include_states": false}]),
        ),
        (
            "r.do(1, 2, (a, b) => a.add(b))",
            json!([64, [[69, [[2, [1, 2]], [24, [[10, [1]], [10, [2]]]]]], 1, 2]]),
        ),
        ("r.expr(1).do(x => x)", json!([64, [[69, [[2, [1]], [10, [1]]]], 1]])),
        ("r.branch(true, 'a', \"b\")", json!([65, [true, "a", "b"]])),
        ("r.count(r.table('heroes'), {a: 1})", json!([43, [table, {"a": 1}]])),
        (
            "r.expr([1]).union([2], {interleave: false})",
            json!([44, [[2, [1]], [2, [2]]], {"interleave": false}]),
        ),
        ("// a\nr /* b */ . minval", json!([180, []])),
        ("r.time(2020, 1, 2, r.monday, 'Z')", json!([136, [2020, 1, 2, [107, []], "Z"]])),
        (r#"r.expr(`\x41\u0042\u{1F600}\ud83d\ude00\n$'"`)"#, json!("AB😀😀\n$'\"")),
        ("r.expr([0x10, 1_000, .5, 5., 1e3, 0b11, -0])", json!([2, [16, 1000, 0.5, 5, 1000, 3, 0]])),
        ("r.table('heroes').orderBy(r.asc(r.row('a')))", {
            json!([41, [table, [73, [[69, [[2, [1]], row("a")]]]]]])
        }),
    ] {
        assert_eq!(wire(text), expected, "{text}");
    }
}

/// Checks that the driver's text of each query that it compares with the official driver is parsed as that
/// query.
#[test]
fn what_the_driver_shows_is_read() {
    for line in include_str!("../../../crates/reql-driver/tests/golden/golden.json").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let expected = reql::Term::from_wire(&case["wire"]).unwrap();
        let text = expected.to_string();
        let read = reql::Term::from_wire(&wire(&text)).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), case["wire"], "{}: {text}", case["name"]);
    }
}

#[test]
fn the_innermost_parameter_of_a_name_counts() {
    let inner = json!([69, [[2, [2]], [24, [[10, [2]], [10, [2]]]]]]);
    assert_eq!(wire("r.expr(1).do(x => r.do(x, x => x.add(x)))"), {
        json!([64, [[69, [[2, [1]], [64, [inner, [10, [1]]]]]], 1]])
    });
    assert_eq!(wire("r.do(1, r => r)"), json!([64, [[69, [[2, [1]], [10, [1]]]], 1]]));
}

#[test]
fn faults_are_at_their_place() {
    for (text, part, message) in [
        ("", "", "no query"),
        ("  // nothing", "", "no query"),
        ("r.table('a').fitler({})", "fitler", "did you mean `filter`"),
        ("r.table('a').filter(x => x.age > 3)", "age", "a field is `value(\"age\")`"),
        ("r.table('a').cuont", "cuont", "did you mean `count`"),
        ("r.upcase()", "upcase", "a command of values"),
        ("r.expr(1).now()", "now", "a command of `r`"),
        ("r.table('a').count", "count", "needs brackets"),
        ("r.table()", "table()", "takes 1 argument, not 0"),
        ("r.expr(1).do()", "do()", "at least 1 argument"),
        ("r.table('a').get(x)", "x", "`x` is unknown"),
        ("table('a')", "table", "did you mean `r.table`"),
        ("r.table('a)", "'a)", "no closing '"),
        ("r.expr('\\q\\u12')", "\\u", "hexadecimal"),
        ("r.table(`a${b}`)", "$", "no placeholders"),
        ("r.row('a') > 3", ">", "`.gt(...)`"),
        ("r.expr(1) + 2", "+", "`.add(...)`"),
        ("1 + 'a'", "+", "`.add(...)`"),
        ("!r.row", "!", "`.not()`"),
        ("-r.row", "-r.row", "`.mul(-1)`"),
        ("r.expr(1) ? 2 : 3", "?", "r.branch"),
        ("[1].map(x => x)", "[1]", "r.expr(...)"),
        ("r.row['a']", "[", "round brackets"),
        ("r.table('a').map(x => {a: 1})", "a", "x => ({ ... })"),
        ("r.table('a').orderBy({indx: 'b'})", "'b'", "it has index"),
        ("r.table('a') r", "r", "left over"),
        ("r.table('a'", "", "a `,` or a `)` is missing before the end"),
        ("r.match(/a/)", "match", "a command of values"),
        ("r.expr('a').match(/a/)", "/", "regular expression"),
        ("1e999", "1e999", "too large"),
        ("12abc", "12abc", "no number"),
        ("1 / 0", "1 / 0", "no finite number"),
        ("/* a", "/*", "no end"),
        ("new Date()", "new", "r.now()"),
        ("r.table('é').gét(1)", "gét", "did you mean `get`"),
        ("r.expr(\u{1}1)", "\u{1}", "means nothing"),
        ("r.args(...a)", "...", "r.args(array)"),
        ("r.expr({...a})", "...", "merge"),
        ("r.db('a').run(", "", "no closing bracket"),
        ("r.table('a').run(conn).then(rows => rows)", ".", "what follows `.run(...)`"),
        ("r.table('a').map(x => await x)", "await", "leave out `await`"),
        ("const rows = await r.table('a')", "const", "r.do(value"),
    ] {
        faulty(text, part, message);
    }
}

#[test]
fn places_are_shown() {
    let text = "r.table('é')\n  .fitler({\n    a: 1})";
    let fault = parse(text).unwrap_err();
    let place = Place::of(fault.span, text);
    assert_eq!((place.line, place.column, place.end_line, place.end_column), (2, 4, 2, 10));
    assert_eq!(place.excerpt, "  .fitler({\n   ^^^^^^");
    let long = format!("r.expr('{}').fitler('{}')", "é".repeat(500), "a".repeat(500));
    let place = Place::of(parse(&long).unwrap_err().span, &long);
    let (line, marks) = place.excerpt.split_once('\n').unwrap();
    assert_eq!(line.chars().count(), 128);
    assert_eq!(marks.trim_start().len(), 6);
}

#[test]
fn a_backtrace_is_a_place() {
    let text = "r.table('a').filter({b: r.row('c').add(1)}, {default: r.error('d')})";
    let node = parse(text).unwrap();
    for (way, part) in [
        (vec![], text),
        (vec![Step::Arg(0)], "r.table('a')"),
        (vec![Step::Arg(0), Step::Arg(0)], "'a'"),
        (vec![Step::Opt("default")], "r.error('d')"),
        (vec![Step::Arg(1), Step::Arg(1), Step::Opt("b"), Step::Arg(1)], "1"),
        (vec![Step::Arg(7), Step::Arg(0)], text),
    ] {
        assert_eq!(node.place_of(way).of(text), part);
    }
}
