//! Bounds of the memory that open cursors hold between their batches.

use crate::bounded::{MEMORY, Target};
use crate::support::reql;
use reql_embedded::datum::syntax;
use reql_embedded::engine::Interrupt;
use reql_embedded::error::{Error, ErrorKind};
use reql_embedded::eval::{self, Cursor, Env};
use reql_embedded::term::Query;

const MIB: u64 = 1 << 20;

/// A text of 64 KiB.
const TEXT: &str = "r.range(16).fold('x', (a, _) => a.add(a))";

/// Makes a server with a table `large` of documents of 64 KiB each.
fn target(documents: u32) -> Target {
    let target = Target::new();
    target.must("r.tableCreate('large')");
    let rows = format!("r.range({documents}).map(n => ({{id: n, text: {TEXT}}}))");
    target.must(&format!("r.table('large').insert({rows})"));
    target
}

/// Begins a query, and reads a few rows.
fn open(target: &Target, expression: &str) -> Result<Box<Cursor>, Error> {
    let term = reql::parse(expression).expect("an expression").to_string();
    let arena = syntax::Arena::new();
    let query = Query::new(Some(syntax::parse(term.as_bytes(), &arena).expect("JSON")), &[])?;
    let env = Env::new(target.0.clone(), "admin".into(), Interrupt::default(), true);
    let answer = env.clone().within(|| eval::run(&query, env))?;
    let eval::Answer::Cursor(mut cursor) = answer else { panic!("{expression} has no cursor") };
    assert!(!cursor.next_batch(&mut Vec::new())?.done, "{expression} has few rows");
    Ok(cursor)
}

#[test]
fn what_an_open_cursor_holds_counts() {
    let target = target(64);
    let array = format!("r.range(48).map(n => {TEXT}).coerceTo('array')");
    let queries = [
        "r.table('large').orderBy('id').union(r.table('t'))".to_owned(),
        "r.table('large').sample(64).union(r.table('t'))".to_owned(),
        format!("r.table('t').fold(0, (a, x) => a, {{emit: (a, x, b) => {array}}})"),
        format!("r.table('t').concatMap(x => {array})"),
        // The value of a variable.
        format!("{array}.do(x => r.range(1000000).filter(y => x.ne(y)))"),
    ];
    for query in &queries {
        let cursor = open(&target, query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let held = target.0.memory.used();
        assert!((2 * MIB..MEMORY / 2).contains(&held), "{query} holds {held} bytes");
        drop(cursor);
        assert_eq!(target.0.memory.used(), 0, "{query} left something");
    }
}

#[test]
fn open_cursors_hold_no_more_than_there_is_together() {
    let target = target(64);
    let query = "r.table('large').orderBy('id').union(r.table('t'))";
    let mut cursors = Vec::new();
    let error = loop {
        match open(&target, query) {
            Ok(cursor) => cursors.push(cursor),
            Err(error) => break error,
        }
        assert!(cursors.len() < 100, "{} cursors", cursors.len());
    };
    assert_eq!(error.kind(), ErrorKind::ResourceLimit, "{error}");
    assert!(cursors.len() >= 10, "{} cursors", cursors.len());
    cursors.truncate(cursors.len() - 2);
    open(&target, query).expect("room again");
}

#[test]
fn sorted_rows_count_until_they_are_read() {
    let target = target(64);
    let mut cursor = open(&target, "r.table('large').orderBy('id').union(r.table('t'))").expect("rows");
    let mut before = target.0.memory.used();
    let mut batches = 0;
    while !cursor.next_batch(&mut Vec::new()).expect("rows").done {
        let held = target.0.memory.used();
        assert!(held <= before, "{held} bytes after {before}");
        before = held;
        batches += 1;
    }
    assert!(batches >= 3, "{batches} batches");
    let held = target.0.memory.used();
    assert!(held < MIB / 2, "{held} bytes at the end");
}

#[test]
fn sorted_rows_that_are_read_further_count_once() {
    // More than half of what a query may hold.
    let target = target(320);
    target.must("r.table('large').indexCreate('one', x => 1)");
    target.must("r.table('large').indexWait('one')");
    for (query, expected) in [
        ("orderBy('id').orderBy(r.desc('id')).nth(0)('id')", "319"),
        ("orderBy('id').sample(320).count()", "320"),
        ("orderBy('id', {index: 'one'}).count()", "320"),
    ] {
        assert_eq!(target.must(&format!("r.table('large').{query}")), expected, "{query}");
    }
}
