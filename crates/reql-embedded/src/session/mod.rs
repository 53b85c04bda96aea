//! One connection: frames in, tokens to running queries, answers out.
//!
//! A session is a single task over any stream of bytes. Light queries are evaluated on it, heavy ones on
//! threads that may block, feeds wait in tasks of their own. It reads, writes and collects results at the
//! same time, and takes in no more than a bounded number of queries and a bounded backlog of answers. When it
//! ends, everything it started ends.

mod busy_poll;
mod dispatcher;
mod job;
mod noreply;
mod outbound;
mod queries;
mod refusal;
mod room;
mod stream;
mod turn;
mod unread;
mod watchdog;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::yield_now;

use self::busy_poll::BusyPoll;
use self::dispatcher::Dispatcher;
use self::room::Room;
use self::stream::{Moved, transfer, write_now};
use self::turn::Turn;
use self::watchdog::Mark;
use crate::engine::{Client, Engine, Reason};
use crate::protocol::Peer;
use crate::protocol::frame::{Inbound, Oversized};
use crate::protocol::handshake::{self, Host, Refusal};
use crate::protocol::response;
use crate::workers::{Lane, Workers};

pub(crate) use self::busy_poll::Polling;
pub(crate) use self::stream::{Incoming, Stream};
pub(crate) use self::watchdog::Watchdog;

/// Time for a client to send the rest of a query that is refused.
const OVERSIZED_TIME: Duration = Duration::from_secs(5 * 60);

/// Time for a client that was refused to read the reason.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// Bytes that are read at once while a session polls: any query that is soon answered is shorter.
const POLLED_SIZE: usize = 1 << 10;

/// State that all sessions of a server share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) workers: Workers,
    pub(crate) watchdog: Watchdog,
    /// Lane of the threads on which passwords are stretched.
    pub(crate) hashing: Lane,
    pub(crate) handshake_timeout: Duration,
    pub(crate) polling: Option<Arc<Polling>>,
}

/// Serves a connection until it ends, its client misbehaves, or the server shuts down. The permit is dropped
/// when the connection is closed, which may be before the last of its queries has noticed.
pub(crate) async fn serve<I: Incoming, P>(
    incoming: I,
    peer: Peer,
    shared: Arc<Shared>,
    shutdown: watch::Receiver<bool>,
    permit: P,
) {
    let mark = shared.watchdog.mark(b"a handshake");
    let served = serve_marked(incoming, peer, shared, mark.clone(), shutdown, permit);
    mark.watch(served).await;
}

async fn serve_marked<I: Incoming, P>(
    incoming: I,
    peer: Peer,
    shared: Arc<Shared>,
    mark: Arc<Mark>,
    mut shutdown: watch::Receiver<bool>,
    permit: P,
) {
    let Shared { engine, hashing, handshake_timeout, polling, .. } = &*shared;
    let credentials = |user: &str| engine.credentials(user);
    let host = Host { credentials: &credentials, hashing };
    let mut inbound = Inbound::default();
    let handshake = async {
        let mut stream = incoming.open().await?;
        let result = handshake::perform(&mut stream, &mut inbound, host).await;
        io::Result::Ok((stream, result))
    };
    let handshake = tokio::select! {
        result = tokio::time::timeout(*handshake_timeout, handshake) => result,
        _ = shutdown.wait_for(|stop| *stop) => return,
    };
    let (mut stream, welcome) = match handshake {
        Ok(Ok((stream, Ok(welcome)))) => (stream, welcome),
        Ok(Ok((mut stream, Err(Refusal::Told(text))))) => return farewell(&mut stream, &text).await,
        Ok(Ok((_, Err(Refusal::Io(error)))) | Err(error)) => return log::debug!("{peer}: {error}"),
        Err(_) => return log::debug!("{peer}: no handshake in {handshake_timeout:?}"),
    };
    let client = Arc::new(Client { user: welcome.user.into(), peer });
    let dispatcher = Dispatcher::new(shared.clone(), client, welcome.dialect, mark);
    let busy_poll = BusyPoll::new(polling.clone());
    let mut session = Session { inbound, dispatcher, busy_poll, turn: Turn::default(), draining: false };
    let ending = session.run(&mut stream, &mut shutdown).await;
    session.dispatcher.interrupt_all(Reason::Closed);
    match ending {
        Ok(Ending::Oversized(oversized)) => tokio::select! {
            () = session.refuse(&mut stream, &oversized) => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        },
        Ok(Ending::Shutdown) => close(&mut stream).await,
        Ok(Ending::Closed) | Err(_) => {}
    }
    drop(stream);
    drop(permit);
    session.dispatcher.finished().await;
}

