//! The queries of one connection: each token, and its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::task::{JoinError, JoinSet};

use super::job::{self, Done, Outcome};
use super::noreply::{Noreplies, Ticket};
use super::outbound::Outbound;
use super::queries::{FollowUp, Queries};
use super::refusal::{duplicate, interruption, unknown};
use super::turn::Turn;
use super::watchdog::Mark;
use super::{Room, Shared};
use crate::datum::syntax::Arena;
use crate::engine::{
    Client, Cursor, Envelope, Error, ErrorType, Failure, Interrupt, Query, QueryContext, QueryType, Reason,
    Text, Weight,
};
use crate::protocol::frame::Frame;
use crate::protocol::handshake::Dialect;
use crate::protocol::response::{self, Around};
use crate::workers::Lane;

/// A longer query is compiled on a thread that may block.
pub(super) const LONG_QUERY: usize = 64 << 10;

/// The silence after which a feed is answered with an empty batch, in the dialect that wants that.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes queries, has them evaluated on the task or on a thread, and writes the answers.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    client: Arc<Client>,
    dialect: Dialect,
    pub(super) outbound: Outbound,
    queries: Queries,
    pub(super) jobs: JoinSet<Done>,
    noreplies: Noreplies,
    lane: Arc<Lane>,
    room: Room,
    /// Mark of the connection's task, for the watchdog.
    mark: Arc<Mark>,
    /// Evaluated queries, to be freed later: that takes a while, and no client should wait for it.
    spent: Vec<Box<dyn Query>>,
}

impl Dispatcher {
    pub(super) fn new(shared: Arc<Shared>, client: Arc<Client>, dialect: Dialect, mark: Arc<Mark>) -> Self {
        Self {
            lane: Arc::new(shared.workers.lane()),
            shared,
            client,
            dialect,
            outbound: Outbound::default(),
            queries: Queries::default(),
            jobs: JoinSet::new(),
            noreplies: Noreplies::default(),
            room: Room::new(dialect),
            mark,
            spent: Vec::new(),
        }
    }

    /// Returns true if a query of this length may be taken in.
    pub(super) fn has_room_for(&self, size: usize) -> bool {
        self.room.has_room_for(size) && !self.outbound.is_full()
    }

