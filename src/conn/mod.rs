//! [`with_conn`] and [`Conn`]: one connection for each request, opened when it is first needed.

mod clock;
mod rows;

use std::convert::Infallible;
use std::fmt;
use std::thread;
use std::time::Duration;

use futures_util::{FutureExt, TryStreamExt};
use log::debug;
use reql::cmd::run::Options;
use reql::{Command, Session, r};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use warp::Filter;

use crate::database::{Credentials, Database, Lease};
use crate::error::Error;
pub(crate) use clock::Clock;
use rows::Patience;
pub use rows::Rows;

/// How long closing waits for writes whose answer nobody asked for, if they may have been made on a session
/// that was lent out. Long enough for writes, short enough for a request that was given up in the middle of a
/// query.
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
/// Opening the session may fail with [`Error::Exhausted`], [`Error::Unreachable`], [`Error::Unauthorized`] or
/// [`Error::ConnectTimeout`]; then nothing was sent. After that, [`Error::QueryTimeout`] and
/// [`Error::OutcomeUnknown`] say that a write may or may not have happened, and [`Error::Database`] is the
/// server's own answer.
pub struct Conn {
    lease: Option<Lease>,
    usage: Usage,
    clock: Clock,
    database: Database,
    who: Option<Credentials>,
}

/// What has been done with a session, as far as it bears on what may be done with it next.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    /// An answer, or half of one, may still be on its way.
    spent: bool,
    /// A cursor was left open on the server.
    cursor: bool,
    /// Writes were made whose answers nobody waits for.
    noreply: bool,
    /// The handler had the session itself, so anything may have been done with it.
    lent: bool,
}

impl Conn {
    /// A connection that opens its session when it is first needed.
    pub fn new(database: Database) -> Self {
        Conn { lease: None, usage: Usage::default(), clock: Clock::default(), database, who: None }
    }

    /// A connection on behalf of a database user, whose permissions decide what it may do. It is always
    /// opened for this request alone and closed after it, and fails with [`Error::Unauthorized`] if the
    /// database doesn't take the credentials.
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

    /// The first row of a query's result, or the whole of it if it is a single value; `None` if it is empty
    /// or null.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; and [`Error::Decode`] if the row is not a `T`.
    pub async fn first<T: DeserializeOwned>(&mut self, query: Command) -> Result<Option<T>, Error> {
        let row = self.first_value(query).await?;
        row.map(|row| serde_json::from_value(row).map_err(Error::Decode)).transpose()
    }

    /// [`Conn::first`] for whoever takes the row as it is, which spares making it anew.
    pub(crate) async fn first_value(&mut self, query: Command) -> Result<Option<Value>, Error> {
        let mut rows = self.stream::<Value>(query).await?;
        let row = rows.next_value().await;
        rows.settle();
        Ok(row?.filter(|row| !row.is_null()))
    }

    /// Runs a query, if there is one, only for the errors that it may end with.
    pub(crate) async fn check(&mut self, query: Option<Command>) -> Result<(), Error> {
        match query {
            Some(query) => self.first_value(query).await.map(drop),
            None => Ok(()),
        }
    }

    /// All rows of a query's result. The query timeout bounds them together.
    ///
    /// A result that is a single array, as of `order_by` without an index, `index_status` or `table_list`,
    /// counts as its members: the protocol sends it as one row.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; and [`Error::Decode`] if a row is not a `T`.
    pub async fn all<T: DeserializeOwned>(&mut self, query: Command) -> Result<Vec<T>, Error> {
        self.all_checked(query, |_| Ok(())).await
    }

    /// Does what [`Conn::all`] does, and checks each row as it arrives. The first error of `check` ends it.
    pub(crate) async fn all_checked<T: DeserializeOwned>(
        &mut self,
        query: Command,
        mut check: impl FnMut(&Value) -> Result<(), Error>,
    ) -> Result<Vec<T>, Error> {
        let patience = Patience::total(self.database.settings().query_timeout);
        let mut arriving = self.rows::<Value>(query, patience).await?;
        let mut rows = Vec::new();
        while let Some(row) = arriving.next_value().await? {
            check(&row)?;
            rows.push(row);
        }
        drop(arriving);
        let rows = match <[Value; 1]>::try_from(rows) {
            Ok([Value::Array(members)]) => members,
            Ok([row]) => vec![row],
            Err(rows) => rows,
        };
        rows.into_iter().map(|row| serde_json::from_value(row).map_err(Error::Decode)).collect()
    }

    /// The rows of a query's result as they arrive. The query timeout bounds the wait for each. A result that
    /// is a single array arrives as one row.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; those of opening the session come at once, the others from the
    /// stream.
    pub async fn stream<T: DeserializeOwned>(&mut self, query: Command) -> Result<Rows<&mut Conn, T>, Error> {
        let patience = Patience::each(self.database.settings().query_timeout);
        self.rows(query, patience).await
    }

