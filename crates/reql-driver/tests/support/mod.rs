//! Pieces that the tests share.
#![allow(dead_code)]

pub mod fake;

use std::time::Duration;

use reql::{AsTerm, Connector, Query, Result, Session, Stream, args, obj, r};
use reql_embedded::Server;
use tokio::io::{AsyncRead, AsyncWrite};

/// Starts a server in memory.
pub async fn server() -> Server {
    Server::builder().start().await.unwrap()
}

pub fn connector(server: &Server) -> Connector {
    Connector::new(server.local_addr().to_string())
}

pub async fn connect(server: &Server) -> Session<Stream> {
    connector(server).connect().await.unwrap()
}

/// Opens a session through a pipe that takes `size` bytes at once.
pub async fn connect_through(server: &Server, size: usize) -> Session<tokio::io::DuplexStream> {
    let (ours, mut theirs) = tokio::io::duplex(size);
    let mut tcp = tokio::net::TcpStream::connect(server.local_addr()).await.unwrap();
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut tcp).await });
    connector(server).connect_over(ours).await.unwrap()
}

/// Makes the table `t` of two documents and two indexes anew, in the databases `test` and `d`.
pub async fn fresh_table<S: AsyncRead + AsyncWrite + Unpin>(session: &mut Session<S>) {
    let _ = session.run(r.db_drop("d")).await;
    session.run(r.db_create("d")).await.unwrap();
    for database in ["test", "d"] {
        let database = r.db(database);
        let _ = session.run(database.table_drop("n")).await;
        let _ = session.run(database.table_drop("t")).await;
        session.run(database.table_create("t").durability(reql::Durability::Soft)).await.unwrap();
        let table = database.table("t");
        session.run(table.index_create("i")).await.unwrap();
        session.run(table.index_create("g").geo(true)).await.unwrap();
        session.run(table.index_wait(args![])).await.unwrap();
        let rows = (
            obj! { "id": 1, "a": 1, "b": 2, "i": "a", "g": r.point(0, 0) },
            obj! { "id": 2, "a": 2, "b": 1, "i": "b", "g": r.point(1, 1) },
        );
        session.run(table.insert(rows)).await.unwrap();
    }
}

/// Runs a query and reads some rows of it, but doesn't wait for a feed.
pub async fn look(session: &mut Session<Stream>, query: &impl AsTerm) -> Result<()> {
    let query = Query::new(query).option("max_batch_rows", 10);
    let done = tokio::time::timeout(Duration::from_secs(20), session.run(query)).await;
    done.expect("an answer in time")
}

/// Numbers by chance, from a seed that the environment may give.
pub struct Chance(u64);

impl Chance {
    /// Takes the seed from `REQL_SEED`, or the time, and prints it.
    pub fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = std::env::var("REQL_SEED").map_or(now, |seed| seed.parse().unwrap());
        println!("REQL_SEED={seed}");
        Chance(seed)
    }

    pub fn seeded(seed: u64) -> Self {
        Chance(seed)
    }

    /// Returns a number below `limit` (splitmix64).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Returns the number of rounds that a test of chance has, by `REQL_ROUNDS`.
pub fn rounds(default: u64) -> u64 {
    std::env::var("REQL_ROUNDS").map_or(default, |rounds| rounds.parse().unwrap())
}

/// Polls a future at most `times` times, and then gives it up.
pub async fn polled<F: Future>(times: u64, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = times;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
