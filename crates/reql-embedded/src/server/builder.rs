//! The settings of a server, and its start.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::accept::{self, Gate, Listeners};
#[cfg(unix)]
use super::backup_socket::BackupSocket;
use super::closer::Closer;
use super::listener::listen;
use super::{Activity, DataError, Server, StartError, local};
use crate::engine::{Engine, Listening};
use crate::error::Error;
use crate::eval::terms::table::is_name;
use crate::reql::{Memory, Reql};
use crate::session::{Polling, Shared, Watchdog};
use crate::workers::Workers;

/// The connections that a process with the usual limits has room for.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;

/// The time for the handshake, which takes a driver milliseconds.
const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// Passwords that are stretched at once. Any client that can connect may cause that.
const MAX_HASHING: usize = 2;

/// The time that a shutdown waits for connections before it cuts them off.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// The settings of a server that is to be started.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), reql_embedded::StartError> {
/// use std::time::Duration;
///
/// use reql_embedded::Server;
///
/// let builder = Server::builder().in_memory().memory_limit(64 << 20).max_connections(100);
/// let server = builder.shutdown_grace(Duration::from_secs(1)).start().await?;
/// assert!(server.local_addr().ip().is_loopback());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Builder {
    bind: Option<SocketAddr>,
    also: Vec<SocketAddr>,
    data_dir: Option<PathBuf>,
    initial_password: String,
    locked: bool,
    server_name: Option<String>,
    memory: Memory,
    limits: Limits,
    #[cfg(feature = "tls")]
    tls: Option<super::Tls>,
}

