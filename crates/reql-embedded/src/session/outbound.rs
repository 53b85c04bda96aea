//! Responses on their way to a client.

use std::collections::VecDeque;

use crate::protocol::Text;

/// The backlog from which on a session takes in no more work until the client has read.
const HIGH_WATER: usize = 256 << 10;

/// A buffer larger than this is given back when it is empty: a feed that began with many rows may be silent
/// for days.
const KEEP: usize = 16 << 10;

/// The answers that have not yet been sent.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    /// Long texts, and the bytes before them; not copied, and freed as soon as they are sent.
    first: VecDeque<Text>,
    /// Bytes of these texts together.
    queued: usize,
    /// The bytes after the long texts.
    buffer: Vec<u8>,
    /// Bytes of the first text, or else of the buffer, that have been sent.
    sent: usize,
}

impl Outbound {
    /// Returns the buffer, for appending.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends a long text without copying it.
    pub(super) fn append(&mut self, text: Text) {
        let before = std::mem::take(&mut self.buffer);
        for piece in [before.into(), text] {
            self.queued += piece.bytes().len();
            self.first.push_back(piece);
        }
    }

    pub(super) fn pending(&self) -> &[u8] {
        let first = self.first.front().map_or(&*self.buffer, Text::bytes);
        first.get(self.sent..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.queued + self.buffer.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if the client is so far behind that more answers have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= HIGH_WATER
    }

    /// Takes all that is to be sent.
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        while !self.is_empty() {
            all.extend_from_slice(self.pending());
            self.advance(self.pending().len());
        }
        all
    }

    /// Notes that the next `len` bytes have been sent.
    pub(super) fn advance(&mut self, len: usize) {
        self.sent += len;
        while self.first.front().is_some_and(|first| first.bytes().len() == self.sent) {
            self.first.pop_front();
            self.queued -= std::mem::take(&mut self.sent);
        }
        if !self.first.is_empty() {
            return;
        }
        if self.sent == self.buffer.len() {
            self.sent = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEEP {
                self.buffer = Vec::new();
            }
        } else if self.sent >= HIGH_WATER {
            // A client that is always a little behind must not make the buffer grow for ever.
            self.buffer.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_forgotten() {
        let mut outbound = Outbound::default();
        outbound.buffer().extend_from_slice(b"abc");
        outbound.advance(1);
        assert_eq!(outbound.pending(), b"bc");
        outbound.advance(2);
        assert!(outbound.is_empty());
        assert!(outbound.buffer().is_empty());
    }

    #[test]
    fn a_slow_reader_holds_a_bounded_buffer() {
        let mut outbound = Outbound::default();
        for _ in 0..64 {
            outbound.buffer().extend_from_slice(&[0; HIGH_WATER]);
            assert!(outbound.is_full());
            outbound.advance(outbound.pending().len() - 1);
            assert!(!outbound.is_full());
            assert!(outbound.buffer.len() <= 2 * HIGH_WATER);
        }
    }

    /// Sends pieces of several lengths in several steps.
    #[test]
    fn pieces_are_sent_in_their_order() {
        let text = |text: &str| Text::from(text.as_bytes().to_vec());
        for step in 1..9 {
            let mut outbound = Outbound::default();
            let sent = &mut Vec::new();
            let send = |sent: &mut Vec<u8>, outbound: &mut Outbound, len: usize| {
                let len = len.min(outbound.pending().len());
                sent.extend_from_slice(&outbound.pending()[..len]);
                outbound.advance(len);
            };
            outbound.append(text("one "));
            outbound.buffer().extend_from_slice(b"two ");
            send(sent, &mut outbound, step);
            outbound.append(text("three "));
            outbound.append(text(""));
            send(sent, &mut outbound, step);
            outbound.buffer().extend_from_slice(b"four");
            if step > 4 {
                sent.extend(outbound.take_all());
            }
            while !outbound.is_empty() {
                assert!(!outbound.pending().is_empty());
                send(sent, &mut outbound, step);
            }
            assert_eq!(sent, b"one two three four", "{step} at a time");
            assert_eq!((outbound.first.len(), outbound.queued, outbound.sent), (0, 0, 0));
        }
    }
}
