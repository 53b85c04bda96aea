//! Followers that join: what ends them, what they leave behind, and what they ask of the database.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::sleep;

use super::fake::{Joins, Service, Table};
use super::tests::{BOUNDS, READY};
use super::*;

const STOPPED: &str = ":The service stops.\n\n";
const RENEWED: &str = ":The settings have changed.\n\n";

#[tokio::test(start_paused = true)]
async fn the_end_of_a_hub_is_seen_at_every_stage() {
    for (table, slow, parts) in [
        // It is told the documents of the hub.
        (Table::short(), false, 2),
        // It is told those of its own feed.
        (Table::new(), false, 2),
        (Table::new(), true, 3),
        // It follows.
        (Table::short(), false, 4),
        (Table::new(), false, 4),
    ] {
        for (ends, last) in [(Hubs::stop as fn(&Hubs), STOPPED), (Hubs::renew, RENEWED)] {
            let service = Service::new(BOUNDS);
            table.put(1, 10);
            table.put(2, 20);
            table.state().slow = slow;
            let mut client = service.client(&table, None);
            for _ in 0..parts {
                client.events.next().await.unwrap().unwrap();
            }
            // It isn't told of this any more.
            table.put(1, 11);
            tokio::task::yield_now().await;
            ends(&service.hubs);
            let told = client.events.next().await.unwrap().unwrap();
            assert_eq!(told, last, "{slow} {parts}");
            assert!(client.events.next().await.is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_while_it_joins_leaves_nothing() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    table.state().joins = Joins::Hang;
    let mut clients: Vec<_> = (0..40).map(|_| service.client(&table, None)).collect();
    for client in &mut clients {
        client.read().await;
    }
    assert_eq!((service.hubs.joinings(), table.state().asked), (40, 32), "some wait for their turn");
    drop(clients);
    assert_eq!(service.hubs.joinings(), 0);
    table.state().joins = Joins::Open;
    let mut client = service.client(&table, None);
    assert_eq!(client.read().await.taken(), [READY]);
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_keep_up_joins_more_and_more_seldom() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    table.put(1, 0);
    table.state().slow = true;
    let mut client = service.client(&table, None);
    let mut last = Vec::new();
    for round in 0..7 {
        client.read().await;
        assert_eq!(table.state().asked, round + 1);
        (1..=150).for_each(|n| table.put(1, n));
        table.put(1, 0);
        table.is_ready();
        last = client.read().await.taken();
        sleep(Duration::from_millis(500 << round) - Duration::from_millis(1)).await;
        client.read().await;
        assert_eq!(table.state().asked, round + 1, "it waits");
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(last.last().unwrap(), "error \"contended\"");
    assert!(client.events.next().await.is_none());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(service.hubs.joinings(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_refused_is_asked_for_after_a_pause() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    table.state().joins = Joins::Fail;
    let mut client = service.client(&table, None);
    for n in 0..20 {
        client.read().await;
        table.put(1, n);
    }
    assert_eq!(table.state().asked, 1, "whatever happens in the list");
    table.state().joins = Joins::Open;
    sleep(Duration::from_millis(501)).await;
    assert_eq!(client.read().await.taken(), ["initial 1 19", READY]);
}

#[tokio::test(start_paused = true)]
async fn nobody_resumes_where_another_joins() {
    let (table, service) = (Table::new(), Service::new(BOUNDS));
    table.put(1, 10);
    let mut one = service.client(&table, None);
    one.read().await;
    let run = one.last.as_deref().unwrap()[..16].to_owned();
    table.state().slow = true;
    let mut other = service.client(&table, None);
    assert_eq!(other.read().await.taken(), ["initial 1 10"]);
    table.put(1, 11);
    assert_eq!(one.read().await.taken().last().unwrap(), "change 1 11");
    let mut forged = service.client(&table, Some(format!("{run}-1-2")));
    assert_eq!(forged.read().await.taken(), ["reset", "initial 1 11"]);
    table.is_ready();
    assert_eq!(other.read().await.taken(), ["change 1 11", READY]);
    table.put(1, 12);
    one.read().await;
    let mut forged = service.client(&table, Some(format!("{run}-2-2")));
    assert_eq!(forged.read().await.taken(), ["reset", "initial 1 12"]);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_only_busy_is_waited_for() {
    let (table, service) =
        (Table::new(), Service::new(Bounds { patience: Duration::from_secs(30), ..BOUNDS }));
    let mut client = service.client(&table, None);
    client.read().await;
    table.state().busy = Duration::from_secs(10);
    for _ in 0..5 {
        sleep(Duration::from_secs(10)).await;
        client.read().await;
    }
    assert_eq!(client.read().await.taken(), [READY]);
    assert_eq!(table.state().opened, 2);
}
