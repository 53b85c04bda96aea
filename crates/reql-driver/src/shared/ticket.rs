//! The taker's side of a query on a shared connection.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::Handle;
use super::task::Command;
use crate::error::Result;
use crate::session::decode_error;
use crate::wire::{Answer, AnswerKind};

/// An answer with its bytes.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) answer: Answer,
    pub(super) payload: Vec<u8>,
}

impl Batch {
    /// Returns the place of the first row.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.answer.rows.first(&self.payload)
    }

    pub(super) fn part(&self, place: Range<usize>) -> &[u8] {
        self.payload.get(place).unwrap_or_default()
    }

    pub(super) fn decode<T: DeserializeOwned>(&self, row: Range<usize>) -> Result<T> {
        serde_json::from_slice(self.part(row)).map_err(decode_error)
    }
}

/// A query that its taker waits for. Dropped before its end, it stops the query.
pub(super) struct Ticket {
    token: u64,
    replies: mpsc::UnboundedReceiver<Result<Batch>>,
    handle: Arc<Handle>,
    /// The last answer has come.
    over: bool,
}

impl Ticket {
    pub(super) fn new(
        token: u64,
        replies: mpsc::UnboundedReceiver<Result<Batch>>,
        handle: Arc<Handle>,
    ) -> Self {
        Ticket { token, replies, handle, over: false }
    }

    pub(super) async fn next(&mut self) -> Result<Batch> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch>> {
        let reply = ready!(self.replies.poll_recv(cx));
        let reply = reply.unwrap_or_else(|| Err(self.handle.lost()));
        self.over = !matches!(&reply, Ok(batch) if batch.answer.kind == AnswerKind::Partial);
        Poll::Ready(reply)
    }

    /// Asks for more rows.
    pub(super) fn ask(&self) {
        // If the connection has ended, the next answer says so.
        let _ = self.handle.commands.send(Command::Continue(self.token));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.handle.commands.send(Command::Stop(self.token));
        }
    }
}
