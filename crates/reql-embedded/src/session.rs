//! One connection: frames in, tokens to running queries, answers out.
//!
//! A session is a single task. Light queries are evaluated on it, heavy ones on threads that may block, feeds wait in
//! tasks of their own. It reads, writes and collects results at the same time, and takes in no more than a bounded
//! number of queries and a bounded backlog of answers. When it ends, everything it started ends.

mod job;
mod noreply;
mod outbound;
mod queries;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::job::Outcome;
use self::noreply::{Noreplies, Ticket};
use self::outbound::Outbound;
use self::queries::{FollowUp, Queries};
use crate::engine::{
    Client, Cursor, Engine, Envelope, Error, ErrorType, Failure, Interrupt, QueryContext, QueryType, Reason,
    Weight,
};
use crate::protocol::frame::{Frame, Inbound, Oversized};
use crate::protocol::handshake::{self, Dialect, Refusal, Welcome};
use crate::protocol::response;

/// How many queries of a connection are worked on at once, as in RethinkDB; feeds that wait don't count.
const MAX_IN_FLIGHT: usize = 1024;

/// How many streams and feeds a connection may hold open.
const MAX_OPEN: usize = 16 << 10;

/// A longer query is compiled on a thread that may block.
const LONG_QUERY: usize = 64 << 10;

/// After so long, a feed without news is answered with an empty batch in the dialect that wants that.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a client may take to send the rest of a query that is refused.
const OVERSIZED_TIME: Duration = Duration::from_secs(5 * 60);

