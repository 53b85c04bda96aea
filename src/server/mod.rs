//! The life of the service: bind, start the embedded database if there is one, make tables, serve, stop.

mod connection;
mod descriptors;
mod embedded;
mod http;
mod listener;
mod signals;
mod socket;
pub(crate) mod tls;
#[cfg(unix)]
mod unix;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tower::Service as Serves;
use warp::http::{Request, Response};
use warp::hyper::body::{Body, Incoming};

use crate::app::App;
use crate::service;
use crate::settings::{Hosts, Limits, Place, Settings};
use crate::{Database, bootstrap};
use http::{Door, Patience};
use listener::Listener;
pub use signals::stop_signal;
use tls::Acceptor;

/// How long the first requests are kept waiting for the tables; tables that come later are made while
/// serving.
const HEAD_START: Duration = Duration::from_secs(1);

/// A service that is bound to its address, with its embedded database running if it has one.
pub struct Service {
    listener: Listener,
    tls: Option<Acceptor>,
    settings: Settings,
    database: Database,
    embedded: Option<reql_embedded::Server>,
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
    /// If the files of TLS are of no use, the address can't be bound, or the embedded database can't open its
    /// data.
    pub async fn bind(mut settings: Settings) -> io::Result<Service> {
        let tls = settings.tls.is_on().then(|| Acceptor::new(settings.tls.clone())).transpose()?;
        let listener = Listener::bind(&settings.place()).await?;
        let (database, embedded) = open(&mut settings).await?;
        Ok(Service { listener, tls, settings, database, embedded })
    }

    /// The settings, with the password by which the embedded server is connected to if it made one up.
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
    /// If it is a Unix socket, or the operating system can't tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    fn place(&self) -> io::Result<Place> {
        match self.settings.place() {
            Place::Tcp(_) => self.local_addr().map(Place::Tcp),
            place => Ok(place),
        }
    }

    /// Makes the tables that are missing and serves, until `shutdown` is done and the running requests are
    /// too. A database that is away delays neither: then tables are made once it is back.
    ///
    /// # Errors
    ///
    /// If the operating system can't tell the address.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let place = self.place()?;
        let Service { listener, tls, settings, database, embedded } = self;
        // Dropping the set ends the task, wherever it is.
        let mut bootstrap = JoinSet::new();
        let (db, tables) = (database.clone(), settings.tables.clone());
        bootstrap.spawn(async move { bootstrap::until_done(&db, &tables).await });
        let _ = timeout(HEAD_START, bootstrap.join_next()).await;

        announce(&place, &settings, embedded.is_some());
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
        let door = Door { tls, ..Door::open(listener, patience) };
        http::serve(door, service(app.clone()), shutdown, grace).await;
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
/// finish. A client is disconnected if it makes no request for 30 s, takes as long for the head of one,
/// leaves its answer unread for 60 s, or is one more than the defaults of [`Limits`] allow. Routes of your
/// own become a service by [`warp::service`].
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

fn announce(place: &Place, settings: &Settings, embedded: bool) {
    let Settings { profile, rdb, .. } = settings;
    let data = if embedded { format!(" (data in {})", rdb.data_dir.display()) } else { String::new() };
    let scheme = match place {
        Place::Unix(_) => "",
        Place::Tcp(_) if settings.tls.is_on() => "https://",
        Place::Tcp(_) => "http://",
    };
    log::info!("Serving {scheme}{place}, profile {profile}, database {:?} at {}{data}.", rdb.db, rdb.host);
    if settings.is_open_to_eavesdroppers() {
        log::warn!(
            "Whoever is on the way between clients and {place} can read and change what they say: set `tls.cert` \
             and `tls.key`, or listen on a local address behind something that speaks TLS."
        );
    }
}
