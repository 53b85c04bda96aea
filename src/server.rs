//! The life of the service: bind, start the embedded database if there is one, make tables, serve, stop.

mod descriptors;
mod http;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tower::Service as Serves;
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use crate::database::Credentials;
use crate::routes::{App, service};
use crate::settings::{Hosts, Limits, Rdb, Settings};
use crate::{Conn, Database, Error, bootstrap};
use http::Patience;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The time that a client may be silent before the system asks whether it is there.
#[cfg(target_os = "linux")]
const PEER_PROBED: Duration = Duration::from_secs(30);
/// The time that a client may leave data unacknowledged that was sent to it.
#[cfg(target_os = "linux")]
const PEER_GONE: Duration = Duration::from_secs(60);
/// The user that an empty database has.
const ADMIN: &str = "admin";
/// How long the first requests are kept waiting for the tables; tables that come later are made while serving.
const HEAD_START: Duration = Duration::from_secs(1);

/// A service that is bound to its address, with its embedded database running if it has one.
pub struct Service {
    listener: TcpListener,
    settings: Settings,
    database: Database,
    embedded: Option<reql_embedded::Server>,
}

impl Service {
    /// Binds the address, then starts the embedded database if the settings ask for it.
    ///
    /// # Errors
    ///
    /// If the address can't be bound, or the embedded database can't open its data.
    pub async fn bind(mut settings: Settings) -> io::Result<Service> {
        let listener = listen(SocketAddr::new(settings.address, settings.port))?;
        let embedded = match settings.rdb.host {
            Hosts::Embedded => Some(start_embedded(&settings).await?),
            Hosts::Servers(_) => None,
        };
        if let Some(server) = &embedded {
            settings.rdb.host = server.local_addr().into();
            if let Some(password) = server.password()
                && settings.rdb.user == ADMIN
            {
                settings.rdb.password = password.into();
            }
            check_password(&settings.rdb).await?;
        }
        let database = Database::new(settings.rdb.clone()).map_err(io::Error::other)?;
        Ok(Service { listener, settings, database, embedded })
    }

    /// The settings, with `rdb.host` naming what can be dialled: the embedded server by its address.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The database behind the service.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The address that was bound; useful with port 0.
    ///
    /// # Errors
    ///
    /// If the operating system can't tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Makes the tables that are missing and serves, until `shutdown` is done and the running requests are too.
    /// A database that is away delays neither: then tables are made once it is back.
    ///
    /// # Errors
    ///
    /// If the operating system can't tell the address.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let addr = self.local_addr()?;
        let Service { listener, settings, database, embedded } = self;
        // Dropping the set ends the task, wherever it is.
        let mut bootstrap = JoinSet::new();
        let (db, tables) = (database.clone(), settings.tables.clone());
        bootstrap.spawn(async move { bootstrap::until_done(&db, &tables).await });
        let _ = timeout(HEAD_START, bootstrap.join_next()).await;

        announce(addr, &settings, embedded.is_some());
        let grace = settings.shutdown_timeout;
        let activity = embedded.as_ref().map(reql_embedded::Server::activity);
        let app = App::with_embedded(settings, database, activity);
        let (streams, stopped) = (app.clone(), Arc::new(OnceLock::new()));
        let stopping = Arc::clone(&stopped);
        let shutdown = async move {
            shutdown.await;
            let _ = stopping.set(Instant::now());
            streams.stop();
        };
        let patience = Patience::new(app.limits(), descriptors::raise());
        run_within(listener, service(app.clone()), patience, shutdown, grace).await;
        // What goes on without a client has the same time.
        let left = stopped.get().map_or(grace, |since| grace.saturating_sub(since.elapsed()));
        if timeout(left, app.finished()).await.is_err() {
            log::warn!(
                "Requests with an idempotency key were still being carried out; others will take them up."
            );
        }
        drop(bootstrap);
        if let Some(server) = embedded
            && timeout(grace, server.shutdown()).await.is_err()
        {
            log::warn!("The embedded database did not stop in time.");
        }
        log::info!("Stopped.");
        Ok(())
    }
}

