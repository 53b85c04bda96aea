//! A write sees the rows of its beginning, never its own effects.

use std::thread;
use std::time::Duration;

use crate::support::asking::Asking;
use serde_json::{Value, json};

/// More than a few batches.
const MANY: usize = 700;

/// Starts a server with the documents `{id: n, v: n, w: [n, n + 0.5]}` in `t`, with indexes `v` and `w`, and
/// an empty table `u`.
fn server(count: usize) -> Asking {
    let mut server = Asking::new(None);
    for query in [
        "r.tableCreate('t', {durability: 'soft'})",
        "r.tableCreate('u', {durability: 'soft'})",
        "r.table('t').indexCreate('v')",
        "r.table('t').indexCreate('w', {multi: true})",
        "r.table('t').indexWait()",
        &format!("r.table('t').insert(r.range({count}).map(n => ({{id: n, v: n, w: [n, n.add(0.5)]}})))"),
    ] {
        server.get(query);
    }
    server
}

/// Returns the `id` of each document in `t` and its value of `field`, in the order of the `id`s.
fn values(server: &mut Asking, field: &str) -> Vec<(i64, f64)> {
    let rows = server.get("r.table('t').orderBy({index: 'id'})");
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| (row["id"].as_i64().expect("a number"), row[field].as_f64().expect("a number"))).collect()
}

#[test]
fn a_row_that_moves_along_its_index_is_changed_once() {
    for (selection, step) in [
        ("between(0, 1e9, {index: 'v'})", 1),
        ("between(0, 1e9, {index: 'v'})", 5_000),
        ("orderBy({index: 'v'})", 1),
        ("orderBy({index: r.desc('v')})", -10_000),
        ("orderBy({index: 'v'}).filter(d => d('v').ge(0))", 3_000),
        ("between(0, 1e9, {index: 'v'}).orderBy({index: r.desc('v')}).skip(1).limit(1e6)", -7_000),
    ] {
        let first = i64::from(!selection.contains("skip"));
        for write in ["update({v: r.row('v').add(STEP)})", "replace(d => d.merge({v: d('v').add(STEP)}))"] {
            let mut server = server(MANY);
            let query = format!("r.table('t').{selection}.{}", write.replace("STEP", &step.to_string()));
            let answer = server.get(&query);
            assert_eq!(answer["replaced"], json!(MANY as i64 - 1 + first), "{query}: {answer}");
            let moved =
                values(&mut server, "v").into_iter().filter(|(id, v)| *v == (id + step) as f64).count();
            assert_eq!(moved as i64, MANY as i64 - 1 + first, "{query}");
        }
    }
}

#[test]
fn a_table_that_is_made_anew_is_another_one() {
    let mut server = server(3);
    let answer = server.get(
        "r.expr([r.table('t').count(), r.table('t').count(), r.tableDrop('t')('tables_dropped'), \
         r.tableCreate('t')('tables_created'), r.table('t').insert({id: 9})('inserted'), \
         r.table('t').count(), r.table('t').get(9)])",
    );
    assert_eq!(answer, json!([3, 3, 1, 1, 1, 1, {"id": 9}]));
}

#[test]
fn the_first_of_an_order_are_the_first_at_the_beginning() {
    let mut server = server(MANY);
    let answer = server.get("r.table('t').orderBy({index: 'v'}).limit(450).update({v: r.row('v').add(1e6)})");
    assert_eq!(answer["replaced"], json!(450));
    let moved: Vec<_> = values(&mut server, "v").into_iter().filter(|(_, v)| *v >= 1e6).collect();
    assert_eq!(moved, (0..450).map(|n| (n, n as f64 + 1e6)).collect::<Vec<_>>());
}

/// Inserts rows that are made of the table itself.
#[test]
fn rows_that_a_write_adds_are_not_its_own_source() {
    let moved = "{id: d('id').add(10000), v: d('v'), w: []}";
    for source in [
        format!("map(d => ({moved}))"),
        format!("orderBy({{index: 'v'}}).map(d => ({moved}))"),
        format!("concatMap(d => [{moved}])"),
        format!("union(r.table('t').limit(0)).map(d => ({moved}))"),
        format!("eqJoin('v', r.table('t'), {{index: 'v'}}).zip().map(d => ({moved}))"),
        format!("filter(d => r.table('t').get(d('id')).ne(null)).map(d => ({moved}))"),
    ] {
        let mut server = server(MANY);
        let answer = server.get(&format!("r.table('t').insert(r.table('t').{source})"));
        assert_eq!((&answer["inserted"], &answer["errors"]), (&json!(MANY), &json!(0)), "{source}");
        assert_eq!(server.get("r.table('t').count()"), json!(2 * MANY), "{source}");
    }
}

