//! The rows of a query's result as they arrive.

use std::borrow::BorrowMut;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FusedStream;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep};

use super::Conn;
use crate::error::Error;

/// The mutex is never locked; it makes the stream `Sync`, which warp wants of bodies.
type Answers = Mutex<Pin<Box<dyn Stream<Item = reql::Result<Value>> + Send>>>;

/// The rows of a query's result as they arrive; the stream ends after an error.
///
/// `C` is the connection: `&mut Conn` for [`Conn::stream`], `Conn` itself for a body that takes it along.
pub struct Rows<C: BorrowMut<Conn>, T> {
    answers: Option<Answers>,
    patience: Patience,
    asked: Option<Instant>,
    conn: C,
    row: PhantomData<fn() -> T>,
}

/// How long to wait for rows.
pub(super) struct Patience {
    limit: Duration,
    renewed: bool,
    end: End,
}

/// The condition that ends the wait for rows.
enum End {
    /// The time limit, counted from the first wait on.
    Limit(Option<Pin<Box<Sleep>>>),
    /// Another future that is done.
    Other(Pin<Box<dyn Future<Output = ()> + Send + Sync>>),
}

impl<C: BorrowMut<Conn>, T> Rows<C, T> {
    pub(super) fn new(
        answers: impl Stream<Item = reql::Result<Value>> + Send + 'static,
        patience: Patience,
        conn: C,
    ) -> Self {
        Rows { answers: Some(Mutex::new(Box::pin(answers))), patience, asked: None, conn, row: PhantomData }
    }

    pub(super) fn conn(&self) -> &Conn {
        self.conn.borrow()
    }

    /// The next row as it is; `None` at the end.
    pub(super) async fn next_value(&mut self) -> Result<Option<Value>, Error> {
        poll_fn(|cx| self.poll_value(cx)).await.transpose()
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Value, Error>>> {
        let answer = ready!(self.poll_answer(cx));
        match answer {
            Some(Ok(_)) => self.patience.renew(),
            Some(Err(_)) | None => self.answers = None,
        }
        Poll::Ready(answer)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Value, Error>>> {
        let Some(answers) = &mut self.answers else { return Poll::Ready(None) };
        let asked = *self.asked.get_or_insert_with(Instant::now);
        let conn: &mut Conn = self.conn.borrow_mut();
        let answers = answers.get_mut().unwrap_or_else(PoisonError::into_inner);
        let answer = match answers.as_mut().poll_next(cx) {
            Poll::Ready(answer) => answer.map(|row| row.map_err(Error::from)),
            Poll::Pending => {
                conn.usage.spent = true;
                let limit = ready!(self.patience.poll_end(cx));
                conn.database.query_timed_out();
                Some(Err(Error::QueryTimeout(limit)))
            }
        };
        conn.clock.querying(asked.elapsed());
        conn.usage.spent = answer.as_ref().is_some_and(|row| row.as_ref().is_err_and(Error::spends_session));
        self.asked = None;
        Poll::Ready(answer)
    }
}

impl<C: BorrowMut<Conn> + Unpin, T: DeserializeOwned> Stream for Rows<C, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let row = ready!(self.poll_value(cx));
        Poll::Ready(row.map(|row| serde_json::from_value(row?).map_err(Error::Decode)))
    }
}

impl<C: BorrowMut<Conn> + Unpin, T: DeserializeOwned> FusedStream for Rows<C, T> {
    fn is_terminated(&self) -> bool {
        self.answers.is_none()
    }
}

impl<C: BorrowMut<Conn>, T> Drop for Rows<C, T> {
    fn drop(&mut self) {
        if self.answers.take().is_some() {
            self.conn.borrow_mut().usage.cursor = true;
        }
    }
}

impl Patience {
    /// All rows together must come within this time.
    pub(super) fn total(limit: Duration) -> Self {
        Patience { limit, renewed: false, end: End::Limit(None) }
    }

    /// Each row must come within this time of the one before.
    pub(super) fn each(limit: Duration) -> Self {
        Patience { limit, renewed: true, end: End::Limit(None) }
    }

    /// Rows may come at any time until `end` is done, which means that there has been nothing for as long as
    /// `limit`.
    pub(super) fn until(end: impl Future<Output = ()> + Send + Sync + 'static, limit: Duration) -> Self {
        Patience { limit, renewed: false, end: End::Other(Box::pin(end)) }
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
        f.debug_struct("Rows").field("ended", &self.answers.is_none()).finish()
    }
}
