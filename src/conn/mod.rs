//! [`with_conn`] and [`Conn`]: one connection for each request, opened when it is first needed.

mod clock;
mod queries;
mod rows;

use std::convert::Infallible;
use std::fmt;
use std::thread;
use std::time::Duration;

use log::debug;
use reql::Query;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use warp::Filter;

use crate::database::{Credentials, Database, Lease, Session};
use crate::error::{Code, Error};
pub(crate) use clock::Clock;
pub use rows::Rows;

/// The time for which closing waits for writes whose answer nobody asked for, if they may have been made on a
/// session that was lent out. Long enough for writes, short enough for a request that was given up in the
/// middle of a query.
const LENT_GRACE: Duration = Duration::from_secs(1);

/// A filter that gives each request a [`Conn`] of its own. It never rejects and does no I/O.
///
/// Put it last, so that a request for which no route is found gets no connection.
///
/// ```
/// use reql::r;
/// use warp::Filter;
/// use warp_reql::{Conn, Database, Error, with_conn};
///
/// fn hero(db: &Database) -> impl Filter<Extract = impl warp::Reply, Error = warp::Rejection> + Clone {
///     warp::path!("heroes" / String).and(warp::get()).and(with_conn(db)).then(read)
/// }
///
/// async fn read(name: String, mut conn: Conn) -> Result<impl warp::Reply, Error> {
///     let hero: Option<serde_json::Value> = conn.first(r.table("heroes").get(name)).await?;
///     Ok(warp::reply::json(&hero))
/// }
/// ```
pub fn with_conn(database: &Database) -> impl Filter<Extract = (Conn,), Error = Infallible> + Clone + use<> {
    let database = database.clone();
    warp::any().map(move || Conn::new(database.clone()))
}

/// The connection of one request.
///
/// The first query opens its session, which then serves the rest of the request. When the `Conn` is dropped,
/// because the handler's future ended in whichever way, the session is closed as soon as the task has nothing
/// better to do, such as writing the answer; or it is left to a later request if the settings allow that and
/// it is idle. Writes made by [`Conn::noreply`] are waited for before that, in the background.
///
/// A query that was given up half-way (its future was dropped, or it took too long) leaves half an answer on
/// the session's socket. Such a session is closed, and the next query opens another.
///
/// # Errors of queries
///
/// Opening the session may fail with
/// [`Code::ConnectionsExhausted`],
/// [`Code::DatabaseUnreachable`],
/// [`Code::Unauthorized`] or
/// [`Code::ConnectTimeout`]; then nothing was sent. After that,
/// [`Code::QueryTimeout`] and
/// [`Code::OutcomeUnknown`] say that a write may or may not have
/// happened, and [`Code::DatabaseError`] is the server's own answer.
pub struct Conn {
    lease: Option<Lease>,
    usage: Usage,
    clock: Clock,
    database: Database,
    who: Option<Credentials>,
    #[cfg(feature = "reql-0-11")]
    former: Option<crate::database::Former>,
}

/// What has been done with a session, as far as it bears on what may be done with it next.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    /// A stream of rows was dropped between two rows, so that its query can be stopped in order.
    cursor: bool,
    /// Writes were made whose answers nobody waits for.
    noreply: bool,
    /// The handler had the session itself, so anything may have been done with it.
    lent: bool,
}

/// A session that is ready for a query, and what watches over that.
struct Opened<'a> {
    session: &'a mut Session,
    watch: Watch<'a>,
}

/// Bounds the time of a query, and counts it.
struct Watch<'a> {
    database: &'a Database,
    clock: &'a Clock,
}

impl Watch<'_> {
    async fn over<T>(self, answer: impl Future<Output = reql::Result<T>>) -> Result<T, Error> {
        let limit = self.database.settings().query_timeout;
        let asked = Instant::now();
        let answer = timeout(limit, answer).await;
        self.clock.querying(asked.elapsed());
        match answer {
            Ok(answer) => answer.map_err(Error::from),
            Err(_) => {
                self.database.query_timed_out();
                Err(Error::after(Code::QueryTimeout, limit))
            }
        }
    }
}

