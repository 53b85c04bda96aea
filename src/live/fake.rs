//! A fake database in a map, whose feeds send changes when the test says so, and clients of hubs over it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use warp::hyper::body::Bytes;

use super::hubs::Arrival;
use super::*;
use crate::error::{Code, Error};
use crate::shares::{Percent, Shares};

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
    /// The time that the database takes for a heartbeat.
    pub(super) busy: Duration,
    /// The fate of a follower's own feed.
    pub(super) joins: Joins,
    pub(super) opened: usize,
    /// The number of times that a follower has asked for a feed of its own.
    pub(super) asked: usize,
}

#[derive(Default, Clone, Copy)]
pub(super) enum Joins {
    #[default]
    Open,
    Hang,
    Fail,
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

    /// Sends a row to all feeds.
    pub(super) fn send(&self, row: &Row) {
        self.state().feeds.iter().for_each(|(feed, _)| drop(feed.send(row.clone())));
    }

    /// Has all feeds say that they are ready.
    pub(super) fn is_ready(&self) {
        self.send(&Ok(raw(&json!({"type": "state", "state": "ready"}))));
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
        let mut state = self.state();
        state.asked += 1;
        match state.joins {
            Joins::Open => async { self.feed(true) }.boxed(),
            Joins::Hang => std::future::pending().boxed(),
            Joins::Fail => async { Err(Code::DatabaseUnavailable.into()) }.boxed(),
        }
    }

    fn ask(&self) -> BoxFuture<'_, Result<(), Error>> {
        let state = self.state();
        let (away, forbidden, busy) = (state.away, state.forbidden, state.busy);
        async move {
            tokio::time::sleep(busy).await;
            match (away, forbidden) {
                (true, _) => Err(Code::DatabaseUnreachable.into()),
                (_, true) => Err(Code::ForeignOrigin.into()),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

pub(super) fn raw(row: &Value) -> Box<RawValue> {
    RawValue::from_string(row.to_string()).unwrap()
}

/// A client with what it knows.
pub(super) struct Client {
    pub(super) events: Pin<Box<dyn Stream<Item = Result<Bytes, alive::Stalled>> + Send>>,
    pub(super) known: BTreeMap<u64, u64>,
    pub(super) last: Option<String>,
    pub(super) seen: Vec<String>,
}

/// Memory of which so many bytes may be taken at a time.
struct Most(usize);

impl Memory for Most {
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.0 { Err(Code::AnswersExhausted.into()) } else { Ok(()) }
    }

    fn clear(&mut self) {}
}

/// Hubs, and shares that count what followers hold.
pub(super) struct Service {
    pub(super) hubs: Arc<Hubs>,
    pub(super) held: Arc<()>,
    pub(super) opened: AtomicU64,
    /// The length of the longest event that a client may be told alone.
    pub(super) most: usize,
}

impl Service {
    pub(super) fn new(bounds: Bounds) -> Service {
        let (hubs, held) = (Arc::new(Hubs::new(bounds)), Arc::new(()));
        Service { hubs, held, opened: AtomicU64::new(0), most: usize::MAX }
    }

    pub(super) fn arrive(&self, table: &Table, key: &str) -> Arrival {
        let shares = Shares::new(100, Percent { client: 100, user: 100 });
        let held = Box::new(Arc::clone(&self.held));
        let source = || {
            self.opened.fetch_add(1, Ordering::Relaxed);
            Box::new(table.clone()) as Box<dyn Source>
        };
        let share = || Ok(shares.take(None).unwrap());
        self.hubs.arrive(key, held, share, source).unwrap()
    }

    pub(super) fn client(&self, table: &Table, last: Option<String>) -> Client {
        self.client_until(table, last, None)
    }

    /// A client whose right ends with this future.
    pub(super) fn client_until(
        &self,
        table: &Table,
        last: Option<String>,
        end: Option<BoxFuture<'static, Error>>,
    ) -> Client {
        self.client_with("key", table, last, end)
    }

    /// A client of the list with this key.
    pub(super) fn client_of(&self, table: &Table, key: &str) -> Client {
        self.client_with(key, table, None, None)
    }

    fn client_with(
        &self,
        key: &str,
        table: &Table,
        last: Option<String>,
        end: Option<BoxFuture<'static, Error>>,
    ) -> Client {
        let wish = Wish {
            initial: true,
            last: last.clone(),
            failure: Box::new(|error| format!("event:error\ndata:\"{}\"\n\n", error.code().as_str()).into()),
            known: Box::new(Most(usize::MAX)),
            told: Box::new(Most(self.most)),
            end,
        };
        let events = Box::pin(self.arrive(table, key).events(wish));
        Client { events, known: BTreeMap::new(), last, seen: Vec::new() }
    }
}

impl Client {
    /// Reads all events that have arrived.
    pub(super) async fn read(&mut self) -> &mut Self {
        for _ in 0..3 {
            while let Some(Some(part)) = self.events.next().now_or_never() {
                self.take(std::str::from_utf8(&part.expect("it reads")).unwrap());
            }
            tokio::task::yield_now().await;
        }
        self
    }

    fn take(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let Some(name) = field("event") else { return };
        let data: Value = serde_json::from_str(field("data").unwrap()).unwrap();
        if let Some(id) = field("id") {
            self.last = Some(id.to_owned());
        }
        match name {
            "initial" | "add" | "change" | "remove" => {
                let value = |side: &str| data[side]["v"].as_u64();
                let id = data["new"]["id"].as_u64().or(data["old"]["id"].as_u64()).unwrap();
                if name != "initial" {
                    assert_eq!(self.known.get(&id).copied(), value("old"), "{data} {:?}", self.seen);
                }
                match value("new") {
                    Some(value) => self.known.insert(id, value),
                    None => self.known.remove(&id),
                };
                self.seen.push(format!("{name} {id} {}", data["new"]["v"]));
            }
            "reset" => {
                self.known.clear();
                self.seen.push(name.to_owned());
            }
            _ => self.seen.push(format!("{name} {data}")),
        }
    }

    pub(super) fn taken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }
}
