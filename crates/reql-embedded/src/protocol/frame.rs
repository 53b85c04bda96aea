//! Bytes from a client, and the frames in them: an 8-byte token, a 4-byte length, a payload.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::answer::Error;

/// A payload of this length or more is refused.
const TOO_LARGE: u32 = 128 << 20;

/// A refused payload up to this length is read to its end, so that the client can read the refusal.
const HARD_LIMIT: u32 = 1 << 30;

/// Bytes that are read from the socket at once.
const READ_SIZE: usize = 16 << 10;

/// Bytes that are read ahead of the frame that is being taken.
const READ_AHEAD: usize = 64 << 10;

/// A buffer larger than this is given back after its frame.
const KEEP: usize = 1 << 20;

const HEADER_LEN: usize = 12;

/// One query in its frame, as it was received.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) token: i64,
    pub(crate) payload: BytesMut,
}

/// A frame that is longer than a query may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Oversized {
    pub(crate) token: i64,
    size: u32,
}

impl Oversized {
    /// Returns the error that the client gets before the connection ends.
    pub(crate) fn error(&self) -> Error {
        Error::client(format!("Query size ({}) greater than maximum ({}).", self.size, TOO_LARGE - 1))
    }

    /// Returns the bytes that have to be read before the client will read; 0 if there are too many of them.
    pub(crate) fn rest(&self) -> usize {
        if self.size < HARD_LIMIT { self.size as usize } else { 0 }
    }
}

/// Bytes that have been read and not yet been taken. The buffer grows with the bytes that arrive, never with
/// an announced length.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    buffer: BytesMut,
}

impl Inbound {
    /// Reads once; 0 is the end. Loses nothing if it is dropped while it waits.
    pub(crate) async fn fill<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < READ_SIZE / 4 {
            self.buffer.reserve(self.buffer.len().max(READ_SIZE));
        }
        from.read_buf(&mut self.buffer).await
    }

    /// Adds bytes that have been read elsewhere.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns true if reading on makes sense: a frame that is to be taken is incomplete, or few bytes are
    /// read ahead.
    pub(crate) fn has_room(&self, is_next_taken: bool) -> bool {
        let is_incomplete = || self.header().is_some_and(|(_, size)| self.missing(size) > 0);
        self.buffer.len() < READ_AHEAD || is_next_taken && is_incomplete()
    }

    /// Returns the length of the next frame's payload, once it is known; `None` if the frame is refused.
    pub(crate) fn next_size(&self) -> Option<usize> {
        self.header().filter(|(_, size)| *size < TOO_LARGE).map(|(_, size)| size as usize)
    }

    /// Returns the next frame, once all of it has come.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, Oversized> {
        let Some((token, size)) = self.header() else { return Ok(None) };
        if size >= TOO_LARGE {
            self.buffer.advance(HEADER_LEN);
            return Err(Oversized { token, size });
        }
        if self.missing(size) > 0 {
            return Ok(None);
        }
        self.buffer.advance(HEADER_LEN);
        let payload = self.buffer.split_to(size as usize);
        if payload.len() > KEEP {
            // The rest must not keep the frame's memory alive.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(Frame { token, payload }))
    }

    /// Takes `len` bytes once they have come.
    pub(crate) fn take(&mut self, len: usize) -> Option<BytesMut> {
        (self.buffer.len() >= len).then(|| self.buffer.split_to(len))
    }

    /// Takes a text up to the NUL that ends it, without the NUL.
    pub(crate) fn take_text(&mut self) -> Option<BytesMut> {
        let end = self.buffer.iter().position(|byte| *byte == 0)?;
        let text = self.buffer.split_to(end);
        self.buffer.advance(1);
        Some(text)
    }

    /// Drops up to `len` bytes and returns their number.
    pub(crate) fn discard(&mut self, len: usize) -> usize {
        let len = len.min(self.buffer.len());
        self.buffer.advance(len);
        len
    }

    /// Returns the number of bytes that wait to be taken.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    fn header(&self) -> Option<(i64, u32)> {
        let (token, rest) = self.buffer.split_first_chunk::<8>()?;
        let size = rest.first_chunk::<4>()?;
        Some((i64::from_le_bytes(*token), u32::from_le_bytes(*size)))
    }

    fn missing(&self, size: u32) -> usize {
        (HEADER_LEN + size as usize).saturating_sub(self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound(bytes: &[u8]) -> Inbound {
        Inbound { buffer: BytesMut::from(bytes) }
    }

    fn frame(token: i64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = token.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut bytes = frame(1, b"[5]");
        bytes.extend(frame(-2, b""));
        bytes.extend(frame(3, b"[4"));
        bytes.pop();
        let mut inbound = inbound(&bytes);
        let first = inbound.next_frame().expect("a size").expect("a frame");
        assert_eq!((first.token, &first.payload[..]), (1, &b"[5]"[..]));
        let second = inbound.next_frame().expect("a size").expect("a frame");
        assert_eq!((second.token, second.payload.len()), (-2, 0));
        assert!(inbound.next_frame().expect("a size").is_none());
        assert!(inbound.has_room(true));
    }

    #[test]
    fn too_long_frames_are_refused_by_their_header() {
        let header = |size: u32| [9_i64.to_le_bytes().as_slice(), &size.to_le_bytes()].concat();
        let refused = inbound(&header(TOO_LARGE)).next_frame().expect_err("too long");
        assert_eq!(refused.error().message, "Query size (134217728) greater than maximum (134217727).");
        assert_eq!((refused.token, refused.rest()), (9, TOO_LARGE as usize));
        assert_eq!(inbound(&header(u32::MAX)).next_frame().expect_err("too long").rest(), 0);
        assert!(inbound(&header(TOO_LARGE - 1)).next_frame().is_ok_and(|frame| frame.is_none()));
    }

    #[tokio::test]
    async fn an_announced_length_takes_no_memory() {
        let mut inbound = Inbound::default();
        let header = [1_i64.to_le_bytes().as_slice(), &(TOO_LARGE - 1).to_le_bytes()].concat();
        inbound.fill(&mut &header[..]).await.expect("a read");
        assert!(inbound.next_frame().is_ok_and(|frame| frame.is_none()));
        assert!(inbound.buffer.capacity() < 4 * READ_SIZE);
    }

    #[test]
    fn reading_ahead_has_an_end() {
        let mut bytes = frame(1, b"[5]");
        bytes.resize(READ_AHEAD, 0);
        assert!(!inbound(&bytes).has_room(true));
        let long = frame(1, &vec![b' '; 2 * READ_AHEAD]);
        assert!(inbound(&long[..READ_AHEAD]).has_room(true));
        assert!(!inbound(&long[..READ_AHEAD]).has_room(false), "it isn't to be taken yet");
        assert!(inbound(&long[..READ_AHEAD / 2]).has_room(false));
    }

    #[test]
    fn texts_end_with_nul() {
        let mut inbound = inbound(b"{}\0rest");
        assert_eq!(inbound.take_text().expect("a text")[..], b"{}"[..]);
        assert!(inbound.take_text().is_none());
        assert_eq!(inbound.len(), 4);
    }
}
