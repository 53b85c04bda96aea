//! Values put aside until it is their turn: first in memory, and on the disk once they are many.

use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use tempfile::SpooledTempFile;

use crate::datum::{Datum, pack, packed};
use crate::error::{Error, Result};

/// The bytes that are kept in memory.
const IN_MEMORY: usize = 4 << 20;
/// The bytes that are written and read at a time.
const BUFFER: usize = 64 << 10;

/// Values being put aside.
pub struct Aside(BufWriter<SpooledTempFile>);

/// Values being taken back, in the order in which they were put aside.
pub struct Taken(BufReader<SpooledTempFile>);

impl Aside {
    /// Starts with no values. Values beyond the limit of memory go to a nameless file in the directory.
    /// Without a directory, all values stay in memory.
    pub fn new(directory: Option<&Path>) -> Self {
        let file = match directory {
            Some(directory) => tempfile::spooled_tempfile_in(IN_MEMORY, directory),
            None => SpooledTempFile::new(usize::MAX),
        };
        Aside(BufWriter::with_capacity(BUFFER, file))
    }

    /// Puts a value aside. Fails for a value that can't be stored.
    pub fn put(&mut self, value: &Datum) -> Result<()> {
        let bytes = pack::value(value)?;
        let length = (bytes.len() as u64).to_le_bytes();
        self.0.write_all(&length).and_then(|()| self.0.write_all(&bytes)).map_err(failure)
    }

    /// Ends putting aside, and begins to take back.
    pub fn take(self) -> Result<Taken> {
        let mut file = self.0.into_inner().map_err(|error| failure(error.into_error()))?;
        file.rewind().map_err(failure)?;
        Ok(Taken(BufReader::with_capacity(BUFFER, file)))
    }
}

impl Taken {
    /// Returns the next value; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Datum>> {
        let mut length = [0; 8];
        match self.0.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(failure)?,
        }
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        self.0.read_exact(&mut bytes).map_err(failure)?;
        Ok(Some(packed::from_bytes(Arc::from(bytes))))
    }
}

fn failure(error: std::io::Error) -> Error {
    Error::op_failed(format!("The rows of a write could not be put aside: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_in_order_from_memory_and_from_the_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        for (directory, count) in [(Some(directory.path()), 3), (Some(directory.path()), 300), (None, 300)] {
            let text = Datum::str("x".repeat(IN_MEMORY / 100));
            let values: Vec<_> =
                (0..count).map(|n| Datum::array(vec![Datum::from(n as u64), text.clone()])).collect();
            let mut aside = Aside::new(directory);
            values.iter().try_for_each(|value| aside.put(value)).expect("room");
            let mut taken = aside.take().expect("a file");
            for value in values {
                assert!(taken.next().expect("a value").as_ref() == Some(&value));
            }
            assert!(taken.next().expect("an end").is_none());
        }
        let left = std::fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(left, 0, "the file has no name");
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory").path().join("gone");
        let mut aside = Aside::new(Some(&directory));
        let text = Datum::str("x".repeat(IN_MEMORY * 2));
        let put = aside.put(&text).and_then(|()| aside.take().map(drop));
        assert!(put.expect_err("no directory").message().starts_with("The rows of a write"));
    }
}
