//! The life of a query on the wire.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Open, Session, decode_error};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::query::Query;
use crate::wire::{Answer, AnswerKind, Elements, Form, Frame, Inbound, Request, rows_of, write_frame};

/// A buffer of this size or more isn't kept after a query has been sent.
const KEEP: usize = 64 << 10;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn check_usable(&self) -> Result<()> {
        match &self.broken {
            Some(reason) => Err(Error::new(ErrorKind::Closed, format!("the session is closed: {reason}"))),
            None => Ok(()),
        }
    }

    pub(super) fn check_clean(&self) -> Result<()> {
        self.check_usable()?;
        match self.open {
            Some(_) => {
                let message = "an earlier query of this session was given up half-way and isn't settled";
                Err(Error::new(ErrorKind::Unclean, message))
            }
            None => Ok(()),
        }
    }

    /// Closes the session for good, and frees its buffers.
    pub(super) fn break_for(&mut self, reason: impl Into<String>) {
        self.broken = Some(reason.into());
        self.open = None;
        self.current = None;
        self.hand_out_nothing();
        self.out = Vec::new();
        self.written = 0;
        self.inbound = Inbound::new(self.inbound.max_len());
    }

    pub(super) fn fail(&mut self, error: Error) -> Error {
        let is_sent = self.open.as_ref().is_none_or(|open| open.is_sent(self.written));
        let sent = if is_sent { Sent::Sent } else { Sent::NotSent };
        self.break_for(error.message());
        error.sent(sent)
    }

    pub(super) fn start(&mut self, query: Query, noreply: bool) -> Result<()> {
        self.check_clean()?;
        let mut query = query.or_database(self.database.as_ref());
        if noreply {
            query = query.unanswered();
        } else {
            query.check_answered()?;
        }
        let token = self.last_token + 1;
        write_frame(token, &mut self.out, |out| query.write(out))?;
        self.last_token = token;
        self.hand_out_nothing();
        self.profile = None;
        self.open = Some(Open::new(token, Some(query.term), u32::from(!noreply), self.out.len()));
        Ok(())
    }

    pub(super) async fn request(&mut self, request: Request, expected: AnswerKind) -> Result<Answer> {
        self.check_clean()?;
        self.last_token += 1;
        request.write(self.last_token, &mut self.out);
        self.open = Some(Open::new(self.last_token, None, 1, self.out.len()));
        let answer = self.receive().await?;
        if answer.kind == expected {
            return Ok(answer);
        }
        Err(self.fail(Error::new(ErrorKind::Protocol, "the server's answer is to another request")))
    }

    /// Asks for more rows, or for the end of the query.
    pub(super) fn follow_up(&mut self, request: Request) {
        if let Some(open) = &mut self.open {
            request.write(open.token, &mut self.out);
            open.due += 1;
            open.stopping = request == Request::Stop;
        }
    }

    /// Requests the next rows in advance, unless that has been done.
    fn ask_ahead(&mut self, cx: &mut Context<'_>) {
        if self.open.as_ref().is_some_and(|open| open.more && open.due == 0 && !open.stopping) {
            self.follow_up(Request::Continue);
        }
        if self.written == self.out.len() {
            return;
        }
        // An error here comes again before the next answer is waited for. The rows in hand come first.
        let _ = self.poll_write_all(cx);
    }

    /// Writes the output.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Err(error) = ready!(self.poll_write_all(cx)) {
            return Poll::Ready(Err(self.fail(Error::io("sending a query", error))));
        }
        if let Some(open) = &mut self.open {
            open.first_end = None;
        }
        self.written = 0;
        self.out.clear();
        if self.out.capacity() > KEEP {
            self.out = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
            let len = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += len;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    pub(super) async fn receive(&mut self) -> Result<Answer> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Reads the next answer to the query. An error ends the query.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer>> {
        self.check_usable()?;
        ready!(self.poll_flush(cx))?;
        self.release();
        let frame = ready!(self.poll_frame(cx))?;
        let term = self.open.as_ref().and_then(|open| open.term.as_ref());
        let answer = Answer::parse(self.inbound.payload(&frame), term);
        self.current = Some(frame);
        self.count(matches!(&answer, Ok(answer) if answer.kind == AnswerKind::Partial));
        Poll::Ready(match answer {
            Ok(mut answer) => {
                if let Some(profile) = answer.profile.take() {
                    self.profile = Some(profile);
                }
                Ok(answer)
            }
            Err(error) if error.is_fatal() => Err(self.fail(error)),
            Err(error) => {
                self.release();
                Err(error.sent(Sent::Sent))
            }
        })
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame>> {
        let token = self.open.as_ref().map(|open| open.token);
        loop {
            match self.inbound.frame() {
                Ok(Some(frame)) if Some(frame.token) == token => return Poll::Ready(Ok(frame)),
                Ok(Some(frame)) => {
                    let message = format!("the server answers a query that wasn't asked, {}", frame.token);
                    return Poll::Ready(Err(self.fail(Error::new(ErrorKind::Protocol, message))));
                }
                Ok(None) => {}
                Err(too_long) => return Poll::Ready(Err(self.fail(too_long.error(self.inbound.max_len())))),
            }
            let error = match ready!(self.inbound.poll_fill(&mut self.io, cx)) {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Poll::Ready(Err(self.fail(Error::io("waiting for an answer", error))));
        }
    }

    /// Counts an answer. The query is over with the last one that is due, unless it has more rows and hasn't
    /// been told to end.
    pub(super) fn count(&mut self, more: bool) {
        let Some(open) = &mut self.open else { return };
        open.due = open.due.saturating_sub(1);
        open.more = more;
        if open.due == 0 && (!more || open.stopping) {
            self.open = None;
        }
    }

    /// Makes the rows of the answer that was received the next ones to be handed out.
    pub(super) fn hand_out(&mut self, answer: &Answer) {
        self.more = answer.kind == AnswerKind::Partial;
        if self.form.is_none() {
            self.form = Some(answer.form(self.payload()));
        }
        self.batch = rows_of(answer, self.payload());
    }

    /// Returns the form of the answer to the query that was [begun](Session::begin), as soon as the server
    /// has begun to answer. No row is lost by it.
    ///
    /// # Errors
    ///
    /// Errors of the query's beginning and of the connection; [`ErrorKind::NoRow`] if no query was begun.
    pub fn poll_form(&mut self, cx: &mut Context<'_>) -> Poll<Result<Form>> {
        if let Some(form) = self.form {
            return Poll::Ready(Ok(form));
        }
        if !self.more {
            return Poll::Ready(Err(Error::new(ErrorKind::NoRow, "no query was begun")));
        }
        match ready!(self.poll_receive(cx)) {
            Ok(answer) => {
                self.hand_out(&answer);
                Poll::Ready(Ok(answer.form(self.payload())))
            }
            Err(error) => {
                self.hand_out_nothing();
                Poll::Ready(Err(error))
            }
        }
    }

    /// Tells if the rows that are handed out are those of a changefeed.
    pub(crate) fn is_feed(&self) -> bool {
        self.form == Some(Form::Feed)
    }

    fn hand_out_nothing(&mut self) {
        self.form = None;
        self.more = false;
        self.batch = Elements::default();
    }

    /// Returns the place of the next row. The next batch is requested once half of this one has been handed
    /// out, so that a reader that stalls rarely holds two.
    pub(crate) fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>>> {
        loop {
            let mut batch = self.batch;
            if batch.is_half_read() {
                self.ask_ahead(cx);
            }
            if let Some(row) = batch.next(self.payload()) {
                self.batch = batch;
                return Poll::Ready(Ok(Some(row)));
            }
            if !self.more {
                self.release();
                return Poll::Ready(Ok(None));
            }
            match ready!(self.poll_receive(cx)) {
                Ok(answer) => self.hand_out(&answer),
                Err(error) => {
                    self.hand_out_nothing();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Frees the answer that was handed out.
    pub(crate) fn release(&mut self) {
        if let Some(frame) = self.current.take() {
            self.inbound.take(&frame);
        }
    }

    /// Returns the answer that is being handed out.
    pub(crate) fn payload(&self) -> &[u8] {
        self.current.as_ref().map(|frame| self.inbound.payload(frame)).unwrap_or_default()
    }

    /// Returns a part of the answer that is being handed out.
    pub(crate) fn part(&self, place: Range<usize>) -> &[u8] {
        self.payload().get(place).unwrap_or_default()
    }

    /// Decodes a row of the answer that is being handed out.
    pub(crate) fn decode<T: DeserializeOwned>(&self, row: Range<usize>) -> Result<T> {
        serde_json::from_slice(self.part(row)).map_err(decode_error)
    }

    /// Frees an answer, and stops its query if that isn't over.
    pub(super) async fn finish(&mut self) -> Result<()> {
        self.release();
        self.stop().await
    }

    /// Ends the query that is open, however far it has come.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match &self.open {
            Some(open) if open.is_untold(self.written) => {
                // The query was never sent.
                self.out.clear();
                self.open = None;
            }
            Some(open) if !open.stopping && open.term.is_some() && (open.more || open.due > 0) => {
                self.follow_up(Request::Stop);
            }
            _ => {}
        }
        poll_fn(|cx| self.poll_flush(cx)).await?;
        while self.open.as_ref().is_some_and(|open| open.due > 0) {
            match self.receive().await {
                Err(error) if self.broken.is_some() => return Err(error),
                // Rows that are no longer wanted, the end of the query, or word that it had ended before.
                _ => {}
            }
        }
        self.release();
        self.hand_out_nothing();
        self.open = None;
        Ok(())
    }
}
