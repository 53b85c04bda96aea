//! The database as the service sees it: dialling, standing by, reuse, limits, counters.
//!
//! Five rules make up this module:
//!
//! - **Every request holds a permit.** There are `max_connections` permits, handed out in first-come,
//!   first-served order, but for those of a client that has its part of them. Sessions that stand by hold
//!   none, but there are never more of them than free permits. So the sum stays within the limit, and a
//!   waiting request gets the next connection that is free.
//! - **A session that stood by is checked before it is used.** A non-blocking read of its socket tells if the
//!   server has closed it. Then the next one is checked, and a request for which none is left dials.
//! - **Requests never wait for the maintainer.** It dials in the background, a few connections at a time, and
//!   backs off with jitter while the database is unreachable. A request that finds no session ready dials by
//!   itself, so the service recovers as soon as the database does.
//! - **Work is done after an answer rather than during a request.** A session closes once the answer is
//!   written, and is replaced after that, together with others: once half of those that stood by are gone, or
//!   a little later.
//! - **A session serves one user.** Sessions that stand by or are reused belong to the service's own account.
//!   A request with credentials gets a session that is dialled with them and closed after it, so a changed
//!   password or a deleted user takes effect with the next request.
//!
//! No pool library fits: most sessions are used once and never returned, so this is above all a stock of
//! unused ones. deadpool doesn't fill such a stock, and an object that is taken out for good is no longer
//! counted while its socket is still open, which breaks the limit. bb8 fills one, but requests wait for its
//! background task: during an outage they would run into their timeout instead of failing at once with the
//! reason, and after the outage they would wait for the end of a pause. The queue for permits is tokio's
//! semaphore.

mod available;
mod counters;
mod credentials;
mod feeds;
#[cfg(feature = "reql-0-11")]
mod former;
mod lease;
mod maintainer;
mod named;
mod permits;
#[cfg(feature = "tls")]
mod protected;
mod pulse;
mod servers;
mod standby;
mod way;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::debug;
use reql::ErrorKind;
use tokio::time::{Instant, timeout};

use crate::error::{Code, Error};
use crate::settings::Rdb;
use available::Available;
use counters::{Counters, GaugeGuard};
use feeds::Lines;
pub(crate) use lease::Lease;
use lease::Refill;
use maintainer::Maintainer;
pub(crate) use permits::Claim;
use permits::{Permit, Permits};
use pulse::Pulse;
use servers::{Server, Servers};

pub use counters::{Stats, Timeouts};
pub use credentials::Credentials;
#[cfg(feature = "api")]
pub(crate) use feeds::Beside;
pub use feeds::Feed;
#[cfg(feature = "reql-0-11")]
pub(crate) use former::Former;

/// A session of the driver.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::database::Session;
/// use warp_reql::{Conn, embedded, reql::r};
///
/// let db = embedded().await?;
/// let mut conn = Conn::new(db.database().clone());
/// let session: &mut Session = conn.session().await?;
/// let three: u8 = session.one(r.expr(1) + 2).await?;
/// assert_eq!(three, 3);
/// # Ok(())
/// # }
/// ```
pub type Session = reql::Session<reql::Stream>;

/// A database that requests can open connections to. Cheap to clone; clones share the limits and the
/// counters.
///
/// ```
/// # fn main() -> Result<(), warp_reql::Error> {
/// use warp_reql::settings::Rdb;
/// use warp_reql::{Conn, Database};
///
/// let db = Database::new(Rdb { max_connections: 16, ..Rdb::default() })?;
/// let conns = [Conn::new(db.clone()), Conn::new(db.clone())];
/// assert_eq!((conns.len(), db.stats().opened), (2, 0), "no query has been sent yet");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    /// The database of tables that name none, unless it is that of the settings.
    named: Option<Arc<str>>,
}

struct Shared {
    settings: Rdb,
    servers: Servers,
    permits: Permits,
    ready: Mutex<Available>,
    counters: Arc<Counters>,
    maintainer: Maintainer,
    pulse: Pulse,
    lines: Lines,
}

