//! Which of several servers to dial: in turn, from a start that rotates, the ones that failed lately last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::warn;
use tokio::time::Instant;

/// How long a server that failed is passed over while others can be had.
const REST: Duration = Duration::from_secs(5);

pub(super) struct Servers {
    all: Vec<Server>,
    next: AtomicUsize,
}

pub(super) struct Server {
    host: String,
    port: u16,
    failed: Mutex<Option<Instant>>,
}

impl Servers {
    /// `None` if there are none.
    pub(super) fn new(addresses: Vec<(String, u16)>) -> Option<Self> {
        let server = |(host, port)| Server { host, port, failed: Mutex::default() };
        let all: Vec<_> = addresses.into_iter().map(server).collect();
        (!all.is_empty()).then(|| Servers { all, next: AtomicUsize::new(0) })
    }

    /// Every server once. Those at rest come last rather than never: when all have failed, one of them may be back.
    pub(super) fn in_turn(&self) -> Vec<&Server> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, after) = self.all.split_at(start);
        let mut turn: Vec<_> = after.iter().chain(before).collect();
        turn.sort_by_key(|server| server.rests());
        turn
    }
}

impl Server {
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Notes how dialling it went.
    pub(super) fn report(&self, reached: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if !reached && failed.is_none() {
            warn!("The database server {}:{} gave no connection.", self.host, self.port);
        }
        *failed = (!reached).then(Instant::now);
    }

    fn rests(&self) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(servers: &Servers) -> Vec<u16> {
        servers.in_turn().into_iter().map(Server::port).collect()
    }

    fn three() -> Servers {
        Servers::new([1, 2, 3].map(|port| ("db".to_owned(), port)).to_vec()).unwrap()
    }

    #[test]
    fn the_start_rotates() {
        let servers = three();
        assert_eq!([ports(&servers), ports(&servers), ports(&servers)], [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
        assert!(Servers::new(Vec::new()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_failed_is_passed_over_for_a_while() {
        let servers = three();
        servers.all[0].report(false);
        assert_eq!([ports(&servers), ports(&servers)], [[2, 3, 1], [2, 3, 1]]);
        tokio::time::advance(REST).await;
        assert_eq!([ports(&servers), ports(&servers)], [[3, 1, 2], [1, 2, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_back_counts_at_once() {
        let servers = three();
        servers.all[1].report(false);
        servers.all[1].report(true);
        assert_eq!([ports(&servers), ports(&servers)], [[1, 2, 3], [2, 3, 1]]);
    }
}
