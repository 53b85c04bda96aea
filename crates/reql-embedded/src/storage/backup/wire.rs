//! A copy on its way from the process that uses the file to the one that writes the backup.
//!
//! The copy begins with a line of the version. Then come frames: a letter, two lengths in 4 bytes,
//! little-endian, and as many bytes of key and value.

use std::io::{self, BufReader, BufWriter, Read, Write};

use super::pace::Pace;
use super::trees::{Row, Rows, Sink};
use crate::error::{Error, Result};

/// The first line.
const VERSION: &[u8; 23] = b"reql-embedded backup 1\n";

/// The beginning of a tree; its name is the key.
const TREE: u8 = b'T';
/// A row of the tree.
const ROW: u8 = b'R';
/// The end of the copy. The value is the number of rows.
const END: u8 = b'E';
/// The failure of the copy. The value is the error's text.
const FAILED: u8 = b'F';

/// The bytes that are read at once, so that they come at an even pace.
const CHUNK: usize = 64 << 10;

/// A length that no key or value has: the largest are documents of 256 MiB.
const LONGEST: usize = 512 << 20;

/// Sends a copy, and its end or its error.
pub(super) fn send(stream: impl Write, copy: impl FnOnce(&mut dyn Sink) -> Result<()>) -> Result<()> {
    let mut sender = Sender { stream: BufWriter::with_capacity(CHUNK, stream), rows: 0 };
    sender.stream.write_all(VERSION).map_err(broken)?;
    let copied = copy(&mut sender);
    match &copied {
        Ok(()) => sender.frame(END, b"", &sender.rows.to_le_bytes())?,
        Err(error) => sender.frame(FAILED, b"", error.message().as_bytes())?,
    }
    sender.stream.flush().map_err(broken)?;
    copied
}

struct Sender<W: Write> {
    stream: BufWriter<W>,
    rows: u64,
}

impl<W: Write> Sender<W> {
    fn frame(&mut self, kind: u8, key: &[u8], value: &[u8]) -> Result<()> {
        let mut head = [kind; 9];
        head[1..5].copy_from_slice(&length(key)?);
        head[5..].copy_from_slice(&length(value)?);
        for piece in [&head, key, value] {
            self.stream.write_all(piece).map_err(broken)?;
        }
        Ok(())
    }
}

fn length(bytes: &[u8]) -> Result<[u8; 4]> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= LONGEST);
    Ok(length.ok_or_else(|| Error::internal("A row is too long for a backup."))?.to_le_bytes())
}

impl<W: Write> Sink for Sender<W> {
    fn tree(&mut self, name: &str, rows: &mut dyn Rows) -> Result<()> {
        self.frame(TREE, name.as_bytes(), b"")?;
        let mut row = Row::default();
        while rows.next(&mut row)? {
            self.rows += 1;
            self.frame(ROW, &row.key, &row.value)?;
        }
        Ok(())
    }
}

/// Returns the bytes to send instead of a copy.
pub(crate) fn no_backup(why: &str) -> Vec<u8> {
    let mut sender = Sender { stream: BufWriter::new(Vec::new()), rows: 0 };
    // Writing to memory can't fail.
    let _ = sender.stream.write_all(VERSION);
    let _ = sender.frame(FAILED, b"", why.as_bytes());
    sender.stream.into_inner().unwrap_or_default()
}

/// Receives a copy and passes it to `sink`.
pub(super) fn receive(stream: impl Read, sink: &mut dyn Sink, pace: &Pace) -> Result<()> {
    let mut receiver = Receiver { stream: BufReader::with_capacity(CHUNK, stream), pace, rows: 0 };
    let mut version = [0; VERSION.len()];
    receiver.stream.read_exact(&mut version).map_err(broken)?;
    if version != *VERSION {
        return Err(Error::op_failed("The server speaks another version of backups."));
    }
    let mut row = Row::default();
    let mut kind = receiver.frame(&mut row)?;
    loop {
        match kind {
            TREE => {
                let name = String::from_utf8(std::mem::take(&mut row.key)).map_err(|_| nonsense())?;
                let mut rows = Received { receiver: &mut receiver, ended_by: None };
                sink.tree(&name, &mut rows)?;
                kind = match rows.ended_by.take() {
                    Some((kind, frame)) => {
                        row = frame;
                        kind
                    }
                    None => return Err(nonsense()),
                };
            }
            END if row.value == receiver.rows.to_le_bytes() => return Ok(()),
            FAILED => {
                let why = String::from_utf8_lossy(&row.value).into_owned();
                return Err(Error::op_failed(format!("The server gave up: {why}")));
            }
            _ => return Err(nonsense()),
        }
    }
}

struct Receiver<'a, R: Read> {
    stream: BufReader<R>,
    pace: &'a Pace,
    rows: u64,
}

impl<R: Read> Receiver<'_, R> {
    fn frame(&mut self, row: &mut Row) -> Result<u8> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).map_err(broken)?;
        let [kind, k0, k1, k2, k3, v0, v1, v2, v3] = head;
        self.fill(&mut row.key, u32::from_le_bytes([k0, k1, k2, k3]))?;
        self.fill(&mut row.value, u32::from_le_bytes([v0, v1, v2, v3]))?;
        Ok(kind)
    }

    /// Reads `length` bytes. Memory is allocated as the bytes come, not by the announced length.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: u32) -> Result<()> {
        let length = length as usize;
        if length > LONGEST {
            return Err(nonsense());
        }
        bytes.clear();
        while bytes.len() < length {
            let (from, to) = (bytes.len(), length.min(bytes.len() + CHUNK));
            bytes.resize(to, 0);
            self.stream.read_exact(&mut bytes[from..]).map_err(broken)?;
            self.pace.moved(to - from)?;
        }
        Ok(())
    }
}

/// The rows of a tree as they are received.
struct Received<'a, 'b, R: Read> {
    receiver: &'a mut Receiver<'b, R>,
    /// The frame behind the last row.
    ended_by: Option<(u8, Row)>,
}

impl<R: Read> Rows for Received<'_, '_, R> {
    fn next(&mut self, row: &mut Row) -> Result<bool> {
        if self.ended_by.is_some() {
            return Ok(false);
        }
        match self.receiver.frame(row)? {
            ROW => {
                self.receiver.rows += 1;
                Ok(true)
            }
            other => {
                self.ended_by = Some((other, std::mem::take(row)));
                Ok(false)
            }
        }
    }
}

fn nonsense() -> Error {
    Error::op_failed("What the server sends is no backup.")
}

fn broken(error: io::Error) -> Error {
    Error::op_failed(match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            "The other side has gone before the backup was complete.".to_owned()
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "The other side has been silent for too long.".to_owned()
        }
        _ => format!("The backup could not be transferred: {error}."),
    })
}
