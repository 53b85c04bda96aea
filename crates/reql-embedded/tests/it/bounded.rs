//! Bounds of queries: in work, counted in units of fuel, and in memory. No test here measures time.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::reql;
use reql_embedded::Server;
use reql_embedded::budget::Budget;
use reql_embedded::budget::fuel::LIGHT;
use reql_embedded::budget::memory::Reservation;
use reql_embedded::datum::{json, syntax};
use reql_embedded::engine::{Interrupt, Reason};
use reql_embedded::error::{Error, ErrorKind};
use reql_embedded::eval::{self, Env};
use reql_embedded::instance::Instance;
use reql_embedded::term::Query;
use serde_json::json as value;

/// Units of work that take less than a second.
const SOON: u64 = 30_000_000;

/// Units between the interrupt of a query and its end.
const AT_ONCE: u64 = 1_000_000;

/// The memory that all queries may hold, in bytes; one may hold half of it.
pub const MEMORY: u64 = 64 << 20;

/// A server in memory with a table of some rows.
#[derive(Clone)]
pub struct Target(pub Arc<Instance>);

/// The result and the cost of a query.
pub struct Ran {
    pub result: Result<String, Error>,
    /// Units of work that the query took.
    pub spent: u64,
    /// Most memory that the query held, in bytes.
    pub held: u64,
}

impl Target {
    pub fn new() -> Self {
        let instance = crate::support::instance();
        instance.store.create_database("test").expect("a new database");
        let target = Target(Arc::new(instance.with_memory_limit(MEMORY)));
        target.must("r.tableCreate('t')");
        target.must("r.table('t').insert(r.range(2000).map(x => ({id: x, text: 'some text', n: x.mod(7)})))");
        target
    }