/// Tells a client why its connection ends, and lets it read that: closing with unread input would take it
/// back.
pub(crate) async fn farewell(stream: &mut impl Stream, text: &[u8]) {
    let goodbye = async {
        stream.write_all(text).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that does not read is not waited for.
    let _ = tokio::time::timeout(FAREWELL_TIME, goodbye).await;
}

/// Sends the rest of the output, and the end of the stream.
async fn close(stream: &mut impl Stream) {
    // A client that does not read is not waited for.
    let _ = tokio::time::timeout(FAREWELL_TIME, stream.shutdown()).await;
}

/// The end of a session, other than by a broken socket.
enum Ending {
    Closed,
    Shutdown,
    Oversized(Oversized),
}

struct Session {
    inbound: Inbound,
    dispatcher: Dispatcher,
    busy_poll: BusyPoll,
    turn: Turn,
    /// The server shuts down: running queries are answered, new ones are not taken in.
    draining: bool,
}

impl Session {
    async fn run<S: Stream>(
        &mut self,
        stream: &mut S,
        shutdown: &mut watch::Receiver<bool>,
    ) -> io::Result<Ending> {
        let mut shutdown = std::pin::pin!(shutdown.wait_for(|stop| *stop));
        let mut watch = None;
        loop {
            self.turn.go_on();
            self.dispatcher.collect(&mut self.turn);
            if let Err(oversized) = self.take_frames() {
                return Ok(Ending::Oversized(oversized));
            }
            if self.answer_now(stream).await? {
                // There is room again for frames that are here already, and that no event will announce.
                continue;
            }
            self.dispatcher.tidy_up();
            if self.turn.is_over() {
                self.turn = Turn::default();
                yield_now().await;
                // There may be more that no event will announce.
                continue;
            }
            if self.draining && self.dispatcher.is_idle() {
                return Ok(Ending::Shutdown);
            }
            if let Some(read) = self.poll_busily(stream) {
                if read? == 0 {
                    return Ok(Ending::Closed);
                }
                continue;
            }
            let reads = !self.draining && self.inbound.has_room(self.takes_next());
            watch = if reads { None } else { watch.or_else(|| unread::watch(stream)) };
            let spins = self.dispatcher.is_idle() && self.busy_poll.may_spin();
            let inbound = reads.then_some(&mut self.inbound);
            let Dispatcher { outbound, jobs, .. } = &mut self.dispatcher;
            let collects = !jobs.is_empty() && !outbound.is_full();
            tokio::select! {
                biased;
                moved = transfer(stream, inbound, outbound) => match moved? {
                    Moved::In(0) => return Ok(Ending::Closed),
                    Moved::In(_) => self.busy_poll.asked(),
                    Moved::Out => {}
                },
                Some(done) = jobs.join_next(), if collects => self.dispatcher.settle(done),
                () = unread::ended(watch.as_ref()) => return Ok(Ending::Closed),
                _ = &mut shutdown, if !self.draining => {
                    self.draining = true;
                    self.dispatcher.interrupt_all(Reason::Shutdown);
                }
                () = yield_now(), if spins => {}
            }
        }
    }

    /// Sends as much as the connection takes without waiting, which is nearly always all. Returns true if
    /// that made room.
    async fn answer_now<S: Stream>(&mut self, stream: &mut S) -> io::Result<bool> {
        let outbound = &mut self.dispatcher.outbound;
        if outbound.is_empty() {
            return Ok(false);
        }
        let was_full = outbound.is_full();
        if write_now(stream, outbound).await? > 0 {
            self.busy_poll.answered();
        }
        Ok(was_full && !outbound.is_full())
    }

    /// Reads the next query if it comes within a moment, and if staying awake for it is worth the time.
    fn poll_busily<S: Stream>(&mut self, stream: &mut S) -> Option<io::Result<usize>> {
        if self.draining || !self.busy_poll.may_spin() || !self.dispatcher.is_idle() {
            return None;
        }
        let mut piece = [0; POLLED_SIZE];
        let read = self.busy_poll.spin(|| stream.try_read_now(&mut piece))?;
        if let Ok(len) = read {
            self.inbound.extend(&piece[..len]);
            self.busy_poll.asked();
        }
        Some(read)
    }

    /// Takes in the queries that are here, until it is others' turn.
    fn take_frames(&mut self) -> Result<(), Oversized> {
        while !self.draining && self.takes_next() {
            let Some(frame) = self.inbound.next_frame()? else { break };
            self.dispatcher.take(frame);
            if self.turn.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Returns true if the next frame would be taken in, once it is there.
    fn takes_next(&self) -> bool {
        self.dispatcher.has_room_for(self.inbound.next_size().unwrap_or(0))
    }

    /// Reads a query that is too long to its end, without keeping it, and answers with an error.
    async fn refuse<S: Stream>(&mut self, stream: &mut S, oversized: &Oversized) {
        let mut rest = oversized.rest();
        rest -= self.inbound.discard(rest);
        let mut skipped = (&mut *stream).take(rest as u64);
        let mut nowhere = tokio::io::sink();
        let skip = tokio::io::copy(&mut skipped, &mut nowhere);
        let _ = tokio::time::timeout(OVERSIZED_TIME, skip).await;
        let outbound = &mut self.dispatcher.outbound;
        response::error(outbound.buffer(), oversized.token, &oversized.error());
        farewell(stream, &outbound.take_all()).await;
    }
}
