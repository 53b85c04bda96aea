//! The order in which to dial several servers: round robin, with those that have failed at the end.
//!
//! A server that has failed is tried again in the background from time to time. A request that tried it might
//! have to wait for the whole timeout.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;
use tokio::time::Instant;

use super::way::Way;
use crate::error::{Code, Error};
use crate::settings::Rdb;

/// The time after which a server that has failed is tried again.
const REST: Duration = Duration::from_secs(5);

pub(super) struct Servers {
    all: Vec<Arc<Server>>,
    next: AtomicUsize,
}

pub(super) struct Server {
    name: String,
    way: Way,
    failed: Mutex<Option<Instant>>,
}

impl Servers {
    /// Returns the servers of the settings.
    pub(super) fn new(settings: &Rdb) -> Result<Self, Error> {
        let server = |(host, port): (String, u16)| {
            Way::to(&host, port, settings).map(|way| Server::new(format!("{host}:{port}"), way))
        };
        let all = settings.servers().into_iter().map(server).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(Error::from(Code::Misconfigured).caused_by("the settings name no database server"));
        }
        Ok(Servers { all, next: AtomicUsize::new(0) })
    }

    /// Returns the server inside this process.
    #[cfg(feature = "embedded")]
    pub(super) fn within(server: reql_embedded::Connector, settings: &Rdb) -> Self {
        let server = Server::new("embedded".to_owned(), Way::within(server, settings));
        Servers { all: vec![server], next: AtomicUsize::new(0) }
    }

    /// Returns all servers, each once. Those that have failed come last rather than not at all: if all have
    /// failed, one of them may be back.
    pub(super) fn in_turn(&self) -> Vec<&Server> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, after) = self.all.split_at(start);
        let mut turn: Vec<_> = after.iter().chain(before).map(Arc::as_ref).collect();
        turn.sort_by_key(|server| server.failed().is_some());
        turn
    }

    /// Returns the servers that failed at least [`REST`] ago, for a new attempt; none if there is only one
    /// server. A server is not returned again before [`REST`] has passed.
    pub(super) fn take_due(&self) -> Vec<Arc<Server>> {
        if self.all.len() < 2 {
            return Vec::new();
        }
        self.all.iter().filter(|server| server.take_due()).cloned().collect()
    }
}

impl Server {
    fn new(name: String, way: Way) -> Arc<Self> {
        Arc::new(Server { name, way, failed: Mutex::default() })
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// Notes whether dialling the server has succeeded, and returns that.
    pub(super) fn report(&self, reached: bool) -> bool {
        let mut failed = self.failed();
        if !reached && failed.is_none() {
            warn!("The database server {} gave no connection.", self.name);
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

    fn names(servers: &Servers) -> String {
        servers.in_turn().into_iter().map(|server| server.name.trim_start_matches("db:")).collect()
    }

    fn named(hosts: &str) -> Result<Servers, Error> {
        Servers::new(&Rdb { host: hosts.parse().unwrap(), ..Rdb::default() })
    }

    fn three() -> Servers {
        named("db:1, db:2, db:3").unwrap()
    }

    #[test]
    fn the_start_rotates() {
        let servers = three();
        assert_eq!([names(&servers), names(&servers), names(&servers)], ["123", "231", "312"]);
        assert!(named("embedded").is_err_and(|error| error.code() == Code::Misconfigured));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_failed_is_passed_over_until_somebody_has_seen_it() {
        let servers = three();
        servers.all[0].report(false);
        assert_eq!([names(&servers), names(&servers)], ["231", "231"]);
        assert!(servers.take_due().is_empty());
        tokio::time::advance(REST).await;
        assert_eq!(names(&servers), "321", "no request has to find out");
        let due: Vec<_> = servers.take_due().iter().map(|server| server.name.clone()).collect();
        assert_eq!((&due[..], servers.take_due().len()), (&["db:1".to_owned()][..], 0), "one looks");
        servers.all[0].report(true);
        assert_eq!(names(&servers), "123");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_back_counts_at_once() {
        let servers = three();
        servers.all[1].report(false);
        servers.all[1].report(true);
        assert_eq!([names(&servers), names(&servers)], ["123", "231"]);
    }
}
