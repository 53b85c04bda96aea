//! The engine of a whole server: the query language over the store.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use crate::accounts::ADMIN;
use crate::budget::fuel;
use crate::budget::memory::Pool;
use crate::datum::{Datum, json};
use crate::engine::{
    Answer, Batch, Credentials, Cursor, Engine, Envelope, Error, ErrorClass, ErrorType, Failure, Frame,
    Listening, Note, Query, QueryContext, QueryCounts, ServerInfo, Text, Weight,
};
use crate::error::{self, ErrorKind};
use crate::eval;
use crate::eval::Meter;
use crate::eval::stream::FeedTraits;
use crate::feed::Kind;
use crate::instance::{Instance, Running};
use crate::storage::{self, Store};
use crate::term::{self, Backtraces};

/// Room for the answer to most queries about one document, in bytes.
const ATOM_SIZE: usize = 256;

/// The memory, in bytes, that parts of the engine may take. `None` is the default of the part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// The working memory of queries.
    pub(crate) queries: Option<u64>,
    /// The pages of the file.
    pub(crate) pages: Option<usize>,
    /// The changes that wait for the readers of feeds.
    pub(crate) changes: Option<usize>,
}

/// ReQL over a store.
pub(crate) struct Reql {
    instance: Arc<Instance>,
    /// The credentials of `admin` as long as no password is set; `None` if those are the stored ones.
    until_set: Option<Credentials>,
}

impl Reql {
    /// Opens the store, which blocks.
    pub(crate) fn open(
        data_dir: Option<&Path>,
        password: &str,
        name: Option<String>,
        memory: Memory,
    ) -> error::Result<Self> {
        let mut options = storage::Options::new(Arc::new(eval::Functions));
        options.path = data_dir.map(Path::to_owned);
        options.cache_bytes = memory.pages.unwrap_or(options.cache_bytes);
        options.backlog_bytes = memory.changes.unwrap_or(options.backlog_bytes);
        let cache_bytes = options.cache_bytes;
        let store = Store::open(options)?;
        if store.is_new() {
            store.create_database("test")?;
        }
        let mut instance = Instance::new(store, cache_bytes, password, name)?;
        if let Some(bytes) = memory.queries {
            instance = instance.with_memory_limit(bytes);
        }
        Ok(Self { instance: Arc::new(instance), until_set: None })
    }

    /// Locks `admin` by this password until one is set. It is random, so it needs no stretching.
    pub(crate) fn locked_by(mut self, password: &str) -> Self {
        self.until_set = Some(Credentials::derive(password, 1));
        self
    }
}

impl Engine for Reql {
    fn credentials(&self, user: &str) -> Option<Credentials> {
        let account = self.instance.accounts.user(user)?;
        match &self.until_set {
            Some(credentials) if user == ADMIN && !account.has_password() => Some(credentials.clone()),
            _ => Some(account.credentials().clone()),
        }
    }

    fn memory(&self) -> Pool {
        self.instance.memory.clone()
    }

    fn store(&self) -> Option<Store> {
        Some(self.instance.store.clone())
    }

    fn close(&self) {
        self.instance.store.close();
    }

    fn server_info(&self) -> ServerInfo {
        let identity = self.instance.identity();
        ServerInfo { id: identity.id.to_string(), name: identity.name.to_string() }
    }

    fn listening(&self, listening: Listening) {
        // A second start on the same engine has nothing to add.
        let _ = self.instance.listening.set(listening);
    }

    fn queries(&self) -> QueryCounts {
        let jobs = &self.instance.jobs;
        QueryCounts { running: jobs.running() as u64, begun: jobs.begun().0 }
    }

    fn compile(&self, envelope: Envelope<'_>) -> Result<Box<dyn Query>, Error> {
        self.instance.jobs.count();
        let query = term::Query::new(envelope.term, envelope.optargs)
            .map_err(|error| on_the_wire(&error, &Backtraces::default()))?;
        let instance = self.instance.clone();
        Ok(Box::new(Compiled { instance, query: Arc::new(query), program: OnceLock::new() }))
    }
}

/// A parsed query.
struct Compiled {
    instance: Arc<Instance>,
    query: Arc<term::Query>,
    /// The program that was run. Freeing it takes a while, which can wait until the client has its answer.
    program: OnceLock<eval::Program>,
}

impl Compiled {
    fn evaluate(&self, env: eval::Env) -> error::Result<eval::Answer> {
        let program = eval::Program::new(&self.query, env)?;
        let answer = program.run();
        // One that had to be begun again elsewhere may go at once.
        let _ = self.program.set(program);
        answer
    }
}

impl Query for Compiled {
    fn weight(&self) -> Weight {
        if self.query.is_light() { Weight::Light } else { Weight::Heavy }
    }

