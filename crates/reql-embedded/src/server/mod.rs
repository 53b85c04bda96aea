//! A server: its addresses, its limits, its end.

mod accept;
mod backup;
#[cfg(unix)]
mod backup_socket;
mod builder;
mod closer;
mod data;
mod listener;
mod local;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

pub use self::backup::Backup;
pub use self::builder::Builder;
use self::closer::Closer;
pub use self::data::{Compacted, DataError, DataErrorKind, Report, StartError};
pub use self::local::{Connector, LocalStream};
#[cfg(feature = "tls")]
pub use self::tls::{Tls, TlsVersion};
use crate::engine::{Engine, QueryCounts, ServerInfo};

/// A running server. Dropping it stops accepting; [`Server::shutdown`] also waits for running queries.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), reql_embedded::StartError> {
/// use reql_embedded::Server;
///
/// let server = Server::builder().server_name("heroes").start().await?;
/// assert_eq!(server.info().name, "heroes");
/// println!("Drivers connect to {}.", server.local_addr());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    local_addrs: Vec<SocketAddr>,
    info: ServerInfo,
    activity: Activity,
    password: Option<String>,
    connector: Connector,
    /// Dropping it is the signal to stop.
    stop: watch::Sender<bool>,
    grace: Duration,
    closer: Arc<Closer>,
}

/// A view of a server's load, for monitoring. Cheap to clone; doesn't keep the server.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::Server;
///
/// let server = Server::builder().in_process().start().await?;
/// let activity = server.activity();
/// let stream = server.connect().await?;
/// server.shutdown().await;
/// assert_eq!((activity.open_connections(), activity.queries().running), (0, 0));
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Activity {
    open: Arc<AtomicUsize>,
    stalls: Arc<AtomicU64>,
    engine: Weak<dyn Engine>,
}

impl Server {
    /// Returns a builder with the defaults: in memory, on a free loopback port.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Returns the address that drivers connect to; `0.0.0.0:0` if the server listens nowhere.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addrs.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Returns all addresses that drivers can connect to.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Opens a connection from within the process, without a port: a stream of bytes that speaks the same
    /// protocol, the handshake included, and counts as a connection like any other.
    ///
    /// ```
    /// use reql_embedded::Server;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let server = Server::builder().in_process().start().await?;
    /// let mut stream = server.connect().await?;
    ///
    /// // The handshake V0_4: its number, a key of no bytes, the number of the JSON protocol.
    /// stream.write_u32_le(0x400c_2d20).await?;
    /// stream.write_u32_le(0).await?;
    /// stream.write_u32_le(0x7e69_70c7).await?;
    /// let mut word = [0; 8];
    /// stream.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"SUCCESS\0");
    ///
    /// // START of `r.expr(1).add(2)`: token, length, query.
    /// let query = br#"[1,[24,[1,2]]]"#;
    /// stream.write_i64_le(7).await?;
    /// stream.write_u32_le(query.len() as u32).await?;
    /// stream.write_all(query).await?;
    /// assert_eq!(stream.read_i64_le().await?, 7);
    /// let mut answer = vec![0; stream.read_u32_le().await? as usize];
    /// stream.read_exact(&mut answer).await?;
    /// assert_eq!(answer, br#"{"t":1,"r":[3]}"#);
    ///
    /// server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ConnectionRefused`] if the server has stopped. A connection beyond
    /// [`Builder::max_connections`] is refused by the first bytes that it reads.
    pub async fn connect(&self) -> io::Result<LocalStream> {
        self.connector.connect().await
    }

    /// Returns a connector, which opens such connections from anywhere in the process.
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// Returns the server's name and UUID.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Returns the password of `admin` that was made up for this start, see [`Builder::locked`].
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Returns the number of open client connections.
    pub fn open_connections(&self) -> usize {
        self.activity.open_connections()
    }

    /// Returns a view of the server's load, to be read again and again.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Stops accepting, ends all queries, flushes, and closes the file.
    ///
    /// Connections have the time of [`Builder::shutdown_grace`], and a second more once they are cut off;
    /// then the file has as much time to be closed. Then it returns, even if something still runs: a query
    /// that can't be ended keeps its thread as long as the process lives, and a file that wasn't closed is
    /// recovered by the next start.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        // The task that serves keeps the same time, unless all threads of its runtime are held.
        let patience = self.grace + 2 * accept::CUT_OFF;
        if timeout(patience, self.closer.until_sessions_ended()).await.is_err() {
            log::error!("Connections did not end; the storage is closed under them.");
        }
        self.closer.close().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addrs", &self.local_addrs)
            .field("open_connections", &self.open_connections())
            .finish_non_exhaustive()
    }
}

impl Activity {
    /// Returns the number of open client connections.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Returns the number of queries that run and that were begun; none once the server has ended.
    pub fn queries(&self) -> QueryCounts {
        self.engine.upgrade().map(|engine| engine.queries()).unwrap_or_default()
    }

    /// Returns the number of times a query has held a thread that serves sessions for more than 200
    /// milliseconds. The log shows which queries, at most one a second. It should never happen: other clients
    /// wait meanwhile.
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity")
            .field("open_connections", &self.open_connections())
            .field("queries", &self.queries())
            .field("stalls", &self.stalls())
            .finish()
    }
}
