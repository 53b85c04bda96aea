//! Bounds of the memory that writes of large documents take.

use crate::bounded::{MEMORY, Ran, Target};
use reql_embedded::error::ErrorKind;

/// Makes a server with a table `large` of documents with a text of 2^`power` bytes.
fn target(count: u32, power: u32) -> Target {
    let target = Target::new();
    target.must("r.tableCreate('large')");
    let text = format!("r.range({power}).fold('x', (a, _) => a.add(a))");
    target.must(&format!("r.table('large').insert(r.range({count}).map(n => ({{id: n, text: {text}}})))"));
    target
}

#[test]
fn large_documents_are_changed_a_few_at_a_time() {
    const SIZE: u64 = 1 << 20;
    let target = target(20, SIZE.ilog2());
    for (write, expected) in [
        ("update({v: 1})", "\"replaced\":20,"),
        ("replace(d => d.merge({v: 2}))", "\"replaced\":20,"),
        ("insert(r.range(20).map(n => ({id: n})))", "\"errors\":20,"),
        ("delete()", "\"deleted\":20,"),
    ] {
        let Ran { result, held, .. } = target.run(&format!("r.table('large').{write}"), true);
        let answer = result.expect(write);
        assert!(answer.contains(expected), "{write}: {answer}");
        assert!((SIZE..8 * SIZE).contains(&held), "{write} held {held} bytes");
        assert_eq!(target.0.memory.used(), 0, "{write} left something");
    }
}

#[test]
fn a_write_shows_no_more_than_there_is_room_for() {
    let target = target(300, 17);
    let write = "r.table('large').update({v: 1}, {returnChanges: true})";
    let Ran { result, held, .. } = target.run(write, true);
    assert_eq!(result.expect_err("too much to show").kind(), ErrorKind::ResourceLimit);
    assert!(held <= MEMORY / 2, "{held} bytes");
    assert_eq!(target.0.memory.used(), 0);
    let changed = target.must("r.table('large').filter(d => d.hasFields('v')).count()");
    assert!(changed.parse::<usize>().expect("a number") <= 200, "it went on to the next batch");
    let few =
        "r.table('large').limit(5).update({v: 2}, {returnChanges: true})('changes')('new_val')('v').sum()";
    assert_eq!(target.must(few), "10");
}

#[test]
fn a_large_document_is_changed_in_the_memory_for_two() {
    const SIZE: u64 = 4 << 20;
    let target = target(1, SIZE.ilog2());
    for write in ["update({v: 1})", "replace(d => d.merge({v: 2}))", "update(d => ({v: d('v').add(1)}))"] {
        let Ran { result, held, .. } = target.run(&format!("r.table('large').get(0).{write}"), true);
        let answer = result.expect(write);
        assert!(answer.contains("\"replaced\":1,"), "{write}: {answer}");
        assert!((2 * SIZE..3 * SIZE).contains(&held), "{write} held {held} bytes");
    }
}
