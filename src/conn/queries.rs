//! The queries of a [`Conn`]: for a result, for an effect, as streams, and as feeds.

use std::future::poll_fn;

use reql::types::Written;
use reql::{Form, Query};
use serde::de::DeserializeOwned;

use super::rows::RowTimeout;
use super::{Conn, Opened, Rows};
use crate::database::Session;
use crate::error::Error;

impl Conn {
    /// Returns the first row of a query's result, or the result itself if it is a single value; `None` if it
    /// is empty or null.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; and
    /// [`Code::UnexpectedDocument`](crate::error::Code::UnexpectedDocument) if the row is not a `T`.
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use warp_reql::reql::r;
    ///
    /// let hero: Option<serde_json::Value> = conn.first(r.table("heroes").get("batman")).await?;
    /// let count: u64 = conn.first(r.table("heroes").count()).await?.unwrap_or_default();
    /// # let _ = (hero, count);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn first<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<Option<T>, Error> {
        let query = self.prepared(query);
        let Opened { session, watch, .. } = self.open().await?;
        watch.over(session.first(query)).await
    }

    /// Runs a query for its effect, and ignores its result.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`].
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use warp_reql::reql::r;
    ///
    /// conn.run(r.table_create("heroes")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(&mut self, query: impl Into<Query>) -> Result<(), Error> {
        let query = self.prepared(query);
        let Opened { session, watch, .. } = self.open().await?;
        watch.over(session.run(query)).await
    }

    /// Runs a write, and returns its counts. It fails if the write of any document has failed.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; [`Code::Conflict`](crate::error::Code::Conflict) if a document
    /// exists already, and [`Code::Refused`](crate::error::Code::Refused) if the database refuses one. Other
    /// documents of the same write may have been written even then; use [`Conn::write_all`] to find out.
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use warp_reql::reql::{obj, r};
    ///
    /// let written = conn.write(r.table("heroes").insert(obj! { "id": "robin" })).await?;
    /// assert_eq!(written.inserted, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write(&mut self, query: impl Into<Query>) -> Result<Written, Error> {
        let written = self.write_all(query).await?;
        match written.first_error {
            Some(reason) if written.errors > 0 => Err(Error::of_write(reason)),
            _ => Ok(written),
        }
    }

    /// Runs a write, and returns its counts, including those of documents that could not be written.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`].
    pub async fn write_all(&mut self, query: impl Into<Query>) -> Result<Written, Error> {
        let written: Option<Written> = self.first(query).await.map_err(Error::of_sent_write)?;
        written.ok_or_else(|| Error::internal("a write told of nothing"))
    }

    /// Runs a query, if there is one, only for its errors.
    pub(crate) async fn check(&mut self, query: Option<impl Into<Query>>) -> Result<(), Error> {
        match query {
            Some(query) => self.run(query).await,
            None => Ok(()),
        }
    }

    /// Returns all rows of a query's result. The query timeout bounds them together.
    ///
    /// A result that is a single array, as of `order_by` without an index, `index_status` or `table_list`,
    /// counts as its members: the protocol sends it as one row.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; and
    /// [`Code::UnexpectedDocument`](crate::error::Code::UnexpectedDocument) if a row is not a `T`.
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use warp_reql::reql::r;
    ///
    /// let heroes: Vec<serde_json::Value> = conn.all(r.table("heroes").limit(20)).await?;
    /// # let _ = heroes;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn all<T: DeserializeOwned>(&mut self, query: impl Into<Query>) -> Result<Vec<T>, Error> {
        let query = self.prepared(query);
        let Opened { session, watch, .. } = self.open().await?;
        watch.over(session.all(query)).await
    }

    /// Does what [`Conn::stream`] does, with the query timeout for all rows together, as for [`Conn::all`].
    pub(crate) async fn stream_in_time<T: DeserializeOwned>(
        &mut self,
        query: impl Into<Query>,
    ) -> Result<Rows<&mut Conn, T>, Error> {
        let patience = RowTimeout::total(self.database.settings().query_timeout);
        self.begin(query).await?;
        Ok(Rows::new(self, patience))
    }

    /// Returns the rows of a query's result as they arrive. The query timeout bounds the wait for each. The
    /// members of a result that is a single array are its rows.
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`]; those of opening the session come at once, the others from the
    /// stream.
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use futures_util::TryStreamExt;
    /// use warp_reql::reql::r;
    ///
    /// let mut rows = conn.stream::<serde_json::Value>(r.table("heroes")).await?;
    /// while let Some(hero) = rows.try_next().await? {
    ///     println!("{hero}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stream<T: DeserializeOwned>(
        &mut self,
        query: impl Into<Query>,
    ) -> Result<Rows<&mut Conn, T>, Error> {
        let patience = RowTimeout::each(self.database.settings().query_timeout);
        self.begin(query).await?;
        Ok(Rows::new(self, patience))
    }

    /// Does what [`Conn::stream`] does, for a body that outlives the handler: the stream owns the connection.
    ///
    /// # Errors
    ///
    /// As for [`Conn::stream`].
    ///
    /// ```no_run
    /// # async fn run(conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use futures_util::TryStreamExt;
    /// use warp_reql::reql::r;
    ///
    /// let heroes = conn.into_stream::<serde_json::Value>(r.table("heroes")).await?;
    /// let lines = heroes.map_ok(|hero| format!("{hero}\n"));
    /// # let _ = lines;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn into_stream<T: DeserializeOwned>(
        mut self,
        query: impl Into<Query>,
    ) -> Result<Rows<Conn, T>, Error> {
        let patience = RowTimeout::each(self.database.settings().query_timeout);
        self.begin(query).await?;
        Ok(Rows::new(self, patience))
    }

    /// Does what [`Conn::into_stream`] does, for a changefeed, whose rows may come at any time. The stream
    /// waits for rows as long as the database answers heartbeats, which are sent on another connection.
    ///
    /// # Errors
    ///
    /// As for [`Conn::stream`].
    ///
    /// ```no_run
    /// # async fn run(conn: warp_reql::Conn) -> Result<impl warp::Reply, warp_reql::Error> {
    /// use futures_util::StreamExt;
    /// use warp_reql::reql::r;
    ///
    /// let feed = conn.into_feed::<serde_json::Value>(r.table("heroes").changes()).await?;
    /// let events = feed.map(|change| warp::sse::Event::default().json_data(change.ok()));
    /// # let replied = warp::sse::reply(Box::pin(events));
    /// # Ok(warp::reply())
    /// # }
    /// ```
    pub async fn into_feed<T: DeserializeOwned>(
        mut self,
        query: impl Into<Query>,
    ) -> Result<Rows<Conn, T>, Error> {
        let patience = RowTimeout::until(self.database.lost(), self.database.settings().query_timeout);
        self.begin(query).await?;
        Ok(Rows::new(self, patience))
    }

    /// Returns the form of a query's answer, as soon as the database has begun to answer, and a stream of its
    /// rows. The stream is that of [`Conn::into_feed`] for a changefeed, else that of [`Conn::into_stream`].
    ///
    /// # Errors
    ///
    /// As for every query, see [`Conn`].
    pub(crate) async fn into_answer<T: DeserializeOwned>(
        mut self,
        query: impl Into<Query>,
    ) -> Result<(Form, Rows<Conn, T>), Error> {
        let limit = self.database.settings().query_timeout;
        let lost = self.database.lost();
        let query = self.prepared(query);
        let Opened { session, watch, .. } = self.open().await?;
        session.begin(query).map_err(Error::from)?;
        let form = watch.over(poll_fn(|cx| session.poll_form(cx))).await?;
        let patience = match form {
            Form::Feed => RowTimeout::until(lost, limit),
            Form::Value | Form::Rows => RowTimeout::each(limit),
        };
        Ok((form, Rows::new(self, patience)))
    }

    /// Sends a write without waiting for its answer. Its errors are lost, but it is completed, or has failed,
    /// before the session is closed.
    ///
    /// # Errors
    ///
    /// The errors of opening the session, see [`Conn`], and of sending.
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use warp_reql::reql::{obj, r};
    ///
    /// conn.noreply(r.table("visits").insert(obj! { "hero": "batman" })).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn noreply(&mut self, query: impl Into<Query>) -> Result<(), Error> {
        let query = self.prepared(query);
        let Opened { session, usage, watch } = self.open().await?;
        usage.noreply = true;
        watch.over(session.noreply(query)).await
    }

    /// Returns the driver's session, for other uses of the driver. Its queries have no timeout.
    ///
    /// Closing waits a second for `noreply` writes that were sent on it. Writes by [`Conn::noreply`] are
    /// waited for without that limit.
    ///
    /// # Errors
    ///
    /// The errors of opening the session, see [`Conn`].
    ///
    /// ```no_run
    /// # async fn run(mut conn: warp_reql::Conn) -> Result<(), warp_reql::Error> {
    /// use warp_reql::reql::r;
    ///
    /// let session = conn.session().await?;
    /// let version: Option<String> = session.first(r.expr("2.4")).await?;
    /// # let _ = version;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn session(&mut self) -> Result<&mut Session, Error> {
        let name = self.database.name().to_owned();
        let Opened { session, usage, .. } = self.open().await?;
        usage.lent = true;
        session.use_database(name);
        Ok(session)
    }
}
