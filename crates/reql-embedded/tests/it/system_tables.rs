//! System tables while several clients write them, and what the permissions in them mean for open cursors.

use std::sync::{Arc, Barrier};
use std::thread;

use crate::support::reql;
use reql_embedded::datum::{Datum, json, syntax};
use reql_embedded::engine::Interrupt;
use reql_embedded::error::{Error, ErrorKind};
use reql_embedded::eval::{self, Env};
use reql_embedded::instance::Instance;
use reql_embedded::term::Query;

/// A server in memory.
#[derive(Clone)]
struct Target(Arc<Instance>);

impl Target {
    fn new() -> Self {
        let instance = crate::support::instance();
        instance.store.create_database("test").expect("a new database");
        Target(Arc::new(instance))
    }

    fn begin(&self, user: &str, expression: &str, may_wait: bool) -> Result<eval::Answer, Error> {
        let term = reql::parse(expression).expect("an expression").to_string();
        let arena = syntax::Arena::new();
        let optargs = [("max_batch_rows", syntax::parse(b"10", &arena).expect("JSON"))];
        let query = Query::new(Some(syntax::parse(term.as_bytes(), &arena).expect("JSON")), &optargs)?;
        let env = Env::new(self.0.clone(), user.into(), Interrupt::default(), may_wait);
        env.clone().within(|| eval::run(&query, env))
    }

    fn run(&self, expression: &str) -> Result<Datum, Error> {
        match self.begin("admin", expression, true)? {
            eval::Answer::Atom(datum) => Ok(datum),
            _ => panic!("{expression} has no value"),
        }
    }

    fn must(&self, expression: &str) -> String {
        let value = self.run(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        json::to_string(&value).expect("JSON")
    }

    /// Runs an expression on several threads at once.
    fn at_once(&self, expressions: &[String]) -> Vec<String> {
        let barrier = Barrier::new(expressions.len());
        thread::scope(|scope| {
            let run = |expression| {
                barrier.wait();
                self.must(expression)
            };
            let running: Vec<_> =
                expressions.iter().map(|expression| scope.spawn(move || run(expression))).collect();
            running.into_iter().map(|running| running.join().expect("no panic")).collect()
        })
    }
}

#[test]
fn updates_of_one_row_are_done_one_after_the_other() {
    const AT_ONCE: usize = 8;
    let target = Target::new();
    target.must("r.db('rethinkdb').table('_debug_scratch').insert({id: 'n', n: 0})");
    // The sum gives the others time to read the same row.
    let slowly = "r.range(20000).sum().mul(0).add(1)";
    let update = format!(
        "r.db('rethinkdb').table('_debug_scratch').get('n').update(row => ({{n: row('n').add({slowly})}}))"
    );
    target.at_once(&vec![update; AT_ONCE]);
    let row = target.must("r.db('rethinkdb').table('_debug_scratch').get('n')");
    assert_eq!(row, format!(r#"{{"id":"n","n":{AT_ONCE}}}"#));
}

#[test]
fn settings_that_are_changed_at_once_are_all_changed() {
    let target = Target::new();
    for n in 0..20 {
        let name = format!("r.db('rethinkdb').table('server_config').update({{name: 'n{n}'}})");
        let beat = "r.db('rethinkdb').table('cluster_config').update({heartbeat_timeout_secs: 1})";
        let beat = beat.replace("secs: 1", &format!("secs: {}", 10 + n));
        let tags = format!("r.db('rethinkdb').table('server_config').update({{tags: ['t{n}']}})");
        target.at_once(&[name, beat, tags]);
        let identity = target.0.identity();
        assert_eq!(
            (&*identity.name, identity.heartbeat_timeout_secs),
            (&*format!("n{n}"), f64::from(10 + n))
        );
        assert!(identity.tags.contains(&format!("t{n}")));
    }
}

#[test]
fn one_of_those_who_add_a_user_is_told_that_it_did() {
    let target = Target::new();
    for name in ["a", "b", "c"] {
        let insert =
            format!("r.db('rethinkdb').table('users').insert({{id: '{name}', password: 'x'}})('inserted')");
        let inserted = target.at_once(&vec![insert; 4]);
        assert_eq!(inserted.iter().filter(|count| *count == "1").count(), 1, "{inserted:?}");
    }
}

#[test]
fn a_cursor_ends_when_the_permission_does() {
    let target = Target::new();
    target.must("r.db('test').tableCreate('t')");
    for index in
        ["r.db('test').table('t').indexCreate('n')", "r.db('test').table('t').indexCreate('p', {geo: true})"]
    {
        target.must(index);
    }
    target.must("r.db('test').table('t').insert(r.range(99).map(n => ({id: n, n: n, p: r.point(1, 1)})))");
    target.begin("admin", "r.db('test').table('t').indexWait()", true).expect("ready indexes");
    target.must("r.db('rethinkdb').table('users').insert({id: 'bob', password: false})");
    for rows in [
        "table('t')",
        "table('t').getAll(r.args(r.range(50).coerceTo('array')))",
        "table('t').between(0, 90, {index: 'n'})",
        "table('t').orderBy({index: 'n'}).map(row => row('id'))",
        "table('t').orderBy('id', {index: 'n'})",
        "table('t').distinct({index: 'n'})",
        "table('t').getIntersecting(r.circle([1, 1], 10), {index: 'p'})",
    ] {
        target.must("r.grant('bob', {read: true})");
        let begun = target.begin("bob", &format!("r.db('test').{rows}"), true);
        let Ok(eval::Answer::Cursor(mut cursor)) = begun else { panic!("{rows} has no cursor") };
        let mut next = || cursor.next_batch(&mut Vec::new());
        assert!(next().is_ok_and(|batch| batch.rows == 10) && next().is_ok(), "{rows}");
        target.must("r.grant('bob', {read: false})");
        let error = next().expect_err(rows);
        assert_eq!(error.message(), "User `bob` does not have the required `read` permission.", "{rows}");
    }
}

#[test]
fn rows_that_take_long_to_make_are_not_made_where_others_wait() {
    let target = Target::new();
    for rows in ["get('x')", "getAll('x')", "limit(1)", "count()", "orderBy({index: 'id'}).limit(1)"] {
        let query = format!("r.db('rethinkdb').table('jobs').{rows}");
        let error = target.begin("admin", &query, false).and_then(|answer| match answer {
            eval::Answer::Cursor(mut cursor) => cursor.next_batch(&mut Vec::new()).map(drop),
            _ => Ok(()),
        });
        assert_eq!(error.expect_err(rows).kind(), ErrorKind::WouldBlock, "{rows}");
    }
}

#[test]
fn rows_have_bounds() {
    let target = Target::new();
    target.must("r.db('test').tableCreate('t')");
    for (write, told) in [
        ("table('users').insert({id: '', password: 'x'})", "Empty username"),
        (
            "table('users').insert({id: 'b', password: {password: 'x', iterations: 4294967295}})",
            "Expected `iterations` to be at most 10000000, got 4294967295.",
        ),
        (
            "table('table_config').update(t => ({shards: t('shards').mul(65)}))",
            "Maximum number of shards is 64.",
        ),
    ] {
        let answer = target.must(&format!("r.db('rethinkdb').{write}"));
        assert!(answer.contains(told), "{write}: {answer}");
    }
}
