//! The documents of a table in an archive: one JSON array, read in batches.

use std::fmt;
use std::io::Read;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::bounded::{Bounded, Grant};

/// The most documents of a batch.
const DOCUMENTS: usize = 500;
/// The size in bytes from which on a batch is full.
const BYTES: u64 = 1 << 20;

/// The longest document in bytes. The database takes no longer query.
const DOCUMENT: u64 = 128 << 20;

/// Documents that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) documents: Vec<Box<RawValue>>,
    pub(super) bytes: u64,
}

/// Reads the documents and gives them away in batches, until nobody takes them any more. A document is kept
/// as it is written, however deeply its values are nested.
pub(super) fn batches(read: impl Read, take: impl FnMut(Batch) -> bool) -> serde_json::Result<()> {
    batches_within(DOCUMENT, read, take)
}

/// Reads documents of at most `longest` bytes.
fn batches_within(longest: u64, read: impl Read, take: impl FnMut(Batch) -> bool) -> serde_json::Result<()> {
    let (read, grant) = Bounded::new(read, longest, "a document is");
    let mut json = Deserializer::from_reader(read);
    let all_taken = json.deserialize_seq(Documents { take, grant, longest })?;
    if all_taken { json.end() } else { Ok(()) }
}

struct Documents<F> {
    take: F,
    grant: Grant,
    longest: u64,
}

impl<'de, F: FnMut(Batch) -> bool> Visitor<'de> for Documents<F> {
    /// Tells if all documents were taken.
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of documents")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<bool, A::Error> {
        let mut batch = Batch::default();
        while let Some(document) = seq.next_element::<Box<RawValue>>()? {
            self.grant.set(self.longest);
            batch.bytes += document.get().len() as u64;
            batch.documents.push(document);
            let is_full = batch.documents.len() == DOCUMENTS || batch.bytes >= BYTES;
            if is_full && !(self.take)(std::mem::take(&mut batch)) {
                return Ok(false);
            }
        }
        Ok(batch.documents.is_empty() || (self.take)(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(json: &str) -> Result<Vec<usize>, String> {
        let mut sizes = Vec::new();
        let read = batches(json.as_bytes(), |batch| {
            sizes.push(batch.documents.len());
            true
        });
        read.map(|()| sizes).map_err(|error| error.to_string())
    }

    #[test]
    fn batches_are_full_or_the_last() {
        let array = |number: usize| format!("[\n{}\n]\n", vec!["{\"a\": [1]}"; number].join(",\n"));
        assert_eq!(sizes(&array(0)), Ok(vec![]));
        assert_eq!(sizes(&array(1)), Ok(vec![1]));
        assert_eq!(sizes(&array(DOCUMENTS)), Ok(vec![DOCUMENTS]));
        assert_eq!(sizes(&array(DOCUMENTS + 2)), Ok(vec![DOCUMENTS, 2]));
        let large = format!("\"{}\"", "x".repeat(600 << 10));
        assert_eq!(sizes(&format!("[{large},{large},{large}]")), Ok(vec![2, 1]));
    }

    #[test]
    fn nesting_takes_no_stack() {
        let deep = format!("[{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(sizes(&deep), Ok(vec![1]));
    }

    #[test]
    fn a_document_without_end_is_not_kept() {
        let endless = b"[1,2,\"".chain(std::io::repeat(b'x'));
        let error = batches_within(1 << 10, endless, |_| true).expect_err("too long").to_string();
        assert!(error.starts_with("a document is too long"), "{error}");
    }

    #[test]
    fn what_is_no_array_is_an_error() {
        for text in ["", "{}", "[1", "[1] 2", "[1,]", "7"] {
            assert!(sizes(text).is_err(), "{text}");
        }
    }
}