    /// Returns true if no query is worked on, and no answer waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.outbound.is_empty()
    }

    /// Ends all queries.
    pub(super) fn interrupt_all(&self, reason: Reason) {
        self.queries.interrupt_all(reason);
    }

    /// Drops everything and waits until no query runs any more; the answers are not wanted.
    pub(super) async fn finished(mut self) {
        self.interrupt_all(Reason::Closed);
        self.queries = Queries::default();
        while self.jobs.join_next().await.is_some() {}
    }

    /// Answers the queries that have finished meanwhile, until it is others' turn.
    pub(super) fn collect(&mut self, turn: &mut Turn) {
        while !self.outbound.is_full()
            && let Some(done) = self.jobs.try_join_next()
        {
            self.settle(done);
            if turn.is_over() {
                return;
            }
        }
    }

    /// Frees the queries that have been answered.
    pub(super) fn tidy_up(&mut self) {
        self.spent.clear();
    }

    /// Answers with the result of another task or thread.
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
        if payload.len() > LONG_QUERY {
            return self.start_long(token, payload);
        }
        let arena = Arena::new();
        let query = match Envelope::parse(&payload, &arena) {
            Ok(query) => query,
            Err(error) => return response::error(self.outbound.buffer(), token, &error),
        };
        let ticket = self.noreplies.issue(token, query.noreply);
        match query.kind {
            QueryType::Start => {
                self.mark.about(&payload);
                self.start(ticket, &payload, query);
            }
            QueryType::Continue => self.follow_up(FollowUp::Continue, ticket),
            QueryType::Stop => self.stop(ticket),
            QueryType::NoreplyWait => self.noreply_wait(ticket),
            QueryType::ServerInfo => {
                let info = self.shared.engine.server_info();
                self.answer(ticket, |out, token| response::server_info(out, token, &info));
            }
        }
    }

    fn start(&mut self, ticket: Ticket, text: &[u8], query: Envelope<'_>) {
        if let Err(error) = self.admit(ticket.token) {
            return self.fail(ticket, &error);
        }
        let query = match job::compile(&*self.shared.engine, query) {
            Ok(query) => query,
            Err(error) => return self.fail(ticket, &error),
        };
        let context = self.context(ticket.token);
        if query.weight() == Weight::Light {
            match job::start(&*query, &context, Weight::Light) {
                Outcome::Failed(Failure::WouldBlock) => {}
                Outcome::Later(later) => {
                    self.queries.insert(ticket.token, text, context.interrupt.clone(), None);
                    self.room.take(0);
                    let lane = self.lane.clone();
                    self.jobs.spawn(async move {
                        let (_held, outcome) = job::finish(later, query, context, &lane).await;
                        Done { ticket, counted: true, size: 0, _held, outcome }
                    });
                    return;
                }
                outcome => {
                    if let Some(rest) = self.report(ticket, &context.interrupt, outcome) {
                        self.queries.insert(ticket.token, text, context.interrupt, Some(rest));
                    }
                    self.spent.push(query);
                    return;
                }
            }
        }
        self.queries.insert(ticket.token, text, context.interrupt.clone(), None);
        self.spawn(ticket, text.len(), context.interrupt.clone(), move || {
            (ticket, job::start(&*query, &context, Weight::Heavy))
        });
    }

    /// Starts a query whose text takes long to read.
    fn start_long(&mut self, token: i64, text: BytesMut) {
        let noreply = Envelope::wants_no_answer(&text);
        let ticket = self.noreplies.issue_unread(token).read(noreply);
        if let Err(error) = self.admit(token) {
            self.noreplies.read(ticket);
            self.fail(ticket, &error);
            return self.release_waits();
        }
        let (context, engine) = (self.context(token), self.shared.engine.clone());
        self.queries.insert(token, &text, context.interrupt.clone(), None);
        self.spawn(ticket, text.len(), context.interrupt.clone(), move || {
            let (noreply, outcome) = job::start_text(&*engine, text, noreply, &context);
            (ticket.read(noreply), outcome)
        });
    }

    fn admit(&self, token: i64) -> Result<(), Error> {
        if self.queries.contains(token) {
            return Err(duplicate(token));
        }
        self.queries.check_limits()
    }

    fn context(&self, token: i64) -> QueryContext {
        QueryContext { client: self.client.clone(), token, interrupt: Interrupt::default() }
    }

    /// Takes a CONTINUE, or another request that has to wait until the query is free.
    fn follow_up(&mut self, what: FollowUp, ticket: Ticket) {
        let Some(query) = self.queries.get_mut(ticket.token) else {
            return self.fail(ticket, &unknown(ticket.token));
        };
        query.enqueue(what, ticket);
        self.room.take(0);
        self.advance(ticket.token);
    }

    fn stop(&mut self, ticket: Ticket) {
        if let Some(query) = self.queries.get_mut(ticket.token) {
            query.interrupt.raise(Reason::Stopped);
        }
        self.follow_up(FollowUp::Stop, ticket);
    }

    /// Does the requests that wait behind a query, as far as it is free to.
    fn advance(&mut self, token: i64) {
        while let Some((what, ticket)) = self.queries.get_mut(token).and_then(|query| query.next_follow_up())
        {
            self.room.give_back(0);
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
            let (lane, mark) = (self.lane.clone(), query.mark(&self.shared.watchdog));
            self.jobs.spawn(mark.watch(async move {
                let (_held, outcome) = job::follow(cursor, interrupt, &lane, patience).await;
                Done { ticket, counted: false, size: 0, _held, outcome }
            }));
        } else if cursor.weight() == Weight::Light {
            let outcome = job::next(cursor, &interrupt);
            self.update(ticket, outcome);
        } else {
            self.spawn(ticket, 0, interrupt.clone(), move || (ticket, job::next(cursor, &interrupt)));
        }
    }

    fn noreply_wait(&mut self, ticket: Ticket) {
        if self.queries.contains(ticket.token) {
            return self.fail(ticket, &duplicate(ticket.token));
        }
        self.room.take(0);
        self.noreplies.wait(ticket);
        self.release_waits();
    }

    fn release_waits(&mut self) {
        while let Some(ticket) = self.noreplies.next_released() {
            self.room.give_back(0);
            if !ticket.noreply {
                response::wait_complete(self.outbound.buffer(), ticket.token);
            }
        }
    }

    /// Runs work on a thread that may block, when it is this connection's turn.
    fn spawn(
        &mut self,
        ticket: Ticket,
        size: usize,
        interrupt: Interrupt,
        work: impl FnOnce() -> (Ticket, Outcome) + Send + 'static,
    ) {
        self.room.take(size);
        let lane = self.lane.clone();
        let done = self.lane.run(interrupt, move || {
            let (ticket, outcome) = work();
            (ticket, lane.hold(outcome.len()), outcome)
        });
        self.jobs.spawn(async move {
            let interrupted = (ticket, None, Outcome::Failed(Failure::Interrupted));
            let (ticket, _held, outcome) = done.await.unwrap_or(interrupted);
            Done { ticket, counted: true, size, _held, outcome }
        });
    }

    fn conclude(&mut self, done: Done) {
        let Done { ticket, counted, size, _held, outcome } = done;
        if counted {
            self.room.give_back(size);
        }
        self.noreplies.read(ticket);
        self.update(ticket, outcome);
        self.advance(ticket.token);
        self.release_waits();
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

    /// Removes a query and answers the requests that were queued behind it.
    fn close(&mut self, token: i64) {
        let Some(query) = self.queries.remove(token) else { return };
        for (what, ticket) in query.into_queue() {
            self.room.give_back(0);
            match what {
                FollowUp::Continue => self.fail(ticket, &duplicate(token)),
                FollowUp::Stop => self.answer(ticket, response::end_of_stream),
            }
        }
    }

    /// Answers with the outcome of a step; returns the cursor if the query stays open.
    fn report(&mut self, ticket: Ticket, interrupt: &Interrupt, outcome: Outcome) -> Option<Box<dyn Cursor>> {
        match outcome {
            Outcome::Atom { json, profile } => {
                self.answer_with(ticket, &Around::atom(profile.as_deref()), json);
                None
            }
            Outcome::Batch { mut batch, rest } => {
                let json = std::mem::take(&mut batch.json);
                self.answer_with(ticket, &Around::batch(&batch, rest.is_none()), json);
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

    /// Answers with a text, which isn't copied if it is long.
    fn answer_with(&mut self, ticket: Ticket, around: &Around<'_>, json: Text) {
        if ticket.noreply || !json.is_long() {
            return self.answer(ticket, |out, token| around.write(out, token, json.bytes()));
        }
        match around.parts(ticket.token, json.bytes().len()) {
            Ok((before, after)) => {
                self.outbound.buffer().extend(before);
                self.outbound.append(json);
                self.outbound.buffer().extend(after);
            }
            Err(error) => self.fail(ticket, &error),
        }
    }

    fn fail(&mut self, ticket: Ticket, error: &Error) {
        self.answer(ticket, |out, token| response::error(out, token, error));
    }

    /// Answers a ticket. Each ticket ends here, or as a NOREPLY_WAIT.
    fn answer(&mut self, ticket: Ticket, write: impl FnOnce(&mut Vec<u8>, i64)) {
        if ticket.noreply {
            self.noreplies.finish(ticket);
            self.release_waits();
        } else {
            write(self.outbound.buffer(), ticket.token);
        }
    }
}

/// Ends the queries with their connection, even if it ends by a panic.
impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.queries.interrupt_all(Reason::Closed);
    }
}
