//! Related documents in the rows of a changefeed.
//!
//! A changefeed can't look into other tables. So what a list is expanded by is read when a row has come, on
//! the connection of the feed, for several rows by one query. It is as it is by then, and changes of it alone
//! are no rows.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::ReadyChunks;
use futures_util::{StreamExt, stream};
use reql::{Term, r};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::database::Beside;
use crate::error::{Code, Error};
use crate::live::{Related, Rows};
use crate::query::{Live, expanded};

/// The most rows that are read together.
const ROWS: usize = 64;
/// The related documents that are read together, as long as those of one document are no more.
const TOGETHER: usize = 500;

/// The bytes that are read together. More is read for one document alone. A client that stalls holds them.
const TOGETHER_BYTES: u64 = 256 << 10;

type Row = Result<Box<RawValue>, Error>;

/// The way to the related documents of a live query's.
#[derive(Debug, Clone)]
pub(super) struct Expansions {
    live: Live,
    table: Term,
    /// The most bytes that are read at a time.
    most: u64,
}

/// The rows of a feed, and the documents that are read for them.
struct Expanding {
    expansions: Expansions,
    beside: Beside,
    rows: Pin<Box<ReadyChunks<Rows>>>,
    /// The rows that have come and aren't expanded yet.
    waiting: VecDeque<Row>,
    ready: VecDeque<Row>,
    /// The number of rows that are read together.
    together: usize,
    is_behind: Arc<AtomicBool>,
}

/// The fields of an object, each as it was written.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The key of a document, and what is told beside it.
#[derive(Deserialize)]
struct Found {
    k: Box<RawValue>,
    b: BTreeMap<String, Box<RawValue>>,
}

impl Expansions {
    /// Returns what is told beside the documents of a live query; `None` if that is nothing.
    pub(super) fn of(live: &Live, table: Term, most: u64) -> Option<Self> {
        (live.related_each() > 0).then(|| Expansions { live: live.clone(), table, most })
    }

    /// Returns the query for what is told beside the documents with these keys.
    pub(super) fn query(&self, keys: Vec<Term>) -> Term {
        self.live.related(&self.table, keys)
    }

    /// Reads what is told beside the documents with these keys, on the connection of a feed.
    ///
    /// # Errors
    ///
    /// The errors of queries; [`Code::AnswerTooLarge`] if it has more bytes than an answer may have.
    pub(super) async fn found(&self, beside: &Beside, keys: &[String]) -> Result<Related, Error> {
        self.found_within(beside, keys.iter().map(String::as_str), self.most).await
    }

    /// Does what [`Expansions::found`] does, if it has at most `most` bytes.
    async fn found_within(
        &self,
        beside: &Beside,
        keys: impl IntoIterator<Item = &str>,
        most: u64,
    ) -> Result<Related, Error> {
        let keys = keys.into_iter().map(|key| serde_json::from_str::<Value>(key).map(|key| r.expr(key)));
        let keys: Vec<Term> = keys.collect::<Result<_, _>>().map_err(Error::internal)?;
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let found: Vec<Found> = beside.all(self.query(keys), most).await?;
        Ok(found.into_iter().map(|found| (found.k.get().to_owned(), found.b)).collect())
    }

    /// Adds to the rows of a feed what is told beside their documents. `is_behind` is true while rows have
    /// come that aren't handed out.
    pub(super) fn beside(&self, rows: Rows, beside: Beside, is_behind: Arc<AtomicBool>) -> Rows {
        let expanding = Expanding {
            expansions: self.clone(),
            beside,
            rows: Box::pin(rows.ready_chunks(ROWS)),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            together: (TOGETHER / self.live.related_each().max(1)).clamp(1, ROWS),
            is_behind,
        };
        let rows = stream::unfold(expanding, |mut expanding| async move {
            let row = expanding.next().await?;
            Some((row, expanding))
        });
        Box::pin(rows)
    }
}

impl Expanding {
    async fn next(&mut self) -> Option<Row> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                let is_last = self.ready.is_empty() && self.waiting.is_empty();
                self.is_behind.store(!is_last, Ordering::Relaxed);
                return Some(row);
            }
            if self.waiting.is_empty() {
                self.waiting = self.rows.next().await?.into();
                self.is_behind.store(true, Ordering::Relaxed);
            }
            self.read().await;
        }
    }

    /// Makes the next rows ready.
    async fn read(&mut self) {
        let count = self.together.min(self.waiting.len());
        let keys: HashSet<&str> =
            self.waiting.iter().take(count).flatten().filter_map(|row| key(row)).collect();
        let most = self.expansions.most;
        let most = if count > 1 { most.min(TOGETHER_BYTES) } else { most };
        let found = match self.expansions.found_within(&self.beside, keys, most).await {
            Err(error) if error.code() == Code::AnswerTooLarge && count > 1 => {
                // One alone may be as large as an answer.
                self.together = count / 2;
                return;
            }
            found => found,
        };
        match found {
            Ok(found) => self.ready.extend(self.waiting.drain(..count).map(|row| expanded_row(row?, &found))),
            Err(error) => {
                self.waiting.clear();
                self.ready.push_back(Err(error));
            }
        }
    }
}

/// Returns the JSON of the key of the document that a row brings, if it brings one.
fn key(row: &RawValue) -> Option<&str> {
    let row: Fields<'_> = serde_json::from_str(row.get()).ok()?;
    let new: Fields<'_> = serde_json::from_str(row.get("new_val")?.get()).ok()?;
    new.get("k").map(|key| key.get())
}

/// Adds to a row what is told beside its new document. A document that has gone in the meantime has nothing.
fn expanded_row(row: Box<RawValue>, found: &Related) -> Row {
    let Some(beside) = key(&row).and_then(|key| found.get(key)) else { return Ok(row) };
    let unreadable = |error| Error::from(Code::UnexpectedDocument).caused_by(error);
    let mut fields: Fields<'_> = serde_json::from_str(row.get()).map_err(unreadable)?;
    let Some(new) = fields.get("new_val") else { return Ok(row) };
    let mut new: Fields<'_> = serde_json::from_str(new.get()).map_err(unreadable)?;
    let Some(document) = new.get("d") else { return Ok(row) };
    let document = expanded(document.get(), beside)?;
    new.insert("e".to_owned(), &document);
    let new = to_raw_value(&new).map_err(unreadable)?;
    fields.insert("new_val".to_owned(), &new);
    to_raw_value(&fields).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn what_is_beside_is_added_by_the_key() {
        let beside = BTreeMap::from([("author".to_owned(), raw(r#"{"name":"Ann"}"#))]);
        let found = HashMap::from([(r#"[1,"a"]"#.to_owned(), beside)]);
        let told = |row: &str| expanded_row(raw(row), &found).unwrap().get().to_owned();
        let row = told(r#"{"type":"add","old_val":null,"new_val":{"d":{"a":1.0,"b":2},"k":[1,"a"]}}"#);
        let new =
            r#""new_val":{"d":{"a":1.0,"b":2},"e":{"a":1.0,"author":{"name":"Ann"},"b":2},"k":[1,"a"]}"#;
        assert_eq!(row, format!("{{{new},\"old_val\":null,\"type\":\"add\"}}"));
        for row in [
            r#"{"type":"state","state":"ready"}"#,
            r#"{"type":"remove","old_val":{"d":{},"k":[1,"a"]},"new_val":null}"#,
            r#"{"type":"add","new_val":{"d":{},"k":2}}"#,
        ] {
            assert_eq!(told(row), row);
        }
    }
}
