//! The results of a table's rows are the same however many threads took part: as if the rows came from an
//! array, whose elements are gone through one by one.

use crate::support::client::Client;
use crate::support::reql;
use reql_embedded::Server;
use reql_embedded::eval::stream::helped;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// More than a few portions.
const ROWS: u32 = 6_000;

/// The terms that are applied to the rows.
const WORK: &[&str] = &[
    "filter(x => x('n').mod(7).gt(2))",
    "filter({m: 3})",
    "map(x => [x('id'), x('text').upcase()])",
    "concatMap(x => [x('n'), x('n').add(1)])",
    // Some rows become so many that work on portions is given up, here and there.
    "concatMap(x => r.range(r.branch(x('n').mod(2000).eq(1500), 4000, 1)).map(y => [x('n'), y, \
     TEXT])).count()",
    "concatMap(x => r.range(r.branch(x('n').mod(2000).eq(1500), 4000, 1)).map(y => [x('n'), y, TEXT]))",
    "map(x => r.branch(x('n').mod(2000).eq(40), r.range(4000).map(y => TEXT).coerceTo('array'), x('n')))",
    "group('m').concatMap(x => r.range(r.branch(x('n').mod(2000).eq(1500), 4000, 1)).map(y => TEXT)).count()",
    "pluck('n')",
    "merge(x => ({twice: x('n').mul(2)}))",
    "hasFields('odd')('odd')",
    "filter(x => x('odd').gt(100))",
    "filter(x => x('odd').gt(100), {default: true}).count()",
    "count(x => x('m').eq(1))",
    "sum(x => x('n').mul(0.1))",
    "avg('odd')",
    "min('m')",
    "max(x => x('m').add(x('n').mod(5)))",
    "map(x => x('n')).reduce((a, b) => a.mul(31).add(b).mod(1000003))",
    "group('m').count()",
    "group(x => x('n').mod(13)).sum(x => x('n').div(3))",
    "group('m').max('n')('id')",
    "group('m').map(x => x('n')).reduce((a, b) => a.sub(b))",
    "group('odd').avg('n')",
    "group('m')",
    "map(x => x('n')).filter(x => x.mod(500).eq(0)).map(x => x.add(1))",
    "orderBy(x => x('n').mul(-1)).limit(3)",
    // Some portions take far longer than those after them.
    "map(x => r.branch(x('n').mod(1500).eq(1000), r.range(4000).map(y => y.add(x('n'))).sum(), x('n')))",
    // The first error counts, whichever thread meets one first.
    "map(x => r.branch(x('n').eq(5000), r.error('late'), x('n').eq(900), r.error('early'), x('n'))).sum()",
    "map(x => r.branch(x('n').eq(5000), r.error('late'), x('n').eq(900), r.error('early'), x('n')))",
    "sum(x => r.branch(x('n').eq(4000), 'no number', 1))",
    "map(x => r.branch(x('n').eq(3900), r.error('stage'), x)).sum(x => r.branch(x('n').eq(4000), 'no \
     number', 1))",
    "group(x => r.branch(x('n').eq(3000), r.error('group'), 1)).count()",
    "map(x => x('n')).reduce((a, b) => r.branch(b.eq(2000), r.error('reduction'), b))",
];

type Answer = Result<Vec<Value>, Value>;

async fn ask(client: &mut Client, expression: &str) -> Answer {
    let term = reql::parse(expression).expect("an expression");
    let mut answer = client.ask(1, &json!([1, term, {}]).to_string()).await;
    let mut rows = Vec::new();
    loop {
        let kind = answer["t"].as_i64().expect("a type");
        let Value::Array(part) = answer["r"].take() else { panic!("no result: {answer}") };
        match kind {
            1 => return Ok(part[0].as_array().cloned().unwrap_or(part)),
            2 => return Ok([rows, part].concat()),
            3 => rows.extend(part),
            _ => return Err(part[0].clone()),
        }
        answer = client.ask(1, "[2]").await;
    }
}