    pub fn must(&self, expression: &str) -> String {
        self.run(expression, true).result.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    pub fn run(&self, expression: &str, may_wait: bool) -> Ran {
        self.run_until(expression, may_wait, Interrupt::default(), |_| {})
    }

    /// Evaluates a query, and passes its budget to `watch` first.
    fn run_until(
        &self,
        expression: &str,
        may_wait: bool,
        interrupt: Interrupt,
        watch: impl FnOnce(&Budget),
    ) -> Ran {
        let term = reql::parse(expression).expect("an expression").to_string();
        let arena = syntax::Arena::new();
        let query = Query::new(Some(syntax::parse(term.as_bytes(), &arena).expect("JSON")), &[]);
        let env = Env::new(self.0.clone(), "admin".into(), interrupt, may_wait);
        let budget = env.budget().clone();
        watch(&budget);
        let result = query.and_then(|query| env.clone().within(|| eval::run(&query, env).and_then(written)));
        Ran { result, spent: budget.spent(), held: budget.memory().high_water() }
    }

    /// Runs a query that has no end, ends it once it is well under way, and returns the units that it took
    /// from there.
    fn stop(&self, expression: &str) -> u64 {
        let interrupt = Interrupt::default();
        let (show, shown) = mpsc::channel();
        let (target, text, flag) = (self.clone(), expression.to_owned(), interrupt.clone());
        let running = thread::spawn(move || {
            target.run_until(&text, true, flag, |budget| show.send(budget.clone()).expect("a watcher"))
        });
        let budget: Budget = shown.recv().expect("a budget");
        while budget.spent() < AT_ONCE && !running.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        let before = budget.spent();
        interrupt.raise(Reason::Stopped);
        let Ran { result, spent, .. } = running.join().expect("no panic");
        let error = result.expect_err(expression);
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{expression}: {error}");
        spent - before
    }
}

/// Returns the text of an answer; for rows, that of the first batch.
fn written(answer: eval::Answer) -> Result<String, Error> {
    let mut text = Vec::new();
    match answer {
        eval::Answer::Atom(datum) => json::write(&datum, &mut text)?,
        eval::Answer::Later(_) => {}
        eval::Answer::Cursor(mut cursor) => drop(cursor.next_batch(&mut text)?),
    }
    Ok(String::from_utf8(text).expect("text"))
}

/// A value with shared parts: an array of 100,000 times the same array, and so on.
const SHARED: &str = "r.expr([r.expr([r.expr([0]).mul(100000)]).mul(100000)])";

#[test]
fn a_query_that_looks_light_is_given_up_after_little_work() {
    let target = Target::new();
    target.must("r.table('t').insert({id: 'huge', text: r.range(18).fold('some text', (a, _) => a.add(a))})");
    target.must("r.tableCreate('slow')");
    target.must("r.table('slow').insert({id: 1})");
    target.must("r.table('slow').indexCreate('i', x => r.range(30000).map(y => y.add(x('id'))).sum())");
    let queries = [
        format!("{SHARED}.eq({})", SHARED.replace("[0]", "[0, 1].slice(0, 1)")),
        format!("{SHARED}.toJSON()"),
        format!("{SHARED}.toJSON().toJSON()"),
        "r.expr('some text').add('some text').toJSON().do(x => r.range(100000).map(y => x).count())"
            .to_owned(),
        "r.expr('a').mul(1).default('a')".to_owned(),
        "r.table('t').get('huge')".to_owned(),
        "r.table('t').get('huge')('text').add('x')".to_owned(),
        "r.table('slow').insert({id: 2})".to_owned(),
        "r.table('slow').get(1).update({n: 8})".to_owned(),
        "r.range(1000000000).count()".to_owned(),
        "r.expr({a: [1, 2, 3]}).merge({b: 1}).keys()".to_owned(),
    ];
    for query in &queries {
        let Ran { result, spent, .. } = target.run(query, false);
        assert!(spent <= LIGHT as u64, "{query} took {spent} units");
        if let Err(error) = result {
            let kinds = [ErrorKind::WouldBlock, ErrorKind::QueryLogic, ErrorKind::ResourceLimit];
            assert!(kinds.contains(&error.kind()), "{query}: {error}");
        }
    }
    assert_eq!(
        target.must("r.table('slow').coerceTo('array')"),
        "[{\"id\":1}]",
        "what was given up was done"
    );
    // A document is copied out of its page before its fields are.
    let error = target.run("r.table('t').get('huge')('id')", false).result.expect_err("a large document");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_value_that_is_too_large_is_refused_where_it_is_made() {
    let target = Target::new();
    let queries = [
        "r.range(60).fold([1], (a, _) => [a, a])",
        "r.range(60).fold([1], (a, _) => ({a: a, b: a})).keys()",
        "r.range(60).fold('x', (a, _) => a.add(a))",
        "r.range(60).fold([1], (a, _) => [a, a]).typeOf()",
        "r.range(60).fold(1, (a, _) => [a, a]).eq(1)",
        "r.expr('a').do(x => r.range(60).fold(x, (a, _) => a.add(a, a, a, a, a, a, a, a)))",
        "r.range(100000).map(x => r.range(1000).coerceTo('array')).coerceTo('array')",
    ];
    for query in queries {
        let Ran { result, spent, .. } = target.run(query, true);
        let error = result.expect_err(query);
        assert_eq!(error.kind(), ErrorKind::ResourceLimit, "{query}: {error}");
        assert!(spent < 10 * SOON, "{query} took {spent} units");
    }
}

#[test]
fn comparing_what_is_shared_takes_no_time() {
    let target = Target::new();
    let double = "r.range(15).fold([1], (a, _) => [a, a])";
    let queries = [
        (format!("{double}.do(x => x.eq(x))"), "true"),
        (format!("{double}.do(x => [x, x, x].distinct().count())"), "1"),
        (format!("{double}.do(x => r.expr([x, [x]]).contains(x))"), "true"),
        (format!("{double}.do(x => [[x, 1], [x, 0]].min().nth(1))"), "0"),
    ];
    for (query, expected) in queries {
        let Ran { result, spent, .. } = target.run(&query, true);
        assert_eq!(result.unwrap_or_else(|error| panic!("{query}: {error}")), expected, "{query}");
        assert!(spent < SOON, "{query} took {spent} units");
    }
}

#[test]
fn long_sums_take_time_by_their_length() {
    let target = Target::new();
    let add = |value: &str| format!("r.expr({value}).do(x => x.add({}).count())", ["x"; 1999].join(", "));
    for (value, expected) in
        [(format!("'{}'", "a".repeat(3000)), "6000000"), ("[1, 2, 3]".to_owned(), "6000")]
    {
        let query = add(&value);
        let Ran { result, spent, .. } = target.run(&query, true);
        assert_eq!(result.expect("a sum"), expected);
        assert!(spent < 1_000_000, "{spent} units");
    }
}

#[test]
fn long_sums_and_products_are_not_made_where_they_have_no_place() {
    let target = Target::new();
    let sum = |value: &str| format!("r.expr({value}).do(x => x.add({}).typeOf())", ["x"; 1999].join(", "));
    let text = sum(&format!("'{}'", "a".repeat(3000)));
    let queries =
        [text, sum("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"), "r.expr([1]).mul(100000).typeOf()".to_owned()];
    for query in queries {
        let Ran { result, spent, .. } = target.run(&query, false);
        assert_eq!(result.expect_err(&query).kind(), ErrorKind::WouldBlock, "{query}");
        assert!(spent <= LIGHT as u64, "{query} took {spent} units");
    }
}

#[test]
fn any_query_ends_soon_after_it_is_told_to() {
    let target = Target::new();
    target.must("r.tableCreate('slow')");
    target.must("r.table('slow').indexCreate('i', x => r.range(1000000000000).count())");
    target.must("r.tableCreate('hooked')");
    target.must("r.table('hooked').setWriteHook((c, o, n) => r.range(1000000000000).count().do(x => n))");
    let double = |start: &str, times: u32| format!("r.range({times}).fold({start}, (a, _) => [a, a])");
    let queries = [
        "r.range(1000000000000).count()".to_owned(),
        "r.range(1000000000000).fold(0, (a, b) => a.add(b))".to_owned(),
        "r.range(1000000000000).filter(x => false)".to_owned(),
        "r.range(1000000000000).reduce((a, b) => a)".to_owned(),
        "r.range(1000000000000).map(x => r.range(1000000000000).count())".to_owned(),
        "r.table('t').concatMap(x => r.range(1000000000)).count()".to_owned(),
        "r.table('t').filter(x => r.range(1000000000000).count().eq(0)).count()".to_owned(),
        "r.table('t').group(x => r.range(1000000000).count()).count()".to_owned(),
        "r.table('t').orderBy(x => r.range(1000000000000).count())".to_owned(),
        "r.table('slow').insert({id: 1})".to_owned(),
        "r.table('hooked').insert({id: 1})".to_owned(),
        "r.table('t').update(x => ({n: r.range(1000000000000).count()}))".to_owned(),
        "r.table('t').insert({id: 1}, {conflict: (id, a, b) => r.range(1000000000000).count().do(x => a)})"
            .to_owned(),
        "r.table('t').forEach(x => r.range(1000000000000).forEach(y => r.table('hooked').get(y).delete()))"
            .to_owned(),
        // Equal, but not the same: compared again and again, from one end to the other.
        format!(
            "r.expr([{}, {}]).do(x => r.range(1000000000000).filter(y => x(0).lt(x(1))).count())",
            double("[1]", 16),
            double("[1, 2].slice(0, 1)", 16)
        ),
        format!(
            "{}.do(x => r.range(1000000000000).filter(y => x.toJSON().eq('')).count())",
            double("'x'", 18)
        ),
        format!(
            "{}.toJSON().do(x => r.range(1000000000000).filter(y => r.json(x).eq(1)).count())",
            double("'x'", 18)
        ),
        "r.range(1000000000000).filter(x => r.expr('some text').match('x$').eq(1)).count()".to_owned(),
        "r.range(1000000000000).filter(x => r.expr('a b c').split().count().eq(0)).count()".to_owned(),
        "r.range(1000000000000).filter(x => r.circle([0, 0], 10, {numVertices: 50000}).eq(1)).count()"
            .to_owned(),
    ];
    for query in queries {
        let spent = target.stop(&query);
        assert!(spent < AT_ONCE, "{query} took {spent} units more");
    }
    // Nothing of this was written, and other clients are served.
    assert_eq!(target.must("r.table('slow').count().add(r.table('hooked').count())"), "0");
    assert_eq!(target.must("r.table('t').filter(x => x('id').eq(x('n'))).count()"), "7");
}

#[test]
fn rows_that_become_many_are_answered_as_they_come() {
    let target = Target::new();
    let Ran { result, spent, held } = target.run("r.table('t').concatMap(x => r.range(0, 1000000))", true);
    assert!(result.expect("a batch").starts_with("0,1,2,"));
    assert!(spent < 1_000_000, "{spent} units");
    assert!(held < 1 << 20, "{held} bytes");
    let query = "r.table('t').filter(x => x('id').lt(20)).concatMap(x => r.range(0, 30000)).count()";
    let Ran { result, held, .. } = target.run(query, true);
    assert_eq!(result.expect("a count"), "600000");
    assert!(held < 1 << 20, "{held} bytes");
}

#[test]
fn who_holds_rows_holds_no_more_than_there_is() {
    let target = Target::new();
    let wide = "r.range(100000).map(x => [x, r.range(1000).coerceTo('array')])";
    let queries = [
        format!("{wide}.coerceTo('array')"),
        format!("{wide}.distinct().count()"),
        format!("{wide}.orderBy(x => x(0)).count()"),
        format!("{wide}.group(x => x(0)).max(x => x(0)).count()"),
        format!("{wide}.group(x => x(0).mod(2)).ungroup()"),
        format!("{wide}.group(x => x(0).mod(2)).map(x => [x]).reduce((a, b) => a.add(b)).count()"),
        format!("{wide}.sample(50000).count()"),
        format!("{wide}.map(x => x(1)).reduce((a, b) => a.append(b))"),
        // Large values, each of which waits for the next.
        (0..20).fold("1".to_owned(), |inner, _| {
            format!("r.expr([r.range(22).fold('x', (a, _) => a.add(a)), {inner}]).nth(0)")
        }),
    ];
    for query in queries {
        let Ran { result, held, .. } = target.run(&query, true);
        let error = result.expect_err(&query);
        assert_eq!(error.kind(), ErrorKind::ResourceLimit, "{query}: {error}");
        assert!(held <= MEMORY / 2, "{query} held {held} bytes");
        assert_eq!(target.0.memory.used(), 0, "{query} left something");
    }
    assert!(target.0.memory.high_water() <= MEMORY);
}

#[test]
fn an_index_does_not_depend_on_the_memory_that_is_left() {
    let target = Target::new();
    let large = "r.range(21).fold('x', (a, _) => a.add(a))";
    target.must("r.tableCreate('large')");
    target.must(&format!("r.table('large').indexCreate('i', x => {large}.count().add(x('n')))"));
    target.must(&format!(
        "r.table('large').indexCreate('g', x => {large}.do(y => r.point(x('n'), 0)), {{geo: true}})"
    ));
    target.must("r.table('large').indexWait()");
    let found = || {
        let by_value = target.must("r.table('large').getAll(2097153, {index: 'i'}).count()");
        let by_place = "r.table('large').getIntersecting(r.circle([1, 0], 10), {index: 'g'}).count()";
        (by_value, target.must(by_place))
    };
    let mut held = Reservation::new(&target.0.memory);
    held.add_bytes(MEMORY as usize - (1 << 20)).expect("room");
    assert!(target.run(&format!("{large}.count()"), true).result.is_err(), "there is no room for it");
    target.must("r.table('large').insert({id: 1, n: 1})");
    assert_eq!(found(), ("1".to_owned(), "1".to_owned()));
    drop(held);
    assert_eq!(found(), ("1".to_owned(), "1".to_owned()));
    target.must("r.table('large').delete()");
    assert_eq!(target.0.store.check().expect("a check").problems, Vec::<String>::new());
}

/// Refuses a query over the server's limit, and still serves others.
#[tokio::test]
async fn a_server_has_the_limit_that_it_is_given() {
    let server = Server::builder().memory_limit(8 << 20).start().await.expect("a server");
    let mut client = Client::connect(server.local_addr()).await;
    let rows = "r.range(1000000).map(x => [x, x]).coerceTo('array').count()";
    let query = value!([1, reql::parse(rows).expect("an expression"), {"array_limit": 1e7}]);
    let answer = client.ask(1, &query.to_string()).await;
    assert_eq!((&answer["t"], &answer["e"]), (&value!(18), &value!(2_000_000)), "{answer}");
    let mut other = Client::connect(server.local_addr()).await;
    let query = value!([1, reql::parse("r.range(1000).coerceTo('array').count()").expect("an expression")]);
    assert_eq!(other.ask(1, &query.to_string()).await["r"], value!([1000]));
    server.shutdown().await;
}

#[test]
fn an_index_that_is_never_built_can_be_dropped() {
    let target = Target::new();
    target.must("r.table('t').indexCreate('endless', x => r.range(1000000000000).count())");
    target.must("r.table('t').indexDrop('endless')");
    target.must("r.table('t').indexCreate('n')");
    target.must("r.table('t').indexWait('n')");
    assert_eq!(target.must("r.table('t').getAll(3, {index: 'n'}).count()"), "286");
    target.must("r.table('t').indexCreate('endless', x => r.range(1000000000000).count())");
    // Nor does the query keep the store from being closed.
    target.0.store.close();
}

#[test]
fn patterns_do_not_add_up() {
    let target = Target::new();
    let matches = (1..120).map(|count| format!("x.match('\\\\\\\\pL{{{count}}}0')"));
    let query = format!("r.expr('no digits').do(x => r.or({}, 1))", matches.collect::<Vec<_>>().join(", "));
    assert_eq!(
        target.run(&query, false).result.expect_err("patterns are heavy").kind(),
        ErrorKind::WouldBlock
    );
}