#[test]
fn a_table_of_any_size_doubles() {
    let mut server = server(1);
    for doubled in (1..=11).map(|power| 1 << power) {
        server.get("r.table('t').insert(r.table('t').without('id'))");
        assert_eq!(server.get("r.table('t').count()"), json!(doubled));
    }
}

#[test]
fn a_sequence_of_writes_goes_over_the_rows_of_its_beginning() {
    for source in ["", ".orderBy({index: 'v'})", ".map(d => d)", ".concatMap(d => [d])", ".limit(1e9)"] {
        for count in [3, MANY] {
            let mut server = server(count);
            let write = "r.table('t').insert({id: d('id').add(100000), v: d('v').add(0.1), w: []})";
            let answer = server.get(&format!("r.table('t'){source}.forEach(d => {write})"));
            assert_eq!(answer["inserted"], json!(count), "{source}");
            assert_eq!(server.get("r.table('t').count()"), json!(2 * count), "{source}");
        }
    }
}

/// Checks that each step of a `for_each` is a write of its own, which sees the effects of those before it.
#[test]
fn the_steps_of_a_sequence_see_each_other() {
    let mut server = server(250);
    server.get("r.table('t').forEach(d => r.table('u').insert({id: d('id'), n: r.table('u').count()}))");
    assert_eq!(server.get("r.table('u').filter(d => d('id').ne(d('n'))).count()"), json!(0));
    server.get(
        "r.table('t').forEach(d => r.table('t').get(d('id')).update({v: r.table('t').sum('v')}, \
        {nonAtomic: true}))",
    );
    let values = values(&mut server, "v");
    assert_eq!(values[0].1, (0..250).sum::<i64>() as f64);
    assert_ne!(values[0].1, values[1].1);
}

#[test]
fn a_function_that_looks_at_other_rows_sees_them_as_they_were() {
    let mut server = server(MANY);
    let neighbour = "r.table('t').get(d('id').add(1).mod(700))('v')";
    let answer =
        server.get(&format!("r.table('t').update(d => ({{v: {neighbour}.add(1)}}), {{nonAtomic: true}})"));
    assert_eq!(answer["replaced"], json!(MANY));
    let expected: Vec<_> = (0..700).map(|id| (id, ((id + 1) % 700 + 1) as f64)).collect();
    assert_eq!(values(&mut server, "v"), expected);

    let sums = "r.table('t').getAll(0, {index: 'w'}).count().add(r.table('t').between(0, 9e9, {index: \
        'v'}).sum('v'))";
    server.get(&format!("r.table('t').update(d => ({{w: [0], v: {sums}}}), {{nonAtomic: true}})"));
    let first = values(&mut server, "v")[0].1;
    assert!(values(&mut server, "v").iter().all(|(_, v)| *v == first), "all saw the same sum");
}

/// Checks that a row is changed as often as its selection names it, but not more often, as in RethinkDB.
#[test]
fn a_row_with_several_values_is_changed_once_for_each() {
    let mut server = server(MANY);
    let query = "r.table('t').between(0, 1e9, {index: 'w'}).update({w: r.row('w').map(w => w.add(1000)), v: \
        r.row('v').add(1)})";
    let answer = server.get(query);
    assert_eq!(answer["replaced"], json!(2 * MANY), "{answer}");
    assert!(values(&mut server, "v").iter().all(|(id, v)| *v == (id + 2) as f64));
}

#[test]
fn rows_of_other_tables_are_inserted_however_many_there_are() {
    for count in [199, 200, 201, 400, 401, MANY] {
        let mut server = server(count);
        for source in [
            "r.table('t')",
            "r.db('test').table('t')",
            "r.table('t').coerceTo('array')",
            "r.expr({a: r.table('t').coerceTo('array')})('a')",
        ] {
            let answer = server.get(&format!("r.table('u').insert({source}, {{conflict: 'replace'}})"));
            let written = answer["inserted"].as_u64().zip(answer["unchanged"].as_u64()).map(|(a, b)| a + b);
            assert_eq!(written, Some(count as u64), "{source} of {count}: {answer}");
        }
        assert_eq!(server.get("r.table('u').count()"), json!(count));
    }
}