    /// Like [`Conn::stream`] for a body that outlives the handler: the connection goes with it and ends with
    /// it.
    ///
    /// # Errors
    ///
    /// As for [`Conn::stream`].
    pub async fn into_stream<T: DeserializeOwned>(mut self, query: Command) -> Result<Rows<Conn, T>, Error> {
        let patience = Patience::each(self.database.settings().query_timeout);
        let session = self.open().await?.connection().map_err(Error::from)?;
        Ok(Rows::new(query.run(session), patience, self))
    }

    /// Like [`Conn::into_stream`] for a changefeed, whose rows may be any time apart. The stream waits for
    /// rows as long as the database shows that it is there. The database is asked for that on another
    /// connection.
    ///
    /// # Errors
    ///
    /// As for [`Conn::stream`].
    pub async fn into_feed<T: DeserializeOwned>(mut self, query: Command) -> Result<Rows<Conn, T>, Error> {
        let patience = Patience::until(self.database.lost(), self.database.settings().query_timeout);
        let session = self.open().await?.connection().map_err(Error::from)?;
        Ok(Rows::new(query.run(session), patience, self))
    }

    /// Sends a write without waiting for its answer. Its errors are lost, but it has been done, or has
    /// failed, before the session is closed.
    ///
    /// # Errors
    ///
    /// Those of opening the session, and of sending.
    pub async fn noreply(&mut self, query: Command) -> Result<(), Error> {
        let session = self.open().await?.connection().map_err(Error::from)?;
        self.usage.noreply = true;
        let patience = Patience::total(self.database.settings().query_timeout);
        let answers = query.run(r.args((session, Options::new().noreply(true))));
        Rows::<_, Value>::new(answers, patience, self).try_collect::<Vec<_>>().await?;
        Ok(())
    }

    /// The session itself, for whatever else the driver can do with it. No timeout applies.
    ///
    /// Closing waits a second for writes that were sent on it without waiting for their answers;
    /// [`Conn::noreply`] is the way to have them waited for as long as it takes. If a query on it was given
    /// up half-way, the session must not be used again.
    ///
    /// # Errors
    ///
    /// Those of opening the session.
    pub async fn session(&mut self) -> Result<&mut Session, Error> {
        self.usage.lent = true;
        self.open().await
    }

    /// Another connection for the same request, which like this one opens its session when it is first
    /// needed.
    pub(crate) fn sibling(&self) -> Conn {
        Conn {
            lease: None,
            usage: Usage::default(),
            clock: self.clock.clone(),
            database: self.database.clone(),
            who: self.who.clone(),
        }
    }

    /// The database that this is a connection to.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// How long this request has waited for its connection and for its queries, and where the connection came
    /// from.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    async fn rows<T: DeserializeOwned>(
        &mut self,
        query: Command,
        patience: Patience,
    ) -> Result<Rows<&mut Conn, T>, Error> {
        let session = self.open().await?.connection().map_err(Error::from)?;
        Ok(Rows::new(query.run(session), patience, self))
    }

    async fn open(&mut self) -> Result<&mut Session, Error> {
        let unusable = |lease: &mut Lease| lease.session().is_broken();
        if self.usage.spent || self.lease.as_mut().is_some_and(unusable) {
            let lent = self.usage.lent;
            self.lease = None;
            self.usage = Usage { lent, ..Usage::default() };
        }
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => {
                let asked = Instant::now();
                let lease = match &self.who {
                    Some(who) => self.database.acquire_as(who).await,
                    None => self.database.acquire().await,
                };
                self.clock.connecting(asked.elapsed());
                let lease = lease?;
                self.clock.connected(lease.source());
                lease
            }
        };
        Ok(self.lease.insert(lease).session())
    }
}

impl Usage {
    /// Whether another request may be served on the session. A handler that panics may have left anything
    /// behind.
    fn is_clean(self) -> bool {
        !(self.spent || self.cursor || self.lent || thread::panicking())
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let usage = self.usage;
        let reusable = usage.is_clean() && lease.is_reusable();
        let unanswered = (usage.noreply || usage.lent) && !usage.spent;
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
    match timeout(grace, lease.session().noreply_wait()).await {
        Ok(Ok(())) if reusable => lease.give_back(),
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("Writes may be lost with their connection: {error}"),
        Err(_) => debug!("Writes were still going on when their connection was closed."),
    }
}

impl<T> Rows<&mut Conn, T> {
    /// Looks, without waiting, whether the result has ended, so that the session can serve a later request.
    /// Only worth the look when sessions are reused: asking for more where there is more spends the session.
    fn settle(&mut self) {
        if !self.conn().database.settings().max_age.is_zero() {
            let _ = self.next_value().now_or_never();
        }
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("open", &self.lease.is_some()).field("usage", &self.usage).finish()
    }
}
