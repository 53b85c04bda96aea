//! An engine whose terms are orders of the tests: `["echo",v]`, `["heavy",v]`, `["hold","name"]`,
//! `["stuck","name"]`, `["stuck-light","name"]`, `["rows",count,batch]`, `["heavy-rows",count,batch]`,
//! `["work",milliseconds]`, `["feed"]`, `["fail"]`, `["panic"]`, `["user"]`.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use reql_embedded::datum::pseudo::Literals;
use reql_embedded::datum::{Datum, json};
use reql_embedded::engine::{
    Answer, Batch, Credentials, Cursor, Engine, Envelope, Error, ErrorType, Failure, Frame, Note, Query,
    QueryContext, ServerInfo, Weight,
};
use serde_json::Value;
use tokio::sync::{Notify, watch};

/// The tests' view of the engine, and their control over it.
#[derive(Default)]
pub struct Control {
    /// The names that `hold` no longer waits for.
    released: Mutex<HashSet<String>>,
    /// Wakes queries that hold when a name is released.
    release: Condvar,
    /// Number of queries that hold now.
    pub holding: Gauge,
    /// Number of queries that saw their interrupt.
    pub interrupted: Gauge,
    /// Number of cursors that exist.
    pub cursors: Gauge,
    /// Number of queries that were evaluated.
    pub evaluated: AtomicUsize,
    pub closed: AtomicBool,
    /// Name, if any, for whose release closing waits.
    pub closing_waits_for: Mutex<Option<&'static str>>,
    feed: Mutex<Vec<Value>>,
    news: Notify,
}

/// A number that can be waited for.
pub struct Gauge(watch::Sender<usize>);

impl Default for Gauge {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Gauge {
    fn add(&self, change: isize) {
        self.0.send_modify(|value| *value = value.saturating_add_signed(change));
    }

    pub async fn reaches(&self, value: usize) {
        self.0.subscribe().wait_for(|now| *now == value).await.expect("a gauge");
    }

    pub async fn reaches_at_least(&self, value: usize) {
        self.0.subscribe().wait_for(|now| *now >= value).await.expect("a gauge");
    }

    pub fn now(&self) -> usize {
        *self.0.borrow()
    }
}

impl Control {
    /// Lets queries that hold under this name go on.
    pub fn release(&self, name: &str) {
        self.released.lock().expect("a lock").insert(name.to_owned());
        self.release.notify_all();
    }

    /// Works, as far as the engine can tell, until this name is released. Returns true if `gives_up` came
    /// first.
    fn wait_for(&self, name: &str, gives_up: impl Fn() -> bool) -> bool {
        let mut released = self.released.lock().expect("a lock");
        while !gives_up() {
            if released.contains(name) {
                return false;
            }
            // Nothing tells of an interrupt.
            released = self.release.wait_timeout(released, Duration::from_millis(1)).expect("a lock").0;
        }
        true
    }

    /// Adds a row to the feeds.
    pub fn publish(&self, row: Value) {
        self.feed.lock().expect("a lock").push(row);
        self.news.notify_one();
    }
}

pub struct TestEngine {
    pub control: Arc<Control>,
    admin: Credentials,
    odd: Credentials,
}

/// A user whose name has to be escaped.
pub const ODD_USER: &str = "a,b=c";
pub const ODD_PASSWORD: &str = "pencil";

impl TestEngine {
    pub fn new(admin_password: &str) -> (Arc<Self>, Arc<Control>) {
        let control = Arc::new(Control::default());
        let engine = Self {
            control: control.clone(),
            admin: Credentials::initial(admin_password),
            odd: Credentials::derive(ODD_PASSWORD, 100),
        };
        (Arc::new(engine), control)
    }
}

impl Engine for TestEngine {
    fn credentials(&self, user: &str) -> Option<Credentials> {
        match user {
            "admin" => Some(self.admin.clone()),
            ODD_USER => Some(self.odd.clone()),
            _ => None,
        }
    }

    fn server_info(&self) -> ServerInfo {
        ServerInfo { id: "the-id".into(), name: "the-name".into() }
    }

    fn compile(&self, query: Envelope<'_>) -> Result<Box<dyn Query>, Error> {
        let order = query.term.map_or(Ok(Datum::Null), |term| json::from_tree(term, Literals::Allowed));
        let order = order.and_then(|order| json::to_string(&order)).map_err(|_| Error::unparseable())?;
        let order = serde_json::from_str(&order).map_err(|_| Error::unparseable())?;
        Ok(Box::new(Order { order, control: self.control.clone() }))
    }

