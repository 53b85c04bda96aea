//! One moment of the file: a read transaction, and the trees that have been opened in it.
//!
//! Beginning a transaction and finding a tree cost more than reading a document, so all readers between the
//! same two commits share them. A reader that goes on after the next commit keeps the moment, and with it the
//! pages that it sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};

/// The tree of a table's documents.
pub(super) type Documents = ReadOnlyTable<&'static [u8], &'static [u8]>;
/// The tree of an index.
pub(super) type Entries = ReadOnlyTable<&'static [u8], u32>;

/// A read transaction with its open trees.
pub(super) struct ReadView {
    txn: ReadTransaction,
    documents: Trees<&'static [u8]>,
    entries: Trees<u32>,
}

impl ReadView {
    pub(super) fn new(txn: ReadTransaction) -> Self {
        ReadView { txn, documents: Trees::default(), entries: Trees::default() }
    }

    /// Returns the tree of this name, which holds documents.
    pub(super) fn documents(&self, tree: &Arc<str>) -> Result<Arc<Documents>, TableError> {
        self.documents.open(tree, &self.txn)
    }

    /// Returns the tree of this name, which holds the entries of an index.
    pub(super) fn entries(&self, tree: &Arc<str>) -> Result<Arc<Entries>, TableError> {
        self.entries.open(tree, &self.txn)
    }
}

/// An open tree.
type Tree<V> = Arc<ReadOnlyTable<&'static [u8], V>>;

/// Open trees by name.
struct Trees<V: redb::Value + 'static>(Mutex<BTreeMap<Arc<str>, Tree<V>>>);

impl<V: redb::Value + 'static> Default for Trees<V> {
    fn default() -> Self {
        Trees(Mutex::default())
    }
}

impl<V: redb::Value + 'static> Trees<V> {
    fn open(&self, name: &Arc<str>, txn: &ReadTransaction) -> Result<Tree<V>, TableError> {
        let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = trees.get(name) {
            return Ok(tree.clone());
        }
        let tree = Arc::new(txn.open_table(TableDefinition::new(name))?);
        trees.insert(name.clone(), tree.clone());
        Ok(tree)
    }
}
