//! [`with_conn`] and [`Conn`]: one connection for each request, opened when it is first needed.

mod choices;
mod queries;
mod rows;
mod timings;

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use log::debug;
use reql::Query;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use warp::Filter;

use crate::database::{Claim, Credentials, Database, Lease, Session};
use crate::error::{Code, Error};
pub(crate) use choices::Choices;
pub use rows::Rows;
pub(crate) use timings::Timings;

/// The time that closing waits for `noreply` writes that a handler may have sent with the driver's own
/// session. Long enough for writes, short enough for a request that was cancelled during a query.
const LENT_GRACE: Duration = Duration::from_secs(1);
/// The time that a session is kept for a client that is still sending its request.
const SLOW: Duration = Duration::from_secs(1);

/// A filter that gives each request a [`Conn`] of its own. It never rejects and does no I/O.
///
/// Put it last, so that a request without a matching route gets no connection.
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
/// which happens however the handler's future ends, the session is closed in the background, after the
/// answer was written. If it is idle and the settings allow reuse (`rdb.max_age`), it is kept for a later
/// request instead. Writes made with [`Conn::noreply`] are waited for before that.
///
/// A query that was cancelled (its future was dropped, or it timed out) leaves part of an answer unread.
/// Such a session is closed, and the next query opens another.
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
///
/// # Examples
///
/// [`with_conn`] gives one to each request. Elsewhere, make one of a [`Database`]:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use serde_json::{Value, json};
/// use warp_reql::{Conn, embedded, reql::r};
///
/// let db = embedded().await?.with_table("heroes").await?;
/// let mut conn = Conn::new(db.database().clone());
/// conn.write(r.table("heroes").insert(json!({"id": "batman", "age": 38}))).await?;
/// let batman: Option<Value> = conn.first(r.table("heroes").get("batman")).await?;
/// assert_eq!(batman, Some(json!({"id": "batman", "age": 38})));
/// # Ok(())
/// # }
/// ```
pub struct Conn {
    lease: Option<Lease>,
    usage: Usage,
    timings: Timings,
    database: Database,
    who: Option<Credentials>,
    claim: Option<Claim>,
    choices: Choices,
    #[cfg(feature = "reql-0-11")]
    former: Option<crate::database::Former>,
}

/// The state of a session that decides if it can be used again.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    /// A stream of rows was dropped between two rows, so its query can be stopped.
    cursor: bool,
    /// `noreply` writes were sent.
    noreply: bool,
    /// The handler has used the driver's session, so its state is unknown.
    lent: bool,
}

/// A session that is ready for a query, the state that the query leaves it in, and the query's watch.
struct Opened<'a> {
    session: &'a mut Session,
    usage: &'a mut Usage,
    watch: Watch<'a>,
}

/// The timeout of a query, and the counters that it updates.
struct Watch<'a> {
    database: &'a Database,
    timings: &'a Timings,
}