async fn filled() -> Server {
    let server = Server::builder().start().await.expect("a server");
    let mut client = Client::connect(server.local_addr()).await;
    ask(&mut client, "r.tableCreate('t')").await.expect("a table");
    let row = "x => r.branch(x.mod(2).eq(0), {}, {odd: x}).merge({id: x, n: x, m: x.mod(10), text: 'row'})";
    let insert = format!("r.table('t').insert(r.range({ROWS}).map({row}), {{durability: 'soft'}})");
    ask(&mut client, &insert).await.expect("rows");
    server
}

/// Returns the answer to a term of `WORK`, on the rows of a source.
async fn work(client: &mut Client, source: &str, work: &str) -> Answer {
    let work = work.replace("TEXT", &format!("'{}'", "text ".repeat(50)));
    ask(client, &format!("{source}.{work}")).await
}

/// Returns the answers to all terms of `WORK` on an array, which are the same in every test.
async fn expected() -> &'static [Answer] {
    static EXPECTED: OnceCell<Vec<Answer>> = OnceCell::const_new();
    let on_an_array = async || {
        let server = filled().await;
        let mut client = Client::connect(server.local_addr()).await;
        let mut answers = Vec::new();
        for term in WORK {
            answers.push(work(&mut client, "r.table('t').coerceTo('array')", term).await);
        }
        answers
    };
    EXPECTED.get_or_init(on_an_array).await
}

/// Goes through all terms of `WORK`; `turn` makes different connections begin at different places.
async fn compare(server: &Server, turn: usize) {
    let all_expected = expected().await;
    let mut client = Client::connect(server.local_addr()).await;
    for at in 0..WORK.len() {
        let at = (at + turn) % WORK.len();
        let (term, expected) = (WORK[at], &all_expected[at]);
        let found = work(&mut client, "r.table('t')", term).await;
        let shown = |answer: &Answer| format!("{answer:?}").chars().take(200).collect::<String>();
        assert!(found == *expected, "{term}: {} instead of {}", shown(&found), shown(expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_reader_gets_what_it_would_get_alone() {
    compare(&filled().await, 0).await;
}

/// Checks that an idle processor takes part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helpers_take_part() {
    if std::thread::available_parallelism().map_or(1, usize::from) == 1 {
        return;
    }
    let server = filled().await;
    let mut client = Client::connect(server.local_addr()).await;
    let before = helped();
    // Other readers may have the processors now and then.
    for _ in 0..200 {
        let work = "r.table('t').filter(x => r.range(50).map(y => y.add(x('n'))).sum().lt(0)).count()";
        assert_eq!(ask(&mut client, work).await, Ok(vec![json!(0)]));
        if helped() > before {
            return;
        }
    }
    panic!("nobody helped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_get_what_each_would_get_alone() {
    let server = std::sync::Arc::new(filled().await);
    let mut readers = JoinSet::new();
    for turn in 0..3 {
        let server = server.clone();
        readers.spawn(async move { compare(&server, turn * 7).await });
    }
    readers.join_all().await;
}

/// Checks that work ends when its answer is no longer wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_reader_leaves_nothing_behind() {
    let server = filled().await;
    let mut client = Client::connect(server.local_addr()).await;
    let slow = "r.table('t').filter(x => r.range(1000000).map(y => y.add(x('n'))).sum().lt(0)).count()";
    client.query(7, &json!([1, reql::parse(slow).expect("an expression"), {}]).to_string()).await;
    // The answer to a later query shows that the first one is being worked on.
    assert_eq!(client.ask(8, "[1,1,{}]").await["r"], json!([1]));
    client.query(7, "[3]").await;
    // The query's own answer comes first, then that of STOP, as in RethinkDB.
    assert_eq!(client.answer().await.0, 7);
    drop(client);
    server.shutdown().await;
}