    fn run(&self, context: &QueryContext, place: Weight) -> Result<Answer, Failure> {
        let jobs = &self.instance.jobs;
        let list = || jobs.list(self.query.clone(), context);
        // A light query ends before its connection does anything else, so it isn't listed.
        let running = (place == Weight::Heavy).then(list);
        let (user, interrupt) = (context.client.user.clone(), context.interrupt.clone());
        let env = eval::Env::new(self.instance.clone(), user, interrupt, place == Weight::Heavy);
        // The environment itself isn't shared, so that options are set in place.
        let meter = env.meter();
        match meter.within(|| Evaluated::of(self.evaluate(env)?, &meter)) {
            Ok(Evaluated::Atom(json)) => {
                let profile = self.program.get().and_then(eval::Program::profile);
                Ok(Answer::Atom { json, profile })
            }
            Ok(Evaluated::Later(later)) => {
                let (query, running) = (self.query.clone(), list());
                Ok(Answer::Later(Box::pin(async move {
                    let _running = running;
                    let written = later.await.and_then(|datum| text(&datum, &meter));
                    written.map_err(|error| failure(&error, &query.places))
                })))
            }
            Ok(Evaluated::Cursor(rows)) => Ok(Answer::Cursor(Box::new(Rows {
                rows: *rows,
                query: self.query.clone(),
                _running: running.unwrap_or_else(list),
            }))),
            Err(error) => Err(failure(&error, &self.query.places)),
        }
    }
}

/// The outcome of a query. A value is text already: writing it is part of the work.
enum Evaluated {
    Atom(Text),
    Later(eval::Later),
    Cursor(Box<eval::Cursor>),
}

impl Evaluated {
    fn of(answer: eval::Answer, meter: &Meter) -> error::Result<Self> {
        Ok(match answer {
            eval::Answer::Atom(datum) => Evaluated::Atom(text(&datum, meter)?),
            eval::Answer::Later(later) => Evaluated::Later(later),
            eval::Answer::Cursor(rows) => Evaluated::Cursor(rows),
        })
    }
}

fn text(datum: &Datum, meter: &Meter) -> error::Result<Text> {
    let mut text = Vec::with_capacity(ATOM_SIZE);
    // Most texts are about as long as the values in them.
    let aside = fuel::aside(datum.size())?;
    json::write(datum, &mut text)?;
    drop(aside);
    Text::counted(text, || meter.reserve())
}

/// A stream on its way to the client.
struct Rows {
    rows: eval::Cursor,
    query: Arc<term::Query>,
    /// Entry in the list of running queries, until the stream is read to its end.
    _running: Running,
}

impl Cursor for Rows {
    fn next_batch(&mut self) -> Result<Batch, Failure> {
        let (mut batch, mut text) = (Batch::default(), Vec::new());
        let eval::Batch { rows, done } =
            self.rows.next_batch(&mut text).map_err(|error| failure(&error, &self.query.places))?;
        let counted = Text::counted(text, || self.rows.reserve());
        batch.json = counted.map_err(|error| failure(&error, &self.query.places))?;
        batch.rows = rows;
        batch.done = done;
        batch.notes = notes(self.rows.feed());
        batch.profile = self.rows.profile();
        Ok(batch)
    }

    fn weight(&self) -> Weight {
        if self.rows.is_light() { Weight::Light } else { Weight::Heavy }
    }

    fn is_feed(&self) -> bool {
        self.rows.feed().is_some()
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.rows.ready())
    }
}

fn notes(feed: Option<FeedTraits>) -> Vec<Note> {
    let Some(FeedTraits { kind, has_states }) = feed else { return Vec::new() };
    let mut notes = vec![match kind {
        Kind::Sequence => Note::SequenceFeed,
        Kind::Point => Note::AtomFeed,
        Kind::Window => Note::OrderByLimitFeed,
        Kind::Union => Note::UnionedFeed,
    }];
    if has_states {
        notes.push(Note::IncludesStates);
    }
    notes
}

fn failure(error: &error::Error, places: &Backtraces) -> Failure {
    match error.kind() {
        ErrorKind::Interrupted => Failure::Interrupted,
        ErrorKind::WouldBlock => Failure::WouldBlock,
        _ => Failure::Error(on_the_wire(error, places)),
    }
}

fn on_the_wire(error: &error::Error, places: &Backtraces) -> Error {
    let class = match error.kind() {
        ErrorKind::Client => ErrorClass::Client,
        ErrorKind::Compile => ErrorClass::Compile,
        ErrorKind::Internal | ErrorKind::Interrupted | ErrorKind::WouldBlock => {
            ErrorClass::Runtime(ErrorType::Internal)
        }
        ErrorKind::ResourceLimit => ErrorClass::Runtime(ErrorType::ResourceLimit),
        ErrorKind::QueryLogic => ErrorClass::Runtime(ErrorType::QueryLogic),
        // Outside of `default`, `r.error()` has no message.
        ErrorKind::EmptyUser => ErrorClass::Runtime(ErrorType::QueryLogic),
        ErrorKind::NonExistence => ErrorClass::Runtime(ErrorType::NonExistence),
        ErrorKind::OpFailed => ErrorClass::Runtime(ErrorType::OpFailed),
        ErrorKind::OpIndeterminate => ErrorClass::Runtime(ErrorType::OpIndeterminate),
        ErrorKind::User => ErrorClass::Runtime(ErrorType::User),
        ErrorKind::Permission => ErrorClass::Runtime(ErrorType::Permission),
    };
    let backtrace = places
        .blamed(error)
        .into_iter()
        .map(|frame| match frame {
            term::Frame::Arg(index) => Frame::Position(index as u32),
            term::Frame::Optarg(name) => Frame::Optional(name.to_string()),
        })
        .collect();
    Error { class, message: error.message().to_owned(), backtrace }
}
