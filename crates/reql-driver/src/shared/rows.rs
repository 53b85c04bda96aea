//! The rows of an answer on a shared connection, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::ticket::{Batch, Ticket};
use crate::error::Result;
use crate::wire::{AnswerKind, Elements, rows_of};

/// The rows of a query on a [`Shared`](crate::Shared) connection, as [`Rows`](crate::Rows) are those on a
/// session. Dropped before its end, it stops the query.
///
/// ```
/// # async fn example(shared: &reql::Shared) -> reql::Result<()> {
/// let mut users = shared.rows::<serde_json::Value>(reql::r.table("users")).await?;
/// while let Some(user) = users.next().await {
///     println!("{}", user?);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "rows come when they are asked for"]
pub struct SharedRows<T> {
    ticket: Ticket,
    batch: Batch,
    rows: Elements,
    /// A batch is to come.
    more: bool,
    /// True once it has been asked for.
    asked: bool,
    /// True if it is asked for before all of this batch has been handed out.
    is_ahead: bool,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> SharedRows<T> {
    /// Returns the rows of a query, which are asked for in time for a reader in a hurry.
    pub(super) fn ahead(ticket: Ticket, batch: Batch) -> Self {
        SharedRows::new(ticket, batch, true)
    }

    /// Returns the rows of a feed. Many feeds may have readers that stall, and none of them holds a batch
    /// that it hasn't asked for.
    pub(super) fn in_step(ticket: Ticket, batch: Batch) -> Self {
        SharedRows::new(ticket, batch, false)
    }

    fn new(ticket: Ticket, batch: Batch, is_ahead: bool) -> Self {
        let (rows, more, asked, row) = (Elements::default(), false, false, PhantomData);
        let mut rows = SharedRows { ticket, batch, rows, more, asked, is_ahead, row };
        rows.look_at_batch();
        rows
    }

    /// Tells if they are those of a changefeed.
    pub(super) fn is_feed(&self) -> bool {
        self.batch.answer.is_feed
    }

    fn look_at_batch(&mut self) {
        self.more = self.batch.answer.kind == AnswerKind::Partial;
        self.asked = false;
        self.rows = rows_of(&self.batch.answer, &self.batch.payload);
    }

    /// Asks for the next batch when the reader asks for more than this one has; ahead of that, once half of
    /// it has been handed out, so that a reader that stalls rarely holds two.
    fn ask(&mut self, is_read: bool) {
        if self.more && !self.asked && (is_read || self.is_ahead && self.rows.is_half_read()) {
            self.asked = true;
            self.ticket.ask();
        }
    }

    /// Returns the next row, or none at the end. Nothing is lost if this is given up and called again.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.poll_row(cx)).await
    }

    /// Returns the JSON of the next row, or none at the end, as the server wrote it.
    ///
    /// # Errors
    ///
    /// Errors of the query and of the connection.
    pub async fn next_json(&mut self) -> Result<Option<&str>> {
        let row = poll_fn(|cx| self.poll_place(cx)).await?;
        Ok(row.map(|place| std::str::from_utf8(self.batch.part(place)).unwrap_or_default()))
    }

    fn poll_row(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        match ready!(self.poll_place(cx)) {
            Ok(Some(place)) => {
                let row = self.batch.decode(place);
                if self.rows.is_read() {
                    // Large rows may be batches of their own. The reader has this one now.
                    self.rows = Elements::default();
                    self.batch.payload = Vec::new();
                }
                Poll::Ready(Some(row))
            }
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        loop {
            self.ask(false);
            if let Some(place) = self.rows.next(&self.batch.payload) {
                return Poll::Ready(Ok(Some(place)));
            }
            if !self.more {
                return Poll::Ready(Ok(None));
            }
            self.ask(true);
            match ready!(self.ticket.poll_next(cx)) {
                Ok(batch) => {
                    self.batch = batch;
                    self.look_at_batch();
                }
                Err(error) => {
                    self.more = false;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl<T: DeserializeOwned> Stream for SharedRows<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_row(cx)
    }
}

impl<T> fmt::Debug for SharedRows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRows").field("more", &self.more).finish_non_exhaustive()
    }
}
