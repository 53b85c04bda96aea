//! A result as lines, in constant memory: each batch is asked for when the one before has been sent.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use serde_json::Value;

use crate::conn::Conn;
use crate::error::Error;
use crate::query::term::Term;

/// Any stream of lines.
type AnyLines = Pin<Box<dyn Stream<Item = Result<String, Error>> + Send>>;

/// The lines of a result. The mutex is never locked; it makes the stream `Sync`, which warp wants of bodies.
pub(super) struct Lines(Mutex<AnyLines>);

/// Begins to read the results of queries, one after another. The first row tells whether there is a result at all: until
/// then the status can still say so.
pub(super) async fn begin(conn: Conn, queries: Vec<Term>) -> Result<Lines, Error> {
    let mut queries = queries.into_iter();
    let Some(first) = queries.next() else { return Ok(Lines::new(stream::empty())) };
    // A query that comes later gets a connection of its own, when it is its turn.
    let later: Vec<_> = queries.map(|query| (conn.sibling(), query)).collect();
    let mut rows = Box::pin(conn.into_stream::<Value>(first.into()).await?.peekable());
    if rows.as_mut().peek().await.is_some_and(Result::is_err)
        && let Some(Err(error)) = rows.next().await
    {
        return Err(error);
    }
    let later =
        stream::iter(later).then(|(conn, query)| conn.into_stream::<Value>(query.into())).try_flatten();
    Ok(Lines::new(rows.chain(later).map_ok(lines)))
}

impl Lines {
    fn new(lines: impl Stream<Item = Result<String, Error>> + Send + 'static) -> Self {
        Lines(Mutex::new(Box::pin(lines)))
    }
}

impl Stream for Lines {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(cx)
    }
}

/// Documents as lines. What the database sorted in memory arrives as one array.
fn lines(row: Value) -> String {
    match row {
        Value::Array(documents) => documents.iter().map(|document| format!("{document}\n")).collect(),
        document => format!("{document}\n"),
    }
}
