//! The task that reads and writes for all users of a shared connection.
//!
//! The task gives each answer away at once, so that a slow taker can't hold it up. The backlog is bounded: a
//! server answers each request once, and takers ask for more only as they take rows. An answer that nobody
//! asked for ends the connection; one that is too long is skipped, and costs its own query only.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::ticket::Batch;
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::term::Term;
use crate::wire::{Answer, AnswerKind, Inbound, Request, TooLong};

/// The bytes to be written from which on no more requests are taken in.
const MAX_OUT: usize = 1 << 20;

/// The time that each step of the end of an unused connection may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// A request of a taker.
pub(super) enum Command {
    Start(Start),
    Continue(u64),
    Stop(u64),
}

/// The task's side of the handle: what its takers send, and word that the last of them is gone.
pub(super) struct Takers {
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    /// Unlike `commands`, it is always listened to.
    pub(super) gone: oneshot::Receiver<()>,
}

/// A new query, as a frame.
pub(super) struct Start {
    pub(super) token: u64,
    pub(super) frame: Vec<u8>,
    pub(super) term: Option<Term>,
    pub(super) due: u32,
    pub(super) replies: mpsc::UnboundedSender<Result<Batch>>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A query whose answer isn't complete.
struct Open {
    term: Option<Term>,
    replies: mpsc::UnboundedSender<Result<Batch>>,
    /// The number of answers that are still to come: one for each request.
    due: u32,
    stopping: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) struct Task<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    inbound: Inbound,
    out: Vec<u8>,
    written: usize,
    takers: Takers,
    open: HashMap<u64, Open>,
    end: Arc<OnceLock<(ErrorKind, String)>>,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Task<S> {
    pub(super) fn new(
        io: S,
        inbound: Inbound,
        takers: Takers,
        end: Arc<OnceLock<(ErrorKind, String)>>,
    ) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let (out, written, open) = (Vec::new(), 0, HashMap::new());
        Task { reader, writer, inbound, out, written, takers, open, end }
    }

    /// Reads and writes until no user is left, or the connection fails.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.work().await {
            // Takers learn of it when their channels close, which happens after this.
            let _ = self.end.set((error.kind(), error.message().to_owned()));
        }
        self.takers.commands.close();
        while self.takers.commands.try_recv().is_ok() {}
        self.open.clear();
        // No user waits for this; an error here has been reported before.
        let _ = tokio::time::timeout(GOODBYE, self.writer.shutdown()).await;
    }

    async fn work(&mut self) -> Result<()> {
        loop {
            let rest = self.out.get(self.written..).unwrap_or_default();
            tokio::select! {
                Some(command) = self.takers.commands.recv(), if self.out.len() < MAX_OUT => {
                    self.obey(command);
                }
                _ = &mut self.takers.gone => return self.finish().await,
                sent = write(&mut self.writer, rest), if !self.out.is_empty() => {
                    self.wrote(sent.map_err(|error| Error::io("sending queries", error))?);
                }
                read = poll_fn(|cx| self.inbound.poll_fill(&mut self.reader, cx)) => {
                    match read {
                        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                        read => read,
                    }
                    .map_err(|error| Error::io("waiting for answers", error))?;
                    self.hand_out()?;
                }
            }
        }
    }

    /// Counts bytes that were written; none is left once they were flushed, which counts as none.
    fn wrote(&mut self, len: usize) {
        self.written += len;
        if len == 0 {
            self.written = 0;
            self.out.clear();
            if self.out.capacity() > MAX_OUT {
                self.out = Vec::new();
            }
        }
    }

    /// Writes the rest of the output, as long as the other side reads.
    async fn finish(&mut self) -> Result<()> {
        // All that was sent came before the word that nobody is left, and no more can come.
        while let Ok(command) = self.takers.commands.try_recv() {
            self.obey(command);
        }
        while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
            match tokio::time::timeout(GOODBYE, write(&mut self.writer, rest)).await {
                Ok(Ok(len)) => self.written += len,
                // Nobody is left to be told.
                _ => break,
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start(start) => {
                let Start { token, frame, term, due, replies, permit } = start;
                self.out.extend_from_slice(&frame);
                if due > 0 {
                    let open = Open { term, replies, due, stopping: false, _permit: permit };
                    self.open.insert(token, open);
                }
            }
            Command::Continue(token) => self.follow_up(token, Request::Continue),
            Command::Stop(token) => self.follow_up(token, Request::Stop),
        }
    }

    fn follow_up(&mut self, token: u64, request: Request) {
        // A query that has ended needs nothing, and a request without a term can't be stopped.
        let Some(open) = self.open.get_mut(&token).filter(|open| !open.stopping && open.term.is_some())
        else {
            return;
        };
        open.due += 1;
        open.stopping = request == Request::Stop;
        request.write(token, &mut self.out);
    }

    /// Hands out all answers that have come.
    fn hand_out(&mut self) -> Result<()> {
        loop {
            let frame = match self.inbound.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(too_long) => {
                    self.skip(&too_long)?;
                    continue;
                }
            };
            let payload = self.inbound.payload(&frame).to_vec();
            self.inbound.take(&frame);
            self.answer(frame.token, payload)?;
        }
    }

    /// Skips an answer that is too long, and stops its query: it may have more.
    fn skip(&mut self, too_long: &TooLong) -> Result<()> {
        let error = too_long.error(self.inbound.max_len()).sent(Sent::Sent).spared();
        let open = self.asked(too_long.token)?;
        open.due -= 1;
        // A taker that is gone has said so.
        let _ = open.replies.send(Err(error));
        self.inbound.skip(too_long);
        self.follow_up(too_long.token, Request::Stop);
        if self.open.get(&too_long.token).is_some_and(|open| open.due == 0) {
            self.open.remove(&too_long.token);
        }
        Ok(())
    }

    /// Returns the query that an answer belongs to.
    fn asked(&mut self, token: u64) -> Result<&mut Open> {
        self.open.get_mut(&token).filter(|open| open.due > 0).ok_or_else(|| {
            let message = format!("the server answers a query that wasn't asked, {token}");
            Error::new(ErrorKind::Protocol, message)
        })
    }

    fn answer(&mut self, token: u64, payload: Vec<u8>) -> Result<()> {
        let open = self.asked(token)?;
        let answer = match Answer::parse(&payload, open.term.as_ref()) {
            Err(error) if error.is_fatal() => return Err(error),
            answer => answer,
        };
        let more = matches!(&answer, Ok(answer) if answer.kind == AnswerKind::Partial);
        open.due -= 1;
        let is_over = open.due == 0 && (!more || open.stopping);
        let reply = answer.map(|answer| Batch { answer, payload }).map_err(|error| error.sent(Sent::Sent));
        // A taker that is gone has said so.
        let _ = open.replies.send(reply);
        if is_over {
            self.open.remove(&token);
        }
        Ok(())
    }
}

/// Writes once, or flushes if there is nothing to write.
async fn write<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return to.flush().await.map(|()| 0);
    }
    match to.write(bytes).await {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        written => written,
    }
}
