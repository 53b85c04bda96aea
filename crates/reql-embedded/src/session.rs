//! One connection: frames in, tokens to running queries, answers out.
//!
//! A session is a single task. Light queries are evaluated on it, heavy ones on threads that may block, feeds wait in
//! tasks of their own. It reads, writes and collects results at the same time, and takes in no more than a bounded
//! number of queries and a bounded backlog of answers. When it ends, everything it started ends.

mod attention;
mod dispatcher;
mod job;
mod noreply;
mod outbound;
mod queries;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::yield_now;

use self::attention::Attention;
use self::dispatcher::Dispatcher;
use crate::engine::{Client, Engine, Reason};
use crate::protocol::frame::{Inbound, Oversized};
use crate::protocol::handshake::{self, Refusal};
use crate::protocol::response;

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
    let client = Arc::new(Client { user: welcome.user.into(), peer });
    let dispatcher = Dispatcher::new(engine, client, welcome.dialect);
    let mut session = Session { inbound, dispatcher, draining: false };
    let ending = session.run(&mut stream, &mut shutdown).await;
    session.dispatcher.interrupt_all(Reason::Closed);
    if let Ok(Ending::Oversized(oversized)) = ending {
        tokio::select! {
            () = session.refuse(&mut stream, &oversized) => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }
    drop(stream);
    drop(slot);
    session.dispatcher.finished().await;
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

struct Session {
    inbound: Inbound,
    dispatcher: Dispatcher,
    /// The server shuts down: what runs is answered, nothing new is taken in.
    draining: bool,
}

impl Session {
    async fn run(
        &mut self,
        stream: &mut TcpStream,
        shutdown: &mut watch::Receiver<bool>,
    ) -> io::Result<Ending> {
        let (mut reader, mut writer) = stream.split();
        let mut shutdown = std::pin::pin!(shutdown.wait_for(|stop| *stop));
        let mut attention = Attention::new();
        loop {
            self.dispatcher.collect();
            if let Err(oversized) = self.take_frames() {
                return Ok(Ending::Oversized(oversized));
            }
            let work = &mut self.dispatcher;
            if !work.outbound.is_empty() {
                let was_full = work.outbound.is_full();
                // Nearly always the socket takes all at once, and nothing has to be waited for.
                match writer.try_write(work.outbound.pending()) {
                    Ok(sent) => {
                        work.outbound.advance(sent);
                        attention.answered(Instant::now());
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
                if was_full && !work.outbound.is_full() {
                    // There is room again for frames that are here already, and that no event will announce.
                    continue;
                }
            }
            work.tidy_up();
            if self.draining && work.jobs.is_empty() && work.outbound.is_empty() {
                return Ok(Ending::Shutdown);
            }
            if !self.draining && work.jobs.is_empty() && work.outbound.is_empty() {
                let inbound = &mut self.inbound;
                if let Some(read) = attention.gaze(|| inbound.glance(reader.as_ref()).transpose()) {
                    if read? == 0 {
                        return Ok(Ending::Closed);
                    }
                    attention.asked(Instant::now());
                    continue;
                }
            }
            tokio::select! {
                biased;
                read = self.inbound.fill(&mut reader), if !self.draining && self.inbound.has_room() => {
                    if read? == 0 {
                        return Ok(Ending::Closed);
                    }
                    attention.asked(Instant::now());
                }
                sent = writer.write(work.outbound.pending()), if !work.outbound.is_empty() => {
                    work.outbound.advance(sent?);
                }
                Some(done) = work.jobs.join_next(), if !work.jobs.is_empty() && !work.outbound.is_full() => {
                    work.settle(done);
                }
                _ = &mut shutdown, if !self.draining => {
                    self.draining = true;
                    work.interrupt_all(Reason::Shutdown);
                }
                () = yield_now(), if work.jobs.is_empty() && attention.is_watchful(Instant::now()) => {}
            }
        }
    }

    fn take_frames(&mut self) -> Result<(), Oversized> {
        while !self.draining && self.dispatcher.has_room() {
            let Some(frame) = self.inbound.next_frame()? else { break };
            self.dispatcher.take(frame);
        }
        Ok(())
    }

    /// Reads a query that is too long to its end, without keeping it, and says so.
    async fn refuse(&mut self, stream: &mut TcpStream, oversized: &Oversized) {
        let mut rest = oversized.rest();
        rest -= self.inbound.discard(rest);
        let mut skipped = (&mut *stream).take(rest as u64);
        let mut nowhere = tokio::io::sink();
        let skip = tokio::io::copy(&mut skipped, &mut nowhere);
        let _ = tokio::time::timeout(OVERSIZED_TIME, skip).await;
        let outbound = &mut self.dispatcher.outbound;
        response::error(outbound.buffer(), oversized.token, &oversized.error());
        farewell(stream, outbound.pending()).await;
    }
}
