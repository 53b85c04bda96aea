//! The order in which to dial several servers: in turn, from a start that rotates, and those that failed at
//! the end.
//!
//! A server that failed is tried again from time to time, and no request waits for that. A server that
//! accepts connections and then says nothing would cost each request that tries it the whole timeout.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;
use reql::Connector;
use tokio::time::Instant;

use crate::settings::Rdb;

/// The time after which a server that failed is tried again.
const REST: Duration = Duration::from_secs(5);

/// The number of times within a query's timeout that the other end of a silent connection is asked, by TCP, if
/// it is there. So a connection whose way is gone ends before that time is over.
const SIGNS: u32 = 3;

pub(super) struct Servers {
    all: Vec<Arc<Server>>,
    next: AtomicUsize,
}

pub(super) struct Server {
    host: String,
    port: u16,
    connector: Connector,
    failed: Mutex<Option<Instant>>,
}

impl Servers {
    /// `None` if there are none.
    pub(super) fn new(settings: &Rdb) -> Option<Self> {
        let server = |(host, port)| Arc::new(Server::new(host, port, settings));
        let all: Vec<_> = settings.servers().into_iter().map(server).collect();
        (!all.is_empty()).then(|| Servers { all, next: AtomicUsize::new(0) })
    }

    /// All servers, each once. Those that failed come last rather than not at all: when all have failed, one
    /// of them may be back.
    pub(super) fn in_turn(&self) -> Vec<&Server> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, after) = self.all.split_at(start);
        let mut turn: Vec<_> = after.iter().chain(before).map(Arc::as_ref).collect();
        turn.sort_by_key(|server| server.failed().is_some());
        turn
    }

    /// Takes the servers that failed so long ago that they should be tried again; none if there is only one
    /// server. A server that is taken is not taken again before the same time has passed.
    pub(super) fn take_due(&self) -> Vec<Arc<Server>> {
        if self.all.len() < 2 {
            return Vec::new();
        }
        self.all.iter().filter(|server| server.take_due()).cloned().collect()
    }
}

impl Server {
    fn new(host: String, port: u16, settings: &Rdb) -> Self {
        let connector = Connector::at(host.as_str(), port)
            .database(settings.db.as_str())
            .timeout(settings.connect_timeout)
            .keepalive(Some(settings.query_timeout / SIGNS))
            // With that, Linux gives a connection up at the first sign that is missing after this time.
            .user_timeout(Some(settings.query_timeout * 2 / SIGNS));
        Server { host, port, connector, failed: Mutex::default() }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Notes whether dialling the server succeeded, and returns that.
    pub(super) fn report(&self, reached: bool) -> bool {
        let mut failed = self.failed();
        if !reached && failed.is_none() {
            warn!("The database server {}:{} gave no connection.", self.host, self.port);
        }
        *failed = (!reached).then(Instant::now);
        reached
    }

    fn take_due(&self) -> bool {
        let mut failed = self.failed();
        let is_due = failed.is_some_and(|at| at.elapsed() >= REST);
        if is_due {
            *failed = Some(Instant::now());
        }
        is_due
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(servers: &Servers) -> Vec<u16> {
        servers.in_turn().into_iter().map(|server| server.port).collect()
    }

    fn named(hosts: &str) -> Option<Servers> {
        Servers::new(&Rdb { host: hosts.parse().unwrap(), ..Rdb::default() })
    }

    fn three() -> Servers {
        named("db:1, db:2, db:3").unwrap()
    }

    #[test]
    fn the_start_rotates() {
        let servers = three();
        assert_eq!([ports(&servers), ports(&servers), ports(&servers)], [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
        assert!(named("embedded").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_failed_is_passed_over_until_somebody_has_seen_it() {
        let servers = three();
        servers.all[0].report(false);
        assert_eq!([ports(&servers), ports(&servers)], [[2, 3, 1], [2, 3, 1]]);
        assert!(servers.take_due().is_empty());
        tokio::time::advance(REST).await;
        assert_eq!(ports(&servers), [3, 2, 1], "no request has to find out");
        let due: Vec<_> = servers.take_due().iter().map(|server| server.port).collect();
        assert_eq!((due, servers.take_due().len()), (vec![1], 0), "one looks");
        servers.all[0].report(true);
        assert_eq!(ports(&servers), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_back_counts_at_once() {
        let servers = three();
        servers.all[1].report(false);
        servers.all[1].report(true);
        assert_eq!([ports(&servers), ports(&servers)], [[1, 2, 3], [2, 3, 1]]);
    }
}
