//! The rows of a query's result as they arrive.

use std::borrow::BorrowMut;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FusedStream;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep, sleep};

use super::Conn;
use crate::error::{Code, Error};

/// The rows of a query's result as they arrive; the stream ends after an error.
///
/// `C` is the connection: `&mut Conn` for [`Conn::stream`], `Conn` itself for a body that takes it along.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::TryStreamExt;
/// use warp_reql::reql::{args, r};
/// use warp_reql::{Conn, embedded};
///
/// let db = embedded().await?;
/// let mut conn = Conn::new(db.database().clone());
/// let mut rows = conn.stream::<u32>(r.range(args![1, 4])).await?;
/// let mut sum = 0;
/// while let Some(row) = rows.try_next().await? {
///     sum += row;
/// }
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
pub struct Rows<C: BorrowMut<Conn>, T> {
    patience: RowTimeout,
    /// The time at which the pending row was asked for; `None` between two rows.
    asked: Option<Instant>,
    ended: bool,
    conn: C,
    row: PhantomData<fn() -> T>,
}

/// The timeout of rows.
pub(super) struct RowTimeout {
    limit: Duration,
    renewed: bool,
    end: End,
}

/// The event that ends the wait for rows.
enum End {
    /// A timeout, which starts with the first wait.
    Limit(Option<Pin<Box<Sleep>>>),
    /// The end of another future.
    Other(Pin<Box<dyn Future<Output = ()> + Send + Sync>>),
}

impl<C: BorrowMut<Conn>, T> Rows<C, T> {
    /// Reads the rows of the query that was started on the connection's session.
    pub(super) fn new(conn: C, patience: RowTimeout) -> Self {
        Rows { patience, asked: None, ended: false, conn, row: PhantomData }
    }
}

impl<T> Rows<Conn, T> {
    /// Returns the connection of the rows.
    pub(crate) fn conn(&self) -> &Conn {
        &self.conn
    }
}

impl<C: BorrowMut<Conn>, T: DeserializeOwned> Rows<C, T> {
    fn poll_row(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        let conn: &mut Conn = self.conn.borrow_mut();
        let Some(lease) = conn.lease.as_mut().filter(|_| !self.ended) else { return Poll::Ready(None) };
        let asked = *self.asked.get_or_insert_with(Instant::now);
        let row = match lease.session().poll_row::<T>(cx) {
            Poll::Ready(row) => row.map(|row| row.map_err(Error::from)),
            Poll::Pending => {
                let limit = ready!(self.patience.poll_end(cx));
                conn.database.query_timed_out();
                Some(Err(Error::after(Code::QueryTimeout, limit)))
            }
        };
        conn.timings.querying(asked.elapsed());
        if !matches!(&row, Some(Err(error)) if error.code() == Code::QueryTimeout) {
            self.asked = None;
        }
        match row {
            Some(Ok(_)) => self.patience.renew(),
            _ => self.ended = true,
        }
        Poll::Ready(row)
    }
}

impl<C: BorrowMut<Conn> + Unpin, T: DeserializeOwned> Stream for Rows<C, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_row(cx)
    }
}

impl<C: BorrowMut<Conn> + Unpin, T: DeserializeOwned> FusedStream for Rows<C, T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<C: BorrowMut<Conn>, T> Drop for Rows<C, T> {
    fn drop(&mut self) {
        // In the middle of an answer, there is no telling when the rest comes.
        self.conn.borrow_mut().usage.cursor = self.asked.is_none();
    }
}

impl RowTimeout {
    /// Sets a timeout for all rows together.
    pub(super) fn total(limit: Duration) -> Self {
        RowTimeout { limit, renewed: false, end: End::Limit(None) }
    }

    /// Sets a timeout for each row.
    pub(super) fn each(limit: Duration) -> Self {
        RowTimeout { limit, renewed: true, end: End::Limit(None) }
    }

    /// Waits for rows without a timeout until `end` is done, which means that the database has been silent
    /// for `limit`.
    pub(super) fn until(end: impl Future<Output = ()> + Send + Sync + 'static, limit: Duration) -> Self {
        RowTimeout { limit, renewed: false, end: End::Other(Box::pin(end)) }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let limit = self.limit;
        let ended = match &mut self.end {
            End::Limit(limited) => limited.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx),
            End::Other(other) => other.as_mut().poll(cx),
        };
        ended.map(|()| limit)
    }

    fn renew(&mut self) {
        if self.renewed {
            self.end = End::Limit(None);
        }
    }
}

impl<C: BorrowMut<Conn>, T> fmt::Debug for Rows<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("ended", &self.ended).finish()
    }
}
