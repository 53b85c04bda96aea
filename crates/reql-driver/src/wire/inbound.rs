//! Bytes that have been read, and the frames in them.

use std::io;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::HEADER_LEN;
use crate::error::{Error, ErrorKind};

/// The least number of bytes that are read from the socket at once.
const READ_SIZE: usize = 8 << 10;

/// A buffer larger than this is given back after its frame.
const KEEP: usize = 64 << 10;

/// Bytes that have been read and not yet been taken. The buffer is kept from frame to frame, and grows with
/// the bytes that come, never with an announced length.
pub(crate) struct Inbound {
    buffer: Vec<u8>,
    /// The index of the first byte that hasn't been taken.
    head: usize,
    /// The number of bytes to come that are thrown away: the rest of a frame that is too long.
    unwanted: usize,
    max_len: usize,
}

/// A frame that has come as a whole: the place of its payload in the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) token: u64,
    pub(crate) payload: Range<usize>,
}

/// A frame is longer than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) token: u64,
    pub(crate) len: usize,
}

impl TooLong {
    pub(crate) fn error(&self, max_len: usize) -> Error {
        let message =
            format!("an answer of {} bytes is longer than the {max_len} that are allowed", self.len);
        Error::new(ErrorKind::TooLarge, message)
    }
}

impl Inbound {
    pub(crate) fn new(max_len: usize) -> Self {
        Inbound { buffer: Vec::new(), head: 0, unwanted: 0, max_len }
    }

    /// Returns the length that a payload may have.
    pub(crate) fn max_len(&self) -> usize {
        self.max_len
    }

    /// Returns the bytes that were read and not yet taken.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.get(self.head..).unwrap_or_default()
    }

    /// Takes `len` bytes.
    pub(crate) fn advance(&mut self, len: usize) {
        self.take_up_to(self.head.saturating_add(len));
    }

    /// Reads once; 0 is the end. Loses nothing if it is dropped while it waits.
    pub(crate) fn poll_fill<R>(&mut self, from: &mut R, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        R: AsyncRead + Unpin,
    {
        if self.head > 0 {
            self.buffer.drain(..self.head);
            self.head = 0;
        }
        if self.buffer.capacity() - self.buffer.len() < READ_SIZE / 2 {
            let room = self.buffer.len().max(READ_SIZE);
            // No more than the frame takes: many that are read slowly may be in memory at once.
            self.buffer.reserve_exact(self.missing().map_or(room, |missing| missing.min(room)));
        }
        let read = pin!(from.read_buf(&mut self.buffer)).poll(cx);
        self.throw_away();
        read
    }

    /// Throws away a frame that is too long, as its bytes come.
    pub(crate) fn skip(&mut self, frame: &TooLong) {
        self.unwanted = frame.len.saturating_add(HEADER_LEN);
        self.throw_away();
    }

    fn throw_away(&mut self) {
        let len = self.unwanted.min(self.rest().len());
        if len > 0 {
            self.unwanted -= len;
            self.advance(len);
        }
    }

    /// Returns the number of bytes that are missing of a frame that has begun.
    fn missing(&self) -> Option<usize> {
        let ([_, len], _) = self.rest().split_first_chunk::<HEADER_LEN>().map(header)?;
        let missing = (len as usize).saturating_add(HEADER_LEN).checked_sub(self.rest().len());
        missing.filter(|missing| *missing > 0)
    }

    /// Returns the next frame once all of it is there.
    pub(crate) fn frame(&self) -> Result<Option<Frame>, TooLong> {
        let Some(([token, len], _)) = self.rest().split_first_chunk::<HEADER_LEN>().map(header) else {
            return Ok(None);
        };
        let len = len as usize;
        if len > self.max_len {
            return Err(TooLong { token, len });
        }
        let start = self.head + HEADER_LEN;
        let payload = start..start.saturating_add(len);
        Ok((payload.end <= self.buffer.len()).then_some(Frame { token, payload }))
    }

    /// Returns the bytes of a frame's payload, as long as the frame isn't taken.
    pub(crate) fn payload(&self, frame: &Frame) -> &[u8] {
        self.buffer.get(frame.payload.clone()).unwrap_or_default()
    }

    /// Takes a frame and frees its bytes.
    pub(crate) fn take(&mut self, frame: &Frame) {
        self.take_up_to(frame.payload.end);
    }

    fn take_up_to(&mut self, end: usize) {
        self.head = end.min(self.buffer.len());
        if self.head < self.buffer.len() {
            return;
        }
        self.head = 0;
        self.buffer.clear();
        if self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        }
    }
}