/// An open session. Dropping it closes the socket.
struct OpenSession {
    session: Session,
    opened: Instant,
    /// The time of its last use, or of its opening.
    ready: Instant,
    counters: Arc<Counters>,
}

/// The source of a request's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Stood by, and had not been used.
    Standby,
    /// Opened while the request waited.
    Dialled,
    /// Opened with the request's own credentials.
    Personal,
    /// Had served other requests before.
    Reused,
}

impl Database {
    /// Creates a database from its settings. No connection is opened before the first request.
    ///
    /// # Errors
    ///
    /// [`Code::Misconfigured`] if the settings name no server, which is so for `"embedded"`, or if the TLS
    /// files are invalid.
    ///
    /// ```
    /// # fn main() -> Result<(), warp_reql::Error> {
    /// use warp_reql::Database;
    /// use warp_reql::settings::Rdb;
    ///
    /// let db = Database::new(Rdb { host: "db.example.net".parse().expect("a host"), ..Rdb::default() })?;
    /// assert_eq!(db.stats().opened, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(settings: Rdb) -> Result<Self, Error> {
        Ok(Database::of(Servers::new(&settings)?, settings))
    }

    /// Creates a database from a server in this process, whose connections need no socket.
    #[cfg(feature = "embedded")]
    pub fn embedded(settings: Rdb, server: reql_embedded::Connector) -> Self {
        Database::of(Servers::within(server, &settings), settings)
    }

    fn of(servers: Servers, settings: Rdb) -> Self {
        let shared = Shared {
            servers,
            permits: Permits::new(settings.max_connections),
            ready: Mutex::new(Available::new(settings.standby)),
            counters: Arc::default(),
            maintainer: Maintainer::default(),
            pulse: Pulse::default(),
            lines: Lines::default(),
            settings,
        };
        Database { shared: Arc::new(shared), named: None }
    }

    /// Creates a database from `RDB_HOST`, `RDB_PASSWORD` and the other environment variables, over the
    /// built-in settings of Production. No connection is opened before the first request.
    ///
    /// # Errors
    ///
    /// [`Code::Misconfigured`], with the reason as its source.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), warp_reql::Error> {
    /// let db = warp_reql::Database::from_env()?;
    /// # let _ = db;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        let settings = Rdb::from_env().map_err(|error| Error::from(Code::Misconfigured).caused_by(error))?;
        Database::new(settings)
    }

    /// Returns the settings it was created with.
    pub fn settings(&self) -> &Rdb {
        &self.shared.settings
    }

    /// Returns the counters and gauges of its connections.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use warp_reql::{Conn, embedded, reql::r};
    ///
    /// let db = embedded().await?;
    /// let mut conn = Conn::new(db.database().clone());
    /// conn.run(r.expr(1)).await?;
    /// assert_eq!(db.stats().in_use, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        let standing_by = self.shared.ready().len();
        self.shared.counters.stats(standing_by)
    }

    /// Returns a session for one request: one that stands by, or else a new one.
    ///
    /// Futures that are seldom awaited are boxed, here and below, since they would enlarge the future of
    /// every handler.
    pub(crate) async fn acquire(&self, claim: Option<Claim>) -> Result<Lease, Error> {
        let permit = self.permit(claim).await?;
        self.shared.maintainer.start(&self.shared);
        let (link, source) = match self.shared.take_ready() {
            Some(ready) => ready,
            None => (Box::pin(self.shared.dial()).await?, Source::Dialled),
        };
        Ok(self.lease(link, source, permit))
    }

    /// Opens a session for one request of this user.
    pub(crate) async fn acquire_as(&self, who: &Credentials, claim: Option<Claim>) -> Result<Lease, Error> {
        let permit = self.permit(claim).await?;
        self.shared.make_room();
        let link = Box::pin(self.shared.dial_as(who)).await?;
        Ok(self.lease(link, Source::Personal, permit))
    }

    fn lease(&self, link: OpenSession, source: Source, permit: Permit) -> Lease {
        let in_use = GaugeGuard::new(&self.shared.counters, |counters| &counters.in_use);
        // While most others stand by for the next requests, it is replaced after this request.
        if source != Source::Reused && self.shared.ready().is_low() {
            self.shared.maintainer.wake();
        }
        Lease { link, source, _in_use: in_use, _permit: permit, refill: Refill(Arc::clone(&self.shared)) }
    }

    /// Returns a future that is done when the database no longer shows signs of life, for feeds, which have
    /// no timeout.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        self.shared.lost()
    }

    pub(crate) fn query_timed_out(&self) {
        self.shared.counters.query_timed_out();
    }
}