#[derive(Debug, Clone)]
struct Limits {
    max_connections: usize,
    handshake_timeout: Duration,
    grace: Duration,
    busy_poll: Option<Duration>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            bind: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            also: Vec::new(),
            data_dir: None,
            initial_password: String::new(),
            locked: false,
            server_name: None,
            memory: Memory::default(),
            limits: Limits {
                max_connections: DEFAULT_MAX_CONNECTIONS,
                handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
                grace: DEFAULT_GRACE,
                busy_poll: None,
            },
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Listens on this address; port 0 takes a free one. Default `127.0.0.1:0`.
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.bind = Some(addr);
        self
    }

    /// Listens on this address too; port 0 takes the port of the first address.
    pub fn bind_also(mut self, addr: SocketAddr) -> Self {
        self.also.push(addr);
        self
    }

    /// Listens nowhere: only this process can connect, by [`Server::connect`].
    pub fn in_process(mut self) -> Self {
        self.bind = None;
        self.also.clear();
        self
    }

    /// Speaks TLS, and nothing else, on all addresses. Connections of [`Server::connect`] stay as they are.
    /// Default: no TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: super::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Keeps the data in this directory, made if missing. Default: in memory.
    pub fn data_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.data_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Keeps nothing: the data ends with the server. The default.
    pub fn in_memory(mut self) -> Self {
        self.data_dir = None;
        self
    }

    /// Sets the password of `admin` on a new database; an existing one keeps its own. Default: empty.
    pub fn initial_password(mut self, password: impl Into<String>) -> Self {
        self.initial_password = password.into();
        self
    }

    /// Requires a password of `admin` that is made up for this start ([`Server::password`]) as long as the
    /// stored one is empty. Otherwise a server inside of a process would let in every user of the machine who
    /// can connect to it. Nothing of the password is stored.
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// Sets the server's name on a new database, of letters of ASCII, digits, `_` and `-`. Default: a
    /// generated name.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets the bytes of memory that all queries together may hold in sorts, groups, arrays and the like; one
    /// query may hold half of that. A query that needs more fails with `RESOURCE_LIMIT`, and all others are
    /// served. The pages of the file aren't counted, see [`Builder::page_cache`]. Default: half of the memory
    /// that the process may use, see [`memory::limit`](crate::memory::limit).
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory.queries = Some(bytes);
        self
    }

    /// Sets the bytes of memory that hold pages of the file, a tenth of them for those that are written.
    /// A page that isn't there is read from the file, which takes microseconds while the operating system
    /// has it in memory. Default 64 MiB, but no more than an eighth of the memory that the process may use.
    pub fn page_cache(mut self, bytes: u64) -> Self {
        self.memory.pages = Some(usize::try_from(bytes).unwrap_or(usize::MAX));
        self
    }

    /// Sets the bytes of memory for changes that wait for the readers of changefeeds. Beyond it, the feeds
    /// that are furthest behind lose what waits for them, and their readers are told how many changes that
    /// were. Default 64 MiB, but no more than an eighth of the memory that the process may use.
    pub fn feed_backlog(mut self, bytes: u64) -> Self {
        self.memory.changes = Some(usize::try_from(bytes).unwrap_or(usize::MAX));
        self
    }

    /// Sets the number of connections that may be open at once; further ones are refused with an error.
    /// Default 10,000.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.max_connections = max;
        self
    }

    /// Sets the time that a client may take to authenticate. Default 20 seconds.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// Sets the time that [`Server::shutdown`] waits for connections to end before it cuts them off, and for
    /// the file to be closed. Default 10 seconds.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Sets the time that a session polls its socket after an answer, instead of sleeping. It does so only
    /// for a client that asks one query after another, while no other client asks anything. Polling saves
    /// small queries the time that a thread takes to wake up, and keeps a processor busy for the whole time.
    /// Default: no polling; some 60 microseconds are worth trying where that time counts. Without effect on a
    /// single processor, and on connections of [`Server::connect`].
    pub fn busy_poll(mut self, window: Option<Duration>) -> Self {
        self.limits.busy_poll = window.filter(|window| !window.is_zero());
        self
    }

    /// Opens the storage and begins to listen.
    ///
    /// # Errors
    ///
    /// If the data can't be opened, the server's name is none that it may have, or an address can't be
    /// listened on. The data is unchanged then.
    pub async fn start(self) -> Result<Server, StartError> {
        if let Some(name) = self.server_name.as_deref().filter(|name| !is_name(name)) {
            let message = format!("Server name `{name}` invalid (Use A-Z, a-z, 0-9, _ and - only).");
            return Err(DataError::from(Error::op_failed(message)).into());
        }
        let Builder { data_dir, initial_password, server_name, memory, .. } = self.clone();
        let open = move || Reql::open(data_dir.as_deref(), &initial_password, server_name, memory);
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.unwrap_or_else(|_| Err(Error::internal("The data could not be opened.")));
        let engine = opened.map_err(DataError::from)?;
        if !self.locked {
            return self.start_with(Arc::new(engine)).await;
        }
        let password = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let server = self.start_with(Arc::new(engine.locked_by(&password))).await?;
        Ok(Server { password: Some(password), ..server })
    }

    /// Begins to listen on behalf of an engine; the settings of the storage are the engine's own.
    ///
    /// # Errors
    ///
    /// If an address can't be listened on, or a file of [`Builder::tls`] can't be used.
    #[doc(hidden)]
    pub async fn start_with(self, engine: Arc<dyn Engine>) -> Result<Server, StartError> {
        #[cfg(feature = "tls")]
        let tls = match self.tls.clone() {
            Some(tls) => Some(super::tls::Identity::load(tls).await.map_err(StartError::Tls)?),
            None => None,
        };
        let (sockets, local_addrs) = self.listen().await?;
        let Limits { max_connections, handshake_timeout, grace, busy_poll } = self.limits;
        let open = Arc::new(AtomicUsize::new(0));
        let info = engine.server_info();
        engine.listening(Listening { addrs: local_addrs.clone(), connections: open.clone() });
        let stalls = Arc::new(AtomicU64::new(0));
        let engine_seen = Arc::downgrade(&engine);
        let activity = Activity { open: open.clone(), stalls: stalls.clone(), engine: engine_seen };
        let closer = Closer::new(engine.clone(), grace);
        let polling = busy_poll.map(|window| Arc::new(Polling::new(window)));
        let workers = Workers::new();
        let hashing = workers.lane_with(MAX_HASHING);
        let watchdog = Watchdog::new(stalls);
        let sessions = Arc::new(Shared { engine, workers, watchdog, hashing, handshake_timeout, polling });
        #[cfg(unix)]
        let backups = sessions.engine.store().and_then(BackupSocket::of);
        let (connector, local) = local::channel();
        let (stop, stopped) = watch::channel(false);
        let gate = Arc::new(Gate { sessions, open, max_connections, grace });
        let listeners = Listeners {
            sockets,
            local,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(unix)]
            backups,
        };
        tokio::spawn(accept::serve(listeners, gate, stopped, closer.clone()));
        Ok(Server { local_addrs, info, activity, password: None, connector, stop, grace, closer })
    }

    async fn listen(&self) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), StartError> {
        let (mut listeners, mut addrs) = (Vec::new(), Vec::<SocketAddr>::new());
        for wanted in self.bind.iter().chain(&self.also) {
            let port = match (wanted.port(), addrs.first()) {
                (0, Some(first)) => first.port(),
                (port, _) => port,
            };
            let addr = SocketAddr::new(wanted.ip(), port);
            let (listener, addr) = listen(addr).await.map_err(|error| StartError::Listen { addr, error })?;
            listeners.push(listener);
            addrs.push(addr);
        }
        Ok((listeners, addrs))
    }
}

/// Shows the settings without the password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("bind", &self.bind)
            .field("also", &self.also)
            .field("data_dir", &self.data_dir)
            .field("server_name", &self.server_name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
