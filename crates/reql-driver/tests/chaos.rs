//! Rounds of queries that are answered, given up, timed out and settled, in any order: no query ever gets
//! another's rows. `REQL_ROUNDS` sets their number, `REQL_SEED` repeats some.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use reql::{Session, Shared, Term, r};
use support::{Chance, connect, connect_through, polled, rounds, server};
use tokio::io::{AsyncRead, AsyncWrite};

const SOON: Duration = Duration::from_secs(20);

/// Returns a query whose rows all are one number, and the number of its rows.
fn tagged(tag: u64, chance: &mut Chance) -> (Term, u64) {
    let len = [0, 1, 2, 7, 300, 5000][chance.below(6) as usize];
    let query = r.range(len).map(move |_: Term| tag);
    let query = if chance.below(2) == 0 { query } else { query.coerce_to("array") };
    (query, len)
}

async fn round<S>(session: &mut Session<S>, tag: u64, chance: &mut Chance)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (query, len) = tagged(tag, chance);
    let patience = chance.below(40);
    let is_own = |rows: &[u64]| assert!(rows.iter().all(|row| *row == tag), "{tag}: {rows:?}");
    match chance.below(6) {
        0 => {
            let rows = session.all::<u64>(query).await.unwrap();
            assert_eq!(rows.len() as u64, len);
            is_own(&rows);
        }
        1 => assert_eq!(session.first::<u64>(query.coerce_to("array").count()).await.unwrap(), Some(len)),
        2 => {
            if let Some(rows) = polled(patience, session.all::<u64>(query)).await {
                is_own(&rows.unwrap());
            }
        }
        3 => {
            let wait = Duration::from_micros(chance.below(3000));
            if let Ok(rows) = tokio::time::timeout(wait, session.all::<u64>(query)).await {
                is_own(&rows.unwrap());
            }
        }
        4 => {
            let mut rows = session.rows::<u64>(query).await.unwrap();
            for _ in 0..patience {
                match polled(1 + chance.below(3), rows.next()).await {
                    Some(Some(row)) => is_own(&[row.unwrap()]),
                    Some(None) => break,
                    None => {}
                }
            }
        }
        _ => {
            let _ = polled(patience, session.noreply(query)).await;
        }
    }
    // Settling is given up too, now and then.
    while session.is_unclean() {
        if let Some(settled) = polled(1 + chance.below(20), session.settle(SOON)).await {
            settled.unwrap();
        }
    }
    if chance.below(10) == 0 {
        assert!(session.is_alive());
    }
}

#[tokio::test]
async fn reused_sessions() {
    let server = server().await;
    let mut chance = Chance::new();
    let mut session = connect(&server).await;
    for tag in 0..rounds(300) {
        round(&mut session, tag, &mut chance).await;
    }
}

/// Runs the rounds on one session, with bytes in pieces of any size.
#[tokio::test]
async fn reused_sessions_in_pieces() {
    let server = server().await;
    let mut chance = Chance::new();
    for size in [1, 5, 64, 4096] {
        let mut session = connect_through(&server, size).await;
        for tag in 0..rounds(160).min(1000) / 4 {
            round(&mut session, tag, &mut chance).await;
        }
    }
}

async fn shared_round(shared: &Shared, tag: u64, chance: &mut Chance) {
    let (query, len) = tagged(tag, chance);
    match chance.below(4) {
        0 => {
            let rows = shared.all::<u64>(query).await.unwrap();
            assert!(rows.len() as u64 == len && rows.iter().all(|row| *row == tag), "{tag}: {rows:?}");
        }
        1 => {
            if let Some(rows) = polled(chance.below(10), shared.all::<u64>(query)).await {
                assert!(rows.unwrap().iter().all(|row| *row == tag));
            }
        }
        2 => {
            let mut rows = shared.rows::<u64>(query).await.unwrap();
            for _ in 0..chance.below(400) {
                let Some(row) = rows.next().await else { break };
                assert_eq!(row.unwrap(), tag);
            }
        }
        _ => {
            let wait = Duration::from_micros(chance.below(3000));
            if let Ok(rows) = tokio::time::timeout(wait, shared.all::<u64>(query)).await {
                assert!(rows.unwrap().iter().all(|row| *row == tag));
            }
        }
    }
}

#[tokio::test]
async fn shared_sessions() {
    let server = server().await;
    shared_rounds(connect(&server).await.share().unwrap(), rounds(320)).await;
}

/// Runs the rounds on shared sessions, with bytes in pieces of any size.
#[tokio::test]
async fn shared_sessions_in_pieces() {
    let server = server().await;
    for size in [1, 5, 64, 4096] {
        shared_rounds(connect_through(&server, size).await.share().unwrap(), rounds(160).min(1000) / 4).await;
    }
}

async fn shared_rounds(shared: Shared, rounds: u64) {
    const TASKS: u64 = 8;
    let seed = Chance::new().below(u64::MAX);
    let each = rounds.div_ceil(TASKS);
    let tasks = (0..TASKS).map(|task| {
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut chance = Chance::seeded(seed.wrapping_add(task));
            for at in 0..each {
                shared_round(&shared, task * each + at, &mut chance).await;
            }
        })
    });
    for task in Vec::from_iter(tasks) {
        task.await.unwrap();
    }
}