/// Serves until `shutdown` is done. Then it stops accepting, and gives running requests the time `grace` to
/// finish. A client is disconnected if it takes 30 s for the head of a request, leaves its answer unread for
/// 60 s, or is one more than the defaults of [`Limits`] allow. Routes of your own become a service by
/// [`warp::service`].
pub async fn run<S, B>(listener: TcpListener, service: S, shutdown: impl Future<Output = ()>, grace: Duration)
where
    S: Serves<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let patience = Patience::new(&Limits::default(), descriptors::raise());
    run_within(listener, service, patience, shutdown, grace).await;
}

async fn run_within<S, B>(
    listener: TcpListener,
    service: S,
    patience: Patience,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) where
    S: Serves<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let mut serving = pin!(http::serve(listener, service, patience, stopped));
    tokio::select! {
        () = &mut serving => return,
        () = shutdown => {}
    }
    log::info!("Stopping: no new connections; running requests have {grace:?}.");
    drop(stop);
    if timeout(grace, serving).await.is_err() {
        log::warn!("Requests were still running after {grace:?}; they are cut off.");
    }
}

/// Done when the process is asked to stop: Ctrl-C, or SIGTERM as `docker stop` and `kill` send it.
///
/// # Errors
///
/// If the operating system refuses to tell about signals.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    // Registered now, not at the first poll: a signal during the start must not be lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Done when the process is asked to stop by Ctrl-C.
///
/// # Errors
///
/// None on this platform before the future runs.
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it: an event of a live query must not wait for the next one.
        socket.set_nodelay(true)?;
        watch_peers(&socket)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| with_context(&error, format!("can't listen on {addr}")))
}

/// Makes connections end whose other side is gone without closing them, or takes nothing for too long. An
/// event stream would not notice otherwise. Accepted connections inherit these options.
fn watch_peers(socket: &TcpSocket) -> io::Result<()> {
    socket.set_keepalive(true)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;

        sockopt::set_tcp_keepidle(socket, PEER_PROBED)?;
        sockopt::set_tcp_keepintvl(socket, PEER_PROBED / 3)?;
        sockopt::set_tcp_keepcnt(socket, 3)?;
        let gone = u32::try_from(PEER_GONE.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(socket, gone)?;
    }
    Ok(())
}

/// Starts the embedded database. It listens on this machine, where there may be other users. So if neither
/// its data nor the settings have a password for the administrator, it gets one that ends with the process.
async fn start_embedded(settings: &Settings) -> io::Result<reql_embedded::Server> {
    let rdb = &settings.rdb;
    let builder = reql_embedded::Server::builder().initial_password(rdb.password.expose());
    let builder = if rdb.password.expose().is_empty() { builder.locked() } else { builder };
    let builder = if rdb.in_memory() { builder.in_memory() } else { builder.data_dir(&rdb.data_dir) };
    let started = builder.start().await;
    started.map_err(|error| {
        with_context(&error, format!("can't start the embedded database in {}", rdb.data_dir.display()))
    })
}

/// Checks that the data takes the password of the settings. The data keeps the password that it was made
/// with. With another one the service would wait for the database for ever.
async fn check_password(rdb: &Rdb) -> io::Result<()> {
    let once = Database::new(Rdb { standby: 0, ..rdb.clone() }).map_err(io::Error::other)?;
    let who = Credentials::new(&rdb.user, rdb.password.clone());
    match Conn::with_credentials(once, who).admitted().await {
        Err(Error::Unauthorized(_)) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "the data in {} has another password for the user `{}` than `rdb.password` (RDB_PASSWORD)",
                rdb.data_dir.display(),
                rdb.user,
            ),
        )),
        // Whatever else there may be passes, or shows when the service runs.
        _ => Ok(()),
    }
}

fn announce(addr: SocketAddr, settings: &Settings, embedded: bool) {
    let Settings { profile, rdb, .. } = settings;
    let place =
        if embedded { format!(" (embedded, data in {})", rdb.data_dir.display()) } else { String::new() };
    log::info!("Serving http://{addr}, profile {profile}, database {:?} at {}{place}.", rdb.db, rdb.host);
}

fn with_context(error: &io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