impl Shared {
    fn ready(&self) -> MutexGuard<'_, Available> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session that is ready and alive.
    fn take_ready(&self) -> Option<(OpenSession, Source)> {
        loop {
            let (mut link, source) = self.ready().take(self.settings.max_age)?;
            if link.session.is_alive() {
                return Some((link, source));
            }
            debug!("A connection ended while it stood by.");
            self.ready().lost();
        }
    }

    /// Closes sessions that stand by, to make room for one that is about to be opened.
    fn make_room(&self) {
        let surplus = self.ready().surplus(self.permits.free());
        drop(surplus);
    }

    /// Opens a session of the service's own account.
    async fn dial(self: &Arc<Self>) -> Result<OpenSession, Error> {
        let dialled = self.dial_as(&Credentials::of(&self.settings)).await;
        dialled.map_err(Error::into_own)
    }

    async fn dial_as(self: &Arc<Self>, who: &Credentials) -> Result<OpenSession, Error> {
        let session = self.dial_session(who).await?;
        Ok(OpenSession::new(session, Arc::clone(&self.counters)))
    }

    async fn dial_session(self: &Arc<Self>, who: &Credentials) -> Result<Session, Error> {
        self.probe_those_that_failed();
        let mut outcome =
            Err(Error::from(Code::Misconfigured).caused_by("the settings name no database server"));
        for server in self.servers.in_turn() {
            outcome = self.dial_one(server, who).await;
            if server.report(has_answered(&outcome)) {
                break;
            }
        }
        outcome
    }

    /// Checks in the background whether servers that failed a while ago are back.
    fn probe_those_that_failed(self: &Arc<Self>) {
        for server in self.servers.take_due() {
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                let who = Credentials::of(&shared.settings);
                let outcome = shared.dial_one(&server, &who).await;
                server.report(has_answered(&outcome));
            });
        }
    }

    async fn dial_one(&self, server: &Server, who: &Credentials) -> Result<Session, Error> {
        match server.way().connect(who).await {
            Ok(session) => Ok(session),
            Err(error) if error.kind() == ErrorKind::Timeout => {
                self.counters.connect_timed_out();
                Err(Error::after(Code::ConnectTimeout, self.settings.connect_timeout))
            }
            Err(error) => Err(Error::connect(error)),
        }
    }
}

/// Returns whether a server has answered. A refusal of credentials is an answer, and the other servers have
/// the same users.
fn has_answered(outcome: &Result<Session, Error>) -> bool {
    outcome.as_ref().map_or_else(|error| error.code() == Code::Unauthorized, |_| true)
}

impl OpenSession {
    fn new(session: Session, counters: Arc<Counters>) -> Self {
        counters.opened();
        debug!("Connected to database.");
        let now = Instant::now();
        OpenSession { session, opened: now, ready: now, counters }
    }

    /// Returns whether the server answers a query within this time.
    async fn answers(&mut self, patience: Duration) -> bool {
        let answer = Box::pin(self.session.noreply_wait());
        matches!(timeout(patience, answer).await, Ok(Ok(())))
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        debug!("Disconnecting from database.");
        self.counters.closed();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The maintainer holds a weak reference only, and ends when it finds that the database is gone.
        self.maintainer.wake();
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.name())
            .field("settings", self.settings())
            .field("stats", &self.stats())
            .finish()
    }
}