impl Watch<'_> {
    async fn over<T>(self, answer: impl Future<Output = reql::Result<T>>) -> Result<T, Error> {
        let limit = self.database.settings().query_timeout;
        let asked = Instant::now();
        let answer = timeout(limit, answer).await;
        self.timings.querying(asked.elapsed());
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
    /// Creates a connection that opens its session on first use.
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
            timings: Timings::default(),
            database,
            who: None,
            claim: None,
            choices: Choices::default(),
            #[cfg(feature = "reql-0-11")]
            former: None,
        }
    }

    /// Creates a connection with the account and permissions of a database user. Its session is always opened
    /// for this request only and closed after it. Queries fail with [`Code::Unauthorized`] if the database
    /// doesn't accept the credentials.
    pub fn with_credentials(database: Database, who: Credentials) -> Self {
        let mut conn = Conn::new(database);
        conn.who = Some(who);
        conn
    }

    /// Has its session count as one of those that a client may hold.
    pub(crate) fn claimed(self, claim: Option<Claim>) -> Self {
        let mut conn = self;
        conn.claim = claim;
        conn
    }

    /// Has these hold for all queries.
    pub(crate) fn choosing(self, choices: Choices) -> Self {
        let mut conn = self;
        conn.choices = choices;
        conn
    }

    /// Has the database check the connection's credentials, by opening its session. Without credentials,
    /// nothing is opened.
    ///
    /// Nothing else authenticates the client. A handler without a query, or with a late one, must not trust
    /// the credentials before this.
    pub(crate) async fn admitted(mut self) -> Result<Self, Error> {
        if self.who.is_some() {
            self.open().await?;
        }
        Ok(self)
    }

    /// Returns the credentials of the database user; `None` for the service's own account.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.who.as_ref()
    }

    /// Returns the name of the database user; `None` for the service's own account.
    pub(crate) fn user(&self) -> Option<&str> {
        self.credentials().map(Credentials::user)
    }

    /// Creates another connection for the same request, which also opens its session on first use.
    pub(crate) fn sibling(&self) -> Conn {
        let mut conn = Conn::new(self.database.clone());
        conn.timings = self.timings.clone();
        conn.who = self.who.clone();
        conn.claim = self.claim;
        conn.choices = self.choices.clone();
        conn
    }

    /// Gives the session back if all are taken, or all that its client may hold. Call it before this request
    /// waits for another one: if all requests waited while they hold one, none would get any.
    pub(crate) fn make_way(&mut self) {
        if self.database.is_used_up(self.claim) {
            self.rest();
        }
    }

    /// Waits for what a client sends. If that takes long, the session is given back meanwhile.
    pub(crate) async fn awaiting<T>(&mut self, client: impl Future<Output = T>) -> T {
        let mut client = pin!(client);
        match timeout(SLOW, client.as_mut()).await {
            Ok(sent) => sent,
            Err(_) => {
                self.rest();
                client.await
            }
        }
    }

    /// Gives the session back unless a query, or a write that nobody has waited for, may still run on it. The
    /// next query opens another.
    fn rest(&mut self) {
        let is_bound = self.usage.noreply || self.usage.lent || self.usage.cursor;
        if let Some(lease) = self.lease.take_if(|lease| !is_bound && !lease.session().is_unclean()) {
            self.release(lease);
        }
    }

    /// Returns a session of the driver `reql` 0.11, for handlers that are written for it. The first call
    /// opens it, besides the connection's own session and with a permit of its own. It is closed when the
    /// `Conn` is dropped. Its queries have no timeout.
    ///
    /// # Errors
    ///
    /// The errors of opening a session, see [`Conn`]; and
    /// [`Code::Misconfigured`](crate::error::Code::Misconfigured) if the database uses TLS or is inside this
    /// process, which that driver doesn't support.
    #[cfg(feature = "reql-0-11")]
    pub async fn session_0_11(&mut self) -> Result<&mut reql_0_11::Session, Error> {
        let former = match self.former.take() {
            Some(former) => former,
            None => self.database.acquire_former(self.who.as_ref(), self.claim).await?,
        };
        Ok(self.former.insert(former).session())
    }

    /// Returns the database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the times that this request has waited for its connection and its queries, and the source of
    /// the connection.
    pub(crate) fn timings(&self) -> Timings {
        self.timings.clone()
    }

    /// Starts a query whose rows [`Rows`] will read.
    async fn begin(&mut self, query: impl Into<Query>) -> Result<(), Error> {
        let query = self.prepared(query);
        self.open().await?.session.begin(query).map_err(Error::from)
    }

    /// Returns a query with the options that hold for all of this connection.
    fn prepared(&self, query: impl Into<Query>) -> Query {
        self.choices.applied(self.database.about(query))
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
        let watch = Watch { database: &self.database, timings: &self.timings };
        Ok(Opened { session: self.lease.insert(lease).session(), usage: &mut self.usage, watch })
    }

    /// Returns the session if it can run another query. A stream that was dropped between two rows is
    /// stopped. A query that was cancelled in the middle of an answer makes the session unusable.
    async fn continued(&mut self, mut lease: Lease) -> Option<Lease> {
        let session = lease.session();
        let cursor = std::mem::take(&mut self.usage.cursor);
        if session.is_closed() {
            return None;
        }
        if session.is_unclean() && !cursor {
            if self.usage.noreply {
                self.release(lease);
            }
            return None;
        }
        let limit = self.database.settings().query_timeout;
        // Boxed, since it is seldom awaited and would enlarge the future of every handler.
        if session.is_unclean() && Box::pin(session.settle(limit)).await.is_err() {
            return None;
        }
        Some(lease)
    }

    async fn acquire(&mut self) -> Result<Lease, Error> {
        self.usage = Usage::default();
        let asked = Instant::now();
        let lease = match &self.who {
            Some(who) => self.database.acquire_as(who, self.claim).await,
            None => self.database.acquire(self.claim).await,
        };
        self.timings.connecting(asked.elapsed());
        let lease = lease?;
        self.timings.connected(lease.source());
        Ok(lease)
    }
}

impl Conn {
    /// Gives a session back for later requests, or closes it once the writes that nobody waited for are done.
    fn release(&self, mut lease: Lease) {
        let usage = self.usage;
        let is_idle = !lease.session().is_unclean() && !lease.session().is_closed();
        // After a panic in the handler, the session's state is unknown.
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

impl Drop for Conn {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.release(lease);
        }
    }
}

/// Waits for a session's `noreply` writes, then closes the session or returns it for later requests.
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