fn header<'a>((bytes, rest): (&[u8; HEADER_LEN], &'a [u8])) -> ([u64; 2], &'a [u8]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    let token = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    ([token, u64::from(u32::from_le_bytes([i, j, k, l]))], rest)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// Reads everything that a pipe has, by pieces of any size, and returns the frames.
    fn read(bytes: &[u8], pieces: &[usize], max_len: usize) -> Result<Vec<(u64, Vec<u8>)>, TooLong> {
        let mut frames = Vec::new();
        read_each(bytes, pieces, max_len, |inbound| {
            while let Some(frame) = inbound.frame()? {
                frames.push((frame.token, inbound.payload(&frame).to_vec()));
                inbound.take(&frame);
            }
            Ok(())
        })?;
        Ok(frames)
    }

    /// Reads everything that a pipe has, by pieces of any size, and calls a function after each.
    fn read_each(
        bytes: &[u8],
        pieces: &[usize],
        max_len: usize,
        mut each: impl FnMut(&mut Inbound) -> Result<(), TooLong>,
    ) -> Result<(), TooLong> {
        let mut inbound = Inbound::new(max_len);
        let mut rest = bytes;
        let mut pieces = pieces.iter().copied().cycle();
        let mut cx = Context::from_waker(Waker::noop());
        let mut seen = 0;
        while !rest.is_empty() {
            let (mut piece, later) = rest.split_at(pieces.next().unwrap_or(1).clamp(1, rest.len()));
            rest = later;
            while !piece.is_empty() {
                assert!(inbound.poll_fill(&mut piece, &mut cx).is_ready());
            }
            seen = seen.max(inbound.rest().len());
            // The buffer grows with the bytes that came, not with the announced length.
            assert!(inbound.buffer.capacity() <= 4 * (seen + READ_SIZE), "{}", inbound.buffer.capacity());
            each(&mut inbound)?;
        }
        Ok(())
    }

    fn write(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let frame = |(token, payload): &(u64, Vec<u8>)| {
            [&token.to_le_bytes()[..], &(payload.len() as u32).to_le_bytes(), payload].concat()
        };
        frames.iter().flat_map(frame).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            frames in prop::collection::vec(
                (any::<u64>(), prop::collection::vec(any::<u8>(), 0..300)),
                0..20,
            ),
            pieces in prop::collection::vec(1_usize..500, 1..20),
        ) {
            prop_assert_eq!(read(&write(&frames), &pieces, 300).unwrap(), frames);
        }

        #[test]
        fn frames_that_are_too_long_are_skipped(
            frames in prop::collection::vec(
                (any::<u64>(), prop::collection::vec(any::<u8>(), 0..300)),
                0..20,
            ),
            pieces in prop::collection::vec(1_usize..500, 1..20),
        ) {
            let mut seen = Vec::new();
            let outcome = read_each(&write(&frames), &pieces, 150, |inbound| loop {
                match inbound.frame() {
                    Ok(Some(frame)) => {
                        seen.push((frame.token, frame.payload.len()));
                        inbound.take(&frame);
                    }
                    Ok(None) => return Ok(()),
                    Err(too_long) => {
                        seen.push((too_long.token, too_long.len));
                        inbound.skip(&too_long);
                    }
                }
            });
            prop_assert_eq!(outcome, Ok(()));
            let sent: Vec<_> = frames.iter().map(|(token, payload)| (*token, payload.len())).collect();
            prop_assert_eq!(seen, sent);
        }

        #[test]
        fn noise_takes_no_memory(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            pieces in prop::collection::vec(1_usize..500, 1..20),
        ) {
            let _ = read(&bytes, &pieces, usize::MAX >> 1);
        }
    }

    #[test]
    fn announced_lengths_are_checked_before_anything_is_read() {
        let frame = write(&[(1, vec![0; 11])]);
        assert_eq!(read(&frame[..HEADER_LEN], &[100], 10), Err(TooLong { token: 1, len: 11 }));
        assert_eq!(read(&frame, &[100], 11).unwrap().len(), 1);
    }
}
