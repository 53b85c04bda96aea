//! No request ever gets the data, rows or errors of another. Late answers are the ones that could end up with
//! another request, so there are many of those.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reql::{args, r};
use tokio::time::timeout;
use warp_reql::error::Code;
use warp_reql::settings::Rdb;
use warp_reql::{Conn, Database, Error};

use crate::support::link::{Link, Traffic};
use crate::support::{Home, PATIENCE, balanced, number, seed};

const AT_ONCE: usize = 32;
/// Rows in each request's own range: more than fit into one message.
const ROWS: u64 = 1500;
/// The timeout of queries, and a delay that exceeds it.
const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_millis(150);

/// The end of a request that saw nothing but its own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Answered,
    Refused,
    TimedOut,
    Cancelled,
}

/// Makes `REQUESTS` requests for each way to get connections.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_sees_what_another_asked_for() {
    let seed = seed();
    let home = Home::start().await;
    let link = Link::to(home.addr()).await;
    let fresh = Rdb { query_timeout: SOON, ..home.rdb_by(link.addr) };
    let reused = Rdb { max_age: 6 * PATIENCE, ..fresh.clone() };
    for (mode, settings) in [
        ("standby", Rdb { standby: 4, ..fresh.clone() }),
        ("reused", reused.clone()),
        ("standby and reused", Rdb { standby: 4, ..reused.clone() }),
        ("crowded", Rdb { max_connections: 4, ..reused }),
        ("fresh", fresh),
    ] {
        let database = Database::new(settings).unwrap();
        link.set(Traffic::Straggles(LATE)).await;
        let mut endings = BTreeMap::<Ending, u64>::new();
        let requests = stream::iter(0..number("REQUESTS", 200));
        let requests = requests
            .map(|n| tokio::spawn(request(database.clone(), n, seed.wrapping_add(n))))
            .buffer_unordered(AT_ONCE);
        let seen: Vec<_> = requests.map(Result::unwrap).collect().await;
        seen.into_iter().for_each(|ending| *endings.entry(ending).or_default() += 1);
        println!("{mode}: {endings:?}, {:?}", database.stats());
        for ending in [Ending::Answered, Ending::Refused, Ending::TimedOut, Ending::Cancelled] {
            assert!(endings.contains_key(&ending), "{mode}: no request was {ending:?}: {endings:?}");
        }
        if mode.ends_with("reused") {
            assert!(database.stats().opened < endings.values().sum(), "{mode}: some sessions served several");
        }
        link.set(Traffic::Flows).await;
        balanced(&database, || home.open_connections()).await;
    }
}

/// Makes one request, whose query depends on its number, so that no two have the same.
async fn request(database: Database, n: u64, seed: u64) -> Ending {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut conn = Conn::new(database);
    let asked = ask(&mut conn, n);
    let outcome = match random.u8(..4) {
        0 => timeout(Duration::from_micros(random.u64(..10_000)), asked).await,
        _ => Ok(asked.await),
    };
    match outcome {
        Err(_) => Ending::Cancelled,
        Ok(Ok(ending)) => ending,
        Ok(Err(error)) if [Code::QueryTimeout, Code::ConnectionsExhausted].contains(&error.code()) => {
            Ending::TimedOut
        }
        Ok(Err(error)) => panic!("{n}: {error}"),
    }
}

async fn ask(conn: &mut Conn, n: u64) -> Result<Ending, Error> {
    let first = n * ROWS;
    let rows = || r.range(args![first, first + ROWS]);
    match n % 4 {
        0 => assert_eq!(conn.first::<u64>(r.expr(n)).await?, Some(n)),
        1 => {
            let all: Vec<u64> = conn.all(rows()).await?;
            assert!(all.iter().copied().eq(first..first + ROWS), "{n}: {all:?}");
        }
        2 => {
            // A cursor that is left open must not disturb what the request itself does next.
            let some: Vec<u64> = conn.stream::<u64>(rows()).await?.take(3).try_collect().await?;
            assert_eq!(some, [first, first + 1, first + 2]);
            assert_eq!(conn.first::<u64>(r.expr(n)).await?, Some(n));
        }
        _ => {
            let text = format!("error {n}.");
            return match conn.first::<u64>(r.error(&text)).await {
                Err(error) if error.code() == Code::QueryLogic => {
                    assert!(error.to_string().contains(&text), "{n}: {error}");
                    Ok(Ending::Refused)
                }
                Err(error) => Err(error),
                Ok(answer) => panic!("{n}: {answer:?}"),
            };
        }
    }
    Ok(Ending::Answered)
}