impl Conn {
    /// A connection that opens its session when it is first needed.
    ///
    /// ```
    /// # fn main() -> Result<(), warp_reql::Error> {
    /// use warp_reql::settings::Rdb;
    /// use warp_reql::{Conn, Database};
    ///
    /// let db = Database::new(Rdb::default())?;
    /// let conn = Conn::new(db.clone());
    /// assert_eq!(db.stats().opened, 0, "nothing is opened yet");
    /// # let _ = conn;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(database: Database) -> Self {
        Conn {
            lease: None,
            usage: Usage::default(),
            clock: Clock::default(),
            database,
            who: None,
            #[cfg(feature = "reql-0-11")]
            former: None,
        }
    }

    /// A connection on behalf of a database user, whose permissions decide what it may do. It is always
    /// opened for this request alone and closed after it, and fails with
    /// [`Code::Unauthorized`] if the database doesn't take the credentials.
    pub fn with_credentials(database: Database, who: Credentials) -> Self {
        let mut conn = Conn::new(database);
        conn.who = Some(who);
        conn
    }

    /// Has the database check the connection's credentials, by opening its session. Without credentials
    /// nothing is opened.
    ///
    /// Nothing else proves who asks. A handler that needs no query, or makes its first one late, must not
    /// take the credentials on trust.
    pub(crate) async fn admitted(mut self) -> Result<Self, Error> {
        if self.who.is_some() {
            self.open().await?;
        }
        Ok(self)
    }

    /// The credentials of the database user whose account is used; `None` if it is the service's own account.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.who.as_ref()
    }

    /// The name of that user.
    pub(crate) fn user(&self) -> Option<&str> {
        self.credentials().map(Credentials::user)
    }

    /// Another connection for the same request, which like this one opens its session when it is first
    /// needed.
    pub(crate) fn sibling(&self) -> Conn {
        let mut conn = Conn::new(self.database.clone());
        conn.clock = self.clock.clone();
        conn.who = self.who.clone();
        conn
    }

    /// Returns a session of the driver `reql` 0.11, for handlers that are written for it. It is opened by the
    /// first call, besides the connection's own session and with a permit of its own, and closed when the
    /// `Conn` is dropped. No timeout applies to its queries.
    ///
    /// # Errors
    ///
    /// Those of opening a session; and [`Code::Misconfigured`](crate::error::Code::Misconfigured) for a
    /// database by TLS or within this process, which that driver can't reach.
    #[cfg(feature = "reql-0-11")]
    pub async fn session_0_11(&mut self) -> Result<&mut reql_0_11::Session, Error> {
        let former = match self.former.take() {
            Some(former) => former,
            None => self.database.acquire_former(self.who.as_ref()).await?,
        };
        Ok(self.former.insert(former).session())
    }

    /// The database that this is a connection to.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns how long this request has waited for its connection and for its queries, and where the
    /// connection came from.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Begins a query whose rows are to come from [`Rows`].
    async fn begin(&mut self, query: impl Into<Query>) -> Result<(), Error> {
        self.open().await?.session.begin(query).map_err(Error::from)
    }

    async fn open(&mut self) -> Result<Opened<'_>, Error> {
        let lease = match self.lease.take() {
            Some(lease) => self.continued(lease).await,
            None => None,
        };
        let lease = match lease {
            Some(lease) => lease,
            None => self.acquire().await?,
        };
        let watch = Watch { database: &self.database, clock: &self.clock };
        Ok(Opened { session: self.lease.insert(lease).session(), watch })
    }

    /// Returns the session if it can take another query. A stream that was dropped between two rows is
    /// stopped; what was given up in the middle of an answer is not waited for.
    async fn continued(&mut self, mut lease: Lease) -> Option<Lease> {
        let session = lease.session();
        let cursor = std::mem::take(&mut self.usage.cursor);
        if session.is_closed() || (session.is_unclean() && !cursor) {
            return None;
        }
        let limit = self.database.settings().query_timeout;
        // Boxed, since it is seldom awaited and every handler's future has room for it.
        if session.is_unclean() && Box::pin(session.settle(limit)).await.is_err() {
            return None;
        }
        Some(lease)
    }

    async fn acquire(&mut self) -> Result<Lease, Error> {
        self.usage.noreply = false;
        let asked = Instant::now();
        let lease = match &self.who {
            Some(who) => self.database.acquire_as(who).await,
            None => self.database.acquire().await,
        };
        self.clock.connecting(asked.elapsed());
        let lease = lease?;
        self.clock.connected(lease.source());
        Ok(lease)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        let usage = self.usage;
        let is_idle = !lease.session().is_unclean() && !lease.session().is_closed();
        // A handler that panics may have left anything behind.
        let reusable = is_idle && !usage.lent && !thread::panicking() && lease.is_reusable();
        let unanswered = (usage.noreply || usage.lent) && !lease.session().is_closed();
        match Handle::try_current() {
            Ok(runtime) if unanswered => {
                let settings = self.database.settings();
                let grace = if usage.noreply { settings.query_timeout } else { LENT_GRACE };
                runtime.spawn(close(lease, grace, reusable));
            }
            _ if reusable => lease.give_back(),
            Ok(runtime) => lease.close_on(&runtime),
            Err(_) => drop(lease),
        }
    }
}

/// Closes a session, or leaves it to a later request, when the writes on it are done whose answers nobody
/// waited for.
async fn close(mut lease: Lease, grace: Duration, reusable: bool) {
    let session = lease.session();
    let done = async {
        session.settle(grace).await?;
        session.noreply_wait().await
    };
    match timeout(grace, done).await {
        Ok(Ok(())) if reusable => lease.give_back(),
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("Writes may be lost with their connection: {error}"),
        Err(_) => debug!("Writes were still going on when their connection was closed."),
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("open", &self.lease.is_some()).field("usage", &self.usage).finish()
    }
}
