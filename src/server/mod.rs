//! The life of the service: bind, start the embedded database if there is one, create tables, serve, stop.

mod connection;
mod descriptors;
mod first_head;
mod http;
mod inherited;
mod linger;
mod listener;
mod notify;
mod present;
mod reload;
mod signals;
mod sips;
mod socket;
mod streams;
pub(crate) mod tls;
mod turns;
#[cfg(unix)]
mod unix;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service as Serves;
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use crate::access::Access;
use crate::app::App;
use crate::service::{admin_service, service};
use crate::settings::{Hosts, Limits, Place, Settings, SettingsError};
use crate::{Database, bootstrap, embedded, sweep};
use http::{Door, Patience};
pub use inherited::Inherited;
use listener::Listener;
use present::present;
use reload::{Running, Source};
pub use signals::{Hangups, reload_signal, stop_signal};
use tls::Acceptor;

/// The longest time that serving is delayed until tables have been created. After that, tables are created
/// while serving.
const HEAD_START: Duration = Duration::from_secs(1);

/// A service that is bound to its address, with its embedded database running if it has one.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::server::Service;
/// use warp_reql::settings::{Rdb, Settings};
///
/// let rdb = Rdb { data_dir: ":memory:".into(), ..Settings::default().rdb };
/// let service = Service::bind(Settings { port: 0, rdb, ..Settings::default() }).await?;
/// service.run(async { /* until it is to stop */ }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Service {
    listener: Listener,
    admin: Option<Listener>,
    tls: Option<Acceptor>,
    /// The settings as given by the caller.
    asked: Settings,
    settings: Settings,
    reload: Option<Source>,
    database: Database,
    embedded: Option<reql_embedded::Server>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("place", &self.settings.place()).finish_non_exhaustive()
    }
}

/// Opens the database of the settings, and starts the embedded one if they ask for it.
///
/// # Errors
///
/// If the embedded database can't open its data.
pub(crate) async fn open(settings: &mut Settings) -> io::Result<(Database, Option<reql_embedded::Server>)> {
    match settings.rdb.host {
        Hosts::Embedded => {
            let (server, database) = embedded::start(&mut settings.rdb).await?;
            Ok((database, Some(server)))
        }
        Hosts::Servers(_) => Ok((Database::new(settings.rdb.clone()).map_err(io::Error::other)?, None)),
    }
}

impl Service {
    /// Binds the address, then starts the embedded database if the settings ask for it.
    ///
    /// # Errors
    ///
    /// If TLS files are invalid, the address can't be bound, or the embedded database can't open its data.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use warp_reql::server::{self, Service};
    /// use warp_reql::settings::Settings;
    ///
    /// let settings = Settings::load(&Default::default())?.settings;
    /// Service::bind(settings).await?.run(server::stop_signal()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bind(settings: Settings) -> io::Result<Service> {
        Service::on(Inherited::default(), settings).await
    }

    /// Serves on the sockets that the process has inherited, and binds the addresses that are missing.
    ///
    /// # Errors
    ///
    /// See [`Service::bind`].
    pub async fn on(mut inherited: Inherited, mut settings: Settings) -> io::Result<Service> {
        Access::check(&settings).map_err(io::Error::other)?;
        let asked = settings.clone();
        let tls = settings.tls.is_on().then(|| Acceptor::new(settings.tls.clone())).transpose()?;
        let listener = match inherited.next()? {
            Some(listener) => {
                // The settings were checked with the address that they name.
                settings.may_serve_at(&listener.place()?).map_err(io::Error::other)?;
                listener
            }
            None => Listener::bind(&settings.place()).await?,
        };
        let admin = match (&settings.admin.address, inherited.next()?) {
            (None, _) => None,
            (Some(_), Some(listener)) => Some(listener),
            (Some(place), None) => Some(Listener::bind(place).await?),
        };
        let (database, embedded) = open(&mut settings).await?;
        Ok(Service { listener, admin, tls, asked, settings, reload: None, database, embedded })
    }

    /// Reloads the settings with `load` each time the process gets a SIGHUP. Running requests are finished
    /// with the settings that they began with. If the new settings are invalid, or have another
    /// [`auth`](Settings::auth), the reason is logged and nothing changes. Other settings that need a restart
    /// are named in the log.
    pub fn reloading(
        self,
        hangups: Hangups,
        load: impl Fn() -> Result<Settings, SettingsError> + Send + Sync + 'static,
    ) -> Service {
        Service { reload: Some(Source { load: Arc::new(load), hangups }), ..self }
    }

    /// Returns the settings. They hold the embedded server's password, too, if a random one was set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the service's database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the address that was bound, which is useful with port 0.
    ///
    /// # Errors
    ///
    /// If it is a Unix socket, or the operating system can't tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Returns the address for operators, if there is one and it isn't a Unix socket.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|listener| listener.address().ok())
    }

    /// Creates missing tables and serves, until `shutdown` is done and running requests are finished. If the
    /// database is unreachable, serving starts all the same, and tables are created once it is back.
    ///
    /// # Errors
    ///
    /// If the operating system can't tell the address.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        // Dropping the set ends the task, wherever it is.
        let _bootstrap = self.bootstrap().await;
        self.announce()?;
        let Service { listener, admin, tls, asked, settings, reload, database, embedded } = self;
        let grace = settings.shutdown_timeout;
        let activity = embedded.as_ref().map(reql_embedded::Server::activity);
        let app = App::with_embedded(settings, database, activity);
        app.access().start(app.settings());
        let mut sweeping = JoinSet::new();
        sweeping.spawn(sweep::run(app.clone()));
        let descriptors = descriptors::raise();
        let (patience, patient) = watch::channel(Patience::new(app.limits(), descriptors));
        let (serve_public, public) = present(service(app.clone()));
        let (serve_admin, of_admin) = present(admin_service(app.clone()));
        let admin = admin.map(|listener| Door::open(listener, Patience::new(app.limits(), descriptors)));
        let front = Door { listener, tls: tls.clone(), patience: patient };

        let stop = Stop::default();
        let serving = async {
            let back = async {
                if let Some(door) = admin {
                    http::serve(door, of_admin, stop.asked(), grace).await;
                }
            };
            tokio::join!(
                http::serve(front, public, stop.asked(), grace),
                back,
                stop.when(shutdown, &app, grace)
            );
        };
        let running = Running { asked, app: app.clone(), tls, patience, descriptors };
        let serve = |app: App| {
            serve_public.send_replace(service(app.clone()));
            serve_admin.send_replace(admin_service(app));
        };
        notify::ready();
        tokio::select! {
            () = serving => {}
            () = running.follow(reload, serve) => {}
            () = notify::watchdog() => {}
        }
        // Work without a client, such as a write whose client has left, has the same time.
        if timeout(stop.left(grace), app.finished()).await.is_err() {
            log::warn!("Requests with an idempotency key were still running; repeating them completes them.");
        }
        if let Some(server) = embedded
            && timeout(grace, server.shutdown()).await.is_err()
        {
            log::warn!("The embedded database did not stop in time.");
        }
        log::info!("Stopped.");
        Ok(())
    }

    /// Starts to create missing tables, and waits for that for up to [`HEAD_START`].
    async fn bootstrap(&self) -> JoinSet<()> {
        let mut bootstrap = JoinSet::new();
        let (db, settings) = (self.database.clone(), self.settings.clone());
        let Settings { databases, tables, relations, .. } = settings;
        bootstrap.spawn(async move {
            bootstrap::until_done(&db, &tables).await;
            bootstrap::until_done_in_others(&db, &databases, &tables).await;
            bootstrap::check(&db, &relations).await;
        });
        let _ = timeout(HEAD_START, bootstrap.join_next()).await;
        bootstrap
    }

    /// Logs the address, the profile and the database.
    fn announce(&self) -> io::Result<()> {
        let (place, Settings { profile, rdb, .. }) = (self.listener.place()?, &self.settings);
        let data = match &self.embedded {
            Some(_) => format!(" (data in {})", rdb.data_dir.display()),
            None => String::new(),
        };
        let scheme = match (&place, &self.tls) {
            (Place::Unix(_), _) => "",
            (Place::Tcp(_), Some(_)) => "https://",
            (Place::Tcp(_), None) => "http://",
        };
        log::info!(
            "Serving {scheme}{place}, profile {profile}, database {:?} at {}{data}.",
            rdb.db,
            rdb.host
        );
        if let Some(admin) = &self.admin {
            log::info!("Serving health, metrics and settings at {}.", admin.place()?);
        }
        if self.settings.is_open_to_eavesdroppers(&place) {
            log::warn!(
                "Traffic between clients and {place} is not encrypted: set `tls.cert` and `tls.key`, or \
                 listen on a local address behind a proxy that does TLS."
            );
        }
        Ok(())
    }
}

