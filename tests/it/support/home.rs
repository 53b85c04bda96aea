//! The database server of a test, and in it a database of the test's own.
//!
//! `RDB_TEST_HOST=host:port` names a RethinkDB, whose account `admin` has no password. Otherwise each test
//! starts an embedded server. Everything that a test creates there has the test's name, and is removed when
//! the test ends, failed or not.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use reql::{Query, r};
use reql_embedded::Server;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use warp_reql::settings::Rdb;
use warp_reql::{Conn, Database};

use super::link::Link;
use super::{eventually, rdb, server};

/// The beginning of the names of all test databases.
pub const NAMES: &str = "warp_reql_test_";
const VARIABLE: &str = "RDB_TEST_HOST";
/// The time that a server may take to make or to drop a database, with many other tests that want as much.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Home {
    /// The test's database, and how the name of all else begins that the test makes outside of it.
    pub name: String,
    place: Place,
}

enum Place {
    /// In this process, and only for this test.
    Embedded(Server),
    /// Elsewhere, and for all; the test's connections are those on its way there.
    Shared { server: SocketAddr, way: Link },
}

impl Home {
    pub async fn start() -> Home {
        match shared() {
            Some(server) => Home::on(server).await,
            None => Home::at(Place::Embedded(server().await)).await,
        }
    }

    /// On a server that is there for others too.
    pub async fn on(server: SocketAddr) -> Home {
        Home::at(Place::Shared { server, way: Link::to(server).await }).await
    }

    async fn at(place: Place) -> Home {
        let home = Home { name: format!("{NAMES}{:016x}", fastrand::u64(..)), place };
        ask::<Value>(home.server(), r.db_create(home.name.clone()))
            .await
            .expect("the test's database is made");
        eventually("only the test's own connections are open", || home.open_connections() == 0).await;
        home
    }

    /// Returns the address that the test connects to.
    pub fn addr(&self) -> SocketAddr {
        match &self.place {
            Place::Embedded(server) => server.local_addr(),
            Place::Shared { way, .. } => way.addr,
        }
    }

    /// Settings for the test's database; nothing stands by unless a test asks for it.
    pub fn rdb(&self) -> Rdb {
        self.rdb_by(self.addr())
    }

    /// Settings for the test's database by way of an address that leads there.
    pub fn rdb_by(&self, addr: SocketAddr) -> Rdb {
        Rdb { db: self.name.clone(), ..rdb(addr) }
    }

    pub fn database(&self) -> Database {
        Database::new(self.rdb()).expect("the settings name a server")
    }

    /// The number of the test's connections that the server sees.
    pub fn open_connections(&self) -> usize {
        match &self.place {
            Place::Embedded(server) => server.open_connections(),
            Place::Shared { way, .. } => way.carried(),
        }
    }

    /// A name for a user, or another database, that no other test has, and that goes when the test ends.
    pub fn named(&self, name: &str) -> String {
        format!("{}_{name}", self.name)
    }

    fn server(&self) -> SocketAddr {
        match &self.place {
            Place::Embedded(server) => server.local_addr(),
            Place::Shared { server, .. } => *server,
        }
    }

    /// Removes all that bears the test's name.
    async fn clear(name: &str, server: SocketAddr) -> Result<(), warp_reql::Error> {
        let users = || r.db("rethinkdb").table("users");
        let ids = ask::<User>(server, users()).await?.into_iter().map(|user| user.id);
        for id in ids.filter(|id| id.starts_with(name)) {
            ask::<Value>(server, users().get(id).delete()).await?;
        }
        let databases = ask::<String>(server, r.db_list()).await?;
        for database in databases.into_iter().filter(|database| database.starts_with(name)) {
            ask::<Value>(server, r.db_drop(database)).await?;
        }
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Place::Shared { server, .. } = self.place else { return };
        let name = self.name.clone();
        // The test's own runtime may have its clock stopped, or be about to end.
        let cleared = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(Home::clear(&name, server)).expect("what the test made is removed");
        });
        let cleared = cleared.join();
        assert!(cleared.is_ok() || thread::panicking(), "{} is left over", self.name);
    }
}

/// Says so, and returns true, where a test about the embedded server is run on behalf of another.
pub fn about_the_embedded(test: &str) -> bool {
    let skipped = shared().is_some();
    if skipped {
        // Past what the harness keeps to itself when a test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: it is about the embedded server itself.");
    }
    skipped
}

/// The server that the environment names.
pub fn shared() -> Option<SocketAddr> {
    let named = std::env::var(VARIABLE).ok().filter(|named| !named.is_empty())?;
    let addr = named.to_socket_addrs().ok().and_then(|mut addrs| addrs.next());
    Some(addr.unwrap_or_else(|| panic!("{VARIABLE}={named} is no host:port that can be found")))
}

/// Asks the server itself, as its administrator.
pub async fn ask<T: DeserializeOwned>(
    server: SocketAddr,
    query: impl Into<Query>,
) -> Result<Vec<T>, warp_reql::Error> {
    let patient = Rdb { connect_timeout: PATIENCE, query_timeout: PATIENCE, ..rdb(server) };
    Conn::new(Database::new(patient).expect("the settings name a server")).all(query).await
}

/// A row of the table of users.
#[derive(Deserialize)]
pub struct User {
    pub id: String,
}
