//! A result as lines, in constant memory: each batch is requested once the one before has been sent.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use reql::{Query, Term};
use serde::de::IgnoredAny;

use super::BATCH;
use crate::api::documents::csv::Writer;
use crate::conn::Conn;
use crate::error::Error;
use crate::names::PSEUDO_TYPE;
use crate::shares::Share;

/// Any stream of lines.
type AnyLines = Pin<Box<dyn Stream<Item = Result<String, Error>> + Send>>;

/// The lines of a result. The mutex is never locked; it makes the stream `Sync`, which warp requires of
/// bodies.
pub(crate) struct Lines {
    lines: Mutex<AnyLines>,
    share: Option<Share>,
}

/// Starts to read the results of queries, one after another. It waits for the first row, so that an error
/// before that can still be reported by the status.
pub(crate) async fn begin(conn: Conn, queries: Vec<Term>, csv: Option<Writer>) -> Result<Lines, Error> {
    let mut queries = queries.into_iter().map(|query| Query::new(query).max_batch_bytes(BATCH));
    let Some(first) = queries.next() else { return Ok(Lines::new(stream::empty())) };
    // Each later query gets a connection of its own when it starts.
    let later: Vec<_> = queries.map(|query| (conn.sibling(), query)).collect();
    let mut rows = Box::pin(conn.into_stream::<String>(first).await?.peekable());
    if rows.as_mut().peek().await.is_some_and(Result::is_err)
        && let Some(Err(error)) = rows.next().await
    {
        return Err(error);
    }
    let later = stream::iter(later).then(|(conn, query)| conn.into_stream::<String>(query)).try_flatten();
    let rows = rows.chain(later);
    Ok(match csv {
        None => Lines::new(rows.map_ok(line)),
        Some(writer) => {
            let names = stream::iter([writer.names()]);
            Lines::new(names.chain(rows.map(move |row| row.and_then(|text| writer.document(&text)))))
        }
    })
}

impl Lines {
    fn new(lines: impl Stream<Item = Result<String, Error>> + Send + 'static) -> Self {
        Lines { lines: Mutex::new(Box::pin(lines)), share: None }
    }

    /// Holds a share until the end of the lines.
    pub(crate) fn holding(self, share: Share) -> Self {
        Lines { share: Some(share), ..self }
    }
}

impl Stream for Lines {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let line = self.lines.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(cx);
        if matches!(line, Poll::Ready(None)) {
            self.share = None;
        }
        line
    }
}

/// Returns the line of a document's text; empty if it isn't a document.
fn line(mut text: String) -> String {
    if !is_document(&text) {
        return String::new();
    }
    // A string that grows by itself doubles, and each client that stalls holds a line.
    text.reserve_exact(1);
    text.push('\n');
    text
}

/// Returns whether a text is that of a document. Other clients may have stored rows that are values of a
/// pseudo-type.
fn is_document(text: &str) -> bool {
    // Only a text with this name needs to be parsed; the name may still be part of a string or of a nested
    // value.
    !text.contains(PSEUDO_TYPE)
        || serde_json::from_str::<HashMap<String, IgnoredAny>>(text)
            .map_or(true, |fields| !fields.contains_key(PSEUDO_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_documents_are_passed_over() {
        let time = r#"{"$reql_type$":"TIME","epoch_time":1,"id":1,"timezone":"+00:00"}"#;
        let holder = format!("{{\"at\":{time},\"id\":2}}");
        let deep = format!("{{\"$reql_type$s\":{}{},\"id\":3}}", "[".repeat(500), "]".repeat(500));
        for text in [holder, deep] {
            assert_eq!(line(text.clone()), format!("{text}\n"));
        }
        assert_eq!(line(time.to_owned()), "");
    }
}
