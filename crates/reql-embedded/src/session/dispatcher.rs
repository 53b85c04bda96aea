//! The queries of one connection: which token gets which answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::task::{JoinError, JoinSet};

use super::job::{self, Outcome};
use super::noreply::{Noreplies, Ticket};
use super::outbound::Outbound;
use super::queries::{FollowUp, Queries};
use crate::datum::syntax::Arena;
use crate::engine::{
    Client, Cursor, Engine, Envelope, Error, ErrorType, Failure, Interrupt, Query, QueryContext, QueryType,
    Reason, Weight,
};
use crate::protocol::frame::Frame;
use crate::protocol::handshake::Dialect;
use crate::protocol::response;
use crate::workers::Lane;

/// How many queries of a connection are worked on at once, as in RethinkDB; feeds that wait don't count.
const MAX_IN_FLIGHT: usize = 1024;

/// How many streams and feeds a connection may hold open.
const MAX_OPEN: usize = 16 << 10;

/// How long the texts of queries that are being started may be together, in bytes. A longer one has to be the only one.
const MAX_BYTES_IN_FLIGHT: usize = 128 << 20;

/// How long the texts of all queries of a connection may be together, in bytes, those of open streams and feeds included.
const MAX_BYTES_OPEN: usize = 256 << 20;

/// A longer query is compiled on a thread that may block.
const LONG_QUERY: usize = 64 << 10;

/// After so long, a feed without news is answered with an empty batch in the dialect that wants that.
const PATIENCE: Duration = Duration::from_millis(500);

/// A piece of work that is done.
pub(super) struct Done {
    ticket: Ticket,
    /// Whether it counted against the limit of queries in flight, and
    counted: bool,
    /// what it counted against that of their bytes.
    size: usize,
    outcome: Outcome,
}

/// Takes queries, has them evaluated where they belong, and writes the answers.
pub(super) struct Dispatcher {
    engine: Arc<dyn Engine>,
    client: Arc<Client>,
    dialect: Dialect,
    pub(super) outbound: Outbound,
    queries: Queries,
    pub(super) jobs: JoinSet<Done>,
    noreplies: Noreplies,
    lane: Arc<Lane>,
    in_flight: usize,
    bytes_in_flight: usize,
    /// What has been evaluated here: taking it apart takes a while, which no client should wait for.
    spent: Vec<Box<dyn Query>>,
}

impl Dispatcher {
    pub(super) fn new(engine: Arc<dyn Engine>, client: Arc<Client>, dialect: Dialect, lane: Lane) -> Self {
        Self {
            engine,
            client,
            dialect,
            outbound: Outbound::default(),
            queries: Queries::default(),
            jobs: JoinSet::new(),
            noreplies: Noreplies::default(),
            lane: Arc::new(lane),
            in_flight: 0,
            bytes_in_flight: 0,
            spent: Vec::new(),
        }
    }

    /// Returns whether a query of this length may be taken in. A short one may be a STOP, so it doesn't wait for long ones.
    pub(super) fn has_room_for(&self, size: usize) -> bool {
        self.has_room()
            && (size <= LONG_QUERY
                || self.bytes_in_flight == 0
                || self.bytes_in_flight + size <= MAX_BYTES_IN_FLIGHT)
    }

    /// Returns whether one more query may be taken in, as far as that doesn't depend on its length.
    fn has_room(&self) -> bool {
        let limit = match self.dialect {
            Dialect::Sequential => 1,
            Dialect::Parallel => MAX_IN_FLIGHT,
        };
        self.in_flight < limit && !self.outbound.is_full()
    }