/// Inserts more documents than a query seems to have: these queries begin as light ones.
#[test]
fn documents_out_of_a_document_are_inserted_however_many_there_are() {
    for count in [1, 200, 201, 1_000] {
        let mut server = server(0);
        server.get(&format!(
            "r.table('t').insert({{id: 1, docs: r.range({count}).map(n => ({{id: n}})).coerceTo('array')}})"
        ));
        let docs = "r.table('t').get(1)('docs')";
        for source in [
            docs.to_owned(),
            format!("{docs}.default([])"),
            format!("r.branch(true, {docs}, null)"),
            format!("r.add({docs}, [])"),
            format!("r.mul({docs}, 1)"),
            format!("{docs}.merge({{a: 1}})"),
            format!("{docs}.pluck('id')"),
            format!("{docs}.without('a')"),
        ] {
            for durability in ["soft", "hard"] {
                let options = format!("{{durability: '{durability}', returnChanges: 'always'}}");
                let answer = server.get(&format!("r.table('u').insert({source}, {options})"));
                assert_eq!(answer["inserted"], json!(count), "{source}");
                assert_eq!(answer["changes"].as_array().map(Vec::len), Some(count), "{source}");
                server.get("r.table('u').delete()");
            }
        }
    }
}

/// Checks that a write which reads for long delays no other write. On a busy machine others may hardly get a
/// turn while it reads; if they had to wait for it, they would get none however long that takes.
#[test]
fn others_write_while_a_write_reads() {
    let is_enough = |steps: &u32| written_beside(*steps) > 3;
    assert!([300, 3_000, 30_000].iter().any(is_enough), "others wait for a write that reads");
}

/// Returns the number of writes that get through while another one reads, with a function of so many steps
/// for each row. Checks that it doesn't see what they write.
fn written_beside(steps: u32) -> u64 {
    let mut server = server(MANY);
    let address = server.address();
    let writing = thread::spawn(move || {
        let mut other = Asking::of(address);
        let mut written = 0;
        while other.get("r.table('u').count()") == json!(0) {
            other
                .get(&format!("r.table('t').insert({{id: {}, v: {written}.5, w: []}})", 1_000_000 + written));
            written += 1;
            thread::sleep(Duration::from_millis(1));
        }
        written
    });
    let answer = server.get(&format!(
        "r.table('t').insert(r.table('t').filter(d => r.range({steps}).sum().ge(0)).map(d => ({{id: \
         d('id').add(1e4), v: 0, w: []}})))"
    ));
    let inserted = answer["inserted"].as_u64().expect("a count");
    server.get("r.table('u').insert({id: 1})");
    let written: u64 = writing.join().expect("a writer");
    assert!((MANY as u64..=MANY as u64 + written).contains(&inserted));
    let total = server.get("r.table('t').count()");
    assert_eq!(total, json!(MANY as u64 + written + inserted));
    let copies = server.get("r.table('t').filter(d => d('id').ge(2e6)).count()");
    assert_eq!(copies, Value::from(0), "a copy was copied");
    written
}

/// The update takes much longer if the counter is even, which it may have become since it began: after it ran
/// where it must not take long, it is done again where it may.
#[test]
fn no_update_is_lost_that_takes_long_now_and_then() {
    const CLIENTS: usize = 6;
    const UPDATES: usize = 12;
    let mut server = server(0);
    server.get(&format!("r.table('t').insert({{id: 0, v: 0, text: '{}'}})", "x".repeat(400_000)));
    let long = "d('text').add(d('text'), d('text'), d('text')).eq('')";
    let update = |durability| {
        format!(
            "r.table('t').get(0).update(d => ({{v: r.branch(d('v').mod(2).eq(1), d('v').add(1), {long}, 0, \
             d('v').add(1))}}), {{durability: '{durability}'}})"
        )
    };
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let (mut client, update) = (Asking::of(server.address()), update(["soft", "hard"][n % 2]));
            scope.spawn(move || {
                for _ in 0..UPDATES {
                    assert_eq!(client.get(&update)["replaced"], json!(1));
                }
            });
        }
    });
    assert_eq!(server.get("r.table('t').get(0)('v')"), json!(CLIENTS * UPDATES));
}
