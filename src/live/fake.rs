//! A fake database in a map, whose feeds send changes when the test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::error::{Code, Error};

pub(super) type Row = Result<Box<RawValue>, Error>;

/// A table, whose feeds lag by as many changes as the test says.
#[derive(Clone)]
pub(super) struct Table(Arc<Mutex<State>>, Shape, bool);

#[derive(Default)]
pub(super) struct State {
    pub(super) documents: BTreeMap<u64, u64>,
    /// Feeds, and the rows that they haven't sent yet.
    pub(super) feeds: Vec<(mpsc::UnboundedSender<Row>, Vec<Value>)>,
    pub(super) away: bool,
    pub(super) forbidden: bool,
    /// Feeds don't say that they are ready.
    pub(super) slow: bool,
    pub(super) opened: usize,
}

impl Table {
    pub(super) fn new() -> Table {
        Table(Arc::default(), Shape::Documents("id".into()), false)
    }

    pub(super) fn short() -> Table {
        Table(Arc::default(), Shape::Documents("id".into()), true)
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Writes a document, or deletes it. Feeds don't send the change yet.
    pub(super) fn write(&self, id: u64, value: Option<u64>) {
        let mut state = self.state();
        let document = |value: Option<u64>| value.map(|value| json!({"id": id, "v": value}));
        let place = |state: &State| state.documents.keys().position(|key| *key == id);
        let (old, old_place) = (state.documents.get(&id).copied(), place(&state));
        match value {
            Some(value) => state.documents.insert(id, value),
            None => state.documents.remove(&id),
        };
        if old == value {
            return;
        }
        let kind = match (old, value) {
            (None, _) => "add",
            (_, None) => "remove",
            _ => "change",
        };
        let row = json!({
            "type": kind, "old_val": document(old), "new_val": document(value), "old_offset": old_place,
            "new_offset": place(&state),
        });
        state.feeds.iter_mut().for_each(|(_, rows)| rows.push(row.clone()));
    }

    /// Lets each feed send this many of its rows.
    pub(super) fn tell(&self, count: impl Fn(usize) -> usize) {
        for (at, (feed, rows)) in self.state().feeds.iter_mut().enumerate() {
            let count = count(at).min(rows.len());
            rows.drain(..count).for_each(|row| drop(feed.send(Ok(raw(&row)))));
        }
    }

    pub(super) fn tell_all(&self) {
        self.tell(|_| usize::MAX);
    }

    pub(super) fn put(&self, id: u64, value: u64) {
        self.write(id, Some(value));
        self.tell_all();
    }

    fn feed(&self, initial: bool) -> Result<Rows, Error> {
        let mut state = self.state();
        if state.away {
            return Err(Code::DatabaseUnreachable.into());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        if initial {
            for (place, (id, value)) in state.documents.iter().enumerate() {
                let document = json!({"id": id, "v": value});
                let row = json!({"type": "initial", "new_val": document, "new_offset": place});
                sender.send(Ok(raw(&row))).unwrap();
            }
        }
        if !(initial && state.slow) {
            sender.send(Ok(raw(&json!({"type": "state", "state": "ready"})))).unwrap();
        }
        state.feeds.push((sender, Vec::new()));
        state.opened += 1;
        let rows = futures_util::stream::unfold(receiver, |mut rows| async {
            let row = rows.recv().await?;
            Some((row, rows))
        });
        Ok(Box::pin(rows))
    }

    /// Breaks all feeds.
    pub(super) fn breaks(&self) {
        for (feed, _) in self.state().feeds.drain(..) {
            let _ = feed.send(Err(Code::OutcomeUnknown.into()));
        }
    }
}

impl Source for Table {
    fn shape(&self) -> &Shape {
        &self.1
    }

    fn is_placed(&self) -> bool {
        self.2
    }

    fn follow(&self) -> BoxFuture<'_, Result<Rows, Error>> {
        async { self.feed(self.2) }.boxed()
    }

    fn join(&self) -> BoxFuture<'_, Result<Rows, Error>> {
        async { self.feed(true) }.boxed()
    }

    fn ask(&self) -> BoxFuture<'_, Result<(), Error>> {
        let state = self.state();
        let (away, forbidden) = (state.away, state.forbidden);
        async move {
            match (away, forbidden) {
                (true, _) => Err(Code::DatabaseUnreachable.into()),
                (_, true) => Err(Code::ForeignOrigin.into()),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

fn raw(row: &Value) -> Box<RawValue> {
    RawValue::from_string(row.to_string()).unwrap()
}
