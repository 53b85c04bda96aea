//! A database that is killed and comes back, with what it has answered for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reql_embedded::Server;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::link::{Link, Traffic};
use crate::support::process::Process;
use crate::support::{nobody, number};

/// The time after an outage within which everything has to be as before.
const GRACE: Duration = Duration::from_secs(5);

/// A database behind a link, which keeps the address.
pub struct Killed {
    pub link: Link,
    data: TempDir,
    running: Running,
}

enum Running {
    Here(Server),
    /// In a process of its own.
    There(Process),
    Nowhere,
}

/// The times without a database.
#[derive(Debug, Default)]
pub struct Troubles(Vec<(Instant, Option<Instant>)>);

impl Killed {
    pub async fn start() -> Killed {
        let data = TempDir::new().unwrap();
        let running = Running::start(&data, nobody().await).await;
        Killed { link: Link::to(running.addr().expect("it runs")).await, data, running }
    }

    /// Kills it, and starts it again after a while.
    pub async fn kill(&mut self, pause: Duration) {
        let addr = self.running.addr().expect("it runs");
        match std::mem::replace(&mut self.running, Running::Nowhere) {
            Running::Here(server) => {
                self.link.set(Traffic::Away).await;
                server.shutdown().await;
            }
            Running::There(process) => {
                process.signal("KILL");
                drop(process);
                self.link.set(Traffic::Away).await;
            }
            Running::Nowhere => {}
        }
        sleep(pause).await;
        self.running = Running::start(&self.data, addr).await;
        self.link.lead_to(self.running.addr().expect("it runs"));
        self.link.set(Traffic::Flows).await;
    }
}

impl Running {
    /// Starts it in this process, unless the environment asks for one of its own, at this address.
    async fn start(data: &TempDir, addr: SocketAddr) -> Running {
        match number("LIVE_PROCESS", 0) {
            0 => Running::Here(Server::builder().data_dir(data.path()).start().await.unwrap()),
            _ => Running::There(Process::start(data.path(), addr).await),
        }
    }

    fn addr(&self) -> Option<SocketAddr> {
        match self {
            Running::Here(server) => Some(server.local_addr()),
            Running::There(process) => Some(process.addr),
            Running::Nowhere => None,
        }
    }
}

impl Troubles {
    pub fn begin(&mut self) {
        self.0.push((Instant::now(), None));
    }

    pub fn end(&mut self) {
        if let Some((_, end)) = self.0.last_mut() {
            *end = Some(Instant::now());
        }
    }

    /// Returns whether there was trouble since then, or shortly before.
    pub fn were_since(&self, time: Instant) -> bool {
        self.0.iter().any(|(_, end)| end.is_none_or(|end| end + GRACE > time))
    }
}