/// How long a client that was refused may take to read why.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// Serves a connection until it ends, its client misbehaves, or the server shuts down. `slot` is dropped when the
/// socket is closed, which may be before the last of its queries has noticed.
pub(crate) async fn serve<S>(
    mut stream: TcpStream,
    peer: SocketAddr,
    engine: Arc<dyn Engine>,
    handshake_timeout: Duration,
    mut shutdown: watch::Receiver<bool>,
    slot: S,
) {
    if let Err(error) = prepare(&stream) {
        log::debug!("{peer}: {error}");
        return;
    }
    let mut inbound = Inbound::default();
    let handshake = tokio::select! {
        result = tokio::time::timeout(
            handshake_timeout,
            handshake::perform(&mut stream, &mut inbound, &engine),
        ) => result,
        _ = shutdown.wait_for(|stop| *stop) => return,
    };
    let welcome = match handshake {
        Ok(Ok(welcome)) => welcome,
        Ok(Err(Refusal::Told(text))) => return farewell(&mut stream, &text).await,
        Ok(Err(Refusal::Io(error))) => return log::debug!("{peer}: {error}"),
        Err(_) => return log::debug!("{peer}: no handshake in {handshake_timeout:?}"),
    };
    let mut session = Session::new(engine, welcome, peer, inbound);
    let ending = session.run(&mut stream, &mut shutdown).await;
    session.queries.interrupt_all(Reason::Closed);
    if let Ok(Ending::Oversized(oversized)) = ending {
        tokio::select! {
            () = session.refuse(&mut stream, &oversized) => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }
    drop(stream);
    drop(slot);
    while session.jobs.join_next().await.is_some() {}
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_keepalive(true)
}

/// Tells a client why its connection ends, and lets it read that: closing with unread input would take it back.
pub(crate) async fn farewell(stream: &mut TcpStream, text: &[u8]) {
    let goodbye = async {
        stream.write_all(text).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whoever does not listen is not waited for.
    let _ = tokio::time::timeout(FAREWELL_TIME, goodbye).await;
}

/// How a session ends, other than by a broken socket.
enum Ending {
    Closed,
    Shutdown,
    Oversized(Oversized),
}

/// A piece of work that is done.
struct Done {
    ticket: Ticket,
    /// Whether it counted against the limit of queries in flight.
    counted: bool,
    outcome: Outcome,
}

struct Session {
    engine: Arc<dyn Engine>,
    client: Arc<Client>,
    dialect: Dialect,
    inbound: Inbound,
    outbound: Outbound,
    queries: Queries,
    jobs: JoinSet<Done>,
    noreplies: Noreplies,
    in_flight: usize,
    draining: bool,
}

impl Session {
    fn new(engine: Arc<dyn Engine>, welcome: Welcome, peer: SocketAddr, inbound: Inbound) -> Self {
        Self {
            engine,
            client: Arc::new(Client { user: welcome.user, peer }),
            dialect: welcome.dialect,
            inbound,
            outbound: Outbound::default(),
            queries: Queries::default(),
            jobs: JoinSet::new(),
            noreplies: Noreplies::default(),
            in_flight: 0,
            draining: false,
        }
    }

    async fn run(
        &mut self,
        stream: &mut TcpStream,
        shutdown: &mut watch::Receiver<bool>,
    ) -> io::Result<Ending> {
        let (mut reader, mut writer) = stream.split();
        let mut shutdown = std::pin::pin!(shutdown.wait_for(|stop| *stop));
        loop {
            self.collect();
            if let Err(oversized) = self.take_frames() {
                return Ok(Ending::Oversized(oversized));
            }
            if !self.outbound.is_empty() {
                // Nearly always the socket takes all at once, and nothing has to be waited for.
                match writer.try_write(self.outbound.pending()) {
                    Ok(sent) => self.outbound.advance(sent),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            if self.draining && self.jobs.is_empty() && self.outbound.is_empty() {
                return Ok(Ending::Shutdown);
            }
            tokio::select! {
                biased;
                read = self.inbound.fill(&mut reader), if !self.draining && self.inbound.has_room() => {
                    if read? == 0 {
                        return Ok(Ending::Closed);
                    }
                }
                sent = writer.write(self.outbound.pending()), if !self.outbound.is_empty() => {
                    self.outbound.advance(sent?);
                }
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() && !self.outbound.is_full() => {
                    self.settle(done);
                }
                _ = &mut shutdown, if !self.draining => {
                    self.draining = true;
                    self.queries.interrupt_all(Reason::Shutdown);
                }
            }
        }
    }

    /// Answers what has been finished meanwhile.
    fn collect(&mut self) {
        while !self.outbound.is_full() {
            let Some(done) = self.jobs.try_join_next() else { return };
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(done) => self.conclude(done),
            // Evaluation is shielded from panics; only a runtime that shuts down cancels a job.
            Err(error) => log::error!("A query was lost: {error}"),
        }
    }

    fn take_frames(&mut self) -> Result<(), Oversized> {
        let limit = match self.dialect {
            Dialect::Sequential => 1,
            Dialect::Parallel => MAX_IN_FLIGHT,
        };
        while self.in_flight < limit && !self.outbound.is_full() && !self.draining {
            let Some(frame) = self.inbound.next_frame()? else { break };
            self.take(frame);
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame) {
        let Frame { token, payload } = frame;
        let query = match Envelope::parse(&payload) {
            Ok(query) => query,
            Err(error) => return response::error(self.outbound.buffer(), token, &error),
        };
        let ticket = self.noreplies.issue(token, query.noreply);
        match query.kind {
            QueryType::Start if payload.len() > LONG_QUERY => self.start_long(ticket, payload),
            QueryType::Start => self.start(ticket, &query),
            QueryType::Continue => self.follow_up(FollowUp::Continue, ticket),
            QueryType::Stop => self.stop(ticket),
            QueryType::NoreplyWait => self.noreply_wait(ticket),
            QueryType::ServerInfo => {
                let info = self.engine.server_info();
                self.answer(ticket, |out, token| response::server_info(out, token, &info));
            }
        }
    }

    fn start(&mut self, ticket: Ticket, query: &Envelope<'_>) {
        if let Err(error) = self.admit(ticket.token) {
            return self.fail(ticket, &error);
        }
        let query = match job::compile(&*self.engine, query) {
            Ok(query) => query,
            Err(error) => return self.fail(ticket, &error),
        };
        let context = self.context(ticket.token);
        match query.weight() {
            Weight::Light => {
                let outcome = job::start(query, &context);
                if let Some(rest) = self.report(ticket, &context.interrupt, outcome) {
                    self.queries.insert(ticket.token, context.interrupt, Some(rest));
                }
            }
            Weight::Heavy => {
                self.queries.insert(ticket.token, context.interrupt.clone(), None);
                self.spawn(ticket, move || job::start(query, &context));
            }
        }
    }

    fn start_long(&mut self, ticket: Ticket, payload: BytesMut) {
        if let Err(error) = self.admit(ticket.token) {
            return self.fail(ticket, &error);
        }
        let context = self.context(ticket.token);
        let engine = self.engine.clone();
        self.queries.insert(ticket.token, context.interrupt.clone(), None);
        self.spawn(ticket, move || job::start_text(&*engine, &payload, &context));
    }

    fn admit(&self, token: i64) -> Result<(), Error> {
        if self.queries.contains(token) {
            return Err(duplicate(token));
        }
        if self.queries.len() >= MAX_OPEN {
            let message = format!("This connection has reached its limit of {MAX_OPEN} open queries.");
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
            self.jobs.spawn(async move {
                let outcome = job::follow(cursor, interrupt, patience).await;
                Done { ticket, counted: false, outcome }
            });
        } else if cursor.weight() == Weight::Light {
            let outcome = job::next(cursor, &interrupt);
            self.update(ticket, outcome);
        } else {
            self.spawn(ticket, move || job::next(cursor, &interrupt));
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

    fn spawn(&mut self, ticket: Ticket, work: impl FnOnce() -> Outcome + Send + 'static) {
        self.in_flight += 1;
        self.jobs.spawn_blocking(move || Done { ticket, counted: true, outcome: work() });
    }

    /// Takes in a result from elsewhere.
    fn conclude(&mut self, done: Done) {
        if done.counted {
            self.in_flight -= 1;
        }
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

    /// Reads a query that is too long to its end, without keeping it, and says so.
    async fn refuse(&mut self, stream: &mut TcpStream, oversized: &Oversized) {
        let mut rest = oversized.rest();
        rest -= self.inbound.discard(rest);
        let mut skipped = (&mut *stream).take(rest as u64);
        let mut nowhere = tokio::io::sink();
        let skip = tokio::io::copy(&mut skipped, &mut nowhere);
        let _ = tokio::time::timeout(OVERSIZED_TIME, skip).await;
        response::error(self.outbound.buffer(), oversized.token, &oversized.error());
        farewell(stream, self.outbound.pending()).await;
    }
}

/// However a session ends, even by a panic, its queries end with it.
impl Drop for Session {
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