/// The shutdown of a service.
#[derive(Default)]
struct Stop {
    token: CancellationToken,
    since: OnceLock<Instant>,
}

impl Stop {
    /// Returns a future that is done when the shutdown is requested.
    fn asked(&self) -> impl Future<Output = ()> + use<'_> {
        self.token.cancelled()
    }

    /// Requests the shutdown when `shutdown` is done.
    async fn when(&self, shutdown: impl Future<Output = ()>, app: &App, grace: Duration) {
        shutdown.await;
        log::info!("Stopping: no new connections; running requests have {grace:?}.");
        notify::stopping();
        let _ = self.since.set(Instant::now());
        app.stop();
        self.token.cancel();
    }

    /// Returns the rest of the time that the shutdown may take.
    fn left(&self, grace: Duration) -> Duration {
        self.since.get().map_or(grace, |since| grace.saturating_sub(since.elapsed()))
    }
}

/// Checks what settings refer to, as far as that is possible without serving: the files of TLS and of keys.
///
/// # Errors
///
/// If a service with these settings wouldn't start.
///
/// ```
/// use warp_reql::server;
/// use warp_reql::settings::{Settings, Tls};
///
/// assert!(server::check(&Settings::default()).is_ok());
/// let tls = Tls { cert: "none.pem".into(), key: "none.key".into(), ..Tls::default() };
/// assert!(server::check(&Settings { tls, ..Settings::default() }).is_err());
/// ```
pub fn check(settings: &Settings) -> io::Result<()> {
    Access::check(settings).map_err(io::Error::other)?;
    if settings.tls.is_on() { Acceptor::new(settings.tls.clone()).map(drop) } else { Ok(()) }
}

/// Serves until `shutdown` is done. Then it stops accepting, and gives running requests the time `grace` to
/// finish. A client is disconnected if it makes no request for 30 s, takes 30 s for the head of one, leaves
/// its answer unread for 60 s, or exceeds the default limit on connections of [`Limits`]. Routes of your own
/// become a service with [`warp::service`].
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// use std::time::Duration;
///
/// use tokio::net::TcpListener;
/// use warp::Filter;
/// use warp_reql::server;
///
/// let hello = warp::path!("hello").map(|| "Hello.");
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let stop = async { /* until it is to stop */ };
/// server::run(listener, warp::service(hello), stop, Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
pub async fn run<S, B>(listener: TcpListener, service: S, shutdown: impl Future<Output = ()>, grace: Duration)
where
    S: Serves<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let patience = Patience::new(&Limits::default(), descriptors::raise());
    http::serve(Door::open(Listener::Tcp(listener), patience), service, shutdown, grace).await;
}
