//! Hubs over a fake database, whose feeds send changes when the test says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::time::sleep;

use super::fake::{Client, Service, Table, raw};
use super::*;
use crate::error::{Code, Error};

pub(super) const KEEP: Keep = Keep { events: 100, bytes: 1 << 20, time: Duration::from_secs(300) };
pub(super) const BOUNDS: Bounds = Bounds {
    keep: KEEP,
    bytes: 1 << 20,
    patience: Duration::from_secs(6),
    linger: Duration::from_secs(10),
    settle: Duration::from_secs(2),
    stall: Duration::from_secs(60),
};

pub(super) const READY: &str = "ready {}";

#[tokio::test(start_paused = true)]
async fn followers_share_a_feed_and_its_events() {
    for (table, own) in [(Table::new(), 2), (Table::short(), 0)] {
        let service = Service::new(BOUNDS);
        table.put(1, 10);
        let mut one = service.client(&table, None);
        assert_eq!(one.read().await.taken(), ["initial 1 10", READY]);
        table.put(2, 20);
        one.read().await;
        let mut other = service.client(&table, None);
        assert_eq!(other.read().await.taken(), ["initial 1 10", "initial 2 20", READY]);
        table.put(1, 11);
        table.write(2, None);
        table.tell_all();
        assert_eq!(one.read().await.taken(), ["add 2 20", "change 1 11", "remove 2 null"]);
        assert_eq!(other.read().await.taken(), ["change 1 11", "remove 2 null"]);
        assert_eq!(table.state().opened, 1 + own, "one for all, and one for each that joins a long list");
        let figures = service.hubs.figures();
        assert_eq!((figures.hubs, figures.followers, figures.events), (1, 2, 3));
        assert!(figures.bytes > 100);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_returns_goes_on_where_it_was() {
    for table in [Table::new(), Table::short()] {
        let service = Service::new(BOUNDS);
        let mut client = service.client(&table, None);
        table.put(1, 10);
        client.read().await;
        table.put(1, 11);
        client.read().await;
        let (known, last) = (client.known.clone(), client.last.clone());
        drop(client);
        table.put(1, 12);
        table.put(2, 20);
        sleep(Duration::from_secs(3)).await;
        let mut client = service.client(&table, last);
        client.known = known;
        assert_eq!(client.read().await.taken(), ["change 1 12", "add 2 20"]);
        assert_eq!(client.known, table.state().documents);
        // A client that has been away for too long gets everything.
        let last = client.last.clone();
        drop(client);
        (0..150).for_each(|n| table.put(1, n));
        sleep(Duration::from_secs(3)).await;
        let mut client = service.client(&table, last.clone());
        assert_eq!(client.read().await.taken(), ["reset", "initial 1 149", "initial 2 20", READY]);
        drop(client);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(service.hubs.figures().hubs, 0, "it ends after its last follower");
        let mut client = service.client(&table, last);
        assert_eq!(client.read().await.taken()[0], "reset");
        let figures = service.hubs.figures();
        assert_eq!((figures.resumed, figures.replayed, figures.resets), (1, 2, 2));
        assert_eq!(Arc::strong_count(&service.held), 2);
    }
}

/// A client that falls behind is told of a gap, or of everything where later events build on those it missed.
#[tokio::test(start_paused = true)]
async fn who_falls_behind_is_told_of_a_gap_or_of_everything() {
    for table in [Table::new(), Table::short()] {
        let service = Service::new(BOUNDS);
        let (mut client, mut other) = (service.client(&table, None), service.client(&table, None));
        client.read().await;
        sleep(Duration::from_secs(6)).await;
        assert_eq!(client.read().await.taken(), [READY]);
        for n in 1..=130 {
            table.put(1, n);
            other.read().await;
        }
        assert_eq!(other.seen.len(), 131, "who reads misses nothing");
        client.known.insert(1, 30);
        client.read().await;
        if table.is_placed() {
            sleep(Duration::from_millis(500)).await;
            assert_eq!(client.read().await.taken(), ["reset", "initial 1 130", READY]);
        } else {
            assert_eq!((client.seen[0].as_str(), client.seen.len()), ("gap {\"skipped\":30}", 101));
        }
        assert_eq!(client.known, table.state().documents);
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_short_list_is_compared_and_another_told_anew() {
    for (table, expected) in [
        (Table::short(), &["remove 1 null", "change 2 21", "add 3 30"][..]),
        (Table::new(), &["reset", "initial 2 21", "initial 3 30", READY]),
    ] {
        let service = Service::new(BOUNDS);
        table.put(1, 10);
        table.put(2, 20);
        let mut client = service.client(&table, None);
        client.read().await;
        client.taken();
        table.state().away = true;
        table.breaks();
        for (id, value) in [(1, None), (2, Some(21)), (3, Some(30))] {
            table.write(id, value);
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!(client.read().await.taken(), [""; 0]);
        table.state().away = false;
        sleep(Duration::from_secs(2)).await;
        client.read().await;
        assert_eq!(client.taken(), expected);
        table.put(3, 31);
        assert_eq!(client.read().await.taken(), ["change 3 31"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_lasts_and_a_right_that_ends_are_the_end() {
    for (cause, code) in [("away", "database-unreachable"), ("forbidden", "foreign-origin")] {
        let (table, service) = (Table::new(), Service::new(BOUNDS));
        let mut client = service.client(&table, None);
        client.read().await;
        client.taken();
        match cause {
            "away" => table.state().away = true,
            _ => table.state().forbidden = true,
        }
        sleep(BOUNDS.patience + Duration::from_secs(1)).await;
        assert_eq!(client.read().await.taken(), [format!("error {code:?}")]);
        assert!(client.events.next().await.is_none());
        drop(client);
        assert_eq!(service.hubs.figures().hubs, 0);
        assert_eq!(Arc::strong_count(&service.held), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_followed_is_told_to_all_who_wait() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    table.state().away = true;
    let arrivals: Vec<_> = (0..5).map(|_| service.arrive(&table, "key")).collect();
    for arrival in arrivals {
        assert_eq!(arrival.is_live().await.unwrap_err().code().as_str(), "database-unreachable");
    }
    assert_eq!(service.opened.load(Ordering::Relaxed), 1);
    table.state().away = false;
    service.arrive(&table, "key").is_live().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_in_the_database_is_told_to_those_of_that_list_alone() {
    let (table, other, service) = (Table::new(), Table::new(), Service::new(BOUNDS));
    let mut clients = [service.client(&table, None), service.client(&table, None)];
    let mut beside = service.client_of(&other, "other");
    beside.read().await;
    for client in &mut clients {
        client.read().await.taken();
    }
    let message = "Changefeed cache over array size limit, skipped 5 elements.";
    table.send(&Ok(raw(&json!({ "error": message }))));
    table.put(1, 10);
    other.put(1, 10);
    for client in &mut clients {
        assert_eq!(client.read().await.taken(), ["gap {\"skipped\":5}", "add 1 10"]);
    }
    table.send(&Err(Code::QueryLogic.into()));
    other.put(2, 20);
    for client in &mut clients {
        assert_eq!(client.read().await.taken(), ["error \"query-logic\""]);
        assert!(client.events.next().await.is_none());
    }
    assert_eq!(beside.read().await.taken(), [READY, "add 1 10", "add 2 20"]);
    assert_eq!(service.hubs.figures().hubs, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_stream() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    let mut client = service.client(&table, None);
    client.read().await;
    service.hubs.stop();
    let last = client.events.next().await.unwrap().unwrap();
    assert_eq!(last, ":The service stops.\n\n");
    assert!(client.events.next().await.is_none());
    let mut late = service.client(&table, None);
    late.read().await;
    assert!(late.events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_is_given_up() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    let (mut client, mut other) = (service.client(&table, None), service.client(&table, None));
    client.read().await;
    other.read().await;
    for _ in 0..10 {
        sleep(Duration::from_secs(10)).await;
        other.read().await;
    }
    assert_eq!(service.hubs.figures().followers, 1);
    assert_eq!(Arc::strong_count(&service.held), 2);
    assert!(client.events.next().await.unwrap().is_err());
    assert!(client.events.next().await.is_none());
}

/// Tests writers, feeds of different lag, and clients that come, leave and return: each gets an unbroken
/// chain of states, and ends with that of the table.
#[tokio::test(start_paused = true)]
async fn whatever_happens_clients_end_where_the_table_does() {
    let rounds = std::env::var("LIVE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(150);
    for seed in 0..rounds {
        let table = if seed % 3 == 0 { Table::short() } else { Table::new() };
        println!("seed {seed}");
        play(seed, &table).await;
    }
}

async fn play(seed: u64, table: &Table) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let service = Service::new(Bounds { keep: Keep { events: 10_000, ..KEEP }, ..BOUNDS });
    let mut clients: Vec<Option<Client>> = (0..6).map(|_| None).collect();
    /// The documents that an absent follower knows, and the id of its last event.
    type Known = (BTreeMap<u64, u64>, Option<String>);
    let mut away: Vec<Option<Known>> = (0..6).map(|_| None).collect();
    for _ in 0..400 {
        let at = chance.usize(0..clients.len());
        match chance.u32(0..100) {
            0..=44 => {
                let value = chance.u64(0..4);
                table.write(chance.u64(0..6), Some(value).filter(|value| *value > 0));
            }
            45..=64 => {
                let lag: Vec<_> = (0..20).map(|_| chance.usize(0..4)).collect();
                table.tell(|feed| lag[feed % lag.len()]);
            }
            65..=84 => {
                if let Some(client) = &mut clients[at] {
                    client.read().await;
                }
            }
            85..=92 => match clients[at].take() {
                Some(client) => away[at] = Some((client.known, client.last)),
                None => {
                    let (known, last) = away[at].take().unwrap_or_default();
                    let mut client = service.client(table, last);
                    client.known = known;
                    clients[at] = Some(client);
                }
            },
            93..=97 => {
                // Feeds lag for less than the assumed delay.
                table.tell_all();
                sleep(Duration::from_millis(chance.u64(0..4000))).await;
            }
            98 => {
                table.breaks();
                sleep(Duration::from_millis(chance.u64(0..2000))).await;
            }
            _ => away[at] = None,
        }
    }
    table.tell_all();
    for (client, away) in clients.iter_mut().zip(away) {
        let client = client.get_or_insert_with(|| {
            let (known, last) = away.unwrap_or_default();
            let mut client = service.client(table, last);
            client.known = known;
            client
        });
        for _ in 0..10 {
            client.read().await;
            sleep(Duration::from_millis(300)).await;
        }
        assert_eq!(client.known, table.state().documents, "seed {seed}: {:?}", client.seen);
        assert!(!client.seen.iter().any(|event| event.starts_with("gap")), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_ends_is_noticed_whatever_the_follower_does() {
    let is_over = || async {
        sleep(Duration::from_secs(5)).await;
        Error::from(Code::Unauthorized)
    };
    for (table, slow) in [(Table::new(), true), (Table::new(), false), (Table::short(), false)] {
        let service = Service::new(BOUNDS);
        table.put(1, 10);
        table.state().slow = slow;
        let mut client = service.client_until(&table, None, Some(is_over().boxed()));
        let told = client.read().await.taken();
        assert_eq!(told[0], "initial 1 10");
        assert_eq!(told.len(), if slow { 1 } else { 2 });
        // One that always has something to read.
        for value in 0..10 {
            sleep(Duration::from_secs(1)).await;
            table.put(1, value);
        }
        assert_eq!(client.read().await.taken().last().unwrap(), "error \"unauthorized\"", "{slow}");
        assert!(client.events.next().await.is_none());
        assert_eq!(service.hubs.figures().followers, 1);
        drop(client);
        assert_eq!(service.hubs.figures().followers, 0);
    }
}

/// Events that one client alone is told take memory of its own, which may be refused. Shared ones don't.
#[tokio::test(start_paused = true)]
async fn what_a_client_is_told_alone_counts() {
    for table in [Table::new(), Table::short()] {
        let mut service = Service::new(BOUNDS);
        table.put(1, 10);
        let mut one = service.client(&table, None);
        one.read().await;
        let last = one.last.clone();
        service.most = 0;
        let mut other = service.client(&table, None);
        assert_eq!(other.read().await.taken(), ["error \"answers-exhausted\""]);
        assert!(other.events.next().await.is_none());
        table.put(1, 11);
        let mut returned = service.client(&table, last);
        returned.known.insert(1, 10);
        assert_eq!(returned.read().await.taken(), ["change 1 11"]);
        assert_eq!(one.read().await.taken(), ["initial 1 10", READY, "change 1 11"]);
    }
}
