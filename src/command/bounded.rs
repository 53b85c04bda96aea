//! A reader that gives no more bytes than it has been granted.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// A reader of a text of unknown length. Reading beyond what was granted is an error, which says that `what`
/// is too long.
pub(super) struct Bounded<R> {
    reader: R,
    left: Grant,
    what: &'static str,
}

/// The bytes that may still be read. Cloning shares it.
#[derive(Clone)]
pub(super) struct Grant(Rc<Cell<u64>>);

impl<R: Read> Bounded<R> {
    /// Grants `bytes` at first. Returns the reader and its grant, by which more can be granted.
    pub(super) fn new(reader: R, bytes: u64, what: &'static str) -> (Self, Grant) {
        let left = Grant(Rc::new(Cell::new(bytes)));
        (Bounded { reader, left: left.clone(), what }, left)
    }
}

impl Grant {
    /// Grants so many bytes from now on.
    pub(super) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.0.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} too long", self.what)));
        }
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.reader.read(&mut buffer[..length])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_is_granted() -> io::Result<()> {
        let (mut bounded, grant) = Bounded::new(io::repeat(7), 10, "it is");
        let mut buffer = [0; 8];
        assert_eq!((bounded.read(&mut buffer)?, bounded.read(&mut buffer)?), (8, 2));
        assert_eq!(
            bounded.read(&mut buffer).map_err(|error| error.to_string()),
            Err("it is too long".into())
        );
        grant.set(3);
        assert_eq!(bounded.read(&mut buffer)?, 3);
        Ok(())
    }
}
