//! The rows of an answer, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Result;
use crate::session::Session;
use crate::wire::{Answer, AnswerKind, Elements, rows_of};

/// The rows of a query, each decoded into a `T` when it is asked for. The rows of the next batch are asked
/// for while those of one are handed out.
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
    batch: Elements,
    /// A batch is to come, and has been asked for.
    more: bool,
    row: PhantomData<fn() -> T>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin, T: DeserializeOwned> Rows<'a, S, T> {
    pub(crate) fn new(session: &'a mut Session<S>, answer: Answer) -> Self {
        let mut rows = Rows { session, batch: Elements::default(), more: false, row: PhantomData };
        rows.take(&answer);
        rows
    }

    fn take(&mut self, answer: &Answer) {
        self.more = answer.kind == AnswerKind::Partial;
        self.batch = rows_of(answer, self.session.payload());
    }

    /// Returns the next row, or none at the end. Nothing is lost if this is given up and called again.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.poll_row(cx)).await
    }

    /// Returns the JSON of the next row, or none at the end, as the server wrote it. It isn't copied.
    ///
    /// # Errors
    ///
    /// Errors of the query and of the connection.
    pub async fn next_json(&mut self) -> Result<Option<&str>> {
        let row = poll_fn(|cx| self.poll_place(cx)).await?;
        Ok(row.map(|place| {
            // What was parsed is text; otherwise the answer would have been refused.
            std::str::from_utf8(self.session.part(place)).unwrap_or_default()
        }))
    }

    /// Stops the query and reads what is left of it, so that the session can go on. Takes as long as the
    /// server takes: [`Session::settle`] has a limit.
    ///
    /// # Errors
    ///
    /// Errors of the connection.
    pub async fn stop(self) -> Result<()> {
        self.session.stop().await
    }

    fn poll_row(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        match ready!(self.poll_place(cx)) {
            Ok(Some(place)) => Poll::Ready(Some(self.session.decode(place))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        loop {
            if let Some(row) = self.batch.next(self.session.payload()) {
                return Poll::Ready(Ok(Some(row)));
            }
            if !self.more {
                self.session.release();
                return Poll::Ready(Ok(None));
            }
            self.session.ask_ahead(cx);
            match ready!(self.session.poll_receive(cx)) {
                Ok(answer) => self.take(&answer),
                Err(error) => {
                    self.more = false;
                    return Poll::Ready(Err(error));
                }
            }
            self.session.ask_ahead(cx);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: DeserializeOwned> Stream for Rows<'_, S, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_row(cx)
    }
}

impl<S, T> fmt::Debug for Rows<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("more", &self.more).finish_non_exhaustive()
    }
}