    fn close(&self) {
        if let Some(name) = *self.control.closing_waits_for.lock().expect("a lock") {
            self.control.wait_for(name, || false);
        }
        self.control.closed.store(true, Ordering::SeqCst);
    }
}

struct Order {
    order: Value,
    control: Arc<Control>,
}

impl Order {
    fn name(&self) -> &str {
        self.order[0].as_str().unwrap_or_default()
    }
}

impl Query for Order {
    fn weight(&self) -> Weight {
        match self.name() {
            "heavy" | "hold" | "stuck" | "heavy-rows" => Weight::Heavy,
            _ => Weight::Light,
        }
    }

    fn run(&self, context: &QueryContext, _: Weight) -> Result<Answer, Failure> {
        self.control.evaluated.fetch_add(1, Ordering::SeqCst);
        match self.name() {
            "echo" | "heavy" => Ok(atom(&self.order[1])),
            // Holds the thread, as work does that takes so long.
            "work" => {
                std::thread::sleep(Duration::from_millis(self.order[1].as_u64().unwrap_or_default()));
                Ok(atom(&self.order[1]))
            }
            "user" => Ok(atom(&Value::from(&*context.client.user))),
            "hold" => {
                hold(&self.control, &self.order[1], || context.interrupt.is_raised())?;
                Ok(atom(&self.order[1]))
            }
            // These don't check their interrupt.
            "stuck" | "stuck-light" => {
                hold(&self.control, &self.order[1], || false)?;
                Ok(atom(&self.order[1]))
            }
            "rows" | "heavy-rows" => {
                self.control.cursors.add(1);
                Ok(Answer::Cursor(Box::new(Rows {
                    next: 0,
                    count: self.order[1].as_u64().unwrap_or(0),
                    batch: self.order[2].as_u64().unwrap_or(1),
                    weight: self.weight(),
                    control: self.control.clone(),
                })))
            }
            "feed" => {
                self.control.cursors.add(1);
                Ok(Answer::Cursor(Box::new(Feed { control: self.control.clone() })))
            }
            "panic" => panic!("as ordered"),
            _ => {
                let error = Error::runtime(ErrorType::NonExistence, "No such order.");
                Err(Error { backtrace: vec![Frame::Position(0), Frame::Optional("x".into())], ..error }
                    .into())
            }
        }
    }
}

fn atom(value: &Value) -> Answer {
    Answer::Atom { json: value.to_string().into_bytes().into(), profile: None }
}

/// Works until it is released or interrupted.
fn hold(control: &Control, name: &Value, is_interrupted: impl Fn() -> bool) -> Result<(), Failure> {
    control.holding.add(1);
    let interrupted = control.wait_for(name.as_str().unwrap_or_default(), is_interrupted);
    control.holding.add(-1);
    if !interrupted {
        return Ok(());
    }
    control.interrupted.add(1);
    Err(Failure::Interrupted)
}

struct Rows {
    next: u64,
    count: u64,
    batch: u64,
    weight: Weight,
    control: Arc<Control>,
}

impl Cursor for Rows {
    fn next_batch(&mut self) -> Result<Batch, Failure> {
        let mut batch = Batch::default();
        let end = self.count.min(self.next + self.batch);
        for row in self.next..end {
            batch.push(|out| out.extend_from_slice(row.to_string().as_bytes()));
        }
        self.next = end;
        batch.done = end == self.count;
        Ok(batch)
    }

    fn weight(&self) -> Weight {
        self.weight
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.control.cursors.add(-1);
    }
}

struct Feed {
    control: Arc<Control>,
}

impl Cursor for Feed {
    fn next_batch(&mut self) -> Result<Batch, Failure> {
        let mut batch = Batch { notes: vec![Note::SequenceFeed], ..Batch::default() };
        for row in self.control.feed.lock().expect("a lock").drain(..) {
            // A row that the feed filters out.
            if !row.is_null() {
                batch.push(|out| out.extend_from_slice(row.to_string().as_bytes()));
            }
        }
        Ok(batch)
    }

    fn weight(&self) -> Weight {
        Weight::Light
    }

    fn is_feed(&self) -> bool {
        true
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            while self.control.feed.lock().expect("a lock").is_empty() {
                self.control.news.notified().await;
            }
        })
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.control.cursors.add(-1);
    }
}
