//! Accepting connections: addresses, limits, shutdown.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::engine::{Engine, Listening, QueryCounts, ServerInfo};
use crate::protocol::handshake;
use crate::reql::Reql;
use crate::session;

/// As many connections as a process with the usual limits has room for.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;

/// A driver is through the handshake in milliseconds.
const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a shutdown waits for connections before it cuts them off.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when the process has run out of file descriptors or the like.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A running server. Dropping it stops accepting; [`Server::shutdown`] also waits for what runs.
pub struct Server {
    local_addrs: Vec<SocketAddr>,
    info: ServerInfo,
    activity: Activity,
    password: Option<String>,
    /// Dropping it is the signal to stop.
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// What a server is doing, for whoever watches it. Cheap to clone; doesn't keep the server.
#[derive(Clone)]
pub struct Activity {
    open: Arc<AtomicUsize>,
    engine: Weak<dyn Engine>,
}

/// How a server is to be started.
#[derive(Clone)]
pub struct Builder {
    bind: SocketAddr,
    also: Vec<SocketAddr>,
    data_dir: Option<PathBuf>,
    initial_password: String,
    locked: bool,
    server_name: Option<String>,
    limits: Limits,
}

#[derive(Debug, Clone)]
struct Limits {
    max_connections: usize,
    handshake_timeout: Duration,
}

impl Server {
    /// A builder with the defaults: in memory, on a free loopback port.
    pub fn builder() -> Builder {
        Builder {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            also: Vec::new(),
            data_dir: None,
            initial_password: String::new(),
            locked: false,
            server_name: None,
            limits: Limits {
                max_connections: DEFAULT_MAX_CONNECTIONS,
                handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            },
        }
    }

    /// The address that drivers connect to.
    pub fn local_addr(&self) -> SocketAddr {
        // There is always a first one: `Builder::bind` has a default.
        self.local_addrs.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// All addresses that drivers can connect to.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// The server's name and UUID.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// The password of `admin` that was made up for this start, see [`Builder::locked`].
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// How many client connections are open now.
    pub fn open_connections(&self) -> usize {
        self.activity.open_connections()
    }

    /// A view of what it is doing, to be looked at again and again.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Stops accepting, ends what runs, flushes, and closes the file. Takes ten seconds at most for the first two.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            log::error!("The server did not end well: {error}");
        }
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
    /// How many client connections are open now.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// How many queries there are and were; none once the server has ended.
    pub fn queries(&self) -> QueryCounts {
        self.engine.upgrade().map(|engine| engine.queries()).unwrap_or_default()
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity")
            .field("open_connections", &self.open_connections())
            .field("queries", &self.queries())
            .finish()
    }
}

impl Builder {
    /// Listens on this address; port 0 takes a free one. Default `127.0.0.1:0`.
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.bind = addr;
        self
    }

    /// Listens on this address too; port 0 takes the port of the first address.
    pub fn bind_also(mut self, addr: SocketAddr) -> Self {
        self.also.push(addr);
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

    /// The password of `admin` on a new database; an existing one keeps its own. Default: empty.
    pub fn initial_password(mut self, password: impl Into<String>) -> Self {
        self.initial_password = password.into();
        self
    }

    /// Has `admin` prove a password that is made up for this start ([`Server::password`]) as long as the
    /// stored one is empty. Otherwise a server inside of a process would let in everybody who can connect to
    /// it. Nothing of the password is stored.
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// The server's name on a new database. Default: made up.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// How many connections may be open at once; further ones are told so and closed. Default 10,000.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.max_connections = max;
        self
    }

    /// How long a client may take to authenticate. Default 20 seconds.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// Opens the storage and starts to listen.
    pub async fn start(self) -> io::Result<Server> {
        let Builder { data_dir, initial_password, server_name, .. } = self.clone();
        let open = move || Reql::open(data_dir.as_deref(), &initial_password, server_name);
        let engine = tokio::task::spawn_blocking(open).await?.map_err(io::Error::other)?;
        if !self.locked {
            return self.start_with(Arc::new(engine)).await;
        }
        let password = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let server = self.start_with(Arc::new(engine.locked_by(&password))).await?;
        Ok(Server { password: Some(password), ..server })
    }

    /// Starts to listen on behalf of an engine; the settings of the storage are the engine's own.
    pub async fn start_with(self, engine: Arc<dyn Engine>) -> io::Result<Server> {
        let listeners = self.listen().await?;
        let local_addrs: Vec<_> = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let (stop, stopped) = watch::channel(false);
        let open = Arc::new(AtomicUsize::new(0));
        let info = engine.server_info();
        engine.listening(Listening { addrs: local_addrs.clone(), connections: open.clone() });
        let activity = Activity { open: open.clone(), engine: Arc::downgrade(&engine) };
        let serving = tokio::spawn(serve_all(listeners, engine, self.limits, open, stopped));
        Ok(Server { local_addrs, info, activity, password: None, stop, serving })
    }

    async fn listen(&self) -> io::Result<Vec<TcpListener>> {
        let first = TcpListener::bind(self.bind).await?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        for addr in &self.also {
            let port = if addr.port() == 0 { port } else { addr.port() };
            listeners.push(TcpListener::bind(SocketAddr::new(addr.ip(), port)).await?);
        }
        Ok(listeners)
    }
}

/// Settings without the password.
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

/// Serves all addresses until the signal comes, then closes the engine.
async fn serve_all(
    listeners: Vec<TcpListener>,
    engine: Arc<dyn Engine>,
    limits: Limits,
    open: Arc<AtomicUsize>,
    stopped: watch::Receiver<bool>,
) {
    let mut doors = JoinSet::new();
    for listener in listeners {
        let shutdown = signal(stopped.clone());
        doors.spawn(run(listener, engine.clone(), limits.clone(), open.clone(), shutdown));
    }
    while doors.join_next().await.is_some() {}
    let closed = tokio::task::spawn_blocking(move || engine.close()).await;
    if let Err(error) = closed {
        log::error!("The storage did not close well: {error}");
    }
}

/// Ends when the server is told to stop, or is gone.
async fn signal(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Serves one listener until `shutdown` ends; then lets its connections end, within a bounded time.
async fn run(
    listener: TcpListener,
    engine: Arc<dyn Engine>,
    limits: Limits,
    open: Arc<AtomicUsize>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let (stop, stopped) = watch::channel(false);
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let engine = engine.clone();
                    match Slot::take(&open, limits.max_connections) {
                        Some(slot) => sessions.spawn(session::serve(
                            stream,
                            peer,
                            engine,
                            limits.handshake_timeout,
                            stopped.clone(),
                            slot,
                        )),
                        None => sessions.spawn(turn_away(stream, limits.max_connections)),
                    };
                }
                Err(error) => {
                    log::warn!("Could not accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        log::warn!("Connections were cut off after {GRACE:?}.");
        sessions.shutdown().await;
    }
}

async fn turn_away(mut stream: TcpStream, max: usize) {
    let text = handshake::plain_text(&format!("The server has reached its limit of {max} connections."));
    session::farewell(&mut stream, &text).await;
}

/// One of the connections that may be open.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < max).then_some(count + 1))
            .ok()?;
        Some(Self(open.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