    /// Returns whether nothing is worked on, and nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.outbound.is_empty()
    }

    /// Ends all queries.
    pub(super) fn interrupt_all(&self, reason: Reason) {
        self.queries.interrupt_all(reason);
    }

    /// Lets go of everything and waits until nothing runs any more; nobody wants the answers.
    pub(super) async fn finished(mut self) {
        self.interrupt_all(Reason::Closed);
        self.queries = Queries::default();
        while self.jobs.join_next().await.is_some() {}
    }

    /// Answers what has been finished meanwhile.
    pub(super) fn collect(&mut self) {
        while !self.outbound.is_full() {
            let Some(done) = self.jobs.try_join_next() else { return };
            self.settle(done);
        }
    }

    /// Takes apart what has been answered.
    pub(super) fn tidy_up(&mut self) {
        self.spent.clear();
    }

    /// Answers with a result that came from elsewhere.
    pub(super) fn settle(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(done) => self.conclude(done),
            // Evaluation is shielded from panics; only a runtime that shuts down cancels a job.
            Err(error) => log::error!("A query was lost: {error}"),
        }
    }

    /// Takes in a query.
    pub(super) fn take(&mut self, frame: Frame) {
        let Frame { token, payload } = frame;
        let arena = Arena::new();
        let query = match Envelope::parse(&payload, &arena) {
            Ok(query) => query,
            Err(error) => return response::error(self.outbound.buffer(), token, &error),
        };
        let ticket = self.noreplies.issue(token, query.noreply);
        match query.kind {
            QueryType::Start if payload.len() > LONG_QUERY => self.start_long(ticket, payload),
            QueryType::Start => self.start(ticket, payload.len(), query),
            QueryType::Continue => self.follow_up(FollowUp::Continue, ticket),
            QueryType::Stop => self.stop(ticket),
            QueryType::NoreplyWait => self.noreply_wait(ticket),
            QueryType::ServerInfo => {
                let info = self.engine.server_info();
                self.answer(ticket, |out, token| response::server_info(out, token, &info));
            }
        }
    }

    fn start(&mut self, ticket: Ticket, size: usize, query: Envelope<'_>) {
        if let Err(error) = self.admit(ticket.token) {
            return self.fail(ticket, &error);
        }
        let query = match job::compile(&*self.engine, query) {
            Ok(query) => query,
            Err(error) => return self.fail(ticket, &error),
        };
        let context = self.context(ticket.token);
        if query.weight() == Weight::Light {
            match job::start(&*query, &context, Weight::Light) {
                Outcome::Failed(Failure::WouldBlock) => {}
                Outcome::Later(later) => {
                    self.queries.insert(ticket.token, size, context.interrupt, None);
                    self.in_flight += 1;
                    let finish = async move {
                        Done { ticket, counted: true, size: 0, outcome: job::finish(later).await }
                    };
                    self.jobs.spawn(finish);
                    return;
                }
                outcome => {
                    if let Some(rest) = self.report(ticket, &context.interrupt, outcome) {
                        self.queries.insert(ticket.token, size, context.interrupt, Some(rest));
                    }
                    self.spent.push(query);
                    return;
                }
            }
        }
        self.queries.insert(ticket.token, size, context.interrupt.clone(), None);
        self.spawn(ticket, size, context.interrupt.clone(), move || {
            job::start(&*query, &context, Weight::Heavy)
        });
    }

    fn start_long(&mut self, ticket: Ticket, payload: BytesMut) {
        if let Err(error) = self.admit(ticket.token) {
            return self.fail(ticket, &error);
        }
        let (context, size) = (self.context(ticket.token), payload.len());
        let engine = self.engine.clone();
        self.queries.insert(ticket.token, size, context.interrupt.clone(), None);
        self.spawn(ticket, size, context.interrupt.clone(), move || {
            job::start_text(&*engine, payload, &context)
        });
    }

    fn admit(&self, token: i64) -> Result<(), Error> {
        if self.queries.contains(token) {
            return Err(duplicate(token));
        }
        if self.queries.len() >= MAX_OPEN {
            let message = format!("This connection has reached its limit of {MAX_OPEN} open queries.");
            return Err(Error::runtime(ErrorType::ResourceLimit, message));
        }
        if self.queries.size() > MAX_BYTES_OPEN {
            let message =
                format!("The open queries of this connection are over the size limit `{MAX_BYTES_OPEN}`.");
            return Err(Error::runtime(ErrorType::ResourceLimit, message));
        }
        Ok(())
    }

    fn context(&self, token: i64) -> QueryContext {
        QueryContext { client: self.client.clone(), token, interrupt: Interrupt::default() }
    }

    /// CONTINUE, or whatever else has to wait until the query is free.
    fn follow_up(&mut self, what: FollowUp, ticket: Ticket) {
        let Some(query) = self.queries.get_mut(ticket.token) else {
            return self.fail(ticket, &unknown(ticket.token));
        };
        query.enqueue(what, ticket);
        self.in_flight += 1;
        self.advance(ticket.token);
    }

    fn stop(&mut self, ticket: Ticket) {
        if let Some(query) = self.queries.get_mut(ticket.token) {
            query.interrupt.raise(Reason::Stopped);
        }
        self.follow_up(FollowUp::Stop, ticket);
    }

    /// Does what is queued behind a query, as far as it is free to.
    fn advance(&mut self, token: i64) {
        while let Some((what, ticket)) = self.queries.get_mut(token).and_then(|query| query.next_follow_up())
        {
            self.in_flight -= 1;
            match what {
                FollowUp::Continue => self.next_batch(ticket),
                FollowUp::Stop => {
                    self.answer(ticket, response::end_of_stream);
                    self.close(token);
                }
            }
        }
    }

    fn next_batch(&mut self, ticket: Ticket) {
        let Some(query) = self.queries.get_mut(ticket.token) else { return };
        let Some(cursor) = query.take_cursor() else { return };
        let interrupt = query.interrupt.clone();
        if cursor.is_feed() {
            let patience = (self.dialect == Dialect::Sequential).then_some(PATIENCE);
            let lane = self.lane.clone();
            self.jobs.spawn(async move {
                let outcome = job::follow(cursor, interrupt, &lane, patience).await;
                Done { ticket, counted: false, size: 0, outcome }
            });
        } else if cursor.weight() == Weight::Light {
            let outcome = job::next(cursor, &interrupt);
            self.update(ticket, outcome);
        } else {
            self.spawn(ticket, 0, interrupt.clone(), move || job::next(cursor, &interrupt));
        }
    }

    fn noreply_wait(&mut self, ticket: Ticket) {
        if self.queries.contains(ticket.token) {
            return self.fail(ticket, &duplicate(ticket.token));
        }
        self.in_flight += 1;
        self.noreplies.wait(ticket);
        self.release_waits();
    }

    fn release_waits(&mut self) {
        while let Some(ticket) = self.noreplies.next_released() {
            self.in_flight -= 1;
            if !ticket.noreply {
                response::wait_complete(self.outbound.buffer(), ticket.token);
            }
        }
    }

    /// Has something done on a thread that may block, when it is this connection's turn.
    fn spawn(
        &mut self,
        ticket: Ticket,
        size: usize,
        interrupt: Interrupt,
        work: impl FnOnce() -> Outcome + Send + 'static,
    ) {
        self.in_flight += 1;
        self.bytes_in_flight += size;
        let done = self.lane.run(interrupt, work);
        self.jobs.spawn(async move {
            let outcome = done.await.unwrap_or(Outcome::Failed(Failure::Interrupted));
            Done { ticket, counted: true, size, outcome }
        });
    }

    fn conclude(&mut self, done: Done) {
        if done.counted {
            self.in_flight -= 1;
        }
        self.bytes_in_flight -= done.size;
        self.update(done.ticket, done.outcome);
        self.advance(done.ticket.token);
    }

    /// Answers, and keeps or closes the open query.
    fn update(&mut self, ticket: Ticket, outcome: Outcome) {
        let token = ticket.token;
        let Some(interrupt) = self.queries.get_mut(token).map(|query| query.interrupt.clone()) else {
            return;
        };
        let rest = self.report(ticket, &interrupt, outcome);
        match (rest, self.queries.get_mut(token)) {
            (Some(rest), Some(query)) => query.put_back(rest),
            _ => self.close(token),
        }
    }

    /// Removes a query and answers what was queued behind it.
    fn close(&mut self, token: i64) {
        let Some(query) = self.queries.remove(token) else { return };
        for (what, ticket) in query.into_queue() {
            self.in_flight -= 1;
            match what {
                FollowUp::Continue => self.fail(ticket, &duplicate(token)),
                FollowUp::Stop => self.answer(ticket, response::end_of_stream),
            }
        }
    }

    /// Answers with what a step came to; gives the cursor back if the query stays open.
    fn report(&mut self, ticket: Ticket, interrupt: &Interrupt, outcome: Outcome) -> Option<Box<dyn Cursor>> {
        match outcome {
            Outcome::Atom { json, profile } => {
                self.answer(ticket, |out, token| response::atom(out, token, &json, profile.as_deref()));
                None
            }
            Outcome::Batch { batch, rest } => {
                self.answer(ticket, |out, token| response::batch(out, token, &batch, rest.is_none()));
                rest.filter(|_| !ticket.noreply && !interrupt.is_raised())
            }
            Outcome::Failed(Failure::Error(error)) => {
                self.fail(ticket, &error);
                None
            }
            Outcome::Later(_) | Outcome::Failed(Failure::WouldBlock) => {
                let message = "A query would not wait where it may.";
                self.fail(ticket, &Error::runtime(ErrorType::Internal, message));
                None
            }
            Outcome::Failed(Failure::Interrupted) => {
                match interruption(interrupt.reason()) {
                    Some(error) => self.fail(ticket, &error),
                    None => self.answer(ticket, response::end_of_stream),
                }
                None
            }
        }
    }

    fn fail(&mut self, ticket: Ticket, error: &Error) {
        self.answer(ticket, |out, token| response::error(out, token, error));
    }

    /// Each ticket ends here, or as a NOREPLY_WAIT.
    fn answer(&mut self, ticket: Ticket, write: impl FnOnce(&mut Vec<u8>, i64)) {
        if ticket.noreply {
            self.noreplies.finish(ticket);
            self.release_waits();
        } else {
            write(self.outbound.buffer(), ticket.token);
        }
    }
}

/// However a connection ends, even by a panic, its queries end with it.
impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.queries.interrupt_all(Reason::Closed);
    }
}

/// What an interrupted query is answered with; `None` is the empty end of a stream, which clients expect after STOP.
fn interruption(reason: Option<Reason>) -> Option<Error> {
    let message = match reason {
        Some(Reason::Stopped) => return None,
        Some(Reason::Killed) => "Query terminated by the `rethinkdb.jobs` table.",
        Some(Reason::Shutdown) => "Server is shutting down.",
        Some(Reason::Closed) => "Client closed the connection.",
        None => "Query terminated by an unknown cause.",
    };
    Some(Error::runtime(ErrorType::OpIndeterminate, message))
}

fn duplicate(token: i64) -> Error {
    Error::client(format!("ERROR: duplicate token {token}"))
}

fn unknown(token: i64) -> Error {
    Error::client(format!("Token {token} not in stream cache."))
}
