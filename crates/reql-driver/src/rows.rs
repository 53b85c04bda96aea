//! The rows of an answer, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Result;
use crate::session::Session;

/// The rows of a query, each decoded into a `T` when it is read. The rows of the next batch are requested
/// while the rows of this one are handed out.
///
/// It is a `Stream`, and has a [`next`](Rows::next) of its own. An error that isn't
/// [`Decode`](crate::ErrorKind::Decode) is the last item. Dropped before its end, it leaves the session
/// unclean; [`stop`](Rows::stop) doesn't.
///
/// ```
/// # async fn example(session: &mut reql::Session<reql::Stream>) -> reql::Result<()> {
/// let mut users = session.rows::<serde_json::Value>(reql::r.table("users")).await?;
/// while let Some(user) = users.next().await {
///     println!("{}", user?);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "rows come when they are asked for"]
pub struct Rows<'a, S, T> {
    session: &'a mut Session<S>,
    row: PhantomData<fn() -> T>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin, T: DeserializeOwned> Rows<'a, S, T> {
    /// Hands out the rows of the session's query.
    pub(crate) fn new(session: &'a mut Session<S>) -> Self {
        Rows { session, row: PhantomData }
    }

    /// Tells if they are those of a changefeed.
    pub(crate) fn is_feed(&self) -> bool {
        self.session.is_feed()
    }

    /// Returns the next row, or none at the end. Nothing is lost if this is given up and called again.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.session.poll_row(cx)).await
    }

    /// Returns the JSON of the next row, or none at the end, as the server wrote it. It isn't copied.
    ///
    /// # Errors
    ///
    /// Errors of the query and of the connection.
    pub async fn next_json(&mut self) -> Result<Option<&str>> {
        let row = poll_fn(|cx| self.session.poll_place(cx)).await?;
        Ok(row.map(|place| {
            // The payload was parsed as text; otherwise the answer would have been refused.
            std::str::from_utf8(self.session.part(place)).unwrap_or_default()
        }))
    }

    /// Stops the query and reads the rest of its answer, so that the session can go on. Takes as long as the
    /// server takes: [`Session::settle`] has a limit.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn stop(self) -> Result<()> {
        self.session.stop().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: DeserializeOwned> Stream for Rows<'_, S, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().session.poll_row(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T> fmt::Debug for Rows<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("unclean", &self.session.is_unclean()).finish_non_exhaustive()
    }
}
