//! Secondary indexes: their definition, and the entries that a document has in them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The definition of a secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// Name, unique in the table.
    pub name: String,
    /// Text of the function, in the form that the [`IndexCompiler`] reads.
    pub source: String,
    /// True if the function returns an array whose elements are indexed one by one.
    pub multi: bool,
    /// True if the function returns geometry.
    pub geo: bool,
}

/// Compiles the stored text of an index function. Implemented by the evaluator.
pub trait IndexCompiler: Send + Sync {
    /// Compiles the function of an index, on creation and each time the file is opened.
    fn compile(&self, spec: &IndexSpec) -> Result<Arc<dyn IndexFunction>>;
}

/// A compiled index function, which must be deterministic.
pub trait IndexFunction: Send + Sync {
    /// Returns the encoded values ([`key::secondary`](crate::datum::key::secondary)) under which a document
    /// is found: several for a multi or geo index, none if the function fails for this document. Each value
    /// ends with a zero byte, and none is a prefix of another.
    fn keys(&self, document: &Datum) -> Vec<Vec<u8>>;
}

/// An index's state, as `index_status` shows it.
#[derive(Debug, Clone)]
pub struct IndexStatus {
    /// Id of this very index: another one created under the same name has another id.
    pub id: Uuid,
    /// Definition of the index.
    pub spec: Arc<IndexSpec>,
    /// True if the index can be queried.
    pub ready: bool,
    /// Number of documents that the build has indexed so far.
    pub processed: u64,
    /// Number of documents to index.
    pub total: u64,
    /// Reason why the function can't run, if it can't. Such an index holds nothing and is built anew once it
    /// can.
    pub failure: Option<String>,
}

/// The progress of a build. An index of the same id that was loaded anew has another one.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) processed: AtomicU64,
    pub(super) total: AtomicU64,
}

/// An index as the catalog knows it.
#[derive(Clone)]
pub(super) struct Index {
    pub(super) id: Uuid,
    pub(super) spec: Arc<IndexSpec>,
    /// The name of its tree in the file.
    pub(super) tree: Arc<str>,
    /// True if the build is complete.
    pub(super) ready: bool,
    pub(super) progress: Arc<Progress>,
    function: Result<Arc<dyn IndexFunction>>,
}

/// An entry of an index: the key in its tree, and the number of its bytes that are the value.
pub(super) type Entry = (Vec<u8>, u32);

/// The bytes after the document's key that keep the entries of one document apart.
const TAG: usize = 4;

/// The bytes of a document that take as long to write as an entry does besides its own.
const ENTRY: usize = 128;

impl Index {
    pub(super) fn new(id: Uuid, spec: IndexSpec, ready: bool, compiler: &dyn IndexCompiler) -> Self {
        let compiled = catch_unwind(AssertUnwindSafe(|| compiler.compile(&spec)));
        let function =
            compiled.unwrap_or_else(|_| Err(Error::internal("The index function does not compile.")));
        // Entries of a function that no longer compiles are not maintained.
        let ready = ready && function.is_ok();
        let tree = Arc::from(format!("i:{}", id.simple()));
        Index { id, spec: Arc::new(spec), tree, ready, progress: Arc::default(), function }
    }

    /// Returns the reason why the index can't be built, if there is one.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.function.as_ref().err()
    }

    pub(super) fn status(&self) -> IndexStatus {
        IndexStatus {
            id: self.id,
            spec: self.spec.clone(),
            ready: self.ready,
            processed: self.progress.processed.load(Ordering::Relaxed),
            total: self.progress.total.load(Ordering::Relaxed),
            failure: self.failure().map(|error| error.message().to_owned()),
        }
    }

    fn is_tagged(&self) -> bool {
        self.spec.multi || self.spec.geo
    }

    /// Returns the entries of a document in this index, in order.
    pub(super) fn entries(&self, key: &[u8], document: &Datum) -> Vec<Entry> {
        let Ok(function) = &self.function else { return Vec::new() };
        // A function that fails for want of memory would say that the document isn't in the index.
        let keys = || fuel::uncounted(|| function.keys(document));
        let values = catch_unwind(AssertUnwindSafe(keys)).unwrap_or_else(|_| {
            log::error!("The function of index `{}` panicked.", self.spec.name);
            Vec::new()
        });
        let mut entries: Vec<Entry> = values
            .into_iter()
            .enumerate()
            .map(|(position, mut entry)| {
                let length = entry.len() as u32;
                entry.extend_from_slice(key);
                if self.is_tagged() {
                    entry.extend_from_slice(&(position as u32).to_be_bytes());
                }
                (entry, length)
            })
            .collect();
        entries.sort_unstable();
        entries
    }

    /// Returns the document's key inside an entry.
    pub(super) fn primary_key<'a>(&self, entry: &'a [u8], value_length: usize) -> &'a [u8] {
        let end = entry.len().saturating_sub(if self.is_tagged() { TAG } else { 0 });
        entry.get(value_length..end).unwrap_or_default()
    }
}

/// Computes the entries that documents have in an index, as the index was at the time of
/// [`Table::index_entries`](super::Table::index_entries).
#[derive(Clone)]
pub struct IndexEntries(Index);

/// An entry of an index. Entries are in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    /// The value, then the document's key, then the bytes that keep the entries of one document apart.
    pub bytes: Vec<u8>,
    /// Number of the bytes that are the value.
    pub value_length: usize,
}

impl IndexEntries {
    pub(super) fn of(index: &Index) -> Self {
        IndexEntries(index.clone())
    }

    /// Returns the id of the index.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Returns the name of the index.
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }

    /// Returns the entries of a document, in order.
    pub fn of_document(&self, key: &[u8], document: &Datum) -> Vec<IndexEntry> {
        let entries = self.0.entries(key, document).into_iter();
        entries.map(|(bytes, length)| IndexEntry { bytes, value_length: length as usize }).collect()
    }
}

impl IndexEntry {
    /// Returns the encoded value.
    pub fn value(&self) -> &[u8] {
        self.bytes.get(..self.value_length).unwrap_or_default()
    }
}

/// The effect of a document's change on one index.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) removed: Vec<Entry>,
    pub(super) added: Vec<Entry>,
}

impl Delta {
    /// Returns the bytes of a document that take about as long to write as these entries.
    pub(super) fn size(&self) -> usize {
        self.removed.iter().chain(&self.added).map(|(entry, _)| ENTRY + entry.len()).sum()
    }

    pub(super) fn of(index: &Index, key: &[u8], old: Option<&Datum>, new: Option<&Datum>) -> Delta {
        let mut removed = old.map(|document| index.entries(key, document)).unwrap_or_default();
        let mut added = new.map(|document| index.entries(key, document)).unwrap_or_default();
        let before = removed.clone();
        removed.retain(|entry| added.binary_search(entry).is_err());
        // Entries that stay may be missing while the index is built, and the build leaves out documents that
        // change meanwhile.
        if index.ready {
            added.retain(|entry| before.binary_search(entry).is_err());
        }
        Delta { removed, added }
    }
}
