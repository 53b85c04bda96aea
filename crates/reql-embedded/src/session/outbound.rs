//! Responses on their way to a client.

/// From here on a session takes in no more work until the client has read.
const HIGH_WATER: usize = 256 << 10;

/// A buffer larger than this is given back when it is empty: a feed that began with many rows may be silent
/// for days.
const KEEP: usize = 16 << 10;

/// What has been answered and not yet been sent.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    buffer: Vec<u8>,
    sent: usize,
}

impl Outbound {
    /// The buffer, for appending.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.buffer.len()
    }

    /// Whether the client is so far behind that more answers have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.pending().len() >= HIGH_WATER
    }

    /// Notes that so much of it has been sent.
    pub(super) fn advance(&mut self, len: usize) {
        self.sent += len;
        if self.is_empty() {
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
}
